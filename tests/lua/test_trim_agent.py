"""trim_agent.lua by itself, and the policies that store_memories.lua takes."""

from __future__ import annotations

import json

import pytest
import redis

from modules_store import keys
from tests.lua import calls
from tests.store import toy_codec

ROWS = toy_codec.states(5)
KEEP_ALL = {"retention": {"policy": "keep_all"}}


def refused(match: str):
    return pytest.raises(redis.ResponseError, match=f"^MEMERR {match}")


def rule(policy: str, **fields) -> dict:
    return {"retention": {"policy": policy, **fields}}


def state_policy(node, policy) -> None:
    """Change the policy that the agent's document states, as a store with no memories would."""
    node.execute_command("JSON.SET", keys.agent_metadata("a"), "$.policy", json.dumps(policy))


def index(node) -> list[int]:
    return [int(member) for member in node.zrange(keys.index("a"), 0, -1)]


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        (KEEP_ALL, [0, 1, 2, 3, 4]),
        (rule("max_count", count=2), [3, 4]),
        (rule("max_age", age_ms=2), [2, 3, 4]),
        (rule("importance", count=3, field="a.b"), [0, 2, 4]),
        (rule("thinning", recent=1), [0, 2, 3, 4]),
        (rule("byte_budget", size_bytes=9 + 15 + 9), [3, 4]),
        (calls.policy_of(3), [2, 3, 4]),
    ],
)
def test_each_retention_once_on_all_keys(node, policy, kept):
    metadata = ['{"a":{"b":9}}', "", '{"a":{"b":2}}', '{"a":{"b":-1}}', ""]
    calls.store(node, ROWS, policy=KEEP_ALL, timestamps=[0, 1, 2, 3, 4], metadata=metadata)
    state_policy(node, policy)
    assert calls.trim_agent(node) == [5 - len(kept), 0]
    assert index(node) == kept
    expected = {keys.memory("a", t) for t in kept}
    expected |= {keys.memory_metadata("a", t) for t in kept if metadata[t]}
    assert {key.decode() for key in node.scan_iter("agent:{a}:memory:*")} == expected
    if node.exists(keys.importance("a")):
        assert sorted(int(member) for member in node.zrange(keys.importance("a"), 0, -1)) == kept
    if node.exists(keys.sizes("a")):
        assert sorted(int(t) for t in node.hkeys(keys.sizes("a")) if t != b"total") == kept


def test_the_members_of_importance_are_in_order_where_they_are_equal(node):
    stamps = [5, 40, 300, 2**53 - 1]
    policy = rule("importance", count=2, field="x")
    calls.store(node, ROWS[:4], policy=KEEP_ALL, timestamps=stamps)
    state_policy(node, policy)
    assert calls.trim_agent(node) == [2, 0]
    assert index(node) == stamps[2:]
    assert node.zrange(keys.importance("a"), 0, -1) == [b"0000000000000300", b"9007199254740991"]


def test_a_limit_lowered_by_100_000_is_made_good_step_by_step(node):
    for _ in range(7):
        calls.store(node, toy_codec.states(14_300), policy=KEEP_ALL)
    calls.store(node, ROWS[:1], policy=rule("max_count", count=100))
    assert node.zcard(keys.index("a")) == 100_101 - 1001
    assert calls.trim_agent(node, limit=16_384) == [16_384, 82_616]
    text = node.execute_command("JSON.GET", keys.agent_metadata("a"), "$.counters")
    assert json.loads(text) == [{"stored": 100_101, "trimmed": 1001 + 16_384}]


def test_a_companion_is_filled_step_by_step_before_anything_goes(node):
    policy = rule("importance", count=10, field="n")
    metadata = [f'{{"n":{n}}}' for n in range(5000)]
    calls.store(node, toy_codec.states(5000), policy=KEEP_ALL, metadata=metadata)
    calls.store(node, ROWS[:1], policy=policy, metadata=['{"n":5000}'])
    assert node.zcard(keys.importance("a")) == 1001 + 1
    calls.store(node, ROWS[:1], policy=policy, metadata=['{"n":5001}'])
    assert node.zcard(keys.importance("a")) == 2 * (1001 + 1)
    assert node.zcard(keys.index("a")) == 5002
    assert calls.trim_agent(node, limit=2000) == [0, 4992]
    assert calls.trim_agent(node, limit=1100) == [1100, 3892]
    while calls.trim_agent(node, limit=1000)[1]:
        pass
    scores = node.zrange(keys.importance("a"), 0, -1, withscores=True)
    assert [score for _, score in scores] == list(range(4992, 5002))
    assert node.execute_command("JSON.GET", keys.agent_metadata("a"), "$.cursor") == b"[]"


