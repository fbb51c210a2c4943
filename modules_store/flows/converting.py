"""Moves an agent's memories from one layout to another."""

from __future__ import annotations

from collections.abc import Callable

from modules_store import checks, keys
from modules_store.commands import script
from modules_store.flows import Flow, run
from modules_store.memories import Converted
from modules_store.policy import LAYOUTS


def convert_agent(
    agent_id: str, layout: str, *, step: int, on_progress: Callable[[Converted], None] | None
) -> Flow[Converted]:
    """Move an agent's memories to a layout, `step` of them a command."""
    checks.agent_id(agent_id)
    checks.choice(layout, "layout", LAYOUTS)
    checks.integer(step, "step", 1, checks.MAX_BATCH)
    documents = [keys.index(agent_id), keys.agent_metadata(agent_id)]
    done = Converted(0, 0)
    left = 1
    while left:
        moved, lost, left = yield from run(script("convert_agent", documents, layout, step))
        done += Converted(moved, lost)
        if on_progress is not None:
            on_progress(done)
    return done
