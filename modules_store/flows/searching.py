"""Finds memories by their states: decoders and distances run inside one script."""

from __future__ import annotations

from typing import Any

import numpy as np

from modules_store import checks, codec, keys, torchscript
from modules_store.commands import script
from modules_store.flows import Flow, run_with
from modules_store.flows.recalling import parse_memories
from modules_store.flows.repairing import drop_lost
from modules_store.memories import Similar


def find_similar(agent_id: str, state: Any, k: int, newest: int) -> Flow[list[Similar]]:
    """Find the memories of an agent that are nearest to `state`."""
    checks.agent_id(agent_id)
    checks.integer(k, "k", 1, checks.MAX_BATCH)
    checks.integer(newest, "newest", 1, checks.MAX_BATCH)
    row = codec.to_any_row(state, "state")
    agent_keys = [keys.index(agent_id), keys.agent_memory_system(agent_id)]
    call = script("find_similar", agent_keys, row.tobytes(), k, newest)
    *reply, distances, gone = yield from run_with(torchscript.publication(), "NOFUNCTION", call)
    yield from drop_lost(agent_id, gone)
    return [
        Similar(memory, float(distance))
        for memory, distance in zip(
            parse_memories(agent_id, reply), np.frombuffer(distances, codec.STATE_DTYPE), strict=True
        )
    ]
