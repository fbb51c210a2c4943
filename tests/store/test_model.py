"""The whole store against a dictionary: whatever is done in whatever order, it holds what the model does."""

from __future__ import annotations

import contextlib
import struct
from dataclasses import replace

import numpy as np
import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from modules_store import KeepAll, MaxCount, Policy, RedisAgentMemory, TimestampExistsError, keys
from tests.store import toy_codec

AGENTS = ("a", "b")
LAYOUTS = {"a": "keys", "b": "packed"}  # that they begin with
POLICIES = {"toy": Policy(KeepAll()), "half": Policy(MaxCount(12))}
agents = st.sampled_from(AGENTS)
layouts = st.sampled_from(["keys", "packed"])
values = st.integers(-128, 127)


def state_of(value: int) -> np.ndarray:
    """A state that both codecs bring back exactly."""
    return np.arange(value, value + toy_codec.INPUT_DIM).clip(-128, 127).astype(np.float32) * toy_codec.STEP


class _Stopped(Exception):
    """A conversion was interrupted."""


class StoreMachine(RuleBasedStateMachine):
    """Stores, drops and recalls at random; `model` has what there must be, oldest first."""

    server = None

    def __init__(self) -> None:
        super().__init__()
        self.redis = redis.Redis.from_url(self.server.url)
        for key in self.redis.scan_iter("agent:*", count=1000):
            self.redis.delete(key)
        self.redis.delete(keys.bindings())
        self.store = RedisAgentMemory(self.server.url)
        self.model: dict[str, dict[int, tuple[list[float], dict | None]]] = {agent: {} for agent in AGENTS}
        self.codec = dict.fromkeys(AGENTS, "toy")
        self.clock = 0
        for agent in AGENTS:
            self._bind(agent, "toy")

    def teardown(self) -> None:
        self.store.close()
        self.redis.close()

    def _bind(self, agent: str, codec: str) -> None:
        self.store.bind(agent, codec, policy=replace(POLICIES[codec], layout=LAYOUTS[agent]))

    def _add(self, agent: str, timestamp: int, value: int, metadata: dict | None) -> None:
        self.model[agent][timestamp] = (state_of(value).tolist(), metadata)

    def _trim(self, agent: str) -> None:
        if self.codec[agent] == "half":
            kept = sorted(self.model[agent].items())[-12:]
            self.model[agent] = dict(kept)

    @rule(agent=agents, value=values, described=st.booleans())
    def store_one(self, agent, value, described):
        self.clock += 10
        metadata = {"n": value} if described else None
        self.store.store_agent_memory(agent, state_of(value), metadata, self.clock)
        self._add(agent, self.clock, value, metadata)
        self._trim(agent)

    @rule(agent=agents, some=st.lists(values, min_size=1, max_size=8))
    def store_batch(self, agent, some):
        stamps = [self.clock + 10 * (i + 1) for i in range(len(some))]
        self.clock = stamps[-1]
        self.store.store_agent_memories(agent, [state_of(v) for v in some], [{"n": v} for v in some], stamps)
        for timestamp, value in zip(stamps, some, strict=True):
            self._add(agent, timestamp, value, {"n": value})
        self._trim(agent)

    @rule(value=values)
    def store_step(self, value):
        self.clock += 10
        self.store.store_step({agent: state_of(value) for agent in AGENTS}, timestamp=self.clock)
        for agent in AGENTS:
            self._add(agent, self.clock, value, None)
            self._trim(agent)

    @rule(agent=agents, at=st.integers(0, 30))
    def store_again_is_refused(self, agent, at):
        if self.model[agent]:
            taken = sorted(self.model[agent])[at % len(self.model[agent])]
            with pytest.raises(TimestampExistsError):
                self.store.store_agent_memory(agent, state_of(0), timestamp=taken)

    @rule(agent=agents, wanted=st.sets(st.integers(1, 40), max_size=5))
    def delete(self, agent, wanted):
        stamps = [10 * n for n in wanted]
        there = [t for t in stamps if self.model[agent].pop(t, None)]
        assert self.store.delete_memories(agent, stamps) == len(there)

    @rule(agent=agents)
    def delete_all(self, agent):
        assert self.store.delete_agent(agent) == len(self.model[agent])
        self.model[agent] = {}

    @rule(agent=agents, wanted=st.sets(st.integers(1, 40), max_size=3))
    def evict(self, agent, wanted):
        for timestamp in (10 * n for n in wanted):
            if self.redis.delete(keys.memory(agent, timestamp)):
                del self.model[agent][timestamp]
        self.store.repair_agent(agent)

    @rule(agent=agents, column=st.sampled_from(["codes", "rows", "metadata"]), nth=st.integers(0, 5))
    def evict_column(self, agent, column, nth):
        if not (columns := self.redis.keys(f"agent:{{{agent}}}:segment:*:rows")):
            return
        number = int(columns[nth % len(columns)].split(b":")[3])
        stamps = self.redis.get(keys.segment_rows(agent, number))
        skip, base = struct.unpack_from("<Iq", stamps)
        times = [base + time for time, _ in struct.iter_unpack("<II", stamps[20:])][skip:]
        deleted = self.redis.delete(getattr(keys, f"segment_{column}")(agent, number))
        assert deleted or column == "metadata"
        for timestamp in times if deleted else []:
            state, _ = self.model[agent].pop(timestamp)
            if column == "metadata":
                self.model[agent][timestamp] = (state, None)
        found = self.store.verify_agent(agent)
        assert found.without_value.count == (0 if column == "metadata" else len(times))
        assert self.store.repair_agent(agent).lost == found.without_value.count

    @rule(agent=agents)
    def evict_directory(self, agent):
        if self.redis.type(keys.index(agent)) == b"string" and not self.redis.exists(keys.older_index(agent)):
            self.redis.delete(keys.index(agent))
            assert self.store.verify_agent(agent).not_indexed.count == len(self.model[agent])
            assert self.store.repair_agent(agent).indexed == len(self.model[agent])

    @rule(agent=agents, layout=layouts, step=st.integers(1, 8), steps=st.integers(1, 4))
    def convert(self, agent, layout, step, steps):
        """Take some steps of a conversion, or all of it."""

        def stop(done):
            nonlocal steps
            steps -= 1
            if not steps:
                raise _Stopped

        with contextlib.suppress(_Stopped):
            assert self.store.convert_agent(agent, layout, step=step, on_progress=stop).lost == 0

    @rule(agent=agents, codec=st.sampled_from(["toy", "half"]))
    def switch(self, agent, codec):
        self.codec[agent] = codec
        self._bind(agent, codec)
        if self.model[agent] or self.redis.exists(keys.agent_memory_system(agent)):
            self.store.re_encode(agent, codec)

    @rule(agent=agents, count=st.integers(1, 20))
    def recall_recent(self, agent, count):
        newest = sorted(self.model[agent], reverse=True)[:count]
        self._check(agent, newest, self.store.get_recent_memories(agent, count))

    @rule(agent=agents, start=st.integers(0, 200), length=st.integers(0, 200), newest_first=st.booleans())
    def recall_between(self, agent, start, length, newest_first):
        end = start + length
        wanted = sorted((t for t in self.model[agent] if start <= t <= end), reverse=newest_first)
        assert self.store.count_memories(agent, start, end) == len(wanted)
        found = self.store.get_memories_between(agent, start, end, limit=7, newest_first=newest_first)
        self._check(agent, wanted[:7], found)

    @rule(agent=agents, wanted=st.lists(st.integers(1, 40), max_size=5))
    def recall_some(self, agent, wanted):
        there = [10 * n for n in wanted if 10 * n in self.model[agent]]
        stamps = [10 * n for n in wanted]
        self._check(agent, there, self.store.retrieve_agent_memories(agent, stamps, missing="skip"))

    @invariant()
    def holds_what_the_model_holds(self):
        for agent in AGENTS:
            self._check(agent, sorted(self.model[agent]), list(self.store.iterate_memories(agent, page=9)))

    @invariant()
    def agrees_with_itself(self):
        assert all(self.store.verify_agent(agent).ok for agent in AGENTS)

    def _check(self, agent, stamps, memories) -> None:
        found = [(m.timestamp, m.state.tolist(), m.metadata) for m in memories]
        assert found == [(t, *self.model[agent][t]) for t in stamps]


def test_the_store_against_a_dictionary(start_server):
    server = start_server()
    with redis.Redis.from_url(server.url) as client:
        toy_codec.publish(client)
        toy_codec.publish(client, "half", half=True)
    machine = type("Machine", (StoreMachine,), {"server": server})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
