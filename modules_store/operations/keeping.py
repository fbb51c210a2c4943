"""Methods that drop what is not kept."""

from __future__ import annotations

from modules_store.flows import keeping
from modules_store.memories import Trimmed
from modules_store.operations import Awaited, Blocking, documented_by


class Keeping(Blocking):
    """Applies the policies of agents."""

    def trim_agent(self, agent_id: str, *, limit: int = 1000) -> Trimmed:
        """Drop what an agent's policy, that of its last store, does not keep; return what was done.

        Stores do so by themselves, but at most 1,000 memories more than they add: this is for what is left
        then, and for memories that expired since the last store. One call drops, or looks at, up to `limit`
        memories, 1 to 16,384; call it again until `left` is 0. Raises InvalidInputError,
        MemoryNotFoundError where the agent has memories but no document, ConnectionLostError, ServerError.
        """
        return self._drive(keeping.trim_agent(agent_id, limit))


@documented_by(Keeping)
class AsyncKeeping(Awaited):
    """Keeping, awaited."""

    async def trim_agent(self, agent_id: str, *, limit: int = 1000) -> Trimmed:
        return await self._drive(keeping.trim_agent(agent_id, limit))
