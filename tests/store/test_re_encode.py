"""Agents change their codec: old memories beside new ones, then moved in steps, whatever interrupts it."""

from __future__ import annotations

import json
import os
import signal
import threading

import numpy as np
import pytest
import redis

import modules_store
from modules_store import RedisAgentMemory, ReEncoded, keys
from modules_store.flows import encoding
from modules_store.flows.sending import Sender
from modules_store.flows.systems import MemorySystems
from tests.store import toy_codec
from tests.store.indexed import indexed

pytestmark = pytest.mark.each_layout

ROWS = toy_codec.states(50)


@pytest.fixture
def other(toy) -> redis.Redis:
    """The server's client with a second codec, of two bytes a feature."""
    toy_codec.publish(toy, "other", half=True)
    return toy


@pytest.fixture
def newer(server, other):
    """A store with the second codec."""
    with RedisAgentMemory(server.url, codec="other") as memory:
        yield memory


def document(client, agent: str = "a") -> dict:
    return json.loads(client.execute_command("JSON.GET", keys.agent_memory_system(agent)))


def formats(client, agent: str = "a") -> set[bytes]:
    """The headers of all memories of the agent."""
    if client.type(keys.index(agent)) == b"string":
        directory = client.get(keys.index(agent))
        return {directory[end - 3 : end] for end in range(8 + 64, len(directory) + 1, 64)}
    return {value[:3] for value in client.mget([keys.memory(agent, t) for t in indexed(client, agent)])}


def check(memory: RedisAgentMemory, timestamps, rows, agent: str = "a") -> None:
    """Check that these are the agent's memories, in one call."""
    recent = memory.get_recent_memories(agent, 16384)
    assert [one.timestamp for one in recent] == list(timestamps)[::-1]
    np.testing.assert_array_equal([one.state for one in recent], rows[::-1])


def drive(client: redis.Redis, flow, commands: int) -> ReEncoded | None:
    """Send so many commands of a flow, then give it up; return its result, None where it has none yet."""
    sent = Sender().commands(flow)
    command = next(sent)
    try:
        for _ in range(commands):
            try:
                reply = client.execute_command(*command.arguments)
            except redis.ResponseError as error:
                command = sent.throw(error)
            else:
                command = sent.send(reply)
    except StopIteration as end:
        return end.value
    sent.close()
    return None


SENT_BEFORE_STEPS = 5
"""Of a flow whose functions the server does not know: two documents; the switch, for which they are loaded
and which is then sent again."""


def re_encoding(step: int, agent: str = "a"):
    return encoding.re_encode(MemorySystems("other", None, None), agent, None, None, step=step)


def test_memories_of_both_codecs_are_recalled_together_then_moved(store, newer, other):
    timestamps = store.store_agent_memories("a", ROWS[:5], [{"n": n} for n in range(5)])
    with pytest.raises(modules_store.CodecMismatchError, match="re-encoding them would change that"):
        newer.store_agent_memory("a", ROWS[5])
    seen: list[ReEncoded] = []
    between: list[int] = []

    def on_progress(done: ReEncoded) -> None:
        seen.append(done)
        if not between:
            between.append(newer.store_agent_memory("a", ROWS[5]))
            assert formats(other) == {b"\x01\x01\x00", b"\x14\x01\x00"}
            check(newer, timestamps + between, ROWS[:6])

    result = newer.re_encode("a", step=2, on_progress=on_progress)
    assert seen == [ReEncoded(2, 0, 0), ReEncoded(4, 0, 0), ReEncoded(5, 1, 0), ReEncoded(5, 1, 0)]
    assert result == seen[-1]
    assert formats(other) == {b"\x14\x01\x00"}
    check(store, timestamps + between, ROWS[:6])
    assert [m.metadata for m in store.get_recent_memories("a")][:0:-1] == [{"n": n} for n in range(5)]
    assert "earlier" not in document(other)
    with pytest.raises(modules_store.CodecMismatchError):
        store.store_agent_memory("a", ROWS[0])


