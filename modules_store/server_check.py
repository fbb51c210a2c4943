"""What a Redis server must be and have for this package: a version, the engine, RedisJSON.

Asks over a connection that it is given; starts nothing. server.py holds its own program to the same versions.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import redis

from modules_store import resources
from modules_store.doctor import WANTED_VERSION
from modules_store.errors import MissingModuleError, ServerError, UnsupportedServerError, from_redis_error

_COMMAND_OF = {"engine": "AI.TENSORSET", "json": "JSON.SET", "search": "FT.SEARCH"}
_FILE_OF_NEEDED = {"engine": "redisai.so", "json": "rejson.so"}


class ServerInfo(NamedTuple):
    """A server's product ("Redis", "Valkey"), version ("8.2.3") and modules ("engine", "json", "search")."""

    product: str
    version: str
    modules: frozenset[str]


def check_server(client: redis.Redis) -> ServerInfo:
    """Ask a running server whether this package can work with it.

    RediSearch is reported in `modules`, but need not be there.

    Raises UnsupportedServerError where it is older than Redis 7.2 or Valkey 8, MissingModuleError where it
    lacks the engine or RedisJSON (the message has the options that load them), ConnectionLostError where it
    cannot be reached, ServerError where it refuses to answer.
    """
    try:
        facts = client.info("server")
        commands = client.execute_command("COMMAND INFO", *_COMMAND_OF.values())
    except redis.RedisError as error:
        raise from_redis_error(error) from error
    product = "Valkey" if "valkey_version" in facts else "Redis"
    version = str(facts.get("valkey_version", facts["redis_version"]))
    refuse_old(product, version, "the server")
    modules = frozenset(name for name, command in zip(_COMMAND_OF, commands, strict=True) if command)
    missing = [name for name in _FILE_OF_NEEDED if name not in modules]
    if missing:
        raise MissingModuleError(
            f"the server ({product} {version}) lacks "
            + " and ".join(f"{_FILE_OF_NEEDED[name]} (the command {_COMMAND_OF[name]})" for name in missing)
            + "; start it with "
            + " ".join(f"--loadmodule {_path_of(name)}" for name in missing)
            + ", or start one that has all with `modules-store serve`"
        )
    return ServerInfo(product, version, modules)


def refuse_old(product: str, version: str, what: str) -> None:
    """Raise UnsupportedServerError, naming `what`, where the version is too old for this package."""
    if tuple(int(part) for part in version.split(".")[:2]) < WANTED_VERSION[product]:
        raise UnsupportedServerError(
            f"{what} is {product} {version}; the oldest that works is Redis 7.2 or Valkey 8. Install a newer "
            "one, or use the one that `modules-store serve` starts"
        )


def _path_of(module: str) -> Path:
    """Return the module's path on this machine, or where it is not installed here a path to be filled in."""
    try:
        return resources.engine() if module == "engine" else resources.json_module(resources.redis_server())
    except ServerError:
        return Path("/path/to") / _FILE_OF_NEEDED[module]
