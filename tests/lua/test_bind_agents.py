"""bind_agents.lua by itself."""

from __future__ import annotations

import json

import pytest
import redis

from modules_store import keys
from tests.lua import calls


def bindings(node):
    text = node.execute_command("JSON.GET", keys.bindings())
    return [tuple(binding.values()) for binding in json.loads(text)["bindings"]]


def test_binds_replaces_and_unbinds(node):
    assert calls.bind_agents(node, "drone-*", "drone") == 0
    assert calls.bind_agents(node, 'say "a/b"', "x", 2) == 0
    assert bindings(node) == [("drone-*", "drone", None), ('say "a/b"', "x", 2)]
    assert calls.bind_agents(node, "drone-*", "other", 65535) == 1
    assert bindings(node) == [("drone-*", "other", 65535), ('say "a/b"', "x", 2)]
    assert calls.bind_agents(node, "drone-*", "") == 1
    assert calls.bind_agents(node, "drone-*", "") == 0
    assert bindings(node) == [('say "a/b"', "x", 2)]


def test_binds_a_policy_with_a_codec_or_without(node):
    policy = calls.policy_of(30, ttl_ms=5)
    assert calls.bind_agents(node, "a*", "", policy=policy) == 0
    assert calls.bind_agents(node, "ab*", "toy", 2, policy=policy) == 0
    assert bindings(node) == [("a*", None, None, policy), ("ab*", "toy", 2, policy)]
    assert calls.bind_agents(node, "ab*", "toy") == 1
    assert calls.bind_agents(node, "a*", "") == 1
    assert bindings(node) == [("ab*", "toy", None)]


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ("x", "policy is not a JSON"),
        ({}, "policy has no retention"),
        ({"retention": {"policy": "max_count", "count": 0}}, "policy retention count is 0"),
        (calls.policy_of(1, ttl_ms="x"), "policy ttl_ms is x"),
    ],
)
def test_policies_that_are_refused(node, policy, says):
    with pytest.raises(redis.ResponseError, match=f"^MEMERR BADARG {says}"):
        calls.bind_agents(node, "a", "toy", policy=policy)
    assert not node.exists(keys.bindings())


def test_unbinding_where_nothing_is_bound_writes_nothing(node):
    assert calls.bind_agents(node, "a", "") == 0
    assert not node.exists(keys.bindings())


@pytest.mark.parametrize("version", ["x", "0", "65536", "1.5"])
def test_versions_that_are_refused(node, version):
    with pytest.raises(redis.ResponseError, match=f"^MEMERR BADARG version is {version}"):
        calls.bind_agents(node, "a", "toy", version)
    assert not node.exists(keys.bindings())


def test_the_number_is_limited(node):
    for n in range(1024):
        calls.bind_agents(node, f"a{n}", "toy")
    with pytest.raises(redis.ResponseError, match="^MEMERR BADARG the number of bindings is 1025"):
        calls.bind_agents(node, "b", "toy")
    assert calls.bind_agents(node, "a1023", "other") == 1
    assert len(bindings(node)) == 1024


def test_a_key_that_holds_something_else(node):
    node.rpush(keys.bindings(), "x")
    with pytest.raises(
        redis.ResponseError, match="^MEMERR WRONGTYPE key memory_systems holds a value of type"
    ):
        calls.bind_agents(node, "a", "toy")
    node.execute_command("DEL", keys.bindings())
    node.execute_command("JSON.SET", keys.bindings(), "$", '{"bindings":3}')
    with pytest.raises(redis.ResponseError, match="^MEMERR WRONGTYPE memory_systems holds no bindings"):
        calls.bind_agents(node, "a", "toy")
