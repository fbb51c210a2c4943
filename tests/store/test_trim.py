"""The retention rule: past the threshold the oldest fifth of the hundred oldest goes, wholly."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modules_store import RedisAgentMemory, keys
from tests.store import toy_codec
from tests.store.indexed import indexed

pytestmark = pytest.mark.each_layout

_agents = (f"agent-{n}" for n in itertools.count())


def _expected_after(stores: int, threshold: int, kept: int = 0) -> int:
    """How many memories are left, by the rule as the issue words it."""
    for _ in range(stores):
        kept += 1
        while kept > threshold:
            kept -= max(1, int(0.2 * min(100, kept)))
    return kept


@pytest.mark.parametrize("threshold", [1, 2, 5, 10, 99, 100, 150])
def test_the_rule_store_by_store(server, toy, threshold):
    with RedisAgentMemory(server.url, codec="toy", compression_threshold=threshold) as store:
        stored = []
        for row in toy_codec.states(threshold + 30):
            stored.append(store.store_agent_memory("a", row, {"n": len(stored)}))
            kept = _expected_after(len(stored), threshold)
            assert indexed(toy, "a") == stored[-kept:]


def test_value_metadata_and_index_go_together(server, toy):
    with RedisAgentMemory(server.url, codec="toy", compression_threshold=20) as store:
        store.store_agent_memories("a", toy_codec.states(21), [{"n": n} for n in range(21)])
    kept = indexed(toy, "a")
    assert len(kept) == 17
    expected = {keys.index("a"), keys.agent_metadata("a"), keys.agent_memory_system("a")}
    expected |= {keys.tokens("a"), keys.state("a")}
    expected |= {keys.memory("a", t) for t in kept} | {keys.memory_metadata("a", t) for t in kept}
    assert {key.decode() for key in toy.scan_iter("agent:*")} == expected


def test_the_default_keeps_a_thousand(store, toy):
    store.store_agent_memories("a", toy_codec.states(1000))
    assert len(indexed(toy, "a")) == 1000
    store.store_agent_memory("a", toy_codec.states(1)[0])
    assert len(indexed(toy, "a")) == 981


def test_a_lowered_threshold_takes_effect_with_the_next_store(server, store, toy):
    store.store_agent_memories("a", toy_codec.states(900))
    with RedisAgentMemory(server.url, codec="toy", compression_threshold=100) as lower:
        newest = lower.store_agent_memory("a", toy_codec.states(1)[0])
    assert len(indexed(toy, "a")) == _expected_after(1, 100, kept=900)
    assert indexed(toy, "a")[-1] == newest


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    threshold=st.integers(1, 25),
    before=st.lists(st.integers(0, 99), unique=True, max_size=30),
    batch=st.lists(st.integers(100, 160), unique=True, min_size=1, max_size=40),
    shift=st.integers(-130, 0),
)
def test_a_batch_ends_as_the_same_stores_one_by_one(server, toy, *, threshold, before, batch, shift):
    """Timestamps come in any order, among and below those that are there."""
    batch = [t + shift for t in batch if t + shift >= 0 and t + shift not in before]
    one_by_one, at_once = next(_agents), next(_agents)
    rows = toy_codec.states(len(before) + len(batch))
    metadata = [{"n": n} if n % 3 else None for n in range(len(batch))]
    with RedisAgentMemory(server.url, codec="toy") as store:
        for agent in (one_by_one, at_once):
            store.store_agent_memories(agent, rows[: len(before)], timestamps=before)
    with RedisAgentMemory(server.url, codec="toy", compression_threshold=threshold) as store:
        for row, entry, timestamp in zip(rows[len(before) :], metadata, batch, strict=True):
            store.store_agent_memory(one_by_one, row, entry, timestamp=timestamp)
        store.store_agent_memories(at_once, rows[len(before) :], metadata, timestamps=batch)
        assert _contents(store, toy, at_once) == _contents(store, toy, one_by_one)


def _contents(store, client, agent_id):
    """All that Redis holds of an agent, but its name."""
    prefix = f"agent:{{{agent_id}}}:"
    documents = [
        client.execute_command("JSON.GET", key(agent_id))
        for key in (keys.agent_metadata, keys.agent_memory_system)
    ]
    return (
        sorted(
            key.decode().removeprefix(prefix)
            for key in client.scan_iter(f"agent:{{{agent_id}}}:*", count=1000)
        ),
        [str(document).replace(agent_id, "") for document in documents],
        [(m.timestamp, m.state.tolist(), m.metadata) for m in store.get_recent_memories(agent_id, 100)],
    )
