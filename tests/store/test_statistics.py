"""agent_stats: what there is of an agent, and what it takes."""

from __future__ import annotations

import pytest

from modules_store import ByteBudget, InvalidInputError, KeepAll, Policy, keys
from tests.lua.calls import configuration_of, switch_codec
from tests.store import toy_codec
from tests.store.monitoring import commands_of

POLICY = Policy(ByteBudget(10**6), stream_entries=100)


def test_numbers_of_an_agent(open_store, toy):
    store = open_store(codec="toy", policy=POLICY)
    store.store_agent_memories("a", toy_codec.states(40), [{"n": n} for n in range(40)], range(1, 41))
    stats = store.agent_stats("a")
    assert (stats.memories, stats.oldest, stats.newest, stats.sampled) == (40, 1, 40, 40)
    assert (stats.raw_bytes, stats.stored_bytes) == (40 * 6 * 4, 40 * (3 + 6))
    assert stats.compression_ratio == pytest.approx(24 / 9)
    assert (stats.codec, stats.version, stats.policy) == ("toy", 1, POLICY)
    assert stats.counters == {"stored": 40, "trimmed": 0, "lost": 0, "repaired": 0}
    assert stats.versions == {("toy", 1): 40}
    taken = {"values": 0, "metadata": 0}
    for t in range(1, 41):
        taken["values"] += toy.memory_usage(keys.memory("a", t))
        taken["metadata"] += toy.memory_usage(keys.memory_metadata("a", t))
    taken |= {"index": toy.memory_usage(keys.index("a")), "companions": toy.memory_usage(keys.sizes("a"))}
    taken |= {"stream": toy.memory_usage(keys.stream("a")), "tokens": toy.memory_usage(keys.tokens("a"))}
    documents = (keys.agent_metadata("a"), keys.agent_memory_system("a"), keys.state("a"))
    taken["documents"] = sum(toy.memory_usage(key) for key in documents)
    assert stats.bytes == taken


def test_a_sample_is_multiplied_and_spread(open_store, toy):
    store = open_store(codec="toy", policy=Policy(KeepAll()))
    toy_codec.publish(toy, version=2)
    store.store_agent_memories("a", toy_codec.states(500))
    store.refresh_codec()
    store.store_agent_memories("a", toy_codec.states(500))
    whole, part = (store.agent_stats("a", sample=sample) for sample in (1000, 100))
    assert (part.memories, part.sampled) == (1000, 100)
    assert sum(part.versions.values()) == 1000
    assert part.bytes["values"] == pytest.approx(whole.bytes["values"], rel=0.05)
    assert part.stored_bytes == whole.stored_bytes


def test_codecs_of_other_names(store, toy):
    store.store_agent_memories("a", toy_codec.states(10))
    toy_codec.publish(toy, "half", half=True)
    switch_codec(toy, configuration_of("half", code_dtype="HALF"))
    assert store.agent_stats("a").versions == {("toy", 1): 10}
    store.re_encode("a", "half")
    assert store.agent_stats("a").versions == {("half", 1): 10}


def test_an_unknown_agent(store):
    stats = store.agent_stats("nobody")
    assert (stats.memories, stats.newest, stats.codec, stats.policy) == (0, None, None, None)
    assert stats.compression_ratio is None
    with pytest.raises(InvalidInputError, match="sample is 0"):
        store.agent_stats("a", sample=0)


def test_one_round_trip(store, toy):
    store.store_agent_memories("a", toy_codec.states(10))
    store.agent_stats("a")
    assert commands_of(toy, lambda: store.agent_stats("a")) == ["FCALL_RO"]