def test_several_versions_of_several_codecs_side_by_side(server, store, newer, other):
    timestamps = store.store_agent_memories("a", ROWS[:2])
    toy_codec.publish(other, version=2)
    store.refresh_codec()
    timestamps += store.store_agent_memories("a", ROWS[2:4])
    other.function_flush()
    drive(other, re_encoding(1), SENT_BEFORE_STEPS + 1)
    timestamps += newer.store_agent_memories("a", ROWS[4:6])
    toy_codec.publish(other, "other", version=2, half=True)
    newer.refresh_codec()
    timestamps += newer.store_agent_memories("a", ROWS[6:8])
    headers = {b"\x01\x01\x00", b"\x01\x02\x00", b"\x14\x01\x00", b"\x14\x02\x00"}
    assert formats(other) == headers
    check(newer, timestamps, ROWS[:8])
    assert newer.re_encode("a") == ReEncoded(6, 2, 0)
    assert formats(other) == {b"\x14\x02\x00"}
    check(newer, timestamps, ROWS[:8])


def test_to_a_version_and_back(store, other):
    timestamps = store.store_agent_memories("a", ROWS)
    toy_codec.publish(other, version=2)
    assert store.re_encode("a") == ReEncoded(50, 0, 0)
    assert formats(other) == {b"\x01\x02\x00"}
    assert store.store_agent_memory("a", ROWS[0]) > timestamps[-1]
    assert formats(other) == {b"\x01\x02\x00"}, (
        "the client stores with the version that it moved the agent to"
    )
    assert store.re_encode("a", "toy", 1) == ReEncoded(51, 0, 0)
    assert formats(other) == {b"\x01\x01\x00"}


def test_an_agent_of_a_client_without_a_codec_stays_with_its_own(server, store, other):
    store.store_agent_memories("a", ROWS)
    toy_codec.publish(other, version=2)
    with RedisAgentMemory(server.url) as plain:
        assert plain.re_encode("a") == ReEncoded(50, 0, 0)
        assert formats(other) == {b"\x01\x02\x00"}
        plain.bind("a", "toy", 1)
        plain.re_encode("a")
        assert formats(other) == {b"\x01\x01\x00"}
        assert plain.re_encode("a", version=2) == ReEncoded(50, 0, 0)


@pytest.mark.parametrize("commands", range(1, SENT_BEFORE_STEPS + 7))
def test_interrupted_anywhere_it_goes_on(server, store, other, commands):
    """A client that dies sends no more commands; each of them is done as a whole."""
    timestamps = store.store_agent_memories("a", ROWS, [{"n": n} for n in range(50)])
    other.function_flush()
    finished = drive(other, re_encoding(step=10), commands)
    # Five steps of ten memories, and one that finds no more.
    assert (finished is not None) == (commands == SENT_BEFORE_STEPS + 6)
    check(store, timestamps, ROWS)
    with RedisAgentMemory(server.url, codec="other") as newer:
        done = newer.re_encode("a", step=7)
        assert done.moved + done.kept == 50
        assert done.kept == 10 * min(5, max(0, commands - SENT_BEFORE_STEPS))
        check(newer, timestamps, ROWS)
        assert [m.metadata["n"] for m in newer.get_recent_memories("a", 50)] == list(range(50))[::-1]
    assert formats(other) == {b"\x14\x01\x00"}
    assert document(other).keys() & {"earlier", "re_encoded_to"} == set()


