"""Drops what an agent's policy does not keep."""

from __future__ import annotations

from modules_store import checks, keys
from modules_store.commands import script
from modules_store.flows import Flow, run
from modules_store.memories import Trimmed


def trim_agent(agent_id: str, limit: int) -> Flow[Trimmed]:
    """Drop up to `limit` memories of an agent by the policy that its document states."""
    checks.agent_id(agent_id)
    checks.integer(limit, "limit", 1, checks.MAX_BATCH)
    documents = [keys.index(agent_id), keys.agent_metadata(agent_id)]
    dropped, left = yield from run(script("trim_agent", documents, limit))
    return Trimmed(int(dropped), int(left))
