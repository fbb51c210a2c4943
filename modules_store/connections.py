"""The connections of a client, blocking or not: opens them, or takes those of a client that is given.

Commands are sent over borrowed connections here and not by redis-py's `execute_command`, which would send
one again by itself where the connections were made so (the default of redis-py 6 and later), and a state
might be stored twice. What is sent again is for `attempts.py` to say.

Where all of a pool's connections are in use, a command waits for one. Each process and each event loop has
connections of its own: one that is used in another loop may send a command and then fail to read its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import redis
import redis.asyncio
import redis.asyncio.retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError
from redis.retry import Retry

from modules_store import errors, urls
from modules_store.attempts import UnreachableError, is_of_replica
from modules_store.commands import Argument

R = TypeVar("R", redis.Redis, redis.asyncio.Redis)

# Older versions want a command's name to find a connection and do nothing with it; newer ones deprecate it.
_FOR_ANY_COMMAND = ("",) if redis.VERSION < (5, 3) else ()

_LOOK_AGAIN_S = 0.005
"""How often a pool is asked whose connections others than this client use up."""


class Connections:
    """The blocking client's connections; threads may share them."""

    def __init__(
        self, redis_url: str | redis.Redis, options: Mapping[str, Any], timeout_s: float | None
    ) -> None:
        self._owned = not isinstance(redis_url, redis.Redis)
        options = _options(redis_url, options, timeout_s)
        if isinstance(redis_url, redis.Redis):
            # A client of our own on the same connections: the other's response callbacks stay out of our
            # replies.
            self._redis = redis.Redis(connection_pool=redis_url.connection_pool)
        else:
            self._redis = _opened(
                redis.Redis.from_url, redis_url, {"retry": Retry(NoBackoff(), 0), **options}
            )
        self._room_of = os.getpid(), threading.Semaphore(self._redis.connection_pool.max_connections)

    def close(self) -> None:
        """Close the connections that were opened here."""
        if self._owned:
            self._redis.connection_pool.disconnect()

    def socket_timeout_s(self) -> float | None:
        """Return how long connections wait for an answer, None for ever."""
        return _socket_timeout_s(self._redis.connection_pool)

    def send(self, arguments: Sequence[Argument], timeout_s: float | None) -> Any:
        """Send one command and return the answer, waiting for up to `timeout_s` seconds, None for ever."""
        end_s = None if timeout_s is None else time.monotonic() + timeout_s
        pool, room = self._redis.connection_pool, self._room()
        if not room.acquire(timeout=timeout_s):
            raise _all_in_use(pool)
        try:
            if end_s is not None and time.monotonic() >= end_s:
                raise _all_in_use(pool)
            connection = _taken(pool, end_s)
            try:
                return self._send(connection, arguments, end_s)
            finally:
                pool.release(connection)
        finally:
            room.release()

    def _send(self, connection: Any, arguments: Sequence[Argument], end_s: float | None) -> Any:
        try:
            if end_s is not None:
                connection._sock.settimeout(max(end_s - time.monotonic(), 0.001))
            connection.send_command(*arguments)
            reply = self._redis.parse_response(connection, arguments[0])
            if end_s is not None:
                connection._sock.settimeout(connection.socket_timeout)
            return reply
        except redis.ResponseError as error:
            if is_of_replica(error):
                connection.disconnect()
            elif end_s is not None:
                connection._sock.settimeout(connection.socket_timeout)
            raise
        except BaseException:
            connection.disconnect()  # its next answer would be that to this command
            raise

    def _room(self) -> threading.Semaphore:
        """Return what counts the connections that are free, anew after a fork, as redis-py's pools do."""
        pid, room = self._room_of
        if pid != os.getpid():
            room = threading.Semaphore(self._redis.connection_pool.max_connections)
            self._room_of = os.getpid(), room
        return room


def _taken(pool: redis.ConnectionPool, end_s: float | None) -> Any:
    """Return a connection of the pool, waiting until `end_s` where others than this client use them all."""
    while True:
        try:
            with _unreachable():
                return pool.get_connection(*_FOR_ANY_COMMAND)
        except UnreachableError as error:
            if not _is_full(error):
                raise
        if end_s is not None and time.monotonic() >= end_s:
            raise _all_in_use(pool)
        time.sleep(_LOOK_AGAIN_S)


@dataclass(frozen=True, slots=True)
class _OfLoop:
    """The connections of one event loop."""

    pool: redis.asyncio.ConnectionPool
    room: asyncio.Semaphore
    owned: bool
    """Whether they were opened here."""


