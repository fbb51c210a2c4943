"""`modules-store trim`."""

from __future__ import annotations

import json

from modules_store import KeepAll, MaxCount, Policy, RedisAgentMemory, keys
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
