"""`modules-store trim`, `convert` and `verify`."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from modules_store import KeepAll, MaxCount, Policy, RedisAgentMemory, keys
from modules_store.cli import app
from tests.cli.conftest import FIRST
from tests.store import toy_codec


def lower_limits(client, *agents):
    """Give agents more than their documents say that they may have."""
    for agent in agents:
        memory = RedisAgentMemory(client, codec="toy", policy=Policy(KeepAll()))
        memory.store_agent_memories(agent, toy_codec.states(50))
        policy = Policy(MaxCount(10)).to_json()
        client.execute_command("JSON.SET", keys.agent_metadata(agent), "$.policy", policy)


def test_trims_until_nothing_is_left_to_do(run, redis_client):
    toy_codec.publish(redis_client)
    lower_limits(redis_client, "a", "drone-1", "drone-2")
    trimmed = json.loads(run("trim", "drone-*", "--step", 7, "--json"))
    assert trimmed == [{"agent": f"drone-{i}", "dropped": 40} for i in (1, 2)]
    rows = [row.split() for row in run("trim", "--all").splitlines()]
    assert rows == [["agent", "dropped"], ["a", "40"], ["drone-1", "0"], ["drone-2", "0"]]
    assert {redis_client.zcard(keys.index(agent)) for agent in ("a", "drone-1", "drone-2")} == {10}


def test_what_trim_refuses(run, filled):
    assert run("trim", code=1) == "modules-store: give either ids or patterns of agents, or --all\n"
    assert "or --all" in run("trim", "drone-1", "--all", code=1)
    assert "no agent that has memories matches 'x*'" in run("trim", "x*", code=1)


def test_converts_to_a_layout_and_back(run, filled, redis_client):
    before = {agent: memories_of(filled, agent) for agent in ("drone-1", "drone-2", "rover")}
    rows = [row.split() for row in run("convert", "drone-*", "--to", "packed", "--step", 2).splitlines()]
    assert rows == [["agent", "from", "moved", "lost"]] + [[f"drone-{i}", "keys", "5", "0"] for i in (1, 2)]
    assert redis_client.type(keys.index("drone-1")) == b"string"
    assert not redis_client.exists(keys.memory("drone-1", FIRST))
    assert json.loads(run("convert", "--all", "--to", "packed", "--json")) == [
        *({"agent": f"drone-{i}", "from": "packed", "moved": 0, "lost": 0} for i in (1, 2)),
        {"agent": "rover", "from": "keys", "moved": 3, "lost": 0},
    ]
    assert {agent: memories_of(filled, agent) for agent in before} == before
    run("convert", "--all", "--to", "keys")
    assert {agent: memories_of(filled, agent) for agent in before} == before
    assert redis_client.type(keys.index("rover")) == b"zset"


def memories_of(memory, agent):
    return [(one.timestamp, one.state.tolist(), one.metadata) for one in memory.get_memories_between(agent)]


def test_a_conversion_that_was_cut_off_goes_on(run, filled, redis_client):
    def interrupt(done):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        filled.convert_agent("drone-1", "packed", step=2, on_progress=interrupt)
    before = memories_of(filled, "drone-1")
    redis_client.delete(keys.memory("drone-1", FIRST + 3))
    (done,) = json.loads(run("convert", "drone-1", "--to", "packed", "--json"))
    assert done == {"agent": "drone-1", "from": "mixed", "moved": 2, "lost": 1}
    assert memories_of(filled, "drone-1") == before[:3] + before[4:]
    assert filled.agent_stats("drone-1").counters["lost"] == 1


def test_what_convert_refuses(run, filled):
    assert "--to is 'x', not one of keys, packed" in run("convert", "rover", "--to", "x", code=1)
    assert "or --all" in run("convert", "--to", "packed", code=1)
    assert json.loads(run("convert", "nobody", "--to", "packed", "--json"))[0]["moved"] == 0


def damage(client):
    """Take away a value of drone-1, and the index entry of a memory of rover."""
    client.delete(keys.memory("drone-1", FIRST + 2))
    client.zrem(keys.index("rover"), 2)


def test_verify_finds_nothing(run, filled):
    assert [row.split() for row in run("verify", "--all").splitlines()] == [
        ["agent", "memories", "found"],
        *([f"drone-{i}", "5", "ok"] for i in (1, 2)),
        ["rover", "3", "ok"],
    ]
    (verified,) = json.loads(run("verify", "rover", "--json"))
    assert (verified["ok"], verified["repaired"], verified["left"]) == (True, None, None)
    assert verified["found"]["memories"] == 3


def test_verify_says_what_is_wrong_and_where(run, server, filled, redis_client):
    damage(redis_client)
    result = CliRunner().invoke(app, ["verify", "--all", "--redis-url", server.url])
    assert result.exit_code == 1
    rows = [row.split(maxsplit=2) for row in result.stdout.splitlines()[1:]]
    assert rows[0] == ["drone-1", "5", f"1 without value (at {FIRST + 2})"]
    assert rows[2] == ["rover", "2", "1 not indexed (at 2)"]
    assert rows[1][2] == "ok"
    assert redis_client.zcard(keys.index("rover")) == 2


def test_verify_repairs(run, filled, redis_client):
    damage(redis_client)
    drone, rover = json.loads(run("verify", "drone-1", "rover", "--repair", "--json"))
    assert drone["ok"]
    assert drone["found"]["without_value"] == {"count": 1, "first": [FIRST + 2]}
    assert drone["repaired"]["lost"] == 1
    assert drone["left"]["without_value"]["count"] == 0
    assert rover["repaired"]["indexed"] == 1
    assert redis_client.zcard(keys.index("rover")) == 3
    damage(redis_client)
    row = run("verify", "rover", "--repair").splitlines()[1]
    assert row.split(maxsplit=2)[2].split("  ")[0] == "1 not indexed (at 2)"
    assert "1 indexed" in row
    assert row.endswith("ok")


def test_what_a_repair_leaves_is_said(server, filled, redis_client):
    redis_client.delete(keys.decoder("toy", 1))
    redis_client.delete(keys.codec("toy"))
    arguments = ["verify", "rover", "--repair", "--redis-url", server.url, "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    (verified,) = json.loads(result.stdout)
    assert not verified["ok"]
    assert verified["left"]["undecodable"] == {"count": 3, "first": [1, 2, 3]}
