"""Inline and queued: the same memories and errors either way, and what decides between the two."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import modules_store
from modules_store import Policy, RedisAgentMemory, keys
from tests.store import toy_codec
from tests.store.monitoring import commands_of, seen_during
from tests.store.proxy import proxy_of
from tests.store.refusing import refuse_in_scripts

MODES = ("inline", "queued")
ROWS = toy_codec.states(12)
SLOW = {"name": "slow", "work": 8}

# The words of AI.DAGEXECUTE_RO as RedisAI 1.2 documents them, one model in it.
_NAME, _TENSOR = r"\w+", "(FLOAT|DOUBLE|U?INT8|U?INT16|INT32|INT64)"
_DAG = re.compile(
    rf"AI\.DAGEXECUTE_RO ROUTING \S+ \|> AI\.TENSORSET {_NAME} {_TENSOR} \d+ \d+ BLOB bytes "
    rf"\|> AI\.MODELEXECUTE \S+ INPUTS 1 {_NAME} OUTPUTS 1 {_NAME} \|> AI\.TENSORGET {_NAME} META BLOB"
)


@pytest.fixture
def stock(monkeypatch, toy):
    """The server as scripts would find it with RedisAI 1.2, which runs nothing inside them."""
    error = "ERR Cannot run RedisAI command within a transaction or a LUA script"
    refuse_in_scripts(monkeypatch, "^AI%.", error)
    return toy


class _InterruptedError(Exception):
    """Ends a re-encoding after its first step."""


def _interrupt(done) -> None:
    raise _InterruptedError


def stored_by(store, client, agent: str) -> list:
    """Store in all the ways there are; return values and documents, in the order of their timestamps."""
    store.store_agent_memory(agent, ROWS[0], {"n": 0}, timestamp=1)
    store.store_agent_memories(agent, ROWS[1:4], [{"n": 1}, None, {"n": 3}], timestamps=[2, 3, 4])
    store.store_step({agent: ROWS[4], f"{agent} too": ROWS[5]}, {agent: {"n": 4}}, timestamp=5)
    with store.buffered() as buffer:
        for row in ROWS[6:]:
            buffer.store_agent_memory(agent, row)
    timestamps = [int(timestamp) for timestamp in client.zrange(keys.index(agent), 0, -1)]
    documents = client.execute_command(
        "JSON.MGET", *(keys.memory_metadata(agent, timestamp) for timestamp in timestamps), "$.metadata"
    )
    return [*zip(client.mget(keys.memory(agent, t) for t in timestamps), documents, strict=True)]


def test_both_make_the_same_memories_and_recall_the_same(open_store, toy):
    stores = {mode: open_store(codec="toy", mode=mode) for mode in MODES}
    made = [stored_by(store, toy, mode) for mode, store in stores.items()]
    assert made[0] == made[1]
    assert len(made[0]) == len(ROWS) - 1
    for agent in MODES:
        for mode in MODES:
            recent = stores[mode].get_recent_memories(agent, 100)
            others = [row for i, row in enumerate(ROWS) if i != 5]
            np.testing.assert_array_equal([memory.state for memory in recent][::-1], others)
            documents = [memory.metadata for memory in recent][:-6:-1]
            assert documents == [{"n": 0}, {"n": 1}, None, {"n": 3}, {"n": 4}]


@pytest.mark.parametrize("mode", MODES)
def test_the_first_program_of_a_newcomer(open_store, redis_client, mode):
    store = open_store(mode=mode)
    timestamp = store.store_agent_memory("a", [0.5, 1e-3, -2.0])
    assert redis_client.get(keys.memory("a", timestamp))[3:] == np.float16([0.5, 1e-3, -2.0]).tobytes()
    np.testing.assert_array_equal(
        store.retrieve_agent_memory("a", timestamp).state, np.float32(np.float16([0.5, 1e-3, -2.0]))
    )


@pytest.mark.parametrize("mode", MODES)
def test_all_recalls_of_several_codecs_and_versions(open_store, toy, mode):
    store = open_store(codec="toy", mode=mode, policy=Policy(stream_entries=1000))
    store.store_agent_memories("a", ROWS[:2], timestamps=[1, 2])
    toy_codec.publish(toy, version=2, step=2 * toy_codec.STEP)
    store.refresh_codec()
    store.store_agent_memories("a", 2 * ROWS[2:4], timestamps=[3, 4])
    toy_codec.publish(toy, "other", half=True)
    other = open_store(codec="other", mode="inline", policy=Policy(stream_entries=1000))
    with pytest.raises(_InterruptedError):
        other.re_encode("a", step=1, on_progress=_interrupt)
    other.store_agent_memory("a", ROWS[4], timestamp=5)
    expected = np.concatenate([ROWS[:2], 2 * ROWS[2:4], ROWS[4:5]])
    found = {
        "recent": store.get_recent_memories("a")[::-1],
        "several": store.retrieve_agent_memories("a", [1, 2, 3, 4, 5]),
        "single": [store.retrieve_agent_memory("a", timestamp) for timestamp in (1, 2, 3, 4, 5)],
        "between": store.get_memories_between("a", 1, 5, fields="states"),
        "page by page": list(store.iterate_memories("a", page=2)),
        "followed": list(store.follow("a", after="beginning", stop_after_ms=0)),
    }
    for how, memories in found.items():
        np.testing.assert_array_equal([memory.state for memory in memories], expected, how)
    assert store.get_memories_between("a", fields="metadata")[0].state.shape == (0,)
    assert store.retrieve_agent_memories("a", [7, 8], missing="skip") == []
    assert store.get_recent_memories("nobody") == []


def test_both_draw_the_same_samples(open_store, toy):
    toy_codec.publish(toy, "other", step=1 / 4)
    inline, queued = (open_store(codec="toy", mode=mode) for mode in MODES)
    inline.store_agent_memories("a", ROWS, [{"n": n} for n in range(12)])
    toy_codec.publish(toy, version=2, step=1 / 8)
    inline.refresh_codec()
    inline.store_agent_memories("a", ROWS)
    open_store(codec="other").store_agent_memories("b", ROWS)
    for fields in ("both", "states", "metadata"):
        for by in ("uniform", "recency", "priority"):
            one, other = (
                store.sample_memories(["a", "b"], 50, by=by, seed=7, fields=fields)
                for store in (inline, queued)
            )
            assert (one.agent_ids, one.metadata) == (other.agent_ids, other.metadata)
            np.testing.assert_array_equal(one.timestamps, other.timestamps)
            np.testing.assert_array_equal(one.states, other.states)
        one, other = (
            store.sample_sequences(["a", "b"], 5, 4, seed=7, fields=fields) for store in (inline, queued)
        )
        np.testing.assert_array_equal(one.states, other.states)
        np.testing.assert_array_equal(one.timestamps, other.timestamps)


def refused_by(store, client, mode: str) -> list[str]:
    """Make every refusal of models and commits happen; return classes and texts."""
    agent, texts = f"{mode} agent", []

    def refuse(operation, *arguments):
        with pytest.raises(modules_store.MemoryStoreError) as caught:
            operation(*arguments)
        texts.append(f"{type(caught.value).__name__}: {caught.value}".replace(agent, "the agent"))

    store.store_agent_memories(agent, ROWS[:2], timestamps=[1, 2])
    refuse(store.store_agent_memory, agent, [np.nan] * 6)
    refuse(store.store_agent_memory, agent, [1.0] * 5)
    refuse(store.store_agent_memory, agent, ROWS[0], None, 1)
    refuse(store.store_agent_memories, agent, ROWS[:2], None, [3, 3])
    refuse(store.retrieve_agent_memory, agent, 3)
    client.set(keys.memory(agent, 2), b"\x01\x01\x00" + bytes(5))
    refuse(store.retrieve_agent_memory, agent, 2)
    client.execute_command("COPY", keys.decoder("toy", 1), "kept")
    client.delete(keys.decoder("toy", 1))
    refuse(store.retrieve_agent_memory, agent, 1)
    client.rename("kept", keys.decoder("toy", 1))
    client.execute_command("COPY", keys.encoder("toy", 1), "kept")
    toy_codec.store_models(client, "toy", 1, input_dim=7)
    refuse(store.store_agent_memory, agent, ROWS[0])
    refuse(store.retrieve_agent_memory, agent, 1)
    client.delete(keys.encoder("toy", 1))
    refuse(store.store_agent_memory, agent, ROWS[0])
    client.rename("kept", keys.encoder("toy", 1))
    client.set(keys.agent_metadata("odd"), "text")
    refuse(store.store_agent_memory, "odd", ROWS[0])
    assert not client.exists(keys.index("odd"), keys.memory_metadata(agent, 1))
    assert client.zcard(keys.index(agent)) == 2
    return texts


def test_both_refuse_alike(open_store, toy):
    texts = []
    for mode in MODES:
        toy_codec.publish(toy)
        texts.append(refused_by(open_store(codec="toy", mode=mode), toy, mode))
    assert texts[0] == texts[1]


def test_a_value_that_the_codec_cannot_hold(open_store, redis_client):
    for mode in MODES:
        store = open_store(mode=mode)
        with pytest.raises(modules_store.StateRangeError, match="a state is out of range"):
            store.store_agent_memory("a", [70_000.0])
        assert not redis_client.exists(keys.index("a"))


def test_an_encoder_that_gives_other_than_the_codec_says(open_store, toy):
    toy_codec.store_models(toy, "toy", 1, input_dim=6, half=True)
    with pytest.raises(modules_store.ServerError, match="made codes of dtype HALF, not INT8"):
        open_store(codec="toy", mode="queued").store_agent_memory("a", ROWS[0])
    assert not toy.exists(keys.index("a"))


def test_an_unknown_mode_is_refused():
    with pytest.raises(modules_store.InvalidInputError, match="mode is 'fast', not one of auto, inline"):
        RedisAgentMemory(mode="fast")


def dag_of(words: list[str]) -> str:
    """Return the words of a DAG without the bytes of tensors."""
    return " ".join(
        "bytes" if before == "BLOB" else word for before, word in zip(["", *words], words, strict=False)
    )


def test_queued_runs_nothing_inside_scripts_and_sends_what_redisai_knows(open_store, toy):
    store = open_store(codec="toy", mode="queued", policy=Policy(stream_entries=100))

    def use() -> None:
        stored_by(store, toy, "a")
        store.get_recent_memories("a")
        store.retrieve_agent_memories("a", [1, 2])
        list(store.iterate_memories("a", page=3))
        list(store.follow("a", after="beginning", stop_after_ms=0))
        store.sample_memories("a", 5)
        store.sample_sequences("a", 5, 2)

    seen = seen_during(toy, use)
    dags = [dag_of(one.words) for one in seen if one.words[0].startswith("AI.")]
    assert len(dags) > 8
    assert not [dag for dag in dags if not _DAG.fullmatch(dag)]
    assert not [one for one in seen if one.sender == "lua" and one.words[0].upper().startswith("AI.")]
    assert [one for one in seen if one.sender == "lua" and one.words[0] == "ZADD"]


def test_two_round_trips_an_operation(open_store, toy):
    store = open_store(codec="toy", mode="queued")
    store.store_agent_memory("a", ROWS[0], timestamp=1)
    store.get_recent_memories("a")
    store.store_step({"a": ROWS[0], "b": ROWS[1]}, timestamp=2)
    assert commands_of(toy, lambda: store.store_agent_memories("a", ROWS)) == ["AI.DAGEXECUTE_RO", "FCALL"]
    assert commands_of(toy, lambda: store.store_step({"a": ROWS[0], "b": ROWS[1]})) == [
        "AI.DAGEXECUTE_RO",
        "FCALL",
    ]
    assert commands_of(toy, lambda: store.get_recent_memories("a")) == ["FCALL_RO", "AI.DAGEXECUTE_RO"]
    assert commands_of(toy, lambda: store.get_recent_memories("a", fields="metadata")) == ["FCALL_RO"]


def test_a_codec_that_redisai_would_not_survive_is_named_before_its_model_runs(open_store, redis_client):
    store = open_store(mode="queued")
    seen = seen_during(redis_client, lambda: store.store_agent_memory("a", [1.0, 2.0]))
    dag = next(dag_of(one.words) for one in seen if one.words[0] == "AI.DAGEXECUTE_RO")
    assert dag.index("AI.TENSORSET tensor1 HALF 1") < dag.index("AI.MODELEXECUTE")


class TestBetweenTheTwo:
    def test_a_lost_connection_leaves_nothing(self, server, open_store, toy):
        with proxy_of(server.url) as proxy:
            store = open_store(proxy.url, codec="toy", mode="queued", retries=0)
            store.store_agent_memory("a", ROWS[0], timestamp=1)
            before = {key: toy.dump(key) for key in toy.scan_iter("agent:*")}
            proxy.lose("AI.DAGEXECUTE_RO")
            with pytest.raises(modules_store.ConnectionLostError):
                store.store_agent_memories("a", ROWS[1:], [{"n": 1}] * 11)
            assert proxy.lost == 1
            assert {key: toy.dump(key) for key in toy.scan_iter("agent:*")} == before
            store.store_agent_memories("a", ROWS[1:])
        assert toy.zcard(keys.index("a")) == len(ROWS)

    @pytest.mark.parametrize("lost", ["AI.DAGEXECUTE_RO", "FCALL"])
    def test_what_is_sent_again_is_stored_once(self, server, open_store, toy, lost):
        with proxy_of(server.url) as proxy:
            store = open_store(proxy.url, codec="toy", mode="queued")
            store.store_agent_memory("a", ROWS[0], timestamp=1)
            proxy.lose(lost)
            answered = store.store_agent_memories("a", ROWS[1:])
            assert proxy.lost == 1
            stored = [int(timestamp) for timestamp in toy.zrange(keys.index("a"), 0, -1)]
            assert stored == [1, *answered]


def test_stores_of_many_clients_are_encoded_together(server, toy):
    toy_codec.publish(toy, "patient", together=8)  # with less than eight rows it waits for a minute
    in_step = threading.Barrier(8)

    def store_all(writer: int) -> list[int]:
        with RedisAgentMemory(server.url, codec="patient", mode="queued") as store:
            timestamps = []
            for row in ROWS:
                in_step.wait()
                timestamps.append(store.store_agent_memory(f"agent {writer}", row + writer * toy_codec.STEP))
            return timestamps

    started_s = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        timestamps = list(threads.map(store_all, range(8)))
    assert time.monotonic() - started_s < 50
    with RedisAgentMemory(server.url, mode="inline") as store:
        for writer, its_own in enumerate(timestamps):
            memories = store.retrieve_agent_memories(f"agent {writer}", its_own)
            expected = np.minimum(ROWS + writer * toy_codec.STEP, 127 * toy_codec.STEP)
            np.testing.assert_array_equal([memory.state for memory in memories], expected)


def info(client, model: str) -> dict:
    words = client.execute_command("AI.INFO", model)
    return {key.decode(): value for key, value in zip(words[::2], words[1::2], strict=True)}


class TestAuto:
    def test_a_fast_codec_runs_inline(self, open_store, toy):
        store = open_store(codec="toy")
        store.store_agent_memory("a", ROWS[0])
        assert commands_of(toy, lambda: store.store_agent_memory("a", ROWS[0])) == ["FCALL"]
        store.get_recent_memories("a")
        assert commands_of(toy, lambda: store.get_recent_memories("a")) == ["FCALL_RO"]

    def test_a_slow_codec_is_queued(self, open_store, toy):
        toy_codec.publish(toy, **SLOW)
        store = open_store(codec="slow")
        store.store_agent_memory("a", ROWS[0])
        assert commands_of(toy, lambda: store.store_agent_memory("a", ROWS[0])) == [
            "AI.DAGEXECUTE_RO",
            "FCALL",
        ]
        store.get_recent_memories("a")
        assert commands_of(toy, lambda: store.get_recent_memories("a")) == ["FCALL_RO", "AI.DAGEXECUTE_RO"]

    def test_a_thousand_states_are_queued(self, open_store, toy):
        store = open_store(codec="toy")
        rows = toy_codec.states(1000)
        store.store_agent_memory("a", ROWS[0])  # the codec is measured, the library sent
        assert commands_of(toy, lambda: store.store_agent_memories("a", rows[:999])) == ["FCALL"]
        sent = commands_of(toy, lambda: store.store_agent_memories("b", rows))
        assert sent == ["AI.DAGEXECUTE_RO", "FCALL"]
        in_many = {f"agent-{n}": row for n, row in enumerate(rows)}
        assert commands_of(toy, lambda: store.store_step(in_many)) == ["AI.DAGEXECUTE_RO", "FCALL"]
        recalls = [
            lambda count: store.get_recent_memories("b", count),
            lambda count: store.get_memories_between("b", limit=count),
            lambda count: store.sample_memories("b", count),
            lambda count: store.sample_sequences("b", count // 3, 3),
        ]
        for recall in recalls:
            recall(3)
            assert commands_of(toy, lambda: recall(999)) == ["FCALL_RO"]  # noqa: B023
            assert commands_of(toy, lambda: recall(1002)) == ["FCALL_RO", "AI.DAGEXECUTE_RO"]  # noqa: B023
        np.testing.assert_array_equal(store.get_recent_memories("b", 1000).states, rows[::-1])
        sent = commands_of(toy, lambda: store.get_recent_memories("b", 1000, fields="metadata"))
        assert sent == ["FCALL_RO"]

    def test_of_few_memories_any_number_may_be_asked_for(self, open_store, toy):
        store = open_store(codec="toy")
        store.store_agent_memories("a", ROWS)
        store.get_recent_memories("a", 1)
        assert commands_of(toy, lambda: store.get_recent_memories("a", 1000)) == ["FCALL_RO"]
        assert commands_of(toy, lambda: store.get_memories_between("a")) == ["FCALL_RO"]

    def test_each_codec_is_measured_once_and_again_after_a_refresh(self, open_store, toy):
        store = open_store(codec="toy")
        store.store_agent_memory("a", ROWS[0])
        calls = info(toy, keys.encoder("toy", 1))["calls"]
        store.store_agent_memory("b", ROWS[0])
        assert info(toy, keys.encoder("toy", 1))["calls"] == calls + 1
        toy_codec.publish(toy, work=SLOW["work"])
        store.refresh_codec()
        assert "AI.DAGEXECUTE_RO" in commands_of(toy, lambda: store.store_agent_memory("a", ROWS[0]))

    def test_calls_of_the_past_are_a_measure(self, open_store, toy):
        inline = open_store(codec="toy", mode="inline")
        for _ in range(64):
            inline.store_agent_memory("a", ROWS[0])
        calls = info(toy, keys.encoder("toy", 1))["calls"]
        open_store(codec="toy").store_agent_memory("a", ROWS[0])
        assert info(toy, keys.encoder("toy", 1))["calls"] == calls + 1

    def test_a_user_who_may_not_ask_stores_inline(self, server, open_store, toy):
        toy.acl_setuser("plain", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-ai.info"])
        try:
            store = open_store(codec="toy", username="plain", password="")
            store.store_agent_memory("a", ROWS[0])
            assert commands_of(toy, lambda: store.store_agent_memory("a", ROWS[0])) == ["FCALL"]
        finally:
            toy.acl_deluser("plain")


class TestServerThatRunsNoModelsInsideScripts:
    def test_auto_is_queued(self, open_store, stock):
        store = open_store(codec="toy")
        timestamps = store.store_agent_memories("a", ROWS)
        found = store.retrieve_agent_memories("a", timestamps)
        np.testing.assert_array_equal([memory.state for memory in found], ROWS)
        assert commands_of(stock, lambda: store.store_agent_memory("a", ROWS[0])) == [
            "AI.DAGEXECUTE_RO",
            "FCALL",
        ]

    def test_one_who_only_recalls_learns_it_once(self, open_store, stock):
        open_store(codec="toy", mode="queued").store_agent_memories("a", ROWS)
        store = open_store()
        assert len(store.get_recent_memories("a")) == 10
        assert commands_of(stock, lambda: store.get_recent_memories("a")) == [
            "FCALL_RO",
            "AI.DAGEXECUTE_RO",
        ]

    def test_what_needs_models_inside_scripts_says_so(self, open_store, stock):
        open_store(codec="toy", mode="queued").store_agent_memory("a", ROWS[0])
        for operation in (
            lambda: open_store(codec="toy", mode="inline").store_agent_memory("a", ROWS[0]),
            lambda: open_store(mode="inline").get_recent_memories("a"),
            lambda: open_store(codec="toy").re_encode("a"),
            lambda: open_store(codec="toy").find_similar_memories("a", ROWS[0]),
        ):
            with pytest.raises(modules_store.UnsupportedServerError, match="no models inside scripts"):
                operation()
        assert stock.zcard(keys.index("a")) == 1
