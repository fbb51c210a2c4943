"""Deletes memories of one agent, or all that there is of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from modules_store import checks, keys
from modules_store.commands import command, script
from modules_store.flows import Flow, run

SCAN_COUNT = 1000
"""How many keys of the whole keyspace one SCAN looks at."""

SEGMENTS_AT_ONCE = 16
"""How many segments of a packed agent one script looks at or enters, each of up to a thousand memories."""


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
        pattern = glob_escaped(keys.agent_prefix(agent_id)) + "*"
        reply = yield command("SCAN", cursor or 0, "MATCH", pattern, "COUNT", SCAN_COUNT)
        cursor, names = int(reply[0]), reply[1]
        deleted += yield from delete_memories(agent_id, timestamps_of(agent_id, names))
        for some in in_steps(segments_of(agent_id, names), SEGMENTS_AT_ONCE):
            yield from run(script("adopt_segments", keys.documents_of(agent_id)[:2], json.dumps(some)))
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


def segments_of(agent_id: str, names: Iterable[bytes]) -> list[int]:
    """Return the numbers of the segments whose columns have these names; others are passed over."""
    pattern = re.escape(keys.segment_codes(agent_id, 0).removesuffix("0").encode())
    found = (re.fullmatch(pattern + rb"(\d{1,10})(?::rows|:metadata)?", name) for name in names)
    return sorted({int(match[1]) for match in found if match and 0 < int(match[1]) < 2**32})


def in_steps(numbers: list[int], size: int) -> Iterator[list[int]]:
    """Yield the numbers in lists of up to `size`."""
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]


def timestamps_of(agent_id: str, names: Iterable[bytes]) -> set[int]:
    """Return the timestamps whose values or metadata have these names; what else there is is passed over."""
    prefix = keys.memory_prefix(agent_id).encode()
    some = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
    found = (re.fullmatch(rb"(\d{1,16})(?::meta)?", name) for name in some)
    return {int(match[1]) for match in found if match and int(match[1]) <= checks.MAX_TIMESTAMP}
