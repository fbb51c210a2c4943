"""Methods that gather single stores, and what they return: a buffer for each kind of client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any

from modules_store.flows import Flow
from modules_store.flows.buffering import Buffer
from modules_store.operations import Awaited, Blocking, documented_by


class BufferedStores:
    """Gathers stores of single states; `RedisAgentMemory.buffered` makes it. For one thread at a time."""

    def __init__(self, buffer: Buffer, drive: Callable[[Flow[None]], None]) -> None:
        """Take what waits, and what runs its flows."""
        self._buffer = buffer
        self._drive = drive

    def store_agent_memory(
        self,
        agent_id: str,
        agent_state: Any,
        metadata: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
    ) -> None:
        """Check and copy a state, to be stored with the next flush; flush where that is due.

        Arguments and InvalidInputError are those of `RedisAgentMemory.store_agent_memory`: what raises it
        is not gathered. After FlushError it is, and must not be given again.
        """
        self._run(self._buffer.add(agent_id, agent_state, metadata, timestamp))

    def flush(self) -> None:
        """Store what waits; raise FlushError where not all of it could be stored."""
        self._run(self._buffer.flush())

    def __len__(self) -> int:
        """How many states wait."""
        return len(self._buffer)

    def __enter__(self) -> BufferedStores:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.flush()

    def _run(self, flow: Flow[None]) -> None:
        try:
            self._drive(flow)
        finally:
            flow.close()  # what an interruption left unsent waits again at once


@documented_by(BufferedStores)
class AsyncBufferedStores:
    """BufferedStores, awaited; for the tasks of one event loop."""

    def __init__(self, buffer: Buffer, drive: Callable[[Flow[None]], Awaitable[None]]) -> None:
        """Take what waits, and what runs its flows."""
        self._buffer = buffer
        self._drive = drive

    async def store_agent_memory(
        self,
        agent_id: str,
        agent_state: Any,
        metadata: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
    ) -> None:
        await self._run(self._buffer.add(agent_id, agent_state, metadata, timestamp))

    async def flush(self) -> None:
        await self._run(self._buffer.flush())

    def __len__(self) -> int:
        """How many states wait."""
        return len(self._buffer)

    async def __aenter__(self) -> AsyncBufferedStores:
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.flush()

    async def _run(self, flow: Flow[None]) -> None:
        try:
            await self._drive(flow)
        finally:
            flow.close()


class Buffering(Blocking):
    """Gathers single stores."""

    def buffered(self, *, size: int = 1000, age_s: float = 1.0) -> BufferedStores:
        """Return a context manager whose `store_agent_memory` gathers states and stores them together.

        They are flushed once `size` of them wait, 1 to 16,384, or the first for `age_s` seconds, which is
        looked at with each store: nothing runs in between. Leaving the context flushes, on errors, too. A
        flush is one call for all agents, in a cluster one for each hash slot, and each agent's states are
        stored as by one `store_agent_memories`: timestamps that the server gives are those of the flush.

        Where a flush fails, FlushError says how many states are left. They go on waiting in the buffer, and
        the next flush tries again. One agent whose memories are refused does not hold up the others. Where
        the answer to a flush was lost, the next one sends the same call again first, and what was stored is
        not stored twice. Raises InvalidInputError.
        """
        return BufferedStores(Buffer(self._systems, size, age_s), self._drive)


@documented_by(Buffering)
class AsyncBuffering(Awaited):
    """Buffering, awaited."""

    def buffered(self, *, size: int = 1000, age_s: float = 1.0) -> AsyncBufferedStores:
        return AsyncBufferedStores(Buffer(self._systems, size, age_s), self._drive)
