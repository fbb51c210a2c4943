"""Connections that break after the work was done: what may be sent again is, and nothing is stored twice."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

import modules_store
from modules_store import AsyncRedisAgentMemory, RedisAgentMemory
from tests.helpers import wait_until
from tests.store import toy_codec
from tests.store.indexed import indexed
from tests.store.proxy import proxy_of

pytestmark = pytest.mark.each_layout

ROWS = toy_codec.states(3)


@pytest.fixture
def proxy(server, toy):
    with proxy_of(server.url) as running:
        yield running


@pytest.fixture
def lossy(open_store, proxy):
    """A store behind the proxy that has stored one memory, at 1."""
    memory = open_store(proxy.url, codec="toy")
    memory.store_agent_memory("a", ROWS[0], timestamp=1)
    return memory


def stored(client: redis.Redis) -> list[int]:
    return indexed(client)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("timestamp", [None, 7])
def test_a_store_whose_answer_is_lost_is_done_once(lossy, proxy, toy, times, timestamp):
    proxy.lose("FCALL", times)
    first = lossy.store_agent_memory("a", ROWS[1], {"n": 1}, timestamp)
    assert proxy.lost == times
    assert stored(toy) == [1, first]
    assert lossy.retrieve_agent_memory("a", first).metadata == {"n": 1}


@pytest.mark.parametrize("timestamps", [None, [9, 5, 7]])
def test_a_batch_whose_answer_is_lost_is_done_once(lossy, proxy, toy, timestamps):
    proxy.lose("FCALL")
    answered = lossy.store_agent_memories("a", ROWS, timestamps=timestamps)
    assert proxy.lost == 1
    assert stored(toy) == [1, *sorted(answered)]
    recalled = [lossy.retrieve_agent_memory("a", timestamp).state for timestamp in answered]
    np.testing.assert_array_equal(recalled, ROWS)


def test_a_server_that_forgot_the_functions_meanwhile(lossy, proxy, toy):
    proxy.lose("FCALL", when_lost=toy.function_flush)
    first = lossy.store_agent_memory("a", ROWS[1])
    assert stored(toy) == [1, first]


def test_what_reads_is_sent_again(lossy, proxy):
    for operation in (
        lambda: lossy.retrieve_agent_memory("a", 1),
        lambda: lossy.get_recent_memories("a")[0],
    ):
        proxy.lose("FCALL_RO")
        np.testing.assert_array_equal(operation().state, ROWS[0])
        assert proxy.lost == 1
    proxy.lose("JSON.GET")
    lossy.refresh_codec()
    assert proxy.lost == 1


def test_what_may_not_be_sent_again_is_not(lossy, proxy, toy):
    lossy.bind("b*", "toy")
    lossy.re_encode("a")
    for operation in (lambda: lossy.unbind("b*"), lambda: lossy.re_encode("a")):
        proxy.lose("FCALL", 4)
        with pytest.raises(modules_store.ConnectionLostError):
            operation()
        assert proxy.lost == 1
    proxy.lose("FCALL")
    lossy.bind("b*", "toy")
    assert proxy.lost == 1
    assert [binding.agents for binding in lossy.bindings()] == ["b*"]


def test_without_retries_the_loss_is_an_error(open_store, proxy, toy):
    store = open_store(proxy.url, codec="toy", retries=0)
    store.store_agent_memory("a", ROWS[0], timestamp=1)
    proxy.lose("FCALL")
    with pytest.raises(modules_store.ConnectionLostError, match="did not answer"):
        store.store_agent_memory("a", ROWS[1], timestamp=2)
    assert stored(toy) == [1, 2]
    assert store.store_agent_memory("a", ROWS[1], timestamp=3) == 3


def test_more_losses_than_retries(lossy, proxy, toy):
    proxy.lose("FCALL", 4)
    with pytest.raises(modules_store.ConnectionLostError):
        lossy.store_agent_memory("a", ROWS[1], timestamp=2)
    assert proxy.lost == 4
    assert stored(toy) == [1, 2]


@pytest.mark.parametrize("blocking", [True, False])
def test_a_given_client_that_would_repeat_by_itself(proxy, toy, blocking):
    def options(retry):
        return {"retry": retry, "retry_on_error": [redis.ConnectionError, redis.TimeoutError]}

    async def store_awaited() -> None:
        client = redis.asyncio.Redis.from_url(proxy.url, **options(redis.asyncio.retry.Retry(NoBackoff(), 3)))
        async with AsyncRedisAgentMemory(client, codec="toy") as store:
            await store.store_agent_memory("a", ROWS[0], timestamp=1)
            proxy.lose("FCALL")
            await store.store_agent_memory("a", ROWS[1])
        await client.connection_pool.disconnect()

    if blocking:
        with redis.Redis.from_url(proxy.url, **options(Retry(NoBackoff(), 3))) as client:
            store = RedisAgentMemory(client, codec="toy")
            store.store_agent_memory("a", ROWS[0], timestamp=1)
            proxy.lose("FCALL")
            store.store_agent_memory("a", ROWS[1])
    else:
        asyncio.run(store_awaited())
    assert proxy.lost == 1
    assert len(stored(toy)) == 2


def test_writers_whose_answers_are_lost(proxy, toy):
    def write(writer: int) -> list[int]:
        with RedisAgentMemory(proxy.url, codec="toy") as store:
            return [store.store_agent_memory("a", ROWS[0], {"writer": writer, "n": n}) for n in range(10)]

    proxy.lose("FCALL", 6)
    with ThreadPoolExecutor(2) as threads:
        answered = [timestamp for part in threads.map(write, range(2)) for timestamp in part]
    assert proxy.lost == 6
    assert stored(toy) == sorted(answered)


@pytest.fixture
def paused(toy):
    """Pause the server: it takes commands that write but does not run them until the end of the test."""

    yield lambda: toy.client_pause(60_000, all=False)
    toy.client_unpause()


def test_a_deadline(open_store, toy, paused):
    store = open_store(codec="toy", timeout_s=0.3)
    store.store_agent_memory("a", ROWS[0], timestamp=1)
    paused()
    with pytest.raises(modules_store.DeadlineExceededError, match=r"timeout_s=0\.3"):
        store.store_agent_memory("a", ROWS[1], timestamp=2)
    assert store.retrieve_agent_memory("a", 1).timestamp == 1
    toy.client_unpause()
    assert store.store_agent_memory("a", ROWS[2], timestamp=3) == 3
    assert 1 in stored(toy)


def test_a_deadline_for_repetitions_too(open_store, proxy, toy):
    store = open_store(proxy.url, codec="toy", retries=1000, timeout_s=0.5)
    store.store_agent_memory("a", ROWS[0], timestamp=1)
    proxy.lose("FCALL", 1000)
    with pytest.raises(modules_store.DeadlineExceededError):
        store.store_agent_memory("a", ROWS[1], timestamp=2)
    assert proxy.lost > 1
    assert stored(toy) == [1, 2]


def test_a_deadline_for_a_server_that_accepts_and_says_nothing(open_store):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = open_store(f"redis://127.0.0.1:{silent.getsockname()[1]}", codec="toy", timeout_s=0.3)
        with pytest.raises(modules_store.DeadlineExceededError):
            store.get_recent_memories("a")


def test_a_server_that_is_busy_is_asked_again(open_store, proxy, toy, server):
    store = open_store(proxy.url, codec="toy", retries=1000)
    store.store_agent_memory("a", ROWS[0], timestamp=1)
    before = toy.config_get("busy-reply-threshold")
    toy.config_set("busy-reply-threshold", 20)
    try:
        with ThreadPoolExecutor(2) as threads, redis.Redis.from_url(server.url) as other:
            endless = threads.submit(_run_endless, other)
            wait_until(lambda: _is_busy(toy))
            seen = proxy.requests
            call = threads.submit(store.store_agent_memory, "a", ROWS[1], None, 2)
            wait_until(lambda: proxy.requests >= seen + 3)
            toy.script_kill()
            endless.result()
            assert call.result() == 2
    finally:
        toy.config_set("busy-reply-threshold", before["busy-reply-threshold"])
    assert stored(toy) == [1, 2]


def _run_endless(client: redis.Redis) -> None:
    with pytest.raises(redis.ResponseError):
        client.eval("while true do end", 0)


def _is_busy(client: redis.Redis) -> bool:
    try:
        client.ping()
    except redis.ResponseError as error:
        return str(error).startswith("BUSY ")
    return False


def test_a_task_that_is_cancelled_leaves_the_connections_usable(server, toy, paused):
    async def run() -> None:
        async with AsyncRedisAgentMemory(server.url, codec="toy", max_connections=1) as store:
            await store.store_agent_memory("a", ROWS[0], timestamp=1)
            paused()
            waiting = asyncio.create_task(store.store_agent_memory("a", ROWS[1], timestamp=2))
            while not any(c["cmd"] == "fcall" and "b" in c["flags"] for c in toy.client_list()):
                await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            toy.client_unpause()
            assert await store.store_agent_memory("a", ROWS[2], timestamp=3) == 3
            memory = await store.retrieve_agent_memory("a", 3)
            np.testing.assert_array_equal(memory.state, ROWS[2])

    asyncio.run(run())


@pytest.mark.parametrize("timestamp", [None, 5])
def test_a_flush_whose_answer_is_lost_is_done_once(open_store, proxy, toy, timestamp):
    store = open_store(proxy.url, codec="toy", retries=0)
    store.store_agent_memory("a", ROWS[0], timestamp=1)
    with store.buffered() as buffer:
        for agent in ("a", "b"):
            buffer.store_agent_memory(agent, ROWS[1], {"n": 1}, timestamp)
        for _ in range(2):
            proxy.lose("FCALL")
            with pytest.raises(modules_store.FlushError, match="not stored yet: 2"):
                buffer.flush()
            assert proxy.lost == 1
        buffer.store_agent_memory("a", ROWS[2])
        buffer.flush()
        assert len(buffer) == 0
    assert len(stored(toy)) == 3
    assert len(indexed(toy, "b")) == 1
