"""Connections that many share: full pools, several event loops, forks."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
import redis.asyncio

import modules_store
from modules_store import AsyncRedisAgentMemory, RedisAgentMemory
from tests.store import toy_codec
from tests.store.indexed import indexed
from tests.store.proxy import proxy_of

ROW = toy_codec.states(1)[0]


@pytest.mark.parametrize("given", [False, True])
def test_event_loops_one_after_the_other(server, toy, given):
    client = redis.asyncio.Redis.from_url(server.url) if given else server.url
    options = {} if given else {"client_name": "loops"}
    store = AsyncRedisAgentMemory(client, codec="toy", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # nobody closes the connections of the first five
        answered = [asyncio.run(store.store_agent_memory("a", ROW)) for _ in range(6)]
        assert indexed(toy) == sorted(answered)
        if not given:
            assert [client["name"] for client in toy.client_list()].count("loops") == 1
        asyncio.run(_stored_and_closed(store))
        gc.collect()
    if not given:
        assert "loops" not in [client["name"] for client in toy.client_list()]
    assert len(indexed(toy)) == 7


async def _stored_and_closed(store: AsyncRedisAgentMemory) -> None:
    await store.store_agent_memory("a", ROW)
    await store.close()


@pytest.mark.parametrize("given", [False, True])
def test_event_loops_in_threads(server, toy, given):
    store = AsyncRedisAgentMemory(
        redis.asyncio.Redis.from_url(server.url) if given else server.url, codec="toy"
    )
    together = threading.Barrier(4)

    async def write() -> list[int]:
        together.wait()
        return await asyncio.gather(*(store.store_agent_memory("a", ROW) for _ in range(5)))

    with warnings.catch_warnings(), ThreadPoolExecutor(4) as threads:
        warnings.simplefilter("ignore", ResourceWarning)
        running = [threads.submit(asyncio.run, write()) for _ in range(4)]
        answered = [timestamp for one in running for timestamp in one.result()]
    assert indexed(toy) == sorted(answered)


def test_a_client_of_another_loop_that_cannot_be_copied_is_refused(server, toy):
    class Own(redis.asyncio.ConnectionPool):
        pass

    store = AsyncRedisAgentMemory(redis.asyncio.Redis(connection_pool=Own.from_url(server.url)), codec="toy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        asyncio.run(store.store_agent_memory("a", ROW))
        with pytest.raises(modules_store.InvalidInputError, match="redis_url is a client with a Own that"):
            asyncio.run(store.store_agent_memory("a", ROW))
    assert len(indexed(toy)) == 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("kind", [RedisAgentMemory, AsyncRedisAgentMemory])
def test_forks(server, toy, kind):
    def store_one(store) -> int:
        stored = store.store_agent_memory("a", ROW)
        return stored if kind is RedisAgentMemory else loop.run_until_complete(stored)

    def store_some_in_a_child() -> None:
        own = asyncio.new_event_loop()  # the parent's is tied to the parent's selector
        for _ in range(20):
            stored = store.store_agent_memory("a", ROW)
            if kind is AsyncRedisAgentMemory:
                own.run_until_complete(stored)

    with contextlib.closing(asyncio.new_event_loop()) as loop:
        store = kind(server.url, codec="toy", max_connections=2)
        store_one(store)
        children = [_forked(store_some_in_a_child) for _ in range(2)]
        for _ in range(20):
            store_one(store)
        assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
        assert len(indexed(toy)) == 61
        closing = store.close()
        if closing is not None:
            loop.run_until_complete(closing)


def _forked(work) -> int:
    """Do work in a child; return its pid. The child leaves without the parent's cleaning up."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return pid


def test_500_tasks_and_four_connections(server, toy):
    async def run() -> list[int]:
        async with AsyncRedisAgentMemory(server.url, codec="toy", max_connections=4, timeout_s=60) as store:
            return await asyncio.gather(*(store.store_agent_memory(f"a{i % 7}", ROW) for i in range(500)))

    assert len(asyncio.run(run())) == 500
    assert sum(len(indexed(toy, f"a{i}")) for i in range(7)) == 500


@pytest.mark.parametrize("given", [False, True])
def test_32_threads_and_two_connections(server, toy, given):
    url = redis.Redis.from_url(server.url, max_connections=2) if given else f"{server.url}?max_connections=2"
    with RedisAgentMemory(url, codec="toy") as store, ThreadPoolExecutor(32) as threads:
        answered = list(threads.map(lambda _: store.store_agent_memory("a", ROW), range(320)))
    assert indexed(toy) == sorted(answered)


@pytest.fixture
def paused(toy):
    toy.client_pause(60_000, all=False)  # commands that write wait
    yield
    toy.client_unpause()


def test_no_connection_came_free_in_time(open_store, toy, paused):
    store = open_store(codec="toy", max_connections=1, timeout_s=0.5)
    with ThreadPoolExecutor() as threads:
        calls = [threads.submit(store.store_agent_memory, "a", ROW) for _ in range(3)]
        raised = [type(call.exception()) for call in calls]
    toy.client_unpause()
    assert all(issubclass(error, modules_store.DeadlineExceededError) for error in raised)


@pytest.mark.parametrize("kind", [redis.ConnectionPool, redis.BlockingConnectionPool])
def test_a_given_pool_whose_connections_others_use(server, toy, kind):
    options = {} if kind is redis.ConnectionPool else {"timeout": 0.1}
    client = redis.Redis(connection_pool=kind.from_url(server.url, max_connections=1, **options))
    store = RedisAgentMemory(client, codec="toy", timeout_s=0.3)
    taken = client.connection_pool.get_connection("")
    with pytest.raises(modules_store.PoolFullError, match="max_connections=1"):
        store.store_agent_memory("a", ROW)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(RedisAgentMemory(client, codec="toy").store_agent_memory, "a", ROW)
        assert not waiting.done()
        client.connection_pool.release(taken)
        stored = waiting.result()
        assert indexed(toy) == [stored]
    client.close()


def test_what_never_left_is_no_repetition(open_store, server, toy):
    with _held_port() as port, proxy_of(server.url, port=port) as proxy:
        store = open_store(proxy.url, codec="toy", retries=20)
        store.refresh_codec()
        proxy.close()
        toy.client_kill_filter(_type="normal", skipme=True)
        with ThreadPoolExecutor() as threads:
            waiting = threads.submit(store.store_agent_memory, "a", ROW)
            _stores_come_between(server.url, 40)
            with proxy_of(server.url, port=port):
                assert waiting.result() in indexed(toy)


@contextlib.contextmanager
def _held_port():
    """A port that nobody else gets while nothing listens there."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def _stores_come_between(url: str, count: int) -> None:
    with RedisAgentMemory(url, codec="toy") as other:
        for _ in range(count):
            other.store_agent_memory("a", ROW)