def test_a_companion_that_has_what_the_index_has_not_is_made_again(node):
    policy = rule("importance", count=3, field="n")
    calls.store(node, ROWS[:3], policy=policy, timestamps=[1, 2, 3])
    node.zadd(keys.importance("a"), {"0000000000000099": -5, "0000000000000098": -5})
    calls.store(node, ROWS[:1], policy=policy, timestamps=[4])
    assert calls.trim_agent(node) == [1, 0]
    assert index(node) == [2, 3, 4]
    assert [int(member) for member in node.zrange(keys.importance("a"), 0, -1)] == [2, 3, 4]


def test_a_replica_or_log_gets_the_time_of_expiry(node):
    calls.store(node, ROWS, policy={**KEEP_ALL, "ttl_ms": 60_000}, metadata=["{}"] * 5)
    ids = index(node)
    times = {node.pexpiretime(name("a", t)) for t in ids for name in (keys.memory, keys.memory_metadata)}
    assert len(times) == 1
    assert node.ttl(keys.index("a")) == -1


def test_nothing_there(node):
    assert calls.trim_agent(node) == [0, 0]
    assert calls.contents(node) == {}


def test_at_maxmemory_it_works(node):
    calls.store(node, ROWS, policy=KEEP_ALL)
    state_policy(node, rule("max_count", count=2))
    node.config_set("maxmemory", "1mb")
    try:
        assert calls.trim_agent(node) == [3, 0]
    finally:
        node.config_set("maxmemory", "0")


@pytest.mark.parametrize("key", [keys.index("a"), keys.agent_metadata("a")])
def test_a_key_of_another_type(node, key):
    node.rpush(key, "x")
    with refused(f"WRONGTYPE key {key} holds a value of type list"):
        calls.trim_agent(node)


@pytest.mark.parametrize(
    ("policy", "key"),
    [
        (rule("importance", count=1, field="x"), keys.importance("a")),
        (rule("byte_budget", size_bytes=1), keys.sizes("a")),
    ],
)
def test_a_companion_of_another_type(node, policy, key):
    calls.store(node, ROWS[:1], policy=policy)
    node.unlink(key)
    node.rpush(key, "x")
    before = calls.contents(node)
    for operation in (
        lambda: calls.store(node, ROWS, policy=policy, metadata=["{}"] * 5),
        lambda: calls.trim_agent(node),
    ):
        with refused(f"WRONGTYPE key {key} holds a value of type list"):
            operation()
        assert calls.contents(node) == before


@pytest.mark.parametrize("limit", ["0", "16385", "x"])
def test_limits_that_are_refused(node, limit):
    with refused(f"BADARG limit is {limit}"):
        calls.trim_agent(node, limit=limit)


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (rule("other"), "policy has no retention that"),
        ({"retention": "oldest"}, "policy has no retention that"),
        (rule("max_count"), "policy retention count is nil"),
        (rule("max_count", count=1.5), "policy retention count is 1.5"),
        (rule("max_age", age_ms=-1), "policy retention age_ms is -1"),
        (rule("importance", count=1), "policy retention field is not names"),
        (rule("importance", count=1, field="a..b"), "policy retention field is not names"),
        (rule("importance", count=1, field=".a"), "policy retention field is not names"),
        (rule("importance", count=1, field="."), "policy retention field is not names"),
        (rule("importance", count=1, field="a b"), "policy retention field is not names"),
        (rule("importance", count=0, field="a"), "policy retention count is 0"),
        (rule("thinning", recent=0), "policy retention recent is 0"),
        (rule("byte_budget", size_bytes="x"), "policy retention size_bytes is x"),
        ({**KEEP_ALL, "ttl_ms": 0}, "policy ttl_ms is 0"),
        ({**KEEP_ALL, "ttl_ms": 1.5}, "policy ttl_ms is 1.5"),
    ],
)
def test_policies_that_are_refused(node, policy, says):
    with refused(f"BADARG {says}"):
        calls.store(node, ROWS, policy=policy)
    assert calls.contents(node) == {}
    calls.store(node, ROWS, policy=KEEP_ALL)
    state_policy(node, policy)
    before = calls.contents(node)
    with refused(f"BADARG {says}"):
        calls.trim_agent(node)
    assert calls.contents(node) == before
