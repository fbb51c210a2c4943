"""Methods that recall memories."""

from __future__ import annotations

from modules_store.flows import recalling
from modules_store.memories import Memory
from modules_store.operations import Awaited, Blocking, documented_by


class Recalling(Blocking):
    """Recalls memories by their timestamps or their order."""

    def retrieve_agent_memory(self, agent_id: str, timestamp: int) -> Memory:
        """Return the memory that an agent has at `timestamp`.

        Raises InvalidInputError, MemoryNotFoundError, CodecNotFoundError where its decoder is gone,
        CorruptMemoryError, ConnectionLostError, ServerError.
        """
        return self._drive(recalling.recall_memory(agent_id, timestamp))

    def get_recent_memories(self, agent_id: str, count: int = 10) -> list[Memory]:
        """Return up to `count` memories of an agent, newest first, at most 16,384; none for an unknown agent.

        Memories that Redis has evicted are passed over. Raises as `retrieve_agent_memory`, save
        MemoryNotFoundError.
        """
        return self._drive(recalling.recall_recent(agent_id, count))


@documented_by(Recalling)
class AsyncRecalling(Awaited):
    """Recalling, awaited."""

    async def retrieve_agent_memory(self, agent_id: str, timestamp: int) -> Memory:
        return await self._drive(recalling.recall_memory(agent_id, timestamp))

    async def get_recent_memories(self, agent_id: str, count: int = 10) -> list[Memory]:
        return await self._drive(recalling.recall_recent(agent_id, count))
