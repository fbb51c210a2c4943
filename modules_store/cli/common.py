"""What the subcommands share: options, the connection, tables, JSON, progress bars, errors in one line.

Results go to standard output, everything else to standard error. `model-export` takes what it shares with
`modules-store` from here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Annotated, Any

import redis
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from modules_store import urls
from modules_store.client import RedisAgentMemory
from modules_store.errors import InvalidInputError, MemoryStoreError, from_redis_error

URL_FORMS = "redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH"
DEFAULT_URL = "redis://127.0.0.1:6379"

RedisUrl = Annotated[
    str, typer.Option(metavar="URL", envvar="MODULES_STORE_URL", help=URL_FORMS, show_default=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, to standard output.")]
Agents = Annotated[
    list[str] | None, typer.Argument(metavar="AGENTS", help="Ids of agents, or patterns: 'drone-*'.")
]
AllAgents = Annotated[bool, typer.Option("--all", help="All agents that have memories.")]
AgentId = Annotated[str, typer.Argument(metavar="AGENT", help="The id of an agent.")]

_WIDTH_OF_PIPES = 100_000  # as good as none: a line of a table is a line of the pipe
_FIRST_MILLISECONDS = 10**12  # September 2001; smaller timestamps are steps of a simulation
_LAST_MILLISECONDS = 10**13  # November 2286
_INTERRUPTED = 130  # as a shell says of what SIGINT ended


@contextmanager
def errors_without_traceback(
    program: str = "modules-store", expected: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """End the program with one line on standard error where an expected error comes up, or Ctrl-C quietly."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, (MemoryStoreError, *expected)):
            raise
        typer.echo(f"{program}: {' '.join(str(error).splitlines())}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None


@contextmanager
def connected(redis_url: str) -> Iterator[redis.Redis]:
    """A connection to the server, with errors of redis-py as this package's."""
    try:
        client = redis.Redis.from_url(redis_url)
    except ValueError as error:
        raise InvalidInputError(f"redis_url: {urls.why_unusable(redis_url, error)}") from None
    try:
        with client:
            yield client
    except redis.RedisError as error:
        raise from_redis_error(error) from error


@contextmanager
def opened(redis_url: str) -> Iterator[RedisAgentMemory]:
    """A store on the server."""
    with connected(redis_url) as client:
        yield RedisAgentMemory(client)


def agents_of(memory: RedisAgentMemory, wanted: Sequence[str] | None, all_agents: bool) -> list[str]:
    """Return the agents named or matched, each once, or all there are; ids without a pattern as they are.

    Raises InvalidInputError where no agent matches a pattern, or neither or both ways are given.
    """
    if bool(wanted) == all_agents:
        raise InvalidInputError("give either ids or patterns of agents, or --all")
    if not wanted:
        return sorted(memory.agent_ids())
    found: list[str] = []
    for text in wanted:
        matching = sorted(memory.agent_ids(text)) if set(text) & set("*?[\\") else [text]
        if not matching:
            raise InvalidInputError(f"no agent that has memories matches {text!r}")
        found += matching
    return list(dict.fromkeys(found))


def say(as_json: bool, result: object, text: str) -> None:
    """Print `result` as JSON, or `text`."""
    typer.echo(json.dumps(result, ensure_ascii=False) if as_json else text)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]], *, wrap: bool = False) -> None:
    """Print a table; numbers to the right, None as nothing.

    What a terminal has no room for is cut off, or with `wrap` goes on below. In a pipe each row is one line,
    whole.
    """
    width = None if sys.stdout.isatty() else _WIDTH_OF_PIPES
    console = Console(markup=False, emoji=False, highlight=False, width=width)
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(headings))
    for position, heading in enumerate(headings):
        is_number = any(isinstance(row[position], int | float) for row in rows)
        table.add_column(
            heading, justify="right" if is_number else "left", overflow="ellipsis", no_wrap=not wrap
        )
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    with console.capture() as printed:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))


def progress_bar() -> Progress:
    """A bar on standard error; none where that is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


def time_of(timestamp: int | None) -> str | None:
    """Return a timestamp in milliseconds as UTC, None where it counts something else."""
    if timestamp is None or not _FIRST_MILLISECONDS <= timestamp < _LAST_MILLISECONDS:
        return None
    moment = datetime.fromtimestamp(timestamp / 1000, timezone.utc)
    return moment.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")


def text_of(document: Mapping[str, Any] | None) -> str:
    """Return metadata as JSON, nothing where there is none."""
    return "" if document is None else json.dumps(document, ensure_ascii=False)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
