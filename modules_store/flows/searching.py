"""Finds memories by their states: models and distances run inside one script."""

from __future__ import annotations

from typing import Any

import numpy as np

from modules_store import checks, codec, errors, keys, torchscript
from modules_store.commands import script
from modules_store.flows import Flow, run_with
from modules_store.flows.recalling import bounds, parse_memories
from modules_store.flows.repairing import drop_lost
from modules_store.memories import Similar


def find_similar(
    agent_id: str,
    state: Any,
    k: int,
    *,
    space: str,
    weights: Any,
    start: int | None,
    end: int | None,
    newest: int | None,
) -> Flow[list[Similar]]:
    """Find the memories of an agent that are nearest to `state`, a page of the newest at a time."""
    checks.agent_id(agent_id)
    checks.integer(k, "k", 1, checks.MAX_BATCH)
    checks.choice(space, "space", ("state", "codec"))
    row = codec.to_any_row(state, "state").tobytes()
    feature_weights = b"" if weights is None else _check_weights(weights, space)
    first, last = bounds(start, end)
    left = checks.MAX_TIMESTAMP if newest is None else checks.integer(newest, "newest")
    agent_keys = [keys.index(agent_id), keys.agent_memory_system(agent_id)]
    found: list[Similar] = []
    while left > 0 and first <= last:
        page = min(left, checks.MAX_BATCH)
        arguments = (row, k, space, feature_weights, first, last, page)
        call = script("find_similar", agent_keys, *arguments)
        *reply, distances, oldest, gone = yield from run_with(torchscript.publication(), "NOFUNCTION", call)
        yield from drop_lost(agent_id, gone)
        memories = parse_memories(agent_id, reply)
        near = map(Similar, memories, np.frombuffer(distances, codec.STATE_DTYPE).tolist())
        # Pages come newest first, so that of equally near ones the newer stays first.
        found = sorted([*found, *near], key=lambda one: one.distance)[:k]
        if oldest is None:
            break
        left, last = left - page, int(oldest) - 1
    return found


def _check_weights(weights: Any, space: str) -> bytes:
    if space == "codec":
        raise errors.InvalidInputError("weights are those of features, which the codec's space does not have")
    row = codec.to_any_row(weights, "weights")
    if (row < 0).any():
        raise errors.InvalidInputError(f"weights[{int((row < 0)[0].argmax())}] is below 0")
    return row.tobytes()
