"""Methods that find memories."""

from __future__ import annotations

from typing import Any

from modules_store.flows import searching
from modules_store.memories import Similar
from modules_store.operations import Awaited, Blocking, documented_by


class Searching(Blocking):
    """Finds memories by their states."""

    def find_similar_memories(
        self, agent_id: str, state: Any, k: int = 10, *, newest: int = 16_384
    ) -> list[Similar]:
        """Return up to `k` memories of an agent whose states are nearest to `state`, nearest first.

        The distance is the Euclidean one to the state as it would be recalled, computed in the server; of
        equally near memories the newer comes first. `state` has shape [D]. `newest` is how many of the
        agent's newest memories are looked at, at most 16,384; those that Redis has evicted are passed over.
        `k` is at most 16,384. Raises InvalidInputError (StateShapeError where the agent's states have another
        length), CodecNotFoundError, CorruptMemoryError, ConnectionLostError, ServerError.
        """
        return self._drive(searching.find_similar(agent_id, state, k, newest))


@documented_by(Searching)
class AsyncSearching(Awaited):
    """Searching, awaited."""

    async def find_similar_memories(
        self, agent_id: str, state: Any, k: int = 10, *, newest: int = 16_384
    ) -> list[Similar]:
        return await self._drive(searching.find_similar(agent_id, state, k, newest))
