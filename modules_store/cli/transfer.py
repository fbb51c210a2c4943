"""The subcommands that move memories out of Redis and in: `export`, `import`. parquet.py has the files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
import redis
import typer

from modules_store import KeepAll, Policy, RedisAgentMemory, checks, keys
from modules_store.cli.common import (
    DEFAULT_URL,
    Agents,
    AllAgents,
    AsJson,
    RedisUrl,
    agents_of,
    connected,
    opened,
    progress_bar,
    say,
)
from modules_store.codec import DEFAULT_CODEC
from modules_store.errors import CodecMismatchError, InvalidInputError, TimestampExistsError
from modules_store.memories import Memory
from modules_store.policy import LAYOUTS

if TYPE_CHECKING:
    from modules_store.cli.parquet import Rows

_ARGUMENT = re.compile(r"(?P<argument>\w+)\[(?P<index>\d+)(?:, (?P<feature>\d+))?\]")
"""What errors of a store begin with that name one memory: `metadata[3]`, `agent_states[3, 0]`."""


def export(
    agents: Agents = None,
    *,
    to: Annotated[Path, typer.Option(metavar="FILE", help="The Parquet file to write; replaced at the end.")],
    all_agents: AllAgents = False,
    redis_url: RedisUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Write agents' memories to a Parquet file, agent by agent, oldest first.

    States are as they are recalled, and must be of one length; metadata is JSON text.

    Example: modules-store export 'drone-*' --to drones.parquet
    """
    parquet = _parquet()
    with opened(redis_url) as memory, progress_bar() as bar:
        chosen = agents_of(memory, agents, all_agents)
        task = bar.add_task("Exporting", total=sum(memory.count_memories(agent) for agent in chosen))

        def recalled() -> Iterator[Memory]:
            for agent in chosen:
                for one in memory.iterate_memories(agent):
                    bar.advance(task)
                    yield one

        written = parquet.write_memories(to, recalled())
    result = {"file": str(to), "agents": len(chosen), "memories": written}
    say(as_json, result, f"wrote {written:,} memories of {len(chosen):,} agents to {to}")


def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A Parquet file as `export` writes it.")],
    *,
    codec: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="By default the agent's own, or the one bound, or else float16."),
    ] = None,
    on_conflict: Annotated[
        str,
        typer.Option(metavar="error|skip", help="Of memories whose timestamps the agents have."),
    ] = "error",
    layout: Annotated[
        str, typer.Option(metavar="keys|packed", help="Of agents that have no memories yet.")
    ] = "keys",
    redis_url: RedisUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Store the memories of a Parquet file, with their timestamps and metadata.

    Integer timestamps are milliseconds; times are converted by their unit.

    Nothing is trimmed, but by the next store of a client; streams do not get them. What was stored before an
    error stays, and `--on-conflict skip` goes on from there.

    Example: modules-store import drones.parquet --on-conflict skip
    """
    parquet = _parquet()
    checks.choice(on_conflict, "--on-conflict", ("error", "skip"))
    checks.choice(layout, "--layout", LAYOUTS)
    with connected(redis_url) as client, progress_bar() as bar:
        importing = _Import(client, codec, Policy(KeepAll(), layout=layout), skips=on_conflict == "skip")
        task = bar.add_task("Importing", total=parquet.count_rows(file))
        for rows in parquet.read_memories(file):
            importing.store(rows, file)
            bar.advance(task, len(rows.timestamps))
    for warning in importing.rounding.warnings():
        typer.echo(f"modules-store: {warning}", err=True)
    say(
        as_json,
        {"agents": len(importing.stores), "memories": importing.stored, "skipped": importing.skipped},
        f"stored {importing.stored:,} memories of {len(importing.stores):,} agents"
        + (f", passed over {importing.skipped:,}" if importing.skipped else ""),
    )


COMMANDS: list[tuple[str, Callable[..., None]]] = [("export", export), ("import", import_file)]
"""For the app, which reports their errors."""


@dataclass
class _Rounding:
    """What float16 does to states: by their number of features, each feature's range and largest error."""

    found: dict[int, npt.NDArray[np.float64]] = field(default_factory=dict)
    """float64[3, D] by D: lowest, highest, largest error."""

    def add(self, states: npt.NDArray[Any]) -> None:
        """Take numbers[B, D] into account."""
        values = states.astype(np.float64)
        errors = np.abs(values - values.astype(np.float32).astype(np.float16)).max(axis=0)
        own = np.stack([values.min(axis=0), values.max(axis=0), errors])
        before = self.found.get(states.shape[1], own)
        self.found[states.shape[1]] = np.stack(
            [
                np.minimum(before[0], own[0]),
                np.maximum(before[1], own[1]),
                np.maximum(before[2], own[2]),
            ]
        )

    def warnings(self) -> list[str]:
        """Return a sentence for each number of features of which some lost digits."""
        return [
            f"warning: the built-in codec float16 keeps 11 bits of a value: {_worst_feature(own)}; "
            "--codec names another codec"
            for own in self.found.values()
            if own[2].any()
        ]


