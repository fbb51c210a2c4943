"""The subcommands that say which agents there are and what each is: `agents`, `show`."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import redis
import typer

from modules_store import RedisAgentMemory, checks, keys
from modules_store.cli.common import (
    DEFAULT_URL,
    AgentId,
    AsJson,
    RedisUrl,
    connected,
    print_table,
    say,
    time_of,
)
from modules_store.errors import MemoryNotFoundError

Pattern = Annotated[
    str, typer.Argument(metavar="[PATTERN]", help="Ids as Redis matches them, with * ? [abc]: 'drone-*'.")
]

_AGENTS_A_ROUND_TRIP = 500


@dataclass(frozen=True)
class _Agent:
    """What index and documents say about an agent; None is what they do not say."""

    agent: str
    memories: int
    oldest: int | None
    newest: int | None
    layout: str
    metadata: dict[str, Any] | None
    memory_system: dict[str, Any] | None

    @property
    def codec(self) -> dict[str, Any] | None:
        """Name and version."""
        return (self.metadata or {}).get("codec")

    @property
    def codec_text(self) -> str | None:
        """As in "drone v2"."""
        return f"{self.codec['name']} v{self.codec['version']}" if self.codec else None


def agents(pattern: Pattern = "*", *, redis_url: RedisUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List the agents that have memories.

    Example: modules-store agents 'drone-*'
    """
    with connected(redis_url) as client:
        found = list(_read_agents(client, sorted(RedisAgentMemory(client).agent_ids(pattern))))
    if as_json:
        shown = ("agent", "memories", "oldest", "newest", "codec", "layout")
        say(True, [{name: getattr(one, name) for name in shown} for one in found], "")
        return
    rows = [
        [
            *(one.agent, one.memories),
            *(time_of(t) or t for t in (one.oldest, one.newest)),
            *(one.codec_text, one.layout),
        ]
        for one in found
    ]
    print_table(["agent", "memories", "oldest", "newest", "codec", "layout"], rows)


def show(agent: AgentId, *, redis_url: RedisUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show an agent's documents: codec, compression of each feature group, what is kept, counters.

    Example: modules-store show drone-7
    """
    checks.agent_id(agent)
    with connected(redis_url) as client:
        one = next(_read_agents(client, [agent]))
    if not one.memories and one.metadata is None:
        raise MemoryNotFoundError(f"agent {agent} has stored nothing")
    if as_json:
        say(True, asdict(one), "")
        return
    print_table(["", ""], list(_described(one)))
    if compression := (one.metadata or {}).get("compression"):
        typer.echo()
        groups = {**compression["groups"], "all, with header": compression["total"]}
        print_table(
            ["feature group", "raw bytes", "stored bytes", "stored / raw"],
            [[name, own["raw_bytes"], own["stored_bytes"], own["rate"]] for name, own in groups.items()],
        )


COMMANDS: list[tuple[str, Callable[..., None]]] = [("agents", agents), ("show", show)]
"""For the app, which reports their errors."""


def _read_agents(client: redis.Redis, agent_ids: Sequence[str]) -> Iterator[_Agent]:
    for start in range(0, len(agent_ids), _AGENTS_A_ROUND_TRIP):
        some = agent_ids[start : start + _AGENTS_A_ROUND_TRIP]
        pipeline = client.pipeline(transaction=False)
        for agent in some:
            pipeline.execute_command("JSON.GET", keys.agent_metadata(agent))
            pipeline.execute_command("JSON.GET", keys.agent_memory_system(agent))
        replies = iter(pipeline.execute())
        for one in RedisAgentMemory(client).agent_summaries(some):
            documents = map(_parsed, itertools.islice(replies, 2))
            yield _Agent(one.agent_id, one.memories, one.oldest, one.newest, one.layout, *documents)


def _parsed(text: bytes | None) -> dict[str, Any] | None:
    return None if text is None else json.loads(text)


def _described(one: _Agent) -> Iterable[tuple[str, object]]:
    yield "agent", one.agent
    yield "memories", f"{one.memories:,}"
    for name, timestamp in (("oldest", one.oldest), ("newest", one.newest)):
        if timestamp is not None:
            moment = time_of(timestamp)
            yield name, f"{timestamp} ({moment})" if moment else timestamp
    system, metadata = one.memory_system or {}, one.metadata or {}
    yield "codec", one.codec_text or "unknown: the agent's document is gone"
    if system.get("input_dim"):
        yield "states", f"{system['input_dim']} features in {system['codes']} codes, {system['code_dtype']}"
    for earlier in system.get("earlier", ()):
        yield "also has memories of", earlier["name"]
    yield "layout", one.layout
    policy = metadata.get("policy", {})
    if "retention" in policy:
        rule = dict(policy["retention"])
        yield "keeps", " ".join([rule.pop("policy"), *(f"{name}={value}" for name, value in rule.items())])
    if "ttl_ms" in policy:
        yield "memories expire after", f"{policy['ttl_ms']:,} ms"
    if "stream_entries" in policy:
        yield "stream", f"about {policy['stream_entries']:,} entries"
    if policy.get("priorities"):
        yield "priorities", "new memories have the largest"
    if policy.get("layout", "keys") != one.layout:
        yield "layout of the policy", policy.get("layout", "keys")
    if policy.get("documents"):
        yield "documents", "of packed memories' metadata"
    for name, value in metadata.get("counters", {}).items():
        yield name, f"{value:,}"
