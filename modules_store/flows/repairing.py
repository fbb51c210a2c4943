"""Drops what is left of memories that were found to be gone."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence

from modules_store import checks, errors, keys
from modules_store.commands import script
from modules_store.flows import Flow, RedisError, run


def drop_lost(agent_id: str, timestamps: Sequence[int | bytes]) -> Flow[None]:
    """Drop those of an agent's memories that have no value; nothing is sent where there are none.

    What was recalled is good whether or not this works: a replica takes no writes, nor does a user who may
    only read make any, and whoever recalls next finds the same.
    """
    given = [int(timestamp) for timestamp in timestamps]
    agent_keys = [keys.index(agent_id), keys.agent_metadata(agent_id)]
    with contextlib.suppress(RedisError, errors.DeadlineExceededError):
        for start in range(0, len(given), checks.MAX_BATCH):
            some = json.dumps(given[start : start + checks.MAX_BATCH])
            yield from run(script("drop_lost", agent_keys, some, repeatable=True))


def drop_lost_of(gone: Iterable[tuple[bytes, bytes]]) -> Flow[None]:
    """Drop memories of several agents as `drop_lost` does: pairs of agent and timestamp."""
    by_agent: dict[str, list[bytes]] = {}
    for agent, timestamp in gone:
        by_agent.setdefault(agent.decode(), []).append(timestamp)
    for agent_id, timestamps in by_agent.items():
        yield from drop_lost(agent_id, timestamps)
