"""The subcommands of `model-export` for codecs and agents that are on a server already. The work is in
publish.py and in modules_store."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import redis
import typer

from model_export import publish as publishing
from model_export.cli_options import AsJson, RedisUrl, say
from model_export.engine import connected
from model_export.errors import ConfigError
from modules_store import RedisAgentMemory, keys
from modules_store.cli.common import progress_bar

CodecName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the codec.")]
Agents = Annotated[
    str, typer.Argument(metavar="AGENTS", help="An agent's id, or a pattern of * ? [abc] [!abc]: 'drone-*'.")
]
Version = Annotated[int | None, typer.Option(min=1, help="One of its versions; by default the latest.")]


def rollback(
    name: CodecName,
    *,
    redis_url: RedisUrl,
    version: Annotated[
        int | None, typer.Option(min=1, help="By default the one before the present latest.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an earlier version of a codec its latest, for clients that fetch it from now on.

    The versions after it stay, and so do memories of them; `re-encode` moves those.
    """
    latest = publishing.rollback(redis_url, name, version)
    say(as_json, {"name": name, "latest": latest}, f"the latest version of {name} is {latest} now")


def re_encode(
    agents: Annotated[
        list[str], typer.Argument(metavar="AGENTS", help="Ids of agents, or patterns: 'drone-*'.")
    ],
    *,
    redis_url: RedisUrl,
    codec: Annotated[
        str | None, typer.Option(metavar="NAME", help="By default the one bound, or else the agent's own.")
    ] = None,
    version: Version = None,
    step: Annotated[
        int, typer.Option(min=1, max=16384, help="Memories a step; it holds the server up.")
    ] = 1024,
    as_json: AsJson = False,
) -> None:
    """Move agents' memories to a codec, or to another version of theirs, inside the server.

    May be interrupted: no memory is lost, and the same command goes on.
    """
    results: list[dict[str, Any]] = []
    with connected(redis_url) as client, progress_bar() as bar:
        memory = RedisAgentMemory(client)
        for agent in _find_agents(client, agents):
            task = bar.add_task(agent, total=memory.count_memories(agent))
            done = memory.re_encode(
                agent,
                codec,
                version,
                step=step,
                on_progress=lambda done, task=task: bar.update(  # type: ignore[misc]
                    task, completed=done.moved + done.kept + done.evicted
                ),
            )
            results.append({"agent": agent, "moved": done.moved, "kept": done.kept, "evicted": done.evicted})
    moved = sum(result["moved"] for result in results)
    say(as_json, results, f"re-encoded {moved} memories of {len(results)} agents")


def bind(
    agents: Agents,
    *,
    codec: Annotated[str, typer.Option(metavar="NAME", help="Name of the codec.")],
    redis_url: RedisUrl,
    version: Version = None,
    as_json: AsJson = False,
) -> None:
    """Bind an agent, or a kind of agent, to a codec: clients that are given none store with this one."""
    with connected(redis_url) as client:
        RedisAgentMemory(client).bind(agents, codec, version)
    shown = "the latest version" if version is None else f"version {version}"
    binding = {"agents": agents, "codec": codec, "version": version}
    say(as_json, binding, f"{agents} is bound to {shown} of {codec}")


def unbind(agents: Agents, *, redis_url: RedisUrl, as_json: AsJson = False) -> None:
    """Remove the binding for this very id or pattern."""
    with connected(redis_url) as client:
        if not RedisAgentMemory(client).unbind(agents):
            raise ConfigError(f"there is no binding for {agents!r}")
    say(as_json, {"agents": agents}, f"{agents} is bound to no codec")


COMMANDS: list[tuple[str, Callable[..., None]]] = [
    ("rollback", rollback),
    ("re-encode", re_encode),
    ("bind", bind),
    ("unbind", unbind),
]
"""For cli.py, which reports their errors."""


def _find_agents(client: redis.Redis, wanted: Iterable[str]) -> list[str]:
    """Return the agents that have stored, of those named or matched; ids without a pattern as they are."""
    found: list[str] = []
    existing: list[str] | None = None
    for text in wanted:
        if not set(text) & set("*?["):
            found.append(text)
            continue
        if existing is None:
            matching = client.scan_iter(keys.agent_memory_system("*"), count=1000)
            existing = sorted(keys.agent_of(key.decode()) for key in matching)
        agents = [agent for agent in existing if agent == text or fnmatch.fnmatchcase(agent, text)]
        if not agents:
            raise ConfigError(f"no agent that has stored matches {text!r}")
        found += agents
    return list(dict.fromkeys(found))
