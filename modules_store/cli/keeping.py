"""The subcommands that keep agents in order: `trim`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from modules_store.checks import MAX_BATCH
from modules_store.cli.common import (
    DEFAULT_URL,
    Agents,
    AllAgents,
    AsJson,
    RedisUrl,
    agents_of,
    opened,
    print_table,
    progress_bar,
    say,
)


def trim(
    agents: Agents = None,
    *,
    all_agents: AllAgents = False,
    step: Annotated[
        int, typer.Option(min=1, max=MAX_BATCH, help="Memories a step; it holds the server up.")
    ] = 1000,
    redis_url: RedisUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Drop what agents' policies do not keep, and index entries of memories that expired.

    Stores do so by themselves, but little at a time, and an agent that stores no more is not trimmed. May be
    interrupted.

    Example: modules-store trim 'drone-*'
    """
    dropped: dict[str, int] = {}
    with opened(redis_url) as memory, progress_bar() as bar:
        for agent in bar.track(agents_of(memory, agents, all_agents), description="Trimming"):
            dropped[agent] = 0
            left = 1
            while left:
                done = memory.trim_agent(agent, limit=step)
                dropped[agent] += done.dropped
                left = done.left
    if as_json:
        say(True, [{"agent": agent, "dropped": count} for agent, count in dropped.items()], "")
        return
    print_table(["agent", "dropped"], list(dropped.items()))


COMMANDS: list[tuple[str, Callable[..., None]]] = [("trim", trim)]
"""For the app, which reports their errors."""
