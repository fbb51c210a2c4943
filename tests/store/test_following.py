"""Streams and those who follow them: order, bounds, groups of consumers, codecs that change, restarts."""

from __future__ import annotations

import itertools
import multiprocessing
import signal
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import redis

from modules_store import (
    InvalidInputError,
    InvalidTimestampError,
    Memory,
    Oldest,
    Policy,
    RedisAgentMemory,
    keys,
)
from tests.store import toy_codec
from tests.store.writers import follow_and_die

ROWS = toy_codec.states(40)
STREAMING = Policy(stream_entries=1000)
ALL = {"after": "beginning", "stop_after_ms": 0}
"""What is there, and no waiting for more."""


@pytest.fixture
def store(open_store, toy: redis.Redis) -> RedisAgentMemory:
    """A store whose agents have streams."""
    return open_store(codec="toy", policy=STREAMING)


def take(count: int, memories: Iterator[Memory]) -> list[Memory]:
    """Return the next `count` memories; the follower stops there and acknowledges all but the last."""
    taken = list(itertools.islice(memories, count))
    memories.close()
    return taken


def timestamps(memories) -> list[int]:
    return [memory.timestamp for memory in memories]


def pending(client: redis.Redis, group: str = "g", agent: str = "a") -> int:
    return client.xpending(keys.stream(agent), group)["pending"]


class TestStream:
    def test_entries_are_the_memories(self, store, toy):
        store.store_agent_memories("a", ROWS[:2], [{"n": 1}, None], timestamps=[5, 7])
        codes = [
            b"\x01\x01\x00" + np.round(row / toy_codec.STEP).astype(np.int8).tobytes() for row in ROWS[:2]
        ]
        first = {b"value": codes[0], b"codec": b"toy", b"metadata": b'{"n":1}'}
        second = {b"value": codes[1], b"codec": b"toy"}
        assert toy.xrange(keys.stream("a")) == [(b"5-0", first), (b"7-0", second)]

    def test_without_the_policy_there_is_none(self, open_store, toy):
        open_store(codec="toy").store_agent_memory("a", ROWS[0])
        assert not toy.exists(keys.stream("a"))

    def test_its_length_is_bounded(self, open_store, toy):
        store = open_store(codec="toy", policy=Policy(Oldest(100_000), stream_entries=50))
        rows = toy_codec.states(1000)
        given = store.store_agent_memories("a", rows)
        assert 50 <= toy.xlen(keys.stream("a")) <= 150  # Redis removes whole nodes of it
        assert toy.xrevrange(keys.stream("a"), count=1)[0][0] == b"%d-0" % given[-1]
        assert toy.zcard(keys.index("a")) == 1000

    def test_what_is_trimmed_leaves_it(self, open_store, toy):
        store = open_store(codec="toy", policy=Policy(Oldest(20), stream_entries=1000))
        store.store_agent_memories("a", ROWS[:21])
        entries = [entry_id.removesuffix(b"-0") for entry_id, _ in toy.xrange(keys.stream("a"))]
        assert entries == toy.zrange(keys.index("a"), 0, -1)
        assert len(entries) == 17

    def test_trims_take_entries_out_when_streaming_is_off_again(self, open_store, store, toy):
        given = store.store_agent_memories("a", ROWS[:10])
        open_store(codec="toy", compression_threshold=9).store_agent_memory("a", ROWS[10])
        entries = [int(entry_id.partition(b"-")[0]) for entry_id, _ in toy.xrange(keys.stream("a"))]
        assert entries == given[2:]

    def test_trims_go_by_a_key_that_is_no_stream(self, open_store, toy):
        toy.set(keys.stream("a"), "x")
        store = open_store(codec="toy", compression_threshold=3)
        store.store_agent_memories("a", ROWS[:9])
        assert toy.get(keys.stream("a")) == b"x"
        assert toy.zcard(keys.index("a")) == 3

    @pytest.mark.parametrize("given", [[9], [10], [11, 13, 12], [0]])
    def test_timestamps_must_increase(self, store, toy, given):
        store.store_agent_memory("b" if given == [0] else "a", ROWS[0], timestamp=10)
        before = {key: toy.dump(key) for key in toy.scan_iter("agent:*")}
        if given == [10]:
            toy.delete(keys.memory("a", 10))
            toy.zrem(keys.index("a"), 10)
            before = {key: toy.dump(key) for key in toy.scan_iter("agent:*")}
        with pytest.raises(InvalidTimestampError, match=r"timestamp \d+ is not above \d+: .* has a stream"):
            store.store_agent_memories("a", ROWS[: len(given)], [{"n": 1}] * len(given), timestamps=given)
        assert {key: toy.dump(key) for key in toy.scan_iter("agent:*")} == before

    def test_the_server_gives_timestamps_after_the_stream(self, store, toy):
        far = 2**50
        toy.xadd(keys.stream("a"), {"x": "y"}, id=f"{far}-3")
        assert store.store_agent_memory("a", ROWS[0]) == far + 1

    def test_a_policy_is_checked(self):
        for wrong in (0, -1, 2.5, True, "9"):
            with pytest.raises(InvalidInputError, match="stream_entries is"):
                Policy(stream_entries=wrong)


