"""Methods that change how an agent's memories are kept."""

from __future__ import annotations

from collections.abc import Callable

from modules_store.flows import converting
from modules_store.memories import Converted
from modules_store.operations import Awaited, Blocking, documented_by


class Converting(Blocking):
    """Moves memories between layouts."""

    def convert_agent(
        self,
        agent_id: str,
        layout: str,
        *,
        step: int = 1000,
        on_progress: Callable[[Converted], None] | None = None,
    ) -> Converted:
        """Move an agent's memories to the layout "keys" or "packed", inside the server; return what was done.

        They are moved in steps of up to `step` memories, 1 to 16,384, each done as a whole or not at all;
        after each `on_progress` is called with what was done so far. Between two steps the agent has
        memories in both layouts, and all operations find them as before. Whatever interrupts this, no memory
        is lost, and calling it again goes on. Timestamps, metadata, expiry and priorities stay. An agent
        that is in that layout already, or has no memories, stays as it is.
        Raises InvalidInputError, InvalidMetadataError where RedisJSON refuses metadata that the layout
        "packed" has taken, OutOfMemoryError, ConnectionLostError, ServerError.
        """
        return self._drive(converting.convert_agent(agent_id, layout, step=step, on_progress=on_progress))


@documented_by(Converting)
class AsyncConverting(Awaited):
    """Converting, awaited."""

    async def convert_agent(
        self,
        agent_id: str,
        layout: str,
        *,
        step: int = 1000,
        on_progress: Callable[[Converted], None] | None = None,
    ) -> Converted:
        return await self._drive(
            converting.convert_agent(agent_id, layout, step=step, on_progress=on_progress)
        )
