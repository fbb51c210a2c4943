"""The subcommands that start a server and look at one: `serve`, `check`. What they do is in server.py and
server_check.py."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import redis
import typer

from modules_store.cli.common import URL_FORMS, connected
from modules_store.errors import ServerStartError
from modules_store.server import EmbeddedServer
from modules_store.server_check import ServerInfo, check_server

_DEFAULT_PORT = 6379
_MODULE_NAMES = {"engine": "the engine", "json": "RedisJSON", "search": "RediSearch"}

Port = Annotated[
    int | None,
    typer.Option(
        min=1, max=65535, help=f"TCP port on 127.0.0.1; {_DEFAULT_PORT} unless --unix-socket is given."
    ),
]
UnixSocket = Annotated[Path | None, typer.Option(metavar="PATH", help="Listen on this Unix socket.")]
DataDir = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Keep the data in this folder; without it all is gone at the end."),
]
AppendOnly = Annotated[bool, typer.Option("--appendonly", help="Log every write in the data folder (AOF).")]
RedisServer = Annotated[
    str | None,
    typer.Option(metavar="PATH", help="Program to run, Redis 7.2 or Valkey 8 at least."),
]
Config = Annotated[
    list[str] | None, typer.Option(metavar="LINE", help="A line of redis.conf: 'maxmemory 2gb'. Repeatable.")
]
Url = Annotated[str, typer.Argument(help=URL_FORMS)]


def serve(
    *,
    port: Port = None,
    unix_socket: UnixSocket = None,
    data_dir: DataDir = None,
    appendonly: AppendOnly = False,
    redis_server: RedisServer = None,
    config: Config = None,
) -> None:
    """Start a Redis server with the engine, RedisJSON and RediSearch; Ctrl-C stops it.

    Example: modules-store serve --data-dir ./data --appendonly --config 'maxmemory 2gb'
    """
    # A service manager's SIGTERM and a closed terminal's SIGHUP end us as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        with EmbeddedServer(
            redis_server,
            data_dir=data_dir,
            port=port or (None if unix_socket else _DEFAULT_PORT),
            unix_socket=unix_socket,
            appendonly=appendonly,
            config=dict(setting.partition(" ")[::2] for setting in config or []),
        ) as server:
            with redis.Redis.from_url(server.url) as client:
                typer.echo(_greeting(server, check_server(client)))
            status = server.wait()
            raise ServerStartError(f"the server ended by itself, with status {status}:\n{server.log_tail()}")
    except KeyboardInterrupt:
        typer.echo("stopped")


def check(url: Url) -> None:
    """Tell whether a running server has what is needed; where it has not, say what to do and exit with 1.

    Example: modules-store check redis://127.0.0.1:6379
    """
    with connected(url) as client:
        typer.echo(f"{_describe(check_server(client))}: all that is needed")


COMMANDS: list[tuple[str, Callable[..., None]]] = [("serve", serve), ("check", check)]
"""For the app, which reports their errors."""


def _describe(info: ServerInfo) -> str:
    modules = [text for name, text in _MODULE_NAMES.items() if name in info.modules]
    return f"{info.product} {info.version} with {', '.join(modules)}"


def _greeting(server: EmbeddedServer, info: ServerInfo) -> str:
    address = f"-p {server.port}" if server.port else f"-s {shlex.quote(str(server.unix_socket))}"
    return f"""\
{_describe(info)} is ready.

  URL        {server.url}
  data       {server.data_dir}{" (removed at the end: no --data-dir)" if not server.keeps_data else ""}
  by hand    redis-cli {address}
  in Python  from modules_store import RedisAgentMemory
             memory = RedisAgentMemory("{server.url}")

Ctrl-C stops it."""
