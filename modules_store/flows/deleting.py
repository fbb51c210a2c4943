"""Deletes memories of one agent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from modules_store import checks, keys
from modules_store.commands import script
from modules_store.flows import Flow, run


def delete_memories(agent_id: str, timestamps: Iterable[Any]) -> Flow[int]:
    """Delete memories by their timestamps in bounded steps; return how many there were."""
    checks.agent_id(agent_id)
    given = checks.timestamps(timestamps)
    deleted = 0
    for start in range(0, len(given), checks.MAX_BATCH):
        some = json.dumps(given[start : start + checks.MAX_BATCH])
        deleted += int((yield from run(script("delete_memories", [keys.index(agent_id)], some))))
    return deleted
