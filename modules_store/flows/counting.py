"""Says which agents there are."""

from __future__ import annotations

from modules_store import checks, keys
from modules_store.commands import command
from modules_store.flows import Flow
from modules_store.flows.deleting import SCAN_COUNT


def scan_agents(pattern: str, cursor: int) -> Flow[tuple[int, list[str]]]:
    """Return the next cursor, 0 at the end, and ids that match; an id may come more than once."""
    checks.agent_id(pattern, "pattern")
    # An index is of one type or another, by the agent's layout: SCAN could look for one of them only.
    reply = yield command("SCAN", cursor, "MATCH", keys.index(pattern), "COUNT", SCAN_COUNT)
    names = (name.decode() for name in reply[1])
    return int(reply[0]), [name.removeprefix("agent:{").removesuffix("}:memories") for name in names]
