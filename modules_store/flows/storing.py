"""Stores states: one or a batch of one agent, or one of each of many."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from modules_store import checks, codec, errors, keys
from modules_store.codec import Codec
from modules_store.commands import Token, script
from modules_store.flows import Flow, queued, run
from modules_store.flows.batching import Batch, store_batches
from modules_store.flows.systems import MemorySystems
from modules_store.policy import Policy


def store_memory(
    systems: MemorySystems,
    agent_id: str,
    agent_state: Any,
    metadata: Mapping[str, Any] | None,
    timestamp: int | None,
) -> Flow[int]:
    """Store one state; return its timestamp."""
    checks.agent_id(agent_id)
    timestamps = None if timestamp is None else [checks.timestamp(timestamp, "timestamp")]
    documents = [] if metadata is None else [checks.metadata(metadata, "metadata")]
    used_codec = yield from systems.codec(agent_id)
    policy = yield from systems.policy(agent_id)
    row = codec.to_row(agent_state, used_codec, "agent_state")
    checks.batch(1, row.nbytes + sum(map(len, documents)), "agent_state")
    return (
        yield from _store(
            systems, agent_id, used_codec, policy, rows=row, timestamps=timestamps, metadata=documents
        )
    )


def store_memories(
    systems: MemorySystems,
    agent_id: str,
    agent_states: Any,
    metadata: Sequence[Mapping[str, Any] | None] | None,
    timestamps: Sequence[int] | None,
) -> Flow[list[int]]:
    """Store a batch of states; return their timestamps."""
    checks.agent_id(agent_id)
    given = None if timestamps is None else checks.timestamps(timestamps)
    documents = [] if metadata is None else checks.all_metadata(metadata)
    used_codec = yield from systems.codec(agent_id)
    policy = yield from systems.policy(agent_id)
    rows = codec.to_rows(agent_states, used_codec, "agent_states")
    if given is not None and len(given) != len(rows):
        raise errors.InvalidTimestampError(f"timestamps has {len(given)} entries for {len(rows)} states")
    if metadata is not None and len(documents) != len(rows):
        raise errors.InvalidMetadataError(f"metadata has {len(documents)} entries for {len(rows)} states")
    checks.batch(len(rows), rows.nbytes + sum(map(len, documents)), "agent_states")
    if not len(rows):
        return []
    first = yield from _store(
        systems, agent_id, used_codec, policy, rows=rows, timestamps=given, metadata=documents
    )
    return given if given is not None else list(range(first, first + len(rows)))


def store_step(
    systems: MemorySystems,
    states: Mapping[str, Any],
    metadata: Mapping[str, Mapping[str, Any] | None] | None,
    timestamp: int | None,
) -> Flow[dict[str, int]]:
    """Store one state of each of many agents; return their timestamps."""
    _check_step(states, metadata)
    timestamps = None if timestamp is None else [checks.timestamp(timestamp, "timestamp")]
    batches = []
    for agent_id, state in states.items():
        document = checks.metadata(metadata and metadata.get(agent_id), f"metadata[{agent_id!r}]")
        used_codec = yield from systems.codec(agent_id)
        row = codec.to_row(state, used_codec, f"states[{agent_id!r}]")
        used_codec = codec.of_length(used_codec, row.shape[1])
        policy = yield from systems.policy(agent_id)
        batches.append(Batch(agent_id, used_codec, policy, [row.tobytes()], timestamps, [document]))
    size_bytes = sum(len(batch.rows[0]) + len(batch.metadata[0]) for batch in batches)
    checks.batch(len(batches), size_bytes, "states")
    firsts: dict[str, int] = {}
    if batches:
        yield from store_batches(systems, batches, firsts, Token())
    return {agent_id: firsts[agent_id] for agent_id in states}


def _check_step(states: Any, metadata: Any) -> None:
    if not isinstance(states, Mapping):
        raise errors.InvalidInputError(f"states is of type {type(states).__name__}, not a mapping by agent")
    if len(states) > checks.MAX_BATCH:
        raise errors.InvalidInputError(f"states has {len(states)} agents, more than {checks.MAX_BATCH}")
    for agent_id in states:
        checks.agent_id(agent_id, "an id in states")
    if metadata is None:
        return
    if not isinstance(metadata, Mapping):
        raise errors.InvalidMetadataError(
            f"metadata is of type {type(metadata).__name__}, not a mapping by agent"
        )
    stranger = next((agent_id for agent_id in metadata if agent_id not in states), None)
    if stranger is not None:
        raise errors.InvalidMetadataError(f"metadata has {stranger!r}, which is not in states")


def _store(
    systems: MemorySystems,
    agent_id: str,
    used_codec: Codec,
    policy: Policy,
    *,
    rows: npt.NDArray[np.float32],
    timestamps: Sequence[int] | None,
    metadata: Iterable[bytes],
) -> Flow[int]:
    """Store B states; return the first timestamp.

    `rows` is float32[B, D]; `timestamps` has B entries, or is None for the server to give them; `metadata`
    has B entries of `checks.metadata`, or none.
    """
    used_codec = codec.of_length(used_codec, rows.shape[1])
    states, form = yield from queued.prepare(
        systems, keys.index(agent_id), used_codec, rows.tobytes(), len(rows)
    )
    call = script(
        "store_memories",
        keys.documents_of(agent_id),
        used_codec.configuration,
        used_codec.feature_groups,
        policy.to_json(),
        states,
        form,
        "" if timestamps is None else json.dumps(timestamps),
        Token(),
        *metadata,
    )
    return int((yield from run(call)))