class TestAlone:
    def test_sees_all_in_order(self, store):
        given = store.store_agent_memories("a", ROWS, [{"n": n} if n % 2 else None for n in range(40)])
        seen = list(store.follow("a", count=7, **ALL))
        assert timestamps(seen) == given
        np.testing.assert_array_equal([memory.state for memory in seen], ROWS)
        assert [memory.metadata for memory in seen] == [{"n": n} if n % 2 else None for n in range(40)]
        assert {memory.agent_id for memory in seen} == {"a"}

    def test_after_a_timestamp(self, store):
        store.store_agent_memories("a", ROWS[:5], timestamps=[1, 2, 3, 4, 5])
        assert timestamps(store.follow("a", after=3, stop_after_ms=0)) == [4, 5]

    def test_new_is_what_comes_once_it_has_begun(self, server, store, toy, wait_until):
        store.store_agent_memory("a", ROWS[0], timestamp=1)
        seen: list[int] = []

        def follow() -> None:
            seen.extend(timestamps(take(2, store.follow("a", block_ms=100))))

        thread = threading.Thread(target=follow)
        thread.start()
        wait_until(lambda: toy.info("clients")["blocked_clients"] == 1)
        with RedisAgentMemory(server.url, codec="toy", policy=STREAMING) as writer:
            assert writer.store_agent_memory("a", ROWS[1], timestamp=2) == 2
            assert writer.store_agent_memory("a", ROWS[1], timestamp=3) == 3
        thread.join(20)
        assert seen == [2, 3]

    def test_a_waiting_follower_does_not_hold_up_others(self, store, toy, wait_until):
        ended = threading.Event()

        def follow() -> None:
            take(1, store.follow("a", block_ms=60_000))
            ended.set()

        thread = threading.Thread(target=follow)
        thread.start()
        wait_until(lambda: toy.info("clients")["blocked_clients"] == 1)
        store.store_agent_memory("b", ROWS[0])
        assert len(store.get_recent_memories("b")) == 1
        assert not ended.is_set()
        store.store_agent_memory("a", ROWS[0])
        thread.join(20)
        assert ended.is_set()

    def test_it_waits_for_less_than_the_socket_does(self, server, open_store, toy):
        with_timeout = open_store(f"{server.url}?socket_timeout=0.2", codec="toy")
        assert list(with_timeout.follow("a", block_ms=60_000, stop_after_ms=500)) == []

    def test_several_agents(self, store):
        for agent in ("a", "b", "c"):
            store.store_agent_memories(agent, ROWS[:5], timestamps=[1, 2, 3, 4, 5])
        seen = list(store.follow(["a", "b"], count=2, **ALL))
        assert sorted((memory.agent_id, memory.timestamp) for memory in seen) == [
            (agent, timestamp) for agent in ("a", "b") for timestamp in range(1, 6)
        ]
        assert timestamps(memory for memory in seen if memory.agent_id == "b") == [1, 2, 3, 4, 5]

    def test_codecs_of_several_generations_and_versions(self, open_store, store, toy):
        stored = [ROWS[0]]
        store.store_agent_memory("a", ROWS[0])
        toy_codec.publish(toy, "toy", 2, step=1 / 8)
        toy_codec.publish(toy, "half", half=True)
        for name, version in (("toy", 2), ("half", 1), ("toy", 1)):
            store.re_encode("a", name, version)
            other = open_store(codec=name, codec_version=version, policy=STREAMING)
            row = np.full(6, len(stored), np.float32)
            other.store_agent_memory("a", row)
            stored.append(row)
        # Re-encoded memories are all of one codec; the stream still has what each was stored as.
        seen = list(store.follow("a", **ALL))
        np.testing.assert_array_equal([memory.state for memory in seen], stored)

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ({"agent_id": "a{"}, "agent_id"),
            ({"agent_id": []}, "agent_id is empty"),
            ({"agent_id": 7}, "agent_id is of type int"),
            ({"after": "now"}, "after is 'now'"),
            ({"after": -1}, "after is -1"),
            ({"group": "g"}, "group and consumer are given together"),
            ({"consumer": "c"}, "group and consumer are given together"),
            ({"group": "", "consumer": "c"}, "group is ''"),
            ({"group": "g", "consumer": 3}, "consumer is 3"),
            ({"group": "g", "consumer": "c", "claim_after_ms": 0}, "claim_after_ms is 0"),
            ({"block_ms": 0}, "block_ms is 0"),
            ({"count": 0}, "count is 0"),
            ({"count": 16385}, "count is 16385"),
            ({"stop_after_ms": -1}, "stop_after_ms is -1"),
        ],
    )
    def test_arguments(self, store, arguments, says):
        with pytest.raises(InvalidInputError, match=says):
            next(store.follow(**{"agent_id": "a", **arguments}))


