"""Methods that delete memories."""

from __future__ import annotations

from collections.abc import Iterable

from modules_store.flows import deleting
from modules_store.operations import Awaited, Blocking, documented_by


class Deleting(Blocking):
    """Deletes memories by their timestamps."""

    def delete_memories(self, agent_id: str, timestamps: Iterable[int]) -> int:
        """Delete an agent's memories at `timestamps`, with their metadata; return how many there were.

        Timestamps without a memory are passed over. Up to 16,384 go at once; more go in several steps, each
        of which leaves the agent consistent, and a call that was cut off can be repeated. Raises
        InvalidInputError, ConnectionLostError, ServerError.
        """
        return self._drive(deleting.delete_memories(agent_id, timestamps))

    def delete_agent(self, agent_id: str) -> int:
        """Delete all that there is of an agent; return how many memories the index had.

        Memories go in steps of up to 16,384, then values and metadata that the index does not have, which
        takes a SCAN of the whole keyspace, then the documents. A call that was cut off can be repeated.
        What others store meanwhile may be deleted, too, or stay. Bindings stay. Raises as `delete_memories`.
        """
        return self._drive(deleting.delete_agent(agent_id))


@documented_by(Deleting)
class AsyncDeleting(Awaited):
    """Deleting, awaited."""

    async def delete_memories(self, agent_id: str, timestamps: Iterable[int]) -> int:
        return await self._drive(deleting.delete_memories(agent_id, timestamps))

    async def delete_agent(self, agent_id: str) -> int:
        return await self._drive(deleting.delete_agent(agent_id))