def _worst_feature(own: npt.NDArray[np.float64]) -> str:
    """Name the feature with the largest error for its range."""
    low, high, error = own
    worst = int(np.argmax(error / np.maximum(high - low, np.maximum(error, np.finfo(np.float64).tiny))))
    return f"feature {worst}, from {low[worst]:.7g} to {high[worst]:.7g}, is off by up to {error[worst]:.3g}"


@dataclass
class _Import:
    """Stores rows, each agent's with its codec."""

    client: redis.Redis
    codec: str | None
    policy: Policy
    skips: bool
    stored: int = 0
    skipped: int = 0
    stores: dict[str, RedisAgentMemory] = field(default_factory=dict)
    """By agent; those of one codec share one."""
    rounding: _Rounding = field(default_factory=_Rounding)
    _of_codec: dict[str | None, RedisAgentMemory] = field(default_factory=dict)
    _rounded: dict[str, bool] = field(default_factory=dict)
    """By agent, whether the built-in float16 stores it without having been asked for."""

    def store(self, rows: Rows, file: Path) -> None:
        """Store rows of one agent, all or none."""
        try:
            memory = self._store_of(checks.agent_id(rows.agent_id))
        except InvalidInputError as error:
            raise type(error)(f"row {rows.first} of {file}, column 'agent': {error}") from error
        wanted = list(range(len(rows.timestamps)))
        if self.skips:
            recalled = memory.retrieve_agent_memories(
                rows.agent_id, rows.timestamps, missing="skip", fields="metadata"
            )
            found = {one.timestamp for one in recalled}
            wanted = [i for i in wanted if rows.timestamps[i] not in found]
            self.skipped += len(rows.timestamps) - len(wanted)
        if not wanted:
            return
        try:
            memory.store_agent_memories(
                rows.agent_id,
                rows.states[wanted],
                [rows.metadata[i] for i in wanted],
                [rows.timestamps[i] for i in wanted],
            )
        except TimestampExistsError as error:
            raise TimestampExistsError(
                f"{error}; stored {self.stored:,} memories before it; --on-conflict skip passes over such"
            ) from error
        except (InvalidInputError, CodecMismatchError) as error:
            raise type(error)(_in_file(str(error), rows, wanted, file)) from error
        self.stored += len(wanted)
        if self.codec is None and rows.agent_id not in self._rounded:
            self._rounded[rows.agent_id] = self._codec_of(rows.agent_id) == DEFAULT_CODEC
        if self._rounded.get(rows.agent_id):
            self.rounding.add(rows.states[wanted])

    def _store_of(self, agent: str) -> RedisAgentMemory:
        if agent not in self.stores:
            codec = self.codec or self._codec_of(agent)
            if codec not in self._of_codec:
                self._of_codec[codec] = RedisAgentMemory(self.client, codec=codec, policy=self.policy)
            self.stores[agent] = self._of_codec[codec]
        return self.stores[agent]

    def _codec_of(self, agent: str) -> str | None:
        """Return the codec of an agent that has memories, None for another."""
        text: Any = self.client.execute_command("JSON.GET", keys.agent_memory_system(agent))
        return None if text is None else str(json.loads(text)["name"])


def _in_file(problem: str, rows: Rows, wanted: list[int], file: Path) -> str:
    """Say which row and column of a file a store refuses, where its error names one memory."""
    where = _ARGUMENT.match(problem)
    if where is None or int(where["index"]) >= len(wanted):
        last = rows.first + wanted[-1]
        return f"agent {rows.agent_id!r}, rows {rows.first + wanted[0]} to {last} of {file}: {problem}"
    column = {"timestamps": "timestamp", "metadata": "metadata"}.get(where["argument"], "state")
    feature = f"[{where['feature']}]" if where["feature"] else ""
    row = rows.first + wanted[int(where["index"])]
    rest = problem[where.end() :]
    return f"agent {rows.agent_id!r}, row {row} of {file}, column {column!r}: {column}{feature}{rest}"


def _parquet() -> Any:
    """Return the module that reads and writes Parquet, which needs pyarrow."""
    try:
        from modules_store.cli import parquet  # noqa: PLC0415
    except ImportError as error:
        raise InvalidInputError(
            f"Parquet files need pyarrow ({error}): pip install 'modules-store[parquet]'"
        ) from error
    return parquet