class TestGroup:
    def test_each_memory_goes_to_one_consumer(self, store, toy):
        given = store.store_agent_memories("a", ROWS)
        first = store.follow("a", group="g", consumer="one", count=10, **ALL)
        second = store.follow("a", group="g", consumer="two", count=10, **ALL)
        seen = [timestamps(itertools.islice(follower, 10)) for follower in (first, second, first, second)]
        assert list(itertools.chain(*seen)) == given
        assert list(first) == list(second) == []
        assert pending(toy) == 0

    def test_a_consumer_that_is_back_gets_what_it_did_not_acknowledge(self, store, toy):
        given = store.store_agent_memories("a", ROWS)
        assert timestamps(take(5, store.follow("a", group="g", consumer="one", count=10, **ALL))) == given[:5]
        assert pending(toy) == 6  # the fifth of ten was not asked past
        back = store.follow("a", group="g", consumer="one", count=3, **ALL)
        assert timestamps(back) == given[4:]
        assert pending(toy) == 0

    def test_another_consumer_claims_what_one_abandons(self, store, toy):
        given = store.store_agent_memories("a", ROWS, [{"n": n} for n in range(40)])
        take(5, store.follow("a", group="g", consumer="dead", count=10, **ALL))
        heir = store.follow(
            "a", group="g", consumer="heir", count=4, claim_after_ms=1, after="beginning", stop_after_ms=200
        )
        seen = list(heir)
        assert sorted(timestamps(seen)) == given[4:]
        assert [memory.metadata["n"] for memory in seen[:6]] == [4, 5, 6, 7, 8, 9]
        assert pending(toy) == 0

    def test_what_is_in_hand_is_not_claimed(self, store, toy):
        given = store.store_agent_memories("a", ROWS)
        busy = store.follow("a", group="g", consumer="busy", count=10, **ALL)
        assert next(busy).timestamp == given[0]
        others = list(store.follow("a", group="g", consumer="other", **ALL))
        assert timestamps(others) == given[10:]
        assert timestamps(busy) == given[1:10]

    def test_a_group_that_is_there_goes_on(self, store):
        store.store_agent_memories("a", ROWS[:4], timestamps=[1, 2, 3, 4])
        assert timestamps(store.follow("a", group="g", consumer="c", **ALL)) == [1, 2, 3, 4]
        store.store_agent_memories("a", ROWS[:2], timestamps=[5, 6])
        assert timestamps(store.follow("a", group="g", consumer="c", **ALL)) == [5, 6]
        assert timestamps(store.follow("a", group="h", consumer="c", after=4, stop_after_ms=0)) == [5, 6]

    def test_a_group_begins_before_there_is_a_stream(self, store):
        assert list(store.follow("a", group="g", consumer="c", stop_after_ms=0)) == []
        store.store_agent_memory("a", ROWS[0], timestamp=7)
        assert timestamps(store.follow("a", group="g", consumer="c", stop_after_ms=0)) == [7]

    def test_what_is_trimmed_while_pending_is_passed_over(self, open_store, store, toy):
        store.store_agent_memories("a", ROWS[:10], timestamps=list(range(1, 11)))
        take(1, store.follow("a", group="g", consumer="one", count=4, **ALL))
        take(1, store.follow("a", group="g", consumer="two", count=4, **ALL))
        shrinking = open_store(codec="toy", policy=Policy(Oldest(3), stream_entries=1000))
        shrinking.store_agent_memory("a", ROWS[10], timestamp=11)
        assert toy.xlen(keys.stream("a")) == 3  # 9, 10 and 11; one had 1 to 4, two had 5 to 8
        toy.config_resetstat()
        assert timestamps(store.follow("a", group="g", consumer="one", **ALL)) == [9, 10, 11]
        assert toy.info("commandstats")["cmdstat_xack"]["calls"] == 1 + 3
        assert pending(toy) == 0  # Redis lets go of what two had when one looks for what is abandoned

    def test_a_stream_that_is_deleted_begins_again(self, store, toy, wait_until):
        store.store_agent_memory("a", ROWS[0], timestamp=5)
        follower = store.follow("a", group="g", consumer="c", after="beginning", block_ms=60_000)
        assert next(follower).timestamp == 5
        later: list[Memory] = []
        thread = threading.Thread(target=lambda: later.append(next(follower)))
        thread.start()
        wait_until(lambda: toy.info("clients")["blocked_clients"] == 1)
        toy.delete(keys.stream("a"))
        store.store_agent_memory("a", ROWS[1], timestamp=6)
        thread.join(20)
        assert timestamps(later) == [6]

    def test_several_agents(self, store, toy):
        for agent in ("a", "b"):
            store.store_agent_memories(agent, ROWS[:6], timestamps=list(range(1, 7)))
        seen = take(9, store.follow(["a", "b"], group="g", consumer="one", count=4, **ALL))
        seen += store.follow(["a", "b"], group="g", consumer="one", count=4, **ALL)
        assert {(memory.agent_id, memory.timestamp) for memory in seen} == {
            (agent, timestamp) for agent in ("a", "b") for timestamp in range(1, 7)
        }
        assert len(seen) == 13  # the ninth came twice
        assert pending(toy, agent="a") == pending(toy, agent="b") == 0


