"""AsyncRedisAgentMemory, the client for asyncio: the same operations, awaited."""

from __future__ import annotations

from types import TracebackType

import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from modules_store import errors, flows
from modules_store.client import memory_systems, refuse_decoding, socket_timeout_s
from modules_store.operations.buffering import AsyncBuffering
from modules_store.operations.encoding import AsyncEncoding
from modules_store.operations.following import AsyncFollowing
from modules_store.operations.recalling import AsyncRecalling
from modules_store.operations.storing import AsyncStoring
from modules_store.policy import Policy


class AsyncRedisAgentMemory(AsyncStoring, AsyncBuffering, AsyncRecalling, AsyncFollowing, AsyncEncoding):
    """`RedisAgentMemory` for asyncio: the same methods, arguments, results and errors, awaited.

    Instances may be shared between the tasks of one event loop.

    >>> async with AsyncRedisAgentMemory("redis://127.0.0.1:6379") as memory:
    ...     await memory.store_agent_memory("drone-7", state, {"step": 1})
    ...     recent = await memory.get_recent_memories("drone-7", 10)
    """

    def __init__(
        self,
        redis_url: str | redis.asyncio.Redis = "redis://127.0.0.1:6379",
        *,
        codec: str | None = None,
        codec_version: int | None = None,
        compression_threshold: int | None = None,
        policy: Policy | None = None,
    ) -> None:
        """Prepare a client; nothing is sent before the first operation.

        `redis_url` is a URL or a `redis.asyncio.Redis`; all else is as for `RedisAgentMemory`. Raises
        InvalidInputError.
        """
        self._redis = connect(redis_url)
        self._owns_connections = isinstance(redis_url, str)
        self._systems = memory_systems(codec, codec_version, compression_threshold, policy)

    async def close(self) -> None:
        """Close the connections, unless they are those of a `redis.asyncio.Redis` that was given."""
        if self._owns_connections:
            await self._redis.connection_pool.disconnect()

    async def __aenter__(self) -> AsyncRedisAgentMemory:
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def _socket_timeout_s(self) -> float | None:
        """Return how long connections wait for an answer, None for ever."""
        return socket_timeout_s(self._redis.connection_pool)

    async def _drive(self, flow: flows.Flow[flows.T]) -> flows.T:
        """Send what a flow yields and return its result; errors of redis-py become this package's."""
        try:
            command = next(flow)
            while True:
                try:
                    reply = await self._redis.execute_command(*command.arguments)
                except redis.RedisError as error:
                    command = flow.throw(error)
                else:
                    command = flow.send(reply)
        except StopIteration as end:
            result: flows.T = end.value
            return result
        except redis.RedisError as error:
            raise errors.from_redis_error(error) from error


def connect(redis_url: str | redis.asyncio.Redis) -> redis.asyncio.Redis:
    """Return a client that does not repeat commands by itself; raise InvalidInputError."""
    if isinstance(redis_url, redis.asyncio.Redis):
        refuse_decoding(redis_url.connection_pool.connection_kwargs)
        return redis.asyncio.Redis(connection_pool=redis_url.connection_pool)
    try:
        return redis.asyncio.Redis.from_url(redis_url, retry=Retry(NoBackoff(), 0))
    except ValueError as problem:
        raise errors.InvalidInputError(f"redis_url {redis_url!r}: {problem}") from problem
