"""Methods that store states at once; `buffering.py` has those that gather them first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modules_store.flows import storing
from modules_store.operations import Awaited, Blocking, documented_by


class Storing(Blocking):
    """Stores states: one or a batch of one agent, or one of each of many."""

    def store_agent_memory(
        self,
        agent_id: str,
        agent_state: Any,
        metadata: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
    ) -> int:
        """Store one state and return its timestamp.

        `agent_id` is text of 1 to 256 UTF-8 bytes without braces or control characters. `agent_state` has
        shape [D] and any real dtype: an array, a torch tensor or a sequence; it is rounded to float32.
        `metadata` is a mapping with text keys that JSON can express. `timestamp` is an integer from 0 to
        2**53 - 1, new for the agent; by default the server gives the time in milliseconds, or one more
        than the agent's newest timestamp if that is later. Raises InvalidInputError (its subclasses say
        which argument), TimestampExistsError, CodecNotFoundError, CodecMismatchError, OutOfMemoryError,
        ConnectionLostError, ServerError.
        """
        return self._drive(storing.store_memory(self._systems, agent_id, agent_state, metadata, timestamp))

    def store_agent_memories(
        self,
        agent_id: str,
        agent_states: Any,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        timestamps: Sequence[int] | None = None,
    ) -> list[int]:
        """Store up to 16,384 states of one agent in one call, all or none; return their timestamps.

        `agent_states` has shape [B, D]. `metadata` and `timestamps`, where given, have B entries; an entry
        of `metadata` may be None. Timestamps that the server gives are consecutive. More than 16,384 states,
        or 512 MiB with their metadata, are refused before they are sent. Arguments and errors are otherwise
        those of `store_agent_memory`, and the agent ends up with the same memories as by B such calls.
        """
        return self._drive(
            storing.store_memories(self._systems, agent_id, agent_states, metadata, timestamps)
        )

    def store_step(
        self,
        states: Mapping[str, Any],
        metadata: Mapping[str, Mapping[str, Any] | None] | None = None,
        timestamp: int | None = None,
    ) -> dict[str, int]:
        """Store one state of each of up to 16,384 agents in one call, all or none; return their timestamps.

        `states` and `metadata` are mappings by agent id; agents may be left out of `metadata`. `timestamp` is
        that of all states; by default the server gives each agent its own, as `store_agent_memory` does.
        Agents may have different codecs and policies; those that share a codec are encoded together.

        In a cluster there is one call for each hash slot, so it is the agents of one slot that are stored all
        or none: where a call is refused, those before it have stored. Errors are otherwise those of
        `store_agent_memory`.
        """
        return self._drive(storing.store_step(self._systems, states, metadata, timestamp))


@documented_by(Storing)
class AsyncStoring(Awaited):
    """Storing, awaited."""

    async def store_agent_memory(
        self,
        agent_id: str,
        agent_state: Any,
        metadata: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
    ) -> int:
        return await self._drive(
            storing.store_memory(self._systems, agent_id, agent_state, metadata, timestamp)
        )

    async def store_agent_memories(
        self,
        agent_id: str,
        agent_states: Any,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        timestamps: Sequence[int] | None = None,
    ) -> list[int]:
        return await self._drive(
            storing.store_memories(self._systems, agent_id, agent_states, metadata, timestamps)
        )

    async def store_step(
        self,
        states: Mapping[str, Any],
        metadata: Mapping[str, Mapping[str, Any] | None] | None = None,
        timestamp: int | None = None,
    ) -> dict[str, int]:
        return await self._drive(storing.store_step(self._systems, states, metadata, timestamp))
