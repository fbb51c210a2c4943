"""The subcommands that recall memories: `recent`, `find`, `similar`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from modules_store.checks import MAX_BATCH
from modules_store.cli.common import (
    DEFAULT_URL,
    AgentId,
    AsJson,
    RedisUrl,
    opened,
    print_table,
    say,
    text_of,
    time_of,
)
from modules_store.errors import InvalidInputError
from modules_store.memories import Memory

_FEATURES_SHOWN = 4

Limit = Annotated[int, typer.Option(min=1, max=MAX_BATCH, help="The most memories to print.")]


def recent(
    agent: AgentId,
    *,
    count: Annotated[
        int, typer.Option("-n", "--count", min=1, max=MAX_BATCH, help="The most memories to print.")
    ] = 10,
    redis_url: RedisUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Print an agent's newest memories, newest first.

    Example: modules-store recent drone-7 -n 3
    """
    with opened(redis_url) as memory:
        found = memory.get_recent_memories(agent, count)
    if as_json:
        say(True, [_document(one) for one in found], "")
        return
    print_table(_HEADINGS, [_row(one) for one in found])


def find(
    query: Annotated[
        str,
        typer.Argument(metavar="QUERY", help="As RediSearch reads it: '@reward:[1 +inf] @action:{attack}'."),
    ],
    *,
    index: Annotated[
        str, typer.Option(metavar="NAME", help="The index to search, of create_search_index().")
    ] = "memories",
    agent: Annotated[
        list[str] | None,
        typer.Option(metavar="AGENT", help="Search this agent's alone; repeatable."),
    ] = None,
    sort_by: Annotated[str | None, typer.Option(metavar="FIELD", help="A field of the index.")] = None,
    descending: Annotated[bool, typer.Option("--descending", help="The largest first.")] = False,
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many of the first.")] = 0,
    limit: Limit = 20,
    redis_url: RedisUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Find memories, of all agents, by their metadata.

    Example: modules-store find '@reward:[1 +inf]' --sort-by reward --descending
    """
    with opened(redis_url) as memory:
        found = memory.find_memories(
            query,
            index=index,
            agents=agent or None,
            sort_by=sort_by,
            descending=descending,
            offset=offset,
            limit=limit,
        )
    if as_json:
        memories = [_document(one) for one in found.memories]
        say(True, {"total": found.total, "gone": found.gone, "memories": memories}, "")
        return
    print_table(["agent", *_HEADINGS], [[one.agent_id, *_row(one)] for one in found.memories])
    gone = f", {found.gone} of these evicted or expired" if found.gone else ""
    typer.echo(f"{found.total:,} memories match{gone}", err=True)


def similar(
    agent: AgentId,
    *,
    state: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help="A state: '0.5,-1,2', or as JSON '[0.5, -1, 2]'.")
    ] = None,
    like: Annotated[
        int | None, typer.Option(metavar="TIMESTAMP", help="The state that the agent has at this timestamp.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=MAX_BATCH - 1, help="The most memories to print.")] = 10,
    redis_url: RedisUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Print an agent's memories whose states are nearest to one, nearest first.

    Give that state, or the timestamp of a memory of the agent, which then is left out.

    Example: modules-store similar drone-7 --like 1700000000000 -k 5
    """
    if (state is None) == (like is None):
        raise InvalidInputError("give either --state or --like")
    with opened(redis_url) as memory:
        if state is not None:
            found = memory.find_similar_memories(agent, _parse_state(state), k)
        else:
            assert like is not None
            near = memory.find_similar_memories(agent, memory.retrieve_agent_memory(agent, like).state, k + 1)
            found = [one for one in near if one.memory.timestamp != like][:k]
    if as_json:
        say(True, [{"distance": one.distance, **_document(one.memory)} for one in found], "")
        return
    print_table(["distance", *_HEADINGS], [[one.distance, *_row(one.memory)] for one in found])


COMMANDS: list[tuple[str, Callable[..., None]]] = [("recent", recent), ("find", find), ("similar", similar)]
"""For the app, which reports their errors."""


_HEADINGS = ["timestamp", "time", "state", "metadata"]


def _row(memory: Memory) -> list[object]:
    return [
        memory.timestamp,
        time_of(memory.timestamp),
        _summary(memory.state),
        text_of(memory.metadata),
    ]


def _document(memory: Memory) -> dict[str, Any]:
    return {
        "agent": memory.agent_id,
        "timestamp": memory.timestamp,
        "state": _shortest(memory.state),
        "metadata": memory.metadata,
    }


def _summary(state: npt.NDArray[np.float32]) -> str:
    first = " ".join(f"{value:.4g}" for value in state[:_FEATURES_SHOWN])
    return first if len(state) <= _FEATURES_SHOWN else f"{first} … ({len(state)} features)"


def _shortest(state: Iterable[np.float32]) -> list[float]:
    """Return the numbers with as few digits as tell them from other float32."""
    return [float(str(value)) for value in state]


def _parse_state(text: str) -> list[float]:
    try:
        values = json.loads(text) if text.lstrip().startswith("[") else text.split(",")
        return [float(value) for value in values]
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInputError(f"--state is {text[:100]!r}, not numbers with commas in between") from error