class AsyncConnections:
    """The asyncio client's connections: a pool for each event loop, in whose tasks it is used."""

    def __init__(
        self, redis_url: str | redis.asyncio.Redis, options: Mapping[str, Any], timeout_s: float | None
    ) -> None:
        self._owned = not isinstance(redis_url, redis.asyncio.Redis)
        options = _options(redis_url, options, timeout_s)
        if isinstance(redis_url, redis.asyncio.Redis):
            self._redis = redis.asyncio.Redis(connection_pool=redis_url.connection_pool)
        else:
            never = redis.asyncio.retry.Retry(NoBackoff(), 0)
            self._redis = _opened(redis.asyncio.Redis.from_url, redis_url, {"retry": never, **options})
        self._of_loops: dict[asyncio.AbstractEventLoop, _OfLoop] = {}
        self._first_is_taken = False
        """Whether the pool of `self._redis` is that of a loop."""
        self._pid = os.getpid()
        self._inherited: list[object] = []
        self._lock = threading.Lock()
        """Held where `_of_loops` changes: loops may run in several threads."""

    async def close(self) -> None:
        """Close the connections that were opened here."""
        with self._lock:
            self._forget_inherited()
            self._forget_closed()
            of_loops = [(loop, of) for loop, of in self._of_loops.items() if of.owned]
        here = asyncio.get_running_loop()
        for loop, of_loop in of_loops:
            if loop is here:
                await of_loop.pool.disconnect()
            elif loop.is_running():
                closing = asyncio.run_coroutine_threadsafe(of_loop.pool.disconnect(), loop)
                await asyncio.wrap_future(closing)

    def socket_timeout_s(self) -> float | None:
        """Return how long connections wait for an answer, None for ever."""
        return _socket_timeout_s(self._redis.connection_pool)

    async def send(self, arguments: Sequence[Argument], timeout_s: float | None) -> Any:
        """Send one command and return the answer, waiting for up to `timeout_s` seconds, None for ever."""
        end_s = None if timeout_s is None else time.monotonic() + timeout_s
        of_loop = self._of_this_loop()
        if of_loop.room.locked() and timeout_s is not None:
            try:
                await asyncio.wait_for(of_loop.room.acquire(), timeout_s)
            except asyncio.TimeoutError:
                raise _all_in_use(of_loop.pool) from None
        else:
            await of_loop.room.acquire()
        try:
            if end_s is None:
                return await self._send(of_loop.pool, arguments, end_s)
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                raise _all_in_use(of_loop.pool)
            try:
                return await asyncio.wait_for(self._send(of_loop.pool, arguments, end_s), left_s)
            except asyncio.TimeoutError as error:
                raise redis.TimeoutError("no answer in time") from error
        finally:
            of_loop.room.release()

    async def _send(self, pool: Any, arguments: Sequence[Argument], end_s: float | None) -> Any:
        connection = await _taken_awaited(pool, end_s)
        try:
            await connection.send_command(*arguments)
            return await self._redis.parse_response(connection, arguments[0])
        except redis.ResponseError as error:
            if is_of_replica(error):
                await connection.disconnect(nowait=True)
            raise
        except BaseException:
            await connection.disconnect(nowait=True)  # its next answer would be that to this command
            raise
        finally:
            await pool.release(connection)

    def _of_this_loop(self) -> _OfLoop:
        loop = asyncio.get_running_loop()
        found = self._of_loops.get(loop) if self._pid == os.getpid() else None
        if found is not None:
            return found
        with self._lock:
            self._forget_inherited()
            self._forget_closed()
            return self._of_loops.setdefault(loop, self._opened_for(loop))

    def _opened_for(self, loop: asyncio.AbstractEventLoop) -> _OfLoop:
        first = self._redis.connection_pool
        if not self._first_is_taken and not _is_of_another(first, loop):
            self._first_is_taken = True
            return _OfLoop(first, asyncio.Semaphore(first.max_connections), self._owned)
        if type(first) not in (redis.asyncio.ConnectionPool, redis.asyncio.BlockingConnectionPool):
            raise errors.InvalidInputError(
                f"redis_url is a client with a {type(first).__name__} that belongs to another event loop: "
                "give one that was made for this loop"
            )
        pool = redis.asyncio.ConnectionPool(
            first.connection_class, first.max_connections, **first.connection_kwargs
        )
        return _OfLoop(pool, asyncio.Semaphore(pool.max_connections), True)

    def _forget_inherited(self) -> None:
        """After a fork, leave the parent's connections alone; closing one would reach into its event loop."""
        if self._pid != os.getpid():
            self._inherited.append(self._of_loops)  # what is collected is closed
            self._of_loops, self._first_is_taken, self._pid = {}, True, os.getpid()

    def _forget_closed(self) -> None:
        for loop in [loop for loop in self._of_loops if loop.is_closed()]:
            of_loop = self._of_loops.pop(loop)
            if of_loop.owned:
                _hang_up(of_loop.pool)


