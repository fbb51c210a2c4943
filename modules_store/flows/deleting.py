"""Deletes memories of one agent, or all that there is of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from modules_store import checks, keys
from modules_store.commands import command, script
from modules_store.flows import Flow, run

SCAN_COUNT = 1000
"""How many keys of the whole keyspace one SCAN looks at."""


def delete_memories(agent_id: str, timestamps: Iterable[Any]) -> Flow[int]:
    """Delete memories by their timestamps in bounded steps; return how many there were."""
    checks.agent_id(agent_id)
    given = checks.timestamps(timestamps)
    deleted = 0
    for start in range(0, len(given), checks.MAX_BATCH):
        some = json.dumps(given[start : start + checks.MAX_BATCH])
        deleted += int((yield from run(script("delete_memories", [keys.index(agent_id)], some))))
    return deleted


def delete_agent(agent_id: str) -> Flow[int]:
    """Delete all memories of an agent in bounded steps, then its documents; return how many there were.

    The documents, which say how memories are decoded, go last, so that what an interruption leaves is
    recalled as before.
    """
    checks.agent_id(agent_id)
    deleted = yield from _delete_indexed(agent_id, "keep")
    cursor = None
    while cursor != 0:
        pattern = glob_escaped(keys.memory_prefix(agent_id)) + "*"
        reply = yield command("SCAN", cursor or 0, "MATCH", pattern, "COUNT", SCAN_COUNT)
        cursor, names = int(reply[0]), reply[1]
        deleted += yield from delete_memories(agent_id, timestamps_of(agent_id, names))
    return deleted + (yield from _delete_indexed(agent_id, "drop"))


def glob_escaped(text: str) -> str:
    """Return the pattern of Redis that only `text` matches."""
    return re.sub(r"([\\*?\[\]^])", r"\\\1", text)


def _delete_indexed(agent_id: str, documents: str) -> Flow[int]:
    deleted, left = 0, 1
    while left:
        call = script("delete_agent", keys.documents_of(agent_id), checks.MAX_BATCH, documents)
        some, left = yield from run(call)
        deleted += some
    return deleted


def timestamps_of(agent_id: str, names: Iterable[bytes]) -> set[int]:
    """Return the timestamps whose values or metadata have these names; what else there is is passed over."""
    prefix = keys.memory_prefix(agent_id).encode()
    found = (re.fullmatch(rb"(\d{1,16})(?::meta)?", name.removeprefix(prefix)) for name in names)
    return {int(match[1]) for match in found if match and int(match[1]) <= checks.MAX_TIMESTAMP}
