"""Recalls memories: values and metadata are read, and where models run inline decoded, inside one script."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from modules_store import checks, codec, keys
from modules_store.commands import Argument, script
from modules_store.flows import Flow, ResponseError, queued, run
from modules_store.flows.repairing import drop_lost
from modules_store.flows.systems import MemorySystems
from modules_store.memories import Memories, Memory, joined

FIELDS = ("both", "states", "metadata")


def recall_memory(systems: MemorySystems, agent_id: str, timestamp: int) -> Flow[Memory]:
    """Recall the memory that an agent has at `timestamp`; MemoryNotFoundError where there is none."""
    ids = [checks.timestamp(timestamp, "timestamp")]
    recalled = yield from _recall_at(systems, agent_id, ids, "error", "both")
    return recalled[0]


def recall_memories(
    systems: MemorySystems, agent_id: str, timestamps: Iterable[int], missing: str, fields: str
) -> Flow[Memories]:
    """Recall the memories at `timestamps`, in that order."""
    ids = [checks.timestamp(value, f"timestamps[{i}]") for i, value in enumerate(timestamps)]
    checks.agent_id(agent_id)
    checks.choice(missing, "missing", ("error", "skip"))
    checks.choice(fields, "fields", FIELDS)
    if not ids:
        return _nothing(agent_id)
    checks.integer(len(ids), "the number of timestamps", 1, checks.MAX_BATCH)
    return (yield from _recall_at(systems, agent_id, ids, missing, fields))


def recall_recent(systems: MemorySystems, agent_id: str, count: int, fields: str) -> Flow[Memories]:
    """Recall up to `count` memories of an agent, newest first."""
    checks.choice(fields, "fields", FIELDS)
    checks.integer(count, "count")
    reply = yield from _recall(systems, "recall_recent", agent_id, [count], fields, "oldest")
    return parse_memories(agent_id, reply)[::-1]


def recall_between(
    systems: MemorySystems,
    agent_id: str,
    start: int | None,
    end: int | None,
    *,
    limit: int,
    newest_first: bool,
    fields: str,
) -> Flow[Memories]:
    """Recall the first `limit` memories of a range; more than one call only where some were evicted."""
    first, last = bounds(start, end)
    checks.integer(limit, "limit", 1, checks.MAX_BATCH)
    parts = [_nothing(agent_id)]
    left = limit
    while left > 0 and first <= last:
        page, after = yield from _recall_page(
            systems, agent_id, first, last, limit=left, newest_first=newest_first, fields=fields
        )
        parts.append(page)
        left -= len(page)
        if after is None:
            break
        first, last = (first, after - 1) if newest_first else (after + 1, last)
    return joined(parts)


def recall_page(
    systems: MemorySystems, agent_id: str, start: int | None, end: int | None, *, page: int, fields: str
) -> Flow[tuple[Memories, int | None]]:
    """Recall one page of a range, oldest first; also return where the next starts, None after the last."""
    first, last = bounds(start, end)
    checks.integer(page, "page", 1, checks.MAX_BATCH)
    memories, after = yield from _recall_page(
        systems, agent_id, first, last, limit=page, newest_first=False, fields=fields
    )
    return memories, after + 1 if after is not None and after < last else None


def count_memories(agent_id: str, start: int | None, end: int | None) -> Flow[int]:
    """Count the memories in a range of timestamps."""
    checks.agent_id(agent_id)
    return int((yield from run(script("count_memories", [keys.index(agent_id)], *bounds(start, end)))))


def parse_memories(agent_id: str, reply: Sequence[Any]) -> Memories:
    """Return the memories in the reply of a recall."""
    timestamps, blob, metadata = reply[:3]
    if not timestamps:
        return _nothing(agent_id)
    count = len(timestamps)
    states = codec.from_rows(blob, count) if blob else np.empty((count, 0), np.float32)
    documents = [None if text is None else json.loads(text) for text in metadata] or [None] * count
    return Memories(agent_id, np.array([int(one) for one in timestamps], np.int64), states, documents)


def _nothing(agent_id: str) -> Memories:
    return Memories(agent_id, np.empty(0, np.int64), np.empty((0, 0), np.float32), [])


def bounds(start: int | None, end: int | None) -> tuple[int, int]:
    """Return the first and the last timestamp of a range of which a side may be open."""
    first = 0 if start is None else checks.timestamp(start, "start")
    return first, checks.MAX_TIMESTAMP if end is None else checks.timestamp(end, "end")


def _recall_at(
    systems: MemorySystems, agent_id: str, ids: Sequence[int], missing: str, fields: str
) -> Flow[Memories]:
    try:
        reply = yield from _recall(systems, "recall_memories", agent_id, [json.dumps(ids)], fields, missing)
    except ResponseError as error:
        if "MEMERR LOST " in str(error):
            yield from drop_lost(agent_id, ids)
        raise
    return parse_memories(agent_id, reply)


def _recall_page(
    systems: MemorySystems,
    agent_id: str,
    first: int,
    last: int,
    *,
    limit: int,
    newest_first: bool,
    fields: str,
) -> Flow[tuple[Memories, int | None]]:
    """Recall up to `limit` memories; also return the last timestamp looked at, None where none is left."""
    checks.choice(fields, "fields", FIELDS)
    order = "newest" if newest_first else "oldest"
    reply = yield from _recall(systems, "recall_range", agent_id, [first, last, limit, order], fields)
    return parse_memories(agent_id, reply), None if reply[3] is None else int(reply[3])


def _recall(
    systems: MemorySystems, name: str, agent_id: str, first: Sequence[Argument], fields: str, *after: Argument
) -> Flow[Any]:
    """Run a script that recalls: `first` are its arguments before `fields`, `after` those after it.

    The reply ends with the memories that were found to be gone, which are dropped.
    """
    checks.agent_id(agent_id)
    agent_keys = [keys.index(agent_id), keys.agent_memory_system(agent_id)]
    reply = yield from queued.recall(
        systems, [agent_id], fields, lambda wanted: script(name, agent_keys, *first, wanted, *after)
    )
    yield from drop_lost(agent_id, reply[-1])
    return reply
