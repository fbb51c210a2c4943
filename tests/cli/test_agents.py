"""`modules-store agents` and `show`."""

from __future__ import annotations

import json
import re

import pytest

from modules_store import KeepAll, Policy, RedisAgentMemory, keys
from tests.cli.conftest import FIRST
from tests.store import toy_codec


def test_agents_as_a_table(run, filled):
    lines = run("agents").splitlines()
    assert lines[0].split() == ["agent", "memories", "oldest", "newest", "codec", "layout"]
    assert [line.split() for line in lines[1:]] == [
        [f"drone-{i}", "5", "2023-11-14", "22:13:20.000", "2023-11-14", "22:13:20.004", "toy", "v1", "keys"]
        for i in (1, 2)
    ] + [["rover", "3", "1", "3", "toy", "v1", "keys"]]


def test_agents_of_a_pattern_as_json(run, filled):
    others = {"codec": {"name": "toy", "version": 1}, "layout": "keys"}
    assert json.loads(run("agents", "drone-*", "--json")) == [
        {"agent": f"drone-{i}", "memories": 5, "oldest": FIRST, "newest": FIRST + 4, **others} for i in (1, 2)
    ]
    assert json.loads(run("agents", "nobody*", "--json")) == []


def test_more_agents_than_one_round_trip_asks_for(run, redis_client):
    RedisAgentMemory(redis_client).store_step({f"agent-{i:04}": [1.0, 2.0] for i in range(1100)})
    listed = json.loads(run("agents", "--json"))
    assert [one["agent"] for one in listed] == [f"agent-{i:04}" for i in range(1100)]
    assert {(one["memories"], one["codec"]["name"]) for one in listed} == {(1, "float16")}


def test_agent_whose_document_was_evicted(run, filled, redis_client):
    redis_client.delete(keys.agent_metadata("rover"), keys.agent_memory_system("rover"))
    assert json.loads(run("agents", "rover", "--json"))[0]["codec"] is None
    assert "unknown: the agent's document is gone" in run("show", "rover")


def test_show_as_people_read_it(run, filled, redis_client):
    policy = Policy(KeepAll(), ttl_ms=86_400_000, stream_entries=1000, priorities=True)
    memory = RedisAgentMemory(redis_client, codec="toy", policy=policy)
    memory.store_agent_memory("rover", toy_codec.states(1)[0])
    lines = run("show", "rover").splitlines()
    for name, value in [
        ("memories", "4"),
        ("oldest", "1"),
        ("codec", "toy v1"),
        ("states", "6 features in 6 codes, INT8"),
        ("keeps", "keep_all"),
        ("memories expire after", "86,400,000 ms"),
        ("stream", "about 1,000 entries"),
        ("priorities", "new memories have the largest"),
        ("stored", "4"),
    ]:
        assert any(line.startswith(name) and line.endswith(f"  {value}") for line in lines), name
    assert [line.split() for line in lines[-3:]] == [
        ["near", "8", "2", "0.25"],
        ["far", "16", "4", "0.25"],
        ["all,", "with", "header", "24", "9", "0.375"],
    ]


def test_show_says_which_codecs_there_are_memories_of(run, filled, redis_client):
    toy_codec.publish(redis_client, "other")

    def interrupt(done):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        filled.re_encode("rover", "other", step=1, on_progress=interrupt)
    shown = {line[:24].strip(): line[24:].strip() for line in run("show", "rover").splitlines()}
    assert shown["also has memories of"] == "toy"
    assert shown["codec"] == "other v1"


def test_agents_of_each_layout(run, filled):
    filled.convert_agent("drone-2", "packed")

    def interrupt(done):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        filled.convert_agent("rover", "packed", step=1, on_progress=interrupt)
    listed = {one["agent"]: one for one in json.loads(run("agents", "--json"))}
    assert {agent: one["layout"] for agent, one in listed.items()} == {
        "drone-1": "keys",
        "drone-2": "packed",
        "rover": "mixed",
    }
    for agent, count, oldest, newest in (("drone-2", 5, FIRST, FIRST + 4), ("rover", 3, 1, 3)):
        one = listed[agent]
        assert (one["memories"], one["oldest"], one["newest"]) == (count, oldest, newest)
        shown = json.loads(run("show", agent, "--json"))
        assert (shown["memories"], shown["layout"]) == (count, one["layout"])


def test_show_says_layout_and_documents(run, filled, redis_client):
    policy = Policy(KeepAll(), layout="packed", documents=True)
    memory = RedisAgentMemory(redis_client, codec="toy", policy=policy)
    for agent in ("rover", "log"):
        memory.store_agent_memories(agent, toy_codec.states(2), [{"n": 1}, None])
    shown = dict(re.findall(r"^(.+?)  +(.*)$", run("show", "log"), re.MULTILINE))
    assert shown["layout"] == "packed"
    assert shown["documents"] == "of packed memories' metadata"
    assert "layout of the policy" not in shown
    shown = dict(re.findall(r"^(.+?)  +(.*)$", run("show", "rover"), re.MULTILINE))
    assert (shown["layout"], shown["layout of the policy"]) == ("keys", "packed")


def test_show_as_json_has_the_documents(run, filled, redis_client):
    shown = json.loads(run("show", "drone-1", "--json"))
    assert (shown["agent"], shown["memories"], shown["newest"]) == ("drone-1", 5, FIRST + 4)
    assert shown["metadata"] == json.loads(
        redis_client.execute_command("JSON.GET", keys.agent_metadata("drone-1"))
    )
    assert shown["memory_system"]["code_dtype"] == "INT8"


def test_what_show_refuses(run, filled):
    assert run("show", "nobody", code=1) == "modules-store: agent nobody has stored nothing\n"
    assert "braces and control characters are illegal" in run("show", "{a}", code=1)
