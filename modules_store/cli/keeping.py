"""The subcommands that keep agents in order: `trim`, `convert`, `verify`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Annotated, Any

import typer
from rich.progress import TaskID

from modules_store import Converted, Finding, RedisAgentMemory, Repaired, Verification, checks
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
from modules_store.policy import LAYOUTS

_NAMED = 3
"""How many timestamps of each kind a table names."""


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


def convert(
    agents: Agents = None,
    *,
    to: Annotated[str, typer.Option(metavar="keys|packed", help="The layout to move memories to.")],
    all_agents: AllAgents = False,
    step: Annotated[
        int, typer.Option(min=1, max=MAX_BATCH, help="Memories a step; it holds the server up.")
    ] = 1000,
    redis_url: RedisUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Move agents' memories to another layout, inside the server: a key each, or packed in segments.

    Clients store and recall meanwhile. May be interrupted: no memory is lost, and the same command goes on.

    Example: modules-store convert 'drone-*' --to packed
    """
    checks.choice(to, "--to", LAYOUTS)
    results: list[dict[str, Any]] = []
    with opened(redis_url) as memory, progress_bar() as bar:
        for one in memory.agent_summaries(agents_of(memory, agents, all_agents)):
            task = bar.add_task(one.agent_id, total=one.memories, visible=one.layout != to)

            def advance(done: Converted, task: TaskID = task) -> None:
                bar.update(task, completed=done.moved + done.lost)

            done = memory.convert_agent(one.agent_id, to, step=step, on_progress=advance)
            results.append({"agent": one.agent_id, "from": one.layout, **asdict(done)})
            bar.remove_task(task)
    if as_json:
        say(True, results, "")
        return
    headings = ["agent", "from", "moved", "lost"]
    print_table(headings, [[result[name] for name in headings] for result in results])


def verify(
    agents: Agents = None,
    *,
    all_agents: AllAgents = False,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Mend what is found, and look again; drops what cannot be recalled."),
    ] = False,
    redis_url: RedisUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Find what disagrees between agents' indexes, values, metadata and documents.

    Decodes every memory, and scans the whole keyspace once an agent. Exits with 1 where something is left.

    Example: modules-store verify drone-7 --repair
    """
    results: list[dict[str, Any]] = []
    rows: list[list[object]] = []
    with opened(redis_url) as memory, progress_bar() as bar:
        for agent in bar.track(agents_of(memory, agents, all_agents), description="Verifying"):
            found, repaired, left = _verify(memory, agent, repair)
            results.append(
                {
                    "agent": agent,
                    "found": asdict(found),
                    "repaired": None if repaired is None else asdict(repaired),
                    "left": None if repaired is None else asdict(left),
                    "ok": left.ok,
                }
            )
            rows.append(
                [agent, found.memories, _found(found), _done(repaired), "ok" if left.ok else _found(left)]
            )
    if as_json:
        say(True, results, "")
    elif repair:
        print_table(["agent", "memories", "found", "repaired", "left"], rows, wrap=True)
    else:
        print_table(["agent", "memories", "found"], [row[:3] for row in rows], wrap=True)
    if not all(result["ok"] for result in results):
        raise typer.Exit(1)


COMMANDS: list[tuple[str, Callable[..., None]]] = [
    ("trim", trim),
    ("convert", convert),
    ("verify", verify),
]
"""For the app, which reports their errors."""


def _verify(
    memory: RedisAgentMemory, agent: str, repair: bool
) -> tuple[Verification, Repaired | None, Verification]:
    """Return what was found, what was done, and what is left then."""
    found = memory.verify_agent(agent)
    if found.ok or not repair:
        return found, None, found
    return found, memory.repair_agent(agent), memory.verify_agent(agent)


def _found(verification: Verification) -> str:
    """Say what was found, and where first: "2 without value (at 1700000000000, …)"."""
    parts = []
    for one in fields(verification):
        value = getattr(verification, one.name)
        if isinstance(value, Finding) and value.count:
            more = ", …" if value.count > len(value.first[:_NAMED]) else ""
            at = ", ".join(str(timestamp) for timestamp in value.first[:_NAMED])
            parts.append(f"{value.count:,} {one.name.replace('_', ' ')} (at {at}{more})")
    return "; ".join([*parts, *verification.keys]) or "ok"


def _done(repaired: Repaired | None) -> str:
    if repaired is None:
        return ""
    return ", ".join(f"{count:,} {name}" for name, count in asdict(repaired).items() if count) or "nothing"