async def _taken_awaited(pool: Any, end_s: float | None) -> Any:
    """`_taken`, awaited."""
    while True:
        try:
            with _unreachable():
                return await pool.get_connection(*_FOR_ANY_COMMAND)
        except UnreachableError as error:
            if not _is_full(error):
                raise
        if end_s is not None and time.monotonic() + _LOOK_AGAIN_S >= end_s:
            raise _all_in_use(pool)
        await asyncio.sleep(_LOOK_AGAIN_S)


def _connections_of(pool: Any) -> list[Any]:
    """Return the connections of an asyncio pool, in use or not."""
    names = ("_available_connections", "_in_use_connections", "_connections")
    return [connection for name in names for connection in getattr(pool, name, ())]


def _is_of_another(pool: Any, loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether a pool has connections that another event loop opened."""
    readers = [getattr(connection, "_reader", None) for connection in _connections_of(pool)]
    return any(getattr(reader, "_loop", loop) is not loop for reader in readers)


def _hang_up(pool: Any) -> None:
    """Close connections of an event loop that is closed, in which their own methods would run."""
    for connection in _connections_of(pool):
        writer = getattr(connection, "_writer", None)
        connection._reader = connection._writer = None
        if writer is not None:
            with contextlib.suppress(Exception):  # what loops of other packages have there
                writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


def _is_full(error: Exception) -> bool:
    """Return whether redis-py says so that all connections of a pool are in use; it has no class for it."""
    return str(error).startswith(("Too many connections", "No connection available"))


def _all_in_use(pool: Any) -> errors.PoolFullError:
    return errors.PoolFullError(
        f"all connections were in use until timeout_s was over (max_connections={pool.max_connections}); "
        "the command was not sent"
    )


def _socket_timeout_s(pool: Any) -> float | None:
    timeout_s: float | None = pool.connection_class(**pool.connection_kwargs).socket_timeout
    return timeout_s  # where the user said nothing, redis-py may have a default


@contextlib.contextmanager
def _unreachable() -> Iterator[None]:
    """Tell a connection that could not be had from one that broke; a refused password is neither."""
    try:
        yield
    except (AuthenticationError, AuthorizationError):
        raise
    except (redis.ConnectionError, redis.TimeoutError) as error:
        if isinstance(error.__cause__, AuthenticationError):  # redis-py's asyncio connections wrap it
            raise error.__cause__ from None
        raise UnreachableError(str(error)) from error


def _options(given: object, options: Mapping[str, Any], timeout_s: float | None) -> dict[str, Any]:
    """Return the options to open connections with; raise InvalidInputError where they cannot be."""
    if isinstance(given, redis.Redis | redis.asyncio.Redis):
        if options:
            named = ", ".join(options)
            raise errors.InvalidInputError(
                f"{named}: redis_url is a client, which has its connections already"
            )
        if given.connection_pool.connection_kwargs.get("decode_responses"):
            raise errors.InvalidInputError(
                "redis_url is a client with decode_responses=True, but memories are bytes"
            )
        return {}
    if not isinstance(given, str):
        raise errors.InvalidInputError(
            f"redis_url is of type {type(given).__name__}, not a URL or a client of this kind"
        )
    if "decode_responses" in options or "decode_responses" in parse_qs(urlsplit(given).query):
        raise errors.InvalidInputError("decode_responses is not an option here: memories are bytes")
    # Shaking hands with a server is bounded by these; newer redis-py would set bounds of its own.
    return {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s, **options}


def _opened(from_url: Callable[..., R], url: str, options: Mapping[str, Any]) -> R:
    """Return a client for a URL; InvalidInputError where the URL or an option is none that redis-py knows."""
    try:
        opened = from_url(url, **options)
        pool = opened.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # unknown options would show with the first command
        return opened
    except ValueError as problem:
        # Its traceback would show the password, too.
        raise errors.InvalidInputError(f"redis_url: {urls.why_unusable(url, problem)}") from None
    except (TypeError, redis.RedisError) as problem:
        raise errors.InvalidInputError(f"options of the connection: {problem}") from problem
