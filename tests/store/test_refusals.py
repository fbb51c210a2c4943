"""What the store refuses: each with a class of its own, a message that names the culprit, no write."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import redis

import modules_store
from modules_store import RedisAgentMemory, checks, keys
from tests.helpers import wait_until
from tests.store import toy_codec

ROW = toy_codec.states(1)[0]


@pytest.fixture
def unchanged(toy):
    """Fail the test if the keys or their values are others afterwards."""

    def contents() -> dict[bytes, bytes]:
        return {key: toy.dump(key) for key in toy.scan_iter("agent:*")}

    before = contents()
    yield
    assert contents() == before


@pytest.mark.parametrize(
    ("agent_id", "says"),
    [
        ("", "0 bytes"),
        ("x" * 257, "257 bytes"),
        ("é" * 129, "258 bytes"),
        ("a{b", "'{'"),
        ("a}", "'}'"),
        ("a\n", r"'\\n'"),
        ("a\x7f", r"'\\x7f'"),
        ("a\x85", r"'\\x85'"),
        ("\ud800", "Unicode"),
        (7, "int"),
        (b"a", "bytes"),
    ],
)
def test_agent_ids(store, unchanged, agent_id, says):
    for operation in (
        lambda: store.store_agent_memory(agent_id, ROW),
        lambda: store.store_agent_memories(agent_id, [ROW]),
        lambda: store.retrieve_agent_memory(agent_id, 1),
        lambda: store.get_recent_memories(agent_id),
    ):
        with pytest.raises(modules_store.InvalidAgentIdError, match=says):
            operation()


@pytest.mark.parametrize(
    ("state", "error", "says"),
    [
        (ROW[:5], modules_store.StateShapeError, r"shape \[5\], not \[6\]"),
        (np.append(ROW, 0), modules_store.StateShapeError, r"shape \[7\], not \[6\]"),
        ([ROW], modules_store.StateShapeError, r"shape \[1, 6\], not \[6\]"),
        (3.0, modules_store.StateShapeError, r"shape \[\], not \[6\]"),
        ([], modules_store.StateShapeError, r"shape \[0\], not \[6\]"),
        ([1, 2, [3]], modules_store.StateShapeError, "not an array"),
        ([1, 2, np.nan, 0, 0, 0], modules_store.NonFiniteStateError, r"agent_state\[2\] is nan"),
        ([0, 0, 0, 0, 0, -np.inf], modules_store.NonFiniteStateError, r"\[5\] is -inf"),
        ([1e39, 0, 0, 0, 0, 0], modules_store.NonFiniteStateError, r"\[0\] is 1e\+39"),
        (["1"] * 6, modules_store.StateTypeError, "dtype <U1"),
        ([None] * 6, modules_store.StateTypeError, "dtype object"),
        ([1j] * 6, modules_store.StateTypeError, "dtype complex128"),
        ([np.datetime64("2026-01-01")] * 6, modules_store.StateTypeError, "dtype datetime64"),
        ([10**30] * 6, modules_store.StateTypeError, "dtype object"),
        ("state", modules_store.StateTypeError, "dtype <U5"),
        (None, modules_store.StateTypeError, "dtype object"),
        ({"a": 1}, modules_store.StateTypeError, "dtype object"),
    ],
)
def test_states(store, unchanged, state, error, says):
    with pytest.raises(error, match=says):
        store.store_agent_memory("a", state)


@pytest.mark.parametrize(
    ("states", "error", "says"),
    [
        (ROW, modules_store.StateShapeError, r"shape \[6\], not \[6, 6\]"),
        (np.zeros((2, 3, 6)), modules_store.StateShapeError, r"shape \[2, 3, 6\], not \[2, 6\]"),
        ([ROW, ROW[:5]], modules_store.StateShapeError, "not an array"),
        ([ROW, [0, 0, 0, np.inf, 0, 0]], modules_store.NonFiniteStateError, r"agent_states\[1, 3\] is inf"),
    ],
)
def test_batches(store, unchanged, states, error, says):
    with pytest.raises(error, match=says):
        store.store_agent_memories("a", states)


def test_a_batch_beyond_the_limit(store, unchanged):
    with pytest.raises(
        modules_store.InvalidInputError, match="agent_states has 16385 states, more than 16384"
    ):
        store.store_agent_memories("a", np.zeros((16385, 6)))


class _Unserialisable:
    pass


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ([1], "of type list, not a mapping"),
        ("text", "of type str, not a mapping"),
        ({1: 2}, "metadata has the key 1"),
        ({"ok": 1, "bad": _Unserialisable()}, r"metadata\['bad'\].*_Unserialisable"),
        ({"bad": float("nan")}, r"metadata\['bad'\].*JSON compliant"),
        ({"bad": np.float32("inf")}, r"metadata\['bad'\].*JSON compliant"),
        ({"bad": {"deep": {1, 2}}}, r"metadata\['bad'\].*set"),
        ({"bad": b"bytes"}, r"metadata\['bad'\].*bytes"),
        ({"bad": 2**64}, r"metadata\['bad'\] is an integer beyond 64 bits"),
        ({"bad": [{"deep": -(2**63) - 1}]}, r"metadata\['bad'\] is an integer beyond 64 bits"),
        ({"bad": 10**400}, r"metadata\['bad'\] is an integer beyond 64 bits"),
        ({"bad": {1: 2}}, r"metadata\['bad'\] has the key 1, which is not text"),
        ({"bad": json.loads("[" * 126 + "]" * 126)}, r"metadata\['bad'\] is nested more than 126 deep"),
        ({"bad": "\ud800"}, r"metadata\['bad'\].*surrogates"),
    ],
)
def test_metadata(store, unchanged, metadata, says):
    with pytest.raises(modules_store.InvalidMetadataError, match=says):
        store.store_agent_memory("a", ROW, metadata)


def test_metadata_that_redis_refuses_late_in_a_batch(store, unchanged):
    metadata = [{"n": n} for n in range(2500)]
    metadata[2400] = {"n": 10**400}
    with pytest.raises(modules_store.InvalidMetadataError, match=r"metadata\[2400\].*beyond 64 bits"):
        store.store_agent_memories("a", toy_codec.states(2500), metadata)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"a": 1}, "one mapping or None for each state"),
        ([{"a": 1}], "1 entries for 2 states"),
        ([], "0 entries for 2 states"),
        ([{"a": 1}, 3], r"metadata\[1\] is of type int"),
    ],
)
def test_metadata_of_a_batch(store, unchanged, metadata, says):
    with pytest.raises(modules_store.InvalidMetadataError, match=says):
        store.store_agent_memories("a", [ROW, ROW], metadata)


@pytest.mark.parametrize("timestamp", [-1, 2**53, 1.0, "1", True, np.float64(1), [1]])
def test_timestamps(store, unchanged, timestamp):
    for operation in (
        lambda: store.store_agent_memory("a", ROW, timestamp=timestamp),
        lambda: store.store_agent_memories("a", [ROW], timestamps=[timestamp]),
        lambda: store.retrieve_agent_memory("a", timestamp),
    ):
        with pytest.raises(modules_store.InvalidTimestampError, match=r"timestamp.* is .*, not an integer"):
            operation()


@pytest.mark.parametrize(
    ("timestamps", "says"),
    [([1, 2, 1], "gives 1 more than once"), ([1, 2], "2 entries for 3"), ([], "0 entries")],
)
def test_timestamps_of_a_batch(store, unchanged, timestamps, says):
    with pytest.raises(modules_store.InvalidTimestampError, match=says):
        store.store_agent_memories("a", [ROW] * 3, timestamps=timestamps)


def test_no_timestamp_after_the_last(store):
    store.store_agent_memory("a", ROW, timestamp=2**53 - 1)
    with pytest.raises(modules_store.InvalidInputError, match="no timestamps are left"):
        store.store_agent_memory("a", ROW)
    assert len(store.get_recent_memories("a")) == 1


def test_a_timestamp_that_exists(store, toy):
    store.store_agent_memories("a", [ROW, ROW], timestamps=[5, 6])
    before = toy.dbsize()
    with pytest.raises(modules_store.TimestampExistsError, match="agent a already has a memory at 6"):
        store.store_agent_memories("a", [ROW] * 3, [{"n": 1}] * 3, timestamps=[7, 6, 8])
    assert toy.dbsize() == before
    toy.delete(keys.memory("a", 5))  # evicted: its timestamp stays taken
    with pytest.raises(modules_store.TimestampExistsError, match="at 5"):
        store.store_agent_memory("a", ROW, timestamp=5)


@pytest.mark.parametrize("key", [keys.memory("a", 5), keys.memory_metadata("a", 5)])
def test_a_key_in_the_way_is_never_overwritten(store, toy, key):
    toy.set(key, "somebody else's")
    with pytest.raises(modules_store.TimestampExistsError, match="at 5"):
        store.store_agent_memory("a", ROW, {"a": 1}, timestamp=5)
    assert toy.keys("agent:*") == [key.encode()]


def test_an_unknown_timestamp(store):
    store.store_agent_memory("a", ROW, timestamp=5)
    for agent_id in ("a", "nobody"):
        with pytest.raises(modules_store.MemoryNotFoundError, match=f"agent {agent_id} has no memory at 6"):
            store.retrieve_agent_memory(agent_id, 6)


@pytest.mark.parametrize("count", [0, -1, 1.0, "3", True, None])
def test_counts(store, count):
    with pytest.raises(modules_store.InvalidInputError, match="count is"):
        store.get_recent_memories("a", count)


def test_a_count_beyond_the_limit(store):
    with pytest.raises(modules_store.InvalidInputError, match="count is 16385"):
        store.get_recent_memories("a", 16385)


@pytest.mark.parametrize(
    "options",
    [
        {"compression_threshold": 0},
        {"compression_threshold": 1.5},
        {"codec_version": 0},
        {"codec_version": 2},
    ],
)
def test_options_of_a_client(options):
    with pytest.raises(modules_store.InvalidInputError, match=next(iter(options))):
        RedisAgentMemory(**options)


def test_urls():
    with pytest.raises(modules_store.InvalidInputError, match="http://example"):
        RedisAgentMemory("http://example")


def test_a_client_that_decodes(server):
    with (
        redis.Redis.from_url(server.url, decode_responses=True) as client,
        pytest.raises(modules_store.InvalidInputError, match="decode_responses"),
    ):
        RedisAgentMemory(client)


def test_a_codec_that_is_not_published(server, toy, unchanged):
    with (
        RedisAgentMemory(server.url, codec="none") as store,
        pytest.raises(modules_store.CodecNotFoundError, match="memory_system:none"),
    ):
        store.store_agent_memory("a", ROW)
    with (
        RedisAgentMemory(server.url, codec="toy", codec_version=9) as store,
        pytest.raises(modules_store.CodecNotFoundError, match="no version 9; published: 1"),
    ):
        store.store_agent_memory("a", ROW)


def test_a_document_that_is_not_a_codecs(server, toy, unchanged):
    toy.execute_command("JSON.SET", keys.codec("odd"), "$", '{"versions": 3}')
    with (
        RedisAgentMemory(server.url, codec="odd") as store,
        pytest.raises(modules_store.CodecNotFoundError, match="memory_system:odd does not describe a codec"),
    ):
        store.store_agent_memory("a", ROW)


def test_an_encoder_that_is_gone(store, toy, unchanged):
    toy.delete(keys.encoder("toy", 1))
    with pytest.raises(modules_store.CodecNotFoundError, match="memory_system:toy:v1:encoder"):
        store.store_agent_memory("a", ROW, {"a": 1})


def test_a_decoder_that_is_gone(store, toy):
    timestamp = store.store_agent_memory("a", ROW)
    toy.delete(keys.decoder("toy", 1))
    with pytest.raises(modules_store.CodecNotFoundError, match="memory_system:toy:v1:decoder"):
        store.retrieve_agent_memory("a", timestamp)
    with pytest.raises(modules_store.CodecNotFoundError, match="memory_system:toy:v1:decoder"):
        store.get_recent_memories("a")


def test_an_encoder_that_makes_other_codes_than_its_document_says(server, toy, unchanged):
    toy_codec.publish_document(toy, "odd", half=True)
    toy_codec.store_models(toy, "odd", 1, input_dim=6)
    with (
        RedisAgentMemory(server.url, codec="odd") as store,
        pytest.raises(modules_store.ServerError, match="made 6 bytes of 1 states, not 12 each"),
    ):
        store.store_agent_memory("a", ROW)


def test_another_codec_for_the_same_agent(server, store, toy):
    toy_codec.publish(toy, "other")
    store.store_agent_memory("a", ROW)
    before = toy.dbsize()
    with RedisAgentMemory(server.url, codec="other") as other:
        with pytest.raises(modules_store.CodecMismatchError, match="agent a are of codec toy, not of other"):
            other.store_agent_memory("a", ROW)
        assert toy.dbsize() == before
        other.store_agent_memory("b", ROW)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (b"", "at 5 is not a known header"),
        (b"\x01\x01\x00", "at 5 is (not a known header|3 bytes, not 9)"),
        (b"\x0f\x01\x00" + bytes(6), "at 5 is not a known header"),
        (b"\x61\x01\x00" + bytes(6), "at 5 is of generation 6, of which the agent has no codec"),
        (b"\x04\x02\x00" + bytes(5), "at 5 is not a known header and whole codes"),
        (b"\x01\x01\x00" + bytes(5), "at 5 is 8 bytes, not 9"),
    ],
)
def test_a_value_that_is_no_memory(store, toy, value, says):
    store.store_agent_memories("a", [ROW, ROW], timestamps=[4, 5])
    toy.set(keys.memory("a", 5), value)
    for operation in (lambda: store.retrieve_agent_memory("a", 5), lambda: store.get_recent_memories("a")):
        with pytest.raises(modules_store.CorruptMemoryError, match=says):
            operation()
    np.testing.assert_array_equal(store.retrieve_agent_memory("a", 4).state, ROW)


def test_a_value_of_an_older_version_that_its_decoder_cannot_read(store, toy):
    store.store_agent_memory("a", ROW, timestamp=5)
    toy_codec.publish(toy, version=2)
    store.refresh_codec()
    store.store_agent_memory("a", ROW, timestamp=6)
    toy.set(keys.memory("a", 5), b"\x01\x01\x00" + bytes(5))
    with pytest.raises(modules_store.CorruptMemoryError, match="wrong number of codes"):
        store.get_recent_memories("a")


@pytest.mark.parametrize("name", [keys.index, keys.agent_metadata, keys.agent_memory_system])
def test_keys_of_another_type(store, toy, name):
    toy.set(name("a"), "somebody else's")
    with pytest.raises(
        modules_store.ServerError, match=rf"agent:\{{a\}}:{name('')[9:]} holds .* type string"
    ):
        store.store_agent_memory("a", ROW, {"a": 1})
    assert toy.keys("agent:*") == [name("a").encode()]


def test_maxmemory(store, toy):
    store.store_agent_memory("a", ROW, {"a": 1}, timestamp=5)
    before = toy.dbsize()
    toy.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(modules_store.OutOfMemoryError, match="nothing was written"):
            store.store_agent_memories("a", toy_codec.states(20), [{"a": 1}] * 20)
        with pytest.raises(modules_store.OutOfMemoryError):
            store.store_agent_memory("b", ROW)
        assert store.retrieve_agent_memory("a", 5).metadata == {"a": 1}
    finally:
        toy.config_set("maxmemory", "0")
    assert toy.dbsize() == before
    store.store_agent_memory("b", ROW)


def test_a_server_without_the_modules(start_server):
    with (
        RedisAgentMemory(start_server(modules=()).url) as store,
        pytest.raises(modules_store.MissingModuleError, match=r"JSON\.GET"),
    ):
        store.store_agent_memory("a", ROW)
    server = start_server(modules=("json",))
    with redis.Redis.from_url(server.url) as client, RedisAgentMemory(server.url, codec="toy") as store:
        toy_codec.publish_document(client)
        with pytest.raises(modules_store.MissingModuleError, match=r"redisai\.so"):
            store.store_agent_memory("a", ROW)
        assert client.keys("agent:*") == []


def test_a_connection_that_is_lost(start_server):
    server = start_server()
    with redis.Redis.from_url(server.url) as client:
        toy_codec.publish(client)
    with RedisAgentMemory(server.url, codec="toy") as store:
        store.store_agent_memory("a", ROW)
        server.stop()
        for operation in (
            lambda: store.store_agent_memory("a", ROW),
            lambda: store.store_agent_memories("a", [ROW]),
            lambda: store.retrieve_agent_memory("a", 5),
            lambda: store.get_recent_memories("a"),
        ):
            with pytest.raises(modules_store.ConnectionLostError, match="cannot be reached"):
                operation()
    with RedisAgentMemory(server.url) as store, pytest.raises(modules_store.ConnectionLostError):
        store.store_agent_memory("a", ROW)


def test_a_call_whose_connection_breaks(open_store, toy):
    store = open_store(codec="toy", retries=0)
    store.store_agent_memory("a", ROW)
    toy.client_pause(60_000, all=False)  # writes wait
    with ThreadPoolExecutor() as threads:
        call = threads.submit(store.store_agent_memory, "a", ROW)
        try:
            wait_until(lambda: any(c["cmd"] == "fcall" and "b" in c["flags"] for c in toy.client_list()))
            toy.client_kill_filter(_type="normal", skipme=True)
        finally:
            toy.client_unpause()
        with pytest.raises(modules_store.ConnectionLostError, match="did not answer"):
            call.result()
    assert len(store.get_recent_memories("a")) == 1


def test_every_error_is_of_one_family():
    for name in modules_store.__all__:
        public = getattr(modules_store, name)
        if isinstance(public, type) and issubclass(public, Exception) and not issubclass(public, Warning):
            assert issubclass(public, modules_store.MemoryStoreError)


def test_too_much_for_one_call_is_refused_by_its_size(store, unchanged, monkeypatch):
    monkeypatch.setattr(checks, "MAX_BYTES", 2**20)
    text = {"text": "x" * 2**20}
    for operation, argument in (
        (lambda: store.store_agent_memory("a", ROW, text), "agent_state"),
        (lambda: store.store_agent_memories("a", [ROW], [text]), "agent_states"),
        (lambda: store.store_step({"a": ROW}, {"a": text}), "states"),
    ):
        with pytest.raises(modules_store.InvalidInputError, match=f"^{argument} has 1 MiB, metadata"):
            operation()