def test_a_consumer_that_is_killed_loses_nothing(server, store, toy):
    given = store.store_agent_memories("shared", ROWS, [{"n": n} for n in range(40)])
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    consumer = context.Process(target=follow_and_die, args=(server.url, sending))
    consumer.start()
    by_the_dead = [receiving.recv() for _ in range(5)]
    consumer.join(60)
    assert consumer.exitcode == -signal.SIGKILL
    assert by_the_dead == given[:5]
    options = {"group": "g", "consumer": "heir", "claim_after_ms": 1, "count": 7, "stop_after_ms": 200}
    by_the_heir = timestamps(store.follow("shared", **options))
    assert sorted(by_the_heir) == given[4:]  # the fifth was not acknowledged, so it comes again
    assert pending(toy, agent="shared") == 0


@pytest.mark.parametrize("appendonly", [False, True], ids=["RDB", "AOF"])
def test_stream_and_group_outlive_a_restart(start_server, open_store, tmp_path, appendonly):
    server = start_server(data_dir=tmp_path, appendonly=appendonly)
    with redis.Redis.from_url(server.url) as client:
        toy_codec.publish(client)
    store = open_store(server.url, codec="toy", policy=STREAMING)
    given = store.store_agent_memories("a", ROWS)
    take(5, store.follow("a", group="g", consumer="one", count=10, **ALL))
    server.restart()
    again = open_store(server.url, codec="toy", policy=STREAMING)
    seen = list(again.follow("a", group="g", consumer="one", **ALL))
    assert timestamps(seen) == given[4:]
    np.testing.assert_array_equal([memory.state for memory in seen], ROWS[4:])
    with pytest.raises(InvalidTimestampError):
        again.store_agent_memory("a", ROWS[0], timestamp=given[0] - 1)
