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


@documented_by(Deleting)
class AsyncDeleting(Awaited):
    """Deleting, awaited."""

    async def delete_memories(self, agent_id: str, timestamps: Iterable[int]) -> int:
        return await self._drive(deleting.delete_memories(agent_id, timestamps))
