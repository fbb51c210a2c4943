"""Says which agents there are, and how many memories each has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from modules_store import checks, keys
from modules_store.commands import command, script
from modules_store.flows import ClusterCrossSlotError, Flow, ResponseError, run
from modules_store.flows.deleting import SCAN_COUNT
from modules_store.statistics import AgentSummary

_INDEX = re.compile(r"agent:\{(.*)\}:memories(?::older)?", re.DOTALL)
_AGENTS_A_CALL = 500


def scan_agents(pattern: str, cursor: int) -> Flow[tuple[int, list[str]]]:
    """Return the next cursor, 0 at the end, and ids that match; an id may come more than once.

    An index is of one type or another, by the agent's layout, and SCAN tells one type from all others alone:
    so these keys are known by their names.
    """
    checks.agent_id(pattern, "pattern")
    reply = yield command("SCAN", cursor, "MATCH", keys.index(pattern) + "*", "COUNT", SCAN_COUNT)
    found = (_INDEX.fullmatch(name.decode()) for name in reply[1])
    return int(reply[0]), [match[1] for match in found if match]


def summarize_agents(agent_ids: Iterable[str]) -> Flow[list[AgentSummary]]:
    """Return what the indexes of agents say, in their order."""
    agents = [checks.agent_id(agent, f"agent_ids[{i}]") for i, agent in enumerate(agent_ids)]
    summaries: list[AgentSummary] = []
    for start in range(0, len(agents), _AGENTS_A_CALL):
        some = agents[start : start + _AGENTS_A_CALL]
        for agent, (count, oldest, newest, layout) in zip(some, (yield from _read(some)), strict=True):
            first, last = (None if time is None else int(time) for time in (oldest, newest))
            summaries.append(AgentSummary(agent, count, first, last, layout.decode()))
    return summaries


def _read(agents: Sequence[str]) -> Flow[list[Any]]:
    """Run the script for some agents, or where they are in several slots of a cluster for each by itself."""
    indexes = [keys.index(agent) for agent in agents]
    try:
        return list((yield from run(script("summarize_agents", indexes))))
    except ResponseError as error:
        if not isinstance(error, ClusterCrossSlotError) and "CROSSSLOT" not in str(error):
            raise
    replies: list[Any] = []
    for index in indexes:
        replies += yield from run(script("summarize_agents", [index]))
    return replies
