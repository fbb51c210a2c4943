"""Agents and kinds of agents are bound to codecs by name."""

from __future__ import annotations

import json

import pytest

import modules_store
from modules_store import Binding, RedisAgentMemory, bindings, keys
from modules_store.codec import DEFAULT_CODEC
from tests.store import toy_codec

ROW = toy_codec.states(1)[0]


@pytest.fixture
def plain(server, toy):
    """A store that is given no codec."""
    toy_codec.publish(toy, "half", half=True)
    with RedisAgentMemory(server.url) as memory:
        yield memory


def made_by(client, agent: str) -> tuple[str, int]:
    document = json.loads(client.execute_command("JSON.GET", keys.agent_memory_system(agent)))
    return document["name"], document["version"]


@pytest.mark.parametrize(
    ("agent_id", "agents"),
    [
        ("drone-7", "drone-7"),
        ("drone-12", "drone-??"),
        ("drone-1", "drone-[!x]"),
        ("drone-x", "drone-*"),
        ("Drone-1", "*"),
        ("drone-[!x]", "drone-[!x]"),
        ("rover", "*"),
    ],
)
def test_the_most_exact_binding_decides(agent_id, agents):
    texts = ["*", "drone-*", "drone-??", "drone-[!x]", "drone-7"]
    document = {"bindings": [{"agents": text, "codec": "c", "version": None} for text in texts]}
    decided = bindings.resolve(bindings.parse_document(document), agent_id)
    assert decided == Binding(agents, "c", None)


def test_of_equally_long_patterns_the_first_in_order_decides():
    document = {"bindings": [{"agents": text, "codec": "c", "version": None} for text in ("a?*", "a*?")]}
    assert bindings.resolve(bindings.parse_document(document), "abc").agents == "a*?"


def test_agents_store_with_what_they_are_bound_to(plain, toy):
    toy_codec.publish(toy, version=2)
    plain.bind("drone-*", "toy")
    plain.bind("drone-7", "toy", 1)
    plain.bind("*", "half")
    for agent, codec in {"drone-1": ("toy", 2), "drone-7": ("toy", 1), "rover": ("half", 1)}.items():
        plain.store_agent_memory(agent, ROW)
        assert made_by(toy, agent) == codec
    assert plain.bindings() == [
        Binding("drone-*", "toy", None),
        Binding("drone-7", "toy", 1),
        Binding("*", "half", None),
    ]


def test_an_agent_that_is_not_bound_has_the_default_codec(plain, toy):
    toy_codec.publish(toy, DEFAULT_CODEC)
    plain.bind("drone-*", "half")
    plain.store_agent_memory("rover", ROW)
    assert made_by(toy, "rover") == (DEFAULT_CODEC, 1)


def test_a_codec_that_the_client_names_is_used_whatever_is_bound(store, plain, toy):
    plain.bind("*", "half")
    store.store_agent_memory("a", ROW)
    assert made_by(toy, "a") == ("toy", 1)


def test_other_clients_follow_when_they_refresh(server, plain, toy):
    plain.bind("a", "toy")
    with RedisAgentMemory(server.url) as other:
        other.store_agent_memory("a", ROW)
        plain.bind("a", "half")
        other.store_agent_memory("a", ROW)
        assert made_by(toy, "a") == ("toy", 1)
        other.refresh_codec()
        with pytest.raises(modules_store.CodecMismatchError, match="of codec toy, not of half"):
            other.store_agent_memory("a", ROW)
        assert other.re_encode("a").moved == 2
        other.store_agent_memory("a", ROW)
        assert made_by(toy, "a") == ("half", 1)


def test_a_refresh_follows_versions_of_bound_codecs(plain, toy):
    plain.bind("a", "toy")
    plain.store_agent_memory("a", ROW)
    toy_codec.publish(toy, version=2)
    plain.store_agent_memory("a", ROW)
    assert made_by(toy, "a") == ("toy", 1)
    plain.refresh_codec()
    plain.store_agent_memory("a", ROW)
    assert made_by(toy, "a") == ("toy", 2)


def test_what_is_bound_again_or_unbound(plain, toy):
    plain.bind("a", "toy")
    plain.bind("a", "half", 1)
    assert plain.bindings() == [Binding("a", "half", 1)]
    assert plain.unbind("a") is True
    assert plain.unbind("a") is False
    assert plain.bindings() == []


def test_a_client_follows_what_it_binds_itself(plain, toy):
    toy_codec.publish(toy, DEFAULT_CODEC)
    for agent in ("a", "b", "c"):
        if agent == "b":
            plain.bind("*", "half")
        elif agent == "c":
            plain.unbind("*")
        plain.store_agent_memory(agent, ROW)
    assert [made_by(toy, agent)[0] for agent in "abc"] == [DEFAULT_CODEC, "half", DEFAULT_CODEC]


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (("", "toy"), modules_store.InvalidAgentIdError, "agents has 0 bytes"),
        (("a{b}*", "toy"), modules_store.InvalidAgentIdError, "agents 'a{b}\\*' holds '{'"),
        ((7, "toy"), modules_store.InvalidAgentIdError, "agents is of type int"),
        (("a", ""), modules_store.InvalidInputError, "codec is ''"),
        (("a", None), modules_store.InvalidInputError, "codec is None"),
        (("a", "none"), modules_store.CodecNotFoundError, "'none' is not published"),
        (("a", "toy", 9), modules_store.CodecNotFoundError, "no version 9"),
        (("a", "toy", 0), modules_store.InvalidInputError, "version is 0"),
        (("a", "toy", True), modules_store.InvalidInputError, "version is True"),
    ],
)
def test_what_is_refused_binds_nothing(plain, toy, arguments, error, says):
    with pytest.raises(error, match=says):
        plain.bind(*arguments)
    assert not toy.exists(keys.bindings())


def test_a_document_that_holds_no_bindings(plain, toy):
    toy.execute_command("JSON.SET", keys.bindings(), "$", '{"bindings":[{"agents":3}]}')
    for operation in (plain.bindings, lambda: plain.store_agent_memory("a", ROW)):
        with pytest.raises(modules_store.ServerError, match="memory_systems does not hold bindings"):
            operation()
