"""Policies are bound to agents, beside codecs or without one."""

from __future__ import annotations

import json

import pytest

import modules_store
from modules_store import (
    Binding,
    Importance,
    KeepAll,
    MaxCount,
    Oldest,
    Policy,
    RedisAgentMemory,
    Thinning,
    keys,
)
from tests.store import toy_codec

ROW = toy_codec.states(1)[0]
TEN = Policy(MaxCount(10))


def policy_of(client, agent: str) -> Policy:
    document = json.loads(client.execute_command("JSON.GET", keys.agent_metadata(agent)))
    return Policy.from_json(document["policy"])


def codec_of(client, agent: str) -> str:
    return json.loads(client.execute_command("JSON.GET", keys.agent_memory_system(agent)))["name"]


def test_the_most_exact_binding_that_says_it_decides_each_of_codec_and_policy(open_store, toy):
    toy_codec.publish(toy, "half", half=True)
    store, thinned = open_store(), Policy(Thinning(5), ttl_ms=60_000)
    store.bind("*", "toy", policy=TEN)
    store.bind("drone-*", "half")
    store.bind("drone-7", policy=thinned)
    expected = {"rover": ("toy", TEN), "drone-1": ("half", TEN), "drone-7": ("half", thinned)}
    for agent, (codec, policy) in expected.items():
        store.store_agent_memories(agent, toy_codec.states(12))
        assert codec_of(toy, agent) == codec
        assert policy_of(toy, agent) == policy
    assert store.bindings() == [
        Binding("drone-*", "half", None),
        Binding("drone-7", None, None, thinned),
        Binding("*", "toy", None, TEN),
    ]


@pytest.mark.parametrize(
    ("options", "policy"),
    [
        ({"codec": "toy"}, TEN),
        ({"codec": "toy", "policy": Policy(KeepAll())}, Policy(KeepAll())),
        ({"codec": "toy", "compression_threshold": 7}, Policy(Oldest(7))),
    ],
)
def test_what_the_client_says_comes_before_bindings(open_store, toy, options, policy):
    store = open_store(**options)
    store.bind("a", policy=TEN)
    store.store_agent_memory("a", ROW)
    assert policy_of(toy, "a") == policy
    store.store_agent_memory("b", ROW)
    assert policy_of(toy, "b") == (Policy() if policy is TEN else policy)


def test_clients_follow_when_they_refresh(open_store, store, toy):
    store.store_agent_memory("a", ROW)
    open_store().bind("a", policy=Policy(Importance(3, "x")))
    store.store_agent_memory("a", ROW)
    assert policy_of(toy, "a") == Policy()
    store.refresh_codec()
    store.store_agent_memory("a", ROW)
    assert policy_of(toy, "a") == Policy(Importance(3, "x"))
    assert store.unbind("a") is True
    store.store_agent_memory("a", ROW)
    assert policy_of(toy, "a") == Policy()
    assert not toy.exists(keys.importance("a"))


def test_a_binding_takes_the_place_of_the_earlier_one_as_a_whole(open_store, toy):
    store = open_store()
    store.bind("a", "toy", 1, policy=TEN)
    store.bind("a", policy=Policy())
    assert store.bindings() == [Binding("a", None, None, Policy())]


@pytest.mark.parametrize(
    ("arguments", "policy", "says"),
    [
        (("a",), None, "codec is None and policy is None"),
        (("a", None, 1), TEN, "version is 1, but no codec is given"),
        (("a", "toy"), "oldest", "policy is of type str"),
        (("a", "toy"), MaxCount(3), "policy is of type MaxCount"),
        (("", "toy"), TEN, "agents has 0 bytes"),
    ],
)
def test_what_is_refused_binds_nothing(store, toy, arguments, policy, says):
    with pytest.raises(modules_store.InvalidInputError, match=says):
        store.bind(*arguments, policy=policy)
    assert not toy.exists(keys.bindings())


@pytest.mark.parametrize(
    "policy",
    [
        7,
        {},
        {"retention": {"policy": "newest"}},
        {"retention": {"policy": "max_count"}},
        {"retention": {"policy": "max_count", "count": 0}},
        {"retention": {"policy": "oldest", "threshold": 1, "sample": 100, "fraction": 0.5}},
        {"retention": {"policy": "keep_all"}, "ttl_ms": "x"},
        {"retention": {"policy": "keep_all"}, "unknown": 1},
    ],
)
def test_a_bound_policy_that_this_version_does_not_know(server, toy, policy):
    entry = {"agents": "a", "codec": "toy", "version": None, "policy": policy}
    toy.execute_command("JSON.SET", keys.bindings(), "$", json.dumps({"bindings": [entry]}))
    with (
        RedisAgentMemory(server.url) as store,
        pytest.raises(modules_store.ServerError, match="^(policy|retention) "),
    ):
        store.store_agent_memory("a", ROW)
