"""AsyncRedisAgentMemory, the client for asyncio: the same operations, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import redis
import redis.asyncio

from modules_store import errors, flows
from modules_store.attempts import Attempts, Patience
from modules_store.client import memory_systems
from modules_store.commands import Command
from modules_store.connections import AsyncConnections
from modules_store.copies import Folder
from modules_store.flows.restoring import restoring
from modules_store.flows.sending import Sender
from modules_store.operations.buffering import AsyncBuffering
from modules_store.operations.converting import AsyncConverting
from modules_store.operations.counting import AsyncCounting
from modules_store.operations.deleting import AsyncDeleting
from modules_store.operations.encoding import AsyncEncoding
from modules_store.operations.following import AsyncFollowing
from modules_store.operations.integrity import AsyncIntegrity
from modules_store.operations.keeping import AsyncKeeping
from modules_store.operations.querying import AsyncQuerying
from modules_store.operations.recalling import AsyncRecalling
from modules_store.operations.sampling import AsyncSampling
from modules_store.operations.searching import AsyncSearching
from modules_store.operations.storing import AsyncStoring
from modules_store.policy import Policy


class AsyncRedisAgentMemory(
    AsyncStoring,
    AsyncBuffering,
    AsyncRecalling,
    AsyncSampling,
    AsyncFollowing,
    AsyncSearching,
    AsyncQuerying,
    AsyncDeleting,
    AsyncIntegrity,
    AsyncCounting,
    AsyncKeeping,
    AsyncEncoding,
    AsyncConverting,
):
    """`RedisAgentMemory` for asyncio: the same methods, arguments, results and errors, awaited.

    Instances may be shared between tasks; each event loop in which one is used has connections of its own.

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
        layout: str | None = None,
        unbound: str = "float16",
        codec_files: Folder | Iterable[Folder] | None = None,
        mode: str = "auto",
        retries: int = 3,
        timeout_s: float | None = None,
        **connection_options: Any,
    ) -> None:
        """Prepare a client; nothing is sent before the first operation.

        `redis_url` is a URL or a `redis.asyncio.Redis`; all else is as for `RedisAgentMemory`. Raises
        InvalidInputError.
        """
        self._patience = Patience(retries, timeout_s)
        self._sender = Sender()
        self._connections = AsyncConnections(redis_url, connection_options, timeout_s)
        self._systems = memory_systems(
            codec,
            codec_version,
            compression_threshold,
            policy,
            layout=layout,
            unbound=unbound,
            codec_files=codec_files,
            mode=mode,
        )

    async def close(self) -> None:
        """Close the connections, unless they are those of a `redis.asyncio.Redis` that was given."""
        await self._connections.close()

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
        return self._connections.socket_timeout_s()

    async def _pause(self, pause_s: float) -> None:
        await asyncio.sleep(pause_s)

    async def _drive(self, flow: flows.Flow[flows.T]) -> flows.T:
        """Send what a flow yields and return its result; errors of redis-py become this package's."""
        attempts = Attempts(self._patience)
        commands = self._sender.commands(restoring(self._systems, flow))
        try:
            command = next(commands)
            while True:
                try:
                    reply = await self._answer(command, attempts)
                except (redis.RedisError, errors.DeadlineExceededError) as error:
                    command = commands.throw(error)
                else:
                    command = commands.send(reply)
        except StopIteration as end:
            result: flows.T = end.value
            return result
        except redis.RedisError as error:
            raise errors.from_redis_error(error) from error

    async def _answer(self, command: Command, attempts: Attempts) -> Any:
        """Return the answer to a command, sent as often as `attempts` allows."""
        arguments = attempts.begin(command)
        while True:
            try:
                return await self._connections.send(arguments, attempts.left_s())
            except redis.RedisError as error:
                pause_s, arguments = attempts.after(error, command)
                await self._pause(pause_s)
