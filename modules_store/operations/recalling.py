"""Methods that recall memories."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator

from modules_store.flows import recalling
from modules_store.memories import Memories, Memory
from modules_store.operations import Awaited, Blocking, documented_by


class Recalling(Blocking):
    """Recalls memories by their timestamps or their order."""

    def retrieve_agent_memory(self, agent_id: str, timestamp: int) -> Memory:
        """Return the memory that an agent has at `timestamp`.

        Raises InvalidInputError, MemoryNotFoundError, CodecNotFoundError where its decoder is gone,
        CorruptMemoryError, ConnectionLostError, ServerError.
        """
        return self._drive(recalling.recall_memory(self._systems, agent_id, timestamp))

    def get_recent_memories(self, agent_id: str, count: int = 10, *, fields: str = "both") -> Memories:
        """Return up to `count` memories of an agent, newest first, at most 16,384; none for an unknown agent.

        Memories that Redis has evicted are passed over. `fields` as in `retrieve_agent_memories`; raises as
        `retrieve_agent_memory`, save MemoryNotFoundError.
        """
        return self._drive(recalling.recall_recent(self._systems, agent_id, count, fields))

    def retrieve_agent_memories(
        self, agent_id: str, timestamps: Iterable[int], *, missing: str = "error", fields: str = "both"
    ) -> Memories:
        """Return the memories that an agent has at `timestamps`, up to 16,384, in that order.

        Where there is none, or Redis has evicted it, `missing` says what happens: "error" raises
        MemoryNotFoundError with the first, "skip" passes over it. With `fields` "states" metadata is None
        and no document is read; with "metadata" states are float32[0] and no decoder runs. Raises as
        `retrieve_agent_memory`.
        """
        return self._drive(recalling.recall_memories(self._systems, agent_id, timestamps, missing, fields))

    def get_memories_between(
        self,
        agent_id: str,
        start: int | None = None,
        end: int | None = None,
        *,
        limit: int = 1000,
        newest_first: bool = False,
        fields: str = "both",
    ) -> Memories:
        """Return the first `limit` memories, at most 16,384, from `start` to `end`, both included.

        None leaves a side open. The next page starts after the last timestamp of this one. Memories that
        Redis has evicted are passed over. `fields` as in `retrieve_agent_memories`; raises as
        `get_recent_memories`.
        """
        return self._drive(
            recalling.recall_between(
                self._systems, agent_id, start, end, limit=limit, newest_first=newest_first, fields=fields
            )
        )

    def iterate_memories(
        self,
        agent_id: str,
        start: int | None = None,
        end: int | None = None,
        *,
        page: int = 1000,
        fields: str = "both",
    ) -> Iterator[Memory]:
        """Yield the memories from `start` to `end`, oldest first, recalled `page` at a time.

        Arguments are checked when the first is asked for. What is stored meanwhile after the last one
        yielded is yielded, too. Otherwise as `get_memories_between`.
        """
        following = start
        while True:
            memories, after = self._drive(
                recalling.recall_page(self._systems, agent_id, following, end, page=page, fields=fields)
            )
            yield from memories
            if after is None:
                return
            following = after

    def count_memories(self, agent_id: str, start: int | None = None, end: int | None = None) -> int:
        """Return how many memories an agent has from `start` to `end`, both included; 0 for an unknown agent.

        Those that Redis has evicted count until they are removed from the index. Raises InvalidInputError,
        ConnectionLostError, ServerError.
        """
        return self._drive(recalling.count_memories(agent_id, start, end))


@documented_by(Recalling)
class AsyncRecalling(Awaited):
    """Recalling, awaited."""

    async def retrieve_agent_memory(self, agent_id: str, timestamp: int) -> Memory:
        return await self._drive(recalling.recall_memory(self._systems, agent_id, timestamp))

    async def get_recent_memories(self, agent_id: str, count: int = 10, *, fields: str = "both") -> Memories:
        return await self._drive(recalling.recall_recent(self._systems, agent_id, count, fields))

    async def retrieve_agent_memories(
        self, agent_id: str, timestamps: Iterable[int], *, missing: str = "error", fields: str = "both"
    ) -> Memories:
        return await self._drive(
            recalling.recall_memories(self._systems, agent_id, timestamps, missing, fields)
        )

    async def get_memories_between(
        self,
        agent_id: str,
        start: int | None = None,
        end: int | None = None,
        *,
        limit: int = 1000,
        newest_first: bool = False,
        fields: str = "both",
    ) -> Memories:
        return await self._drive(
            recalling.recall_between(
                self._systems, agent_id, start, end, limit=limit, newest_first=newest_first, fields=fields
            )
        )

    async def iterate_memories(
        self,
        agent_id: str,
        start: int | None = None,
        end: int | None = None,
        *,
        page: int = 1000,
        fields: str = "both",
    ) -> AsyncIterator[Memory]:
        following = start
        while True:
            memories, after = await self._drive(
                recalling.recall_page(self._systems, agent_id, following, end, page=page, fields=fields)
            )
            for memory in memories:
                yield memory
            if after is None:
                return
            following = after

    async def count_memories(self, agent_id: str, start: int | None = None, end: int | None = None) -> int:
        return await self._drive(recalling.count_memories(agent_id, start, end))
