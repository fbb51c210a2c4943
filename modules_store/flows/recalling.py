"""Recalls memories: values and metadata are read and decoded inside one script."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from modules_store import checks, codec, keys
from modules_store.commands import ScriptCall, script
from modules_store.flows import Flow, run
from modules_store.memories import Memory


def recall_memory(agent_id: str, timestamp: int) -> Flow[Memory]:
    """Recall the memory that an agent has at `timestamp`; MemoryNotFoundError where there is none."""
    call = _recall_call("recall_memories", agent_id, json.dumps([checks.timestamp(timestamp, "timestamp")]))
    return parse_memories(agent_id, (yield from run(call)))[0]


def recall_recent(agent_id: str, count: int) -> Flow[list[Memory]]:
    """Recall up to `count` memories of an agent, newest first."""
    call = _recall_call("recall_recent", agent_id, checks.integer(count, "count"))
    return parse_memories(agent_id, (yield from run(call)))


def parse_memories(agent_id: str, reply: Sequence[Any]) -> list[Memory]:
    """Return the memories in the reply of a recall."""
    timestamps, blob, metadata = reply
    if not timestamps:
        return []
    return [
        Memory(agent_id, int(timestamp), state, None if text is None else json.loads(text))
        for timestamp, state, text in zip(
            timestamps, codec.from_rows(blob, len(timestamps)), metadata, strict=True
        )
    ]


def _recall_call(name: str, agent_id: str, argument: str | int) -> ScriptCall:
    checks.agent_id(agent_id)
    return script(name, [keys.index(agent_id), keys.agent_memory_system(agent_id)], argument)
