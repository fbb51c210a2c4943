"""Draws memories at random, and keeps the priorities they are drawn by."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from modules_store import checks, codec, errors, keys
from modules_store.commands import Argument, script
from modules_store.flows import Flow, queued, run
from modules_store.flows.recalling import FIELDS
from modules_store.flows.systems import MemorySystems
from modules_store.memories import Sample, Sequences

MAX_AGENTS = 1024
"""The most agents that one call draws from."""

WAYS = ("uniform", "recency", "priority")


def sample_memories(
    systems: MemorySystems,
    agents: str | Iterable[str],
    count: int,
    *,
    by: str,
    alpha: float,
    beta: float,
    half_life: float,
    seed: int | None,
    fields: str,
) -> Flow[Sample]:
    """Draw `count` memories; more than one call only where some have yet to enter with a priority."""
    agent_ids = _agent_ids(agents)
    checks.choice(fields, "fields", FIELDS)
    draws: list[Argument] = [
        checks.integer(count, "count", 1, checks.MAX_BATCH),
        checks.choice(by, "by", WAYS),
        _seed(seed),
    ]
    weights: list[Argument] = [
        checks.number(half_life, "half_life", 0.001, 2.0**32),
        checks.number(alpha, "alpha", 0.0, 2.0),
        checks.number(beta, "beta", 0.0, 1.0),
    ]
    name = "sample_memories"
    reply = yield from _draw(systems, name, agent_ids, draws, fields, *weights, "refuse")
    if lacking := reply[5]:
        for number in lacking:
            yield from _enter_priorities(agent_ids[number - 1])
        # What others store meanwhile without a priority is left out.
        reply = yield from _draw(systems, name, agent_ids, draws, fields, *weights, "leave")
    size = len(reply[1])
    return Sample(
        _owners(agent_ids, reply[0], size),
        np.array(reply[1], np.int64),
        _states(reply[2], size),
        _metadata(reply[3], size),
        np.frombuffer(reply[4], "<f4").astype(np.float32) if reply[4] else np.ones(size, np.float32),
    )


def sample_sequences(
    systems: MemorySystems,
    agents: str | Iterable[str],
    count: int,
    length: int,
    *,
    seed: int | None,
    fields: str,
) -> Flow[Sequences]:
    """Draw `count` sequences of `length` memories that follow each other."""
    agent_ids = _agent_ids(agents)
    checks.choice(fields, "fields", FIELDS)
    draws: list[Argument] = [
        checks.integer(count, "count", 1, checks.MAX_BATCH),
        checks.integer(length, "length", 1, checks.MAX_BATCH),
        _seed(seed),
    ]
    checks.integer(count * length, "count * length", 1, checks.MAX_BATCH)
    reply = yield from _draw(systems, "sample_sequences", agent_ids, draws, fields)
    size = len(reply[1]) // length
    states = _states(reply[2], size * length)
    metadata = _metadata(reply[3], size * length)
    return Sequences(
        _owners(agent_ids, reply[0], size),
        np.array(reply[1], np.int64).reshape(size, length),
        states.reshape(size, length, states.shape[1]),
        [metadata[i : i + length] for i in range(0, len(metadata), length)],
    )


def update_priorities(agent_id: str | Sequence[str], timestamps: Iterable[int], priorities: Any) -> Flow[int]:
    """Give memories other priorities; return how many have theirs now."""
    ids = [checks.timestamp(value, f"timestamps[{i}]") for i, value in enumerate(timestamps)]
    numbers = _priorities(priorities, len(ids))
    if isinstance(agent_id, str):
        agent_ids, owners = [checks.agent_id(agent_id)], ""
    else:
        named = list(agent_id)
        if len(named) != len(ids):
            raise errors.InvalidInputError(f"agent_id has {len(named)} ids for {len(ids)} timestamps")
        agent_ids = [checks.agent_id(one) for one in dict.fromkeys(named)]
        number_of = {one: number for number, one in enumerate(agent_ids, 1)}
        owners = json.dumps([number_of[one] for one in named])
    if not ids:
        return 0
    checks.integer(len(ids), "the number of timestamps", 1, checks.MAX_BATCH)
    checks.integer(len(agent_ids), "the number of agents", 1, MAX_AGENTS)
    indexes = [keys.index(one) for one in agent_ids]
    arguments = (json.dumps(ids), json.dumps(numbers.tolist()), owners)
    return int((yield from run(script("update_priorities", indexes, *arguments, repeatable=True))))


def _draw(
    systems: MemorySystems,
    name: str,
    agent_ids: Sequence[str],
    draws: Sequence[Argument],
    fields: str,
    *after: Argument,
) -> Flow[Any]:
    """Run a script that draws: `draws` are its arguments before `fields`, `after` those after it."""
    drawn_from = [key for one in agent_ids for key in (keys.index(one), keys.agent_memory_system(one))]
    return (
        yield from queued.recall(
            systems,
            agent_ids,
            fields,
            lambda wanted: script(name, drawn_from, *draws, wanted, *after),
            states_at=2,
        )
    )


def _enter_priorities(agent_id: str) -> Flow[None]:
    """Give those memories of an agent a priority that have none."""
    cursor: Any = ""
    while cursor is not None:
        step = script("enter_priorities", [keys.index(agent_id)], cursor, checks.MAX_BATCH, repeatable=True)
        cursor, _ = yield from run(step)


def _agent_ids(agents: str | Iterable[str]) -> list[str]:
    if isinstance(agents, str):
        return [checks.agent_id(agents, "agents")]
    agent_ids = [checks.agent_id(one, f"agents[{i}]") for i, one in enumerate(agents)]
    checks.integer(len(agent_ids), "the number of agents", 1, MAX_AGENTS)
    if len(set(agent_ids)) < len(agent_ids):
        raise errors.InvalidInputError("agents gives an id more than once")
    return agent_ids


def _seed(seed: int | None) -> int:
    return secrets.randbits(53) if seed is None else checks.integer(seed, "seed", 0, 2**53 - 1)


def _priorities(priorities: Any, count: int) -> npt.NDArray[np.float64]:
    """Return priorities as float64[count]; raise InvalidInputError where they are not numbers above 0."""
    try:
        numbers = np.asarray(codec.without_torch(priorities), np.float64)
    except (TypeError, ValueError) as problem:
        raise errors.InvalidInputError(f"priorities cannot be made an array: {problem}") from problem
    if numbers.shape != (count,):
        raise errors.InvalidInputError(f"priorities has shape {list(numbers.shape)}, not [{count}]")
    bad = np.flatnonzero(~(np.isfinite(numbers) & (numbers > 0)))
    if bad.size:
        at = int(bad[0])
        raise errors.InvalidInputError(f"priorities[{at}] is {numbers[at]}, not a finite number above 0")
    return numbers


def _owners(agent_ids: list[str], numbers: Sequence[int], size: int) -> list[str]:
    """Return the agent of each of `size` draws; where there is one agent, the scripts give no numbers."""
    return [agent_ids[number - 1] for number in numbers] if len(agent_ids) > 1 else agent_ids * size


def _states(blob: bytes, size: int) -> npt.NDArray[np.float32]:
    return codec.from_rows(blob, size) if blob else np.empty((size, 0), np.float32)


def _metadata(texts: Sequence[bytes | None], size: int) -> list[dict[str, Any] | None]:
    return [None if text is None else json.loads(text) for text in texts or [None] * size]
