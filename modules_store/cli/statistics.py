"""The subcommand that counts: `stats`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

import typer

from modules_store import AgentStats
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


def stats(
    agents: Agents = None,
    *,
    all_agents: AllAgents = False,
    sample: Annotated[
        int,
        typer.Option(min=1, max=MAX_BATCH, help="Memories of an agent to measure; the rest is reckoned."),
    ] = 256,
    redis_url: RedisUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Print what agents take of the server's memory, how far they are compressed, and their counters.

    Example: modules-store stats 'drone-*'
    """
    with opened(redis_url) as memory, progress_bar() as bar:
        chosen = agents_of(memory, agents, all_agents)
        found = {
            agent: memory.agent_stats(agent, sample=sample)
            for agent in bar.track(chosen, description="Measuring")
        }
    if as_json:
        say(True, [_document(agent, own) for agent, own in found.items()], "")
        return
    families = list(dict.fromkeys(family for own in found.values() for family in own.bytes))
    counters = list(dict.fromkeys(name for own in found.values() for name in own.counters))
    headings = ["agent", "layout", "memories", "raw / stored", "bytes", *families, *counters]
    rows = [[agent, own.layout, *_numbers(own, families, counters)] for agent, own in found.items()]
    if len(rows) > 1:
        sums = [sum(row[position] for row in rows) for position in (2, *range(4, len(headings)))]
        raw, stored = (
            sum(getattr(own, name) for own in found.values()) for name in ("raw_bytes", "stored_bytes")
        )
        layouts = {own.layout for own in found.values()}
        layout = layouts.pop() if len(layouts) == 1 else "several"
        rows.append(["all", layout, sums[0], raw / stored if stored else None, *sums[1:]])
    print_table(headings, rows)


COMMANDS: list[tuple[str, Callable[..., None]]] = [("stats", stats)]
"""For the app, which reports their errors."""


def _numbers(own: AgentStats, families: list[str], counters: list[str]) -> list[Any]:
    return [
        own.memories,
        own.compression_ratio,
        sum(own.bytes.values()),
        *(own.bytes.get(family, 0) for family in families),
        *(own.counters.get(name, 0) for name in counters),
    ]


def _document(agent: str, own: AgentStats) -> dict[str, Any]:
    return {
        "agent": agent,
        "layout": own.layout,
        "memories": own.memories,
        "oldest": own.oldest,
        "newest": own.newest,
        "codec": None if own.codec is None else {"name": own.codec, "version": own.version},
        "policy": None if own.policy is None else json.loads(own.policy.to_json()),
        "bytes": dict(own.bytes),
        "raw_bytes": own.raw_bytes,
        "stored_bytes": own.stored_bytes,
        "compression_ratio": own.compression_ratio,
        "versions": [
            {"name": name, "version": version, "memories": count}
            for (name, version), count in own.versions.items()
        ],
        "counters": dict(own.counters),
        "sampled": own.sampled,
    }