@pytest.mark.parametrize("steps", [0, 2])
def test_a_server_that_is_killed_in_the_middle(start_server, tmp_path, steps):
    server = start_server(data_dir=tmp_path, appendonly=True, config={"appendfsync": "always"})
    with redis.Redis.from_url(server.url) as client:
        toy_codec.publish(client)
        toy_codec.publish(client, "other", half=True)
        with RedisAgentMemory(server.url, codec="toy") as store:
            timestamps = store.store_agent_memories("a", ROWS)
        client.function_flush()
        drive(client, re_encoding(step=10), SENT_BEFORE_STEPS + steps)
        before = formats(client)
        assert before == ({b"\x01\x01\x00", b"\x14\x01\x00"} if steps else {b"\x01\x01\x00"})
        assert document(client)["name"] == "other"
    os.kill(server.pid, signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL
    reopened = start_server(data_dir=tmp_path, appendonly=True)
    with (
        redis.Redis.from_url(reopened.url) as client,
        RedisAgentMemory(client, codec="other") as newer,
    ):
        assert formats(client) == before
        check(newer, timestamps, ROWS)
        assert newer.re_encode("a", step=10).moved == 50 - 10 * steps
        check(newer, timestamps, ROWS)
        assert "earlier" not in document(client)


def test_clients_store_meanwhile(server, other):
    """With the old codec until the switch refuses it, with the new one from then on; no state is lost."""
    with RedisAgentMemory(server.url, codec="toy", compression_threshold=100_000) as store:
        timestamps = store.store_agent_memories("a", np.resize(ROWS, (3000, 6)))
    started, ended = threading.Event(), threading.Event()
    written: dict[int, list[float]] = dict(zip(timestamps, np.resize(ROWS, (3000, 6)).tolist(), strict=True))

    def write() -> None:
        with (
            RedisAgentMemory(server.url, codec="toy", compression_threshold=100_000) as old,
            RedisAgentMemory(server.url, codec="other", compression_threshold=100_000) as new,
        ):
            writer, after = old, 0
            while after < 50 or not ended.is_set():
                row = ROWS[len(written) % 50]
                try:
                    written[writer.store_agent_memory("a", row)] = row.tolist()
                except modules_store.CodecMismatchError:
                    assert writer is old
                    writer = new
                after += ended.is_set()
                started.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert started.wait(60)
        with RedisAgentMemory(server.url, codec="other") as newer:
            done = newer.re_encode("a", step=50)
    finally:
        ended.set()
        thread.join()
    assert done.moved >= 3000
    assert formats(other) == {b"\x14\x01\x00"}
    assert "earlier" not in document(other)
    with RedisAgentMemory(server.url) as reader:
        recent = reader.get_recent_memories("a", 16384)
    assert {m.timestamp: m.state.tolist() for m in recent} == written


def test_clients_of_the_earlier_version_may_go_on_storing(server, store, other):
    """A version is no other codec: what they store stays of theirs, and does not stop those who move."""
    timestamps = store.store_agent_memories("a", ROWS[:20])
    toy_codec.publish(other, version=2)

    def on_progress(_: ReEncoded) -> None:
        timestamps.append(store.store_agent_memory("a", ROWS[len(timestamps)]))

    with RedisAgentMemory(server.url, codec="toy") as newer:
        done = newer.re_encode("a", step=5, on_progress=on_progress)
    assert done.moved == len(timestamps) - 1
    check(store, timestamps, ROWS[: len(timestamps)])


@pytest.mark.keys_alone
def test_evicted_values_are_counted_and_passed_over(store, newer, other):
    timestamps = store.store_agent_memories("a", ROWS)
    other.delete(*(keys.memory("a", timestamp) for timestamp in timestamps[::2]))
    assert newer.re_encode("a", step=20) == ReEncoded(25, 0, 25)
    check(newer, timestamps[1::2], ROWS[1::2])


def test_a_cluster_of_one_node(start_server):
    server = start_server(cluster_enabled=True)
    with redis.Redis.from_url(server.url) as client, RedisAgentMemory(client, codec="toy") as store:
        toy_codec.publish(client)
        toy_codec.publish(client, "other", half=True)
        store.bind("agent-*", "other")
        for n in range(5):
            timestamps = store.store_agent_memories(f"agent-{n}", ROWS)
            with RedisAgentMemory(client) as newer:
                assert newer.re_encode(f"agent-{n}", step=20) == ReEncoded(50, 0, 0)
                check(newer, timestamps, ROWS, f"agent-{n}")


def test_a_replica_has_the_same(start_server, wait_until):
    primary = start_server(config={"enable-debug-command": "yes"})
    replica = start_server(config={"enable-debug-command": "yes", "replicaof": f"127.0.0.1 {primary.port}"})
    with redis.Redis.from_url(primary.url) as a, redis.Redis.from_url(replica.url) as b:
        wait_until(lambda: b.info("replication")["master_link_status"] == "up")
        toy_codec.publish(a)
        toy_codec.publish(a, "other", half=True)
        with RedisAgentMemory(a, codec="toy") as store, RedisAgentMemory(a, codec="other") as newer:
            timestamps = store.store_agent_memories("a", ROWS)
            newer.re_encode("a", step=20)
        assert a.wait(1, 10_000) == 1
        assert a.execute_command("DEBUG", "DIGEST") == b.execute_command("DEBUG", "DIGEST")
        with RedisAgentMemory(replica.url) as reader:
            check(reader, timestamps, ROWS)


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "refusal"),
        [
            ({"agent_id": "{"}, (modules_store.InvalidAgentIdError, "agent_id")),
            ({"codec": ""}, (modules_store.InvalidInputError, "codec is ''")),
            ({"codec": 3}, (modules_store.InvalidInputError, "codec is 3")),
            ({"codec": "none"}, (modules_store.CodecNotFoundError, "'none' is not published")),
            ({"version": 7}, (modules_store.CodecNotFoundError, "'other' has no version 7")),
            ({"version": 0}, (modules_store.InvalidInputError, "version is 0")),
            ({"step": 0}, (modules_store.InvalidInputError, "step is 0")),
            ({"step": 16385}, (modules_store.InvalidInputError, "step is 16385")),
            ({"agent_id": "nobody"}, (modules_store.CodecNotFoundError, r"agent:\{nobody\}:memory_system")),
            ({"codec": "wide"}, (modules_store.CodecMismatchError, "of 6 features, not of 7")),
        ],
    )
    def test_it_changes_nothing(self, store, newer, other, arguments, refusal):
        toy_codec.publish(other, "wide", input_dim=7)
        store.store_agent_memories("a", ROWS)
        before = {key: other.dump(key) for key in other.scan_iter()}
        error, says = refusal
        with pytest.raises(error, match=says):
            newer.re_encode(**{"agent_id": "a", **arguments})
        assert {key: other.dump(key) for key in other.scan_iter()} == before

    def test_a_store_of_other_states_under_the_same_name(self, server, store, other):
        store.store_agent_memory("a", ROWS[0])
        other.delete(keys.codec("toy"))
        toy_codec.publish(other, input_dim=7)
        with (
            RedisAgentMemory(server.url, codec="toy") as wide,
            pytest.raises(
                modules_store.StateShapeError, match="7 features, but the memories of agent a have 6"
            ),
        ):
            wide.store_agent_memory("a", np.zeros(7))

    def test_another_client_switched_the_codec_meanwhile(self, store, newer, other):
        timestamps = store.store_agent_memories("a", ROWS)

        def on_progress(_: ReEncoded) -> None:
            store.re_encode("a", step=10)

        with pytest.raises(modules_store.CodecMismatchError, match="codec of agent a is toy of 6 features"):
            newer.re_encode("a", step=10, on_progress=on_progress)
        check(store, timestamps, ROWS)
        assert formats(other) == {b"\x01\x01\x00"}

    @pytest.mark.keys_alone
    def test_a_memory_that_cannot_be_read_stops_it_there(self, store, newer, other):
        timestamps = store.store_agent_memories("a", ROWS)
        other.set(keys.memory("a", timestamps[25]), b"\x01\x01\x00junk")
        with pytest.raises(modules_store.CorruptMemoryError):
            newer.re_encode("a", step=10)
        for n in (0, 24, 26, 49):
            np.testing.assert_array_equal(newer.retrieve_agent_memory("a", timestamps[n]).state, ROWS[n])
        other.delete(keys.memory("a", timestamps[25]))
        assert newer.re_encode("a", step=10) == ReEncoded(29, 20, 1)


def test_from_the_built_in_codec_to_a_learned_one_and_back(server, other):
    """As agents begin: without a codec, until one was trained on what they stored."""
    with RedisAgentMemory(server.url) as plain, RedisAgentMemory(server.url, codec="toy") as trained:
        timestamps = plain.store_agent_memories("a", ROWS)
        assert formats(other) == {b"\x04\x01\x00"}
        assert trained.re_encode("a", step=20) == ReEncoded(50, 0, 0)
        timestamps.append(trained.store_agent_memory("a", ROWS[0]))
        assert formats(other) == {b"\x11\x01\x00"}
        check(plain, timestamps, [*ROWS, ROWS[0]])
        assert plain.re_encode("a", "float16") == ReEncoded(51, 0, 0)
        timestamps.append(plain.store_agent_memory("a", ROWS[1]))
        assert formats(other) == {b"\x04\x01\x00"}
        check(plain, timestamps, [*ROWS, *ROWS[:2]])
