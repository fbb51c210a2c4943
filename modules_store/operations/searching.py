"""Methods that find memories."""

from __future__ import annotations

from typing import Any

from modules_store.flows import searching
from modules_store.memories import Similar
from modules_store.operations import Awaited, Blocking, documented_by


class Searching(Blocking):
    """Finds memories by their states."""

    def find_similar_memories(
        self,
        agent_id: str,
        state: Any,
        k: int = 10,
        *,
        space: str = "state",
        weights: Any = None,
        start: int | None = None,
        end: int | None = None,
        newest: int | None = 16_384,
    ) -> list[Similar]:
        """Return up to `k` memories of an agent whose states are nearest to `state`, nearest first.

        `state` has shape [D], `k` is at most 16,384. In the space "state" the distance is the Euclidean one
        to the state as it would be recalled; `weights`, numbers[D] from 0, multiply the differences of the
        features: 1 / their standard deviations make those of different units count alike, 0 leaves one out.
        In the space "codec" it is the Euclidean one of the latents, which weigh the features as the codec
        does; the state is encoded like the memories, which must all be of the agent's present codec and
        version. Of equally near ones the newer comes first.

        Only the `newest` memories of those from `start` to `end`, both included, are looked at, None for all
        of them: what is older is not found, however near it is. Each 16,384 take a call. Memories that Redis
        has evicted are passed over.

        Raises InvalidInputError (StateShapeError where the agent's states have another length; in the space
        "codec" StateRangeError for what the codec cannot take), CodecNotFoundError where a model is missing,
        as that of the latents is where a codec was published without it, CodecMismatchError where memories
        are of another codec's space, CorruptMemoryError, ConnectionLostError, ServerError.
        """
        return self._drive(
            searching.find_similar(
                agent_id, state, k, space=space, weights=weights, start=start, end=end, newest=newest
            )
        )


@documented_by(Searching)
class AsyncSearching(Awaited):
    """Searching, awaited."""

    async def find_similar_memories(
        self,
        agent_id: str,
        state: Any,
        k: int = 10,
        *,
        space: str = "state",
        weights: Any = None,
        start: int | None = None,
        end: int | None = None,
        newest: int | None = 16_384,
    ) -> list[Similar]:
        return await self._drive(
            searching.find_similar(
                agent_id, state, k, space=space, weights=weights, start=start, end=end, newest=newest
            )
        )
