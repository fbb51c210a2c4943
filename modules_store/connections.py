"""The connections of a client, blocking or not: opens them, or takes those of a client that is given.

Commands are sent over borrowed connections here and not by redis-py's `execute_command`, which would send
one again by itself where the connections were made so (the default of redis-py 6 and later), and a state
might be stored twice. What is sent again is for `attempts.py` to say.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import redis
import redis.asyncio
import redis.asyncio.retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError
from redis.retry import Retry

from modules_store import errors, urls
from modules_store.attempts import UnreachableError
from modules_store.commands import Argument

R = TypeVar("R", redis.Redis, redis.asyncio.Redis)

# Older versions want a command's name to find a connection and do nothing with it; newer ones deprecate it.
_FOR_ANY_COMMAND = ("",) if redis.VERSION < (5, 3) else ()


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

    def close(self) -> None:
        """Close the connections that were opened here."""
        if self._owned:
            self._redis.connection_pool.disconnect()

    def socket_timeout_s(self) -> float | None:
        """Return how long connections wait for an answer, None for ever."""
        return _socket_timeout_s(self._redis.connection_pool)

    def send(self, arguments: Sequence[Argument], timeout_s: float | None) -> Any:
        """Send one command and return the answer, waiting for up to `timeout_s` seconds, None for ever."""
        pool = self._redis.connection_pool
        with _unreachable():
            connection = pool.get_connection(*_FOR_ANY_COMMAND)
        try:
            if timeout_s is not None:
                connection._sock.settimeout(timeout_s)
            connection.send_command(*arguments)
            reply = self._redis.parse_response(connection, arguments[0])
            if timeout_s is not None:
                connection._sock.settimeout(connection.socket_timeout)
            return reply
        except redis.ResponseError:
            if timeout_s is not None:
                connection._sock.settimeout(connection.socket_timeout)
            raise
        except BaseException:
            connection.disconnect()  # its next answer would be that to this command
            raise
        finally:
            pool.release(connection)


class AsyncConnections:
    """The asyncio client's connections; tasks of one event loop may share them."""

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

    async def close(self) -> None:
        """Close the connections that were opened here."""
        if self._owned:
            await self._redis.connection_pool.disconnect()

    def socket_timeout_s(self) -> float | None:
        """Return how long connections wait for an answer, None for ever."""
        return _socket_timeout_s(self._redis.connection_pool)

    async def send(self, arguments: Sequence[Argument], timeout_s: float | None) -> Any:
        """Send one command and return the answer, waiting for up to `timeout_s` seconds, None for ever."""
        if timeout_s is None:
            return await self._send(arguments)
        try:
            return await asyncio.wait_for(self._send(arguments), timeout_s)
        except asyncio.TimeoutError as error:
            raise redis.TimeoutError("no answer in time") from error

    async def _send(self, arguments: Sequence[Argument]) -> Any:
        pool = self._redis.connection_pool
        with _unreachable():
            connection = await pool.get_connection(*_FOR_ANY_COMMAND)
        try:
            await connection.send_command(*arguments)
            return await self._redis.parse_response(connection, arguments[0])
        except redis.ResponseError:
            raise
        except BaseException:
            await connection.disconnect(nowait=True)  # its next answer would be that to this command
            raise
        finally:
            await pool.release(connection)


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
