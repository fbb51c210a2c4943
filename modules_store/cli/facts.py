"""Asks a server for what `doctor` judges. What it refuses to tell is None; it changes nothing but that
it loads the library of functions where that is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any, TypeVar

import redis

from modules_store import bindings, keys, scripts
from modules_store.doctor import Codec, Facts

T = TypeVar("T")

_KEY = "KEYS[1]"
_OWN, _ANY_CODEC = "memory_system:doctor", "memory_systems"

NEEDED: list[list[str]] = [
    ["FCALL", "x", "0"],
    ["FCALL_RO", "x", "0"],
    ["JSON.GET", _ANY_CODEC],
    ["JSON.GET", _OWN],
    ["AI.DAGEXECUTE_RO", "x"],
    ["AI.DAGRUN_RO", "x"],
    ["AI.INFO", _OWN],
    ["TIME"],
    ["MSET", _KEY, "x"],
    ["COPY", _KEY, _KEY],
    ["RENAME", _KEY, _KEY],
    ["GETRANGE", _KEY, "0", "0"],
    ["SETRANGE", _KEY, "0", "x"],
    ["JSON.MSET", _KEY, "$", "0"],
    *([name, _KEY] for name in ("EXISTS", "MGET", "PEXPIRETIME", "STRLEN", "UNLINK")),
    *(
        [name, _KEY, "x", "x"]
        for name in (
            *("APPEND", "GET", "HDEL", "HGET", "HINCRBY", "HLEN", "HMGET", "HSET", "JSON.DEL"),
            *("JSON.GET", "JSON.NUMINCRBY", "JSON.SET", "LPUSH", "LRANGE", "LTRIM", "PEXPIREAT", "SET"),
            *("TYPE", "XADD", "XDEL", "ZADD", "ZCARD", "ZCOUNT", "ZMSCORE", "ZRANGE", "ZREM"),
        )
    ),
]
"""What a client that stores and recalls runs, and the scripts for it; a key of an agent where KEYS[1] is."""


def gather(client: redis.Redis, agent: str = "doctor") -> Facts:
    """Ask a server; rights are asked for with keys of `agent`, which need not be there."""
    info = _told(client.info)
    published = _told(lambda: _codec_documents(client))
    return Facts(
        info=info,
        config=_told(lambda: client.config_get("save") | client.config_get("appendfsync")),
        modules=_modules(client, info),
        devices=_told(lambda: _devices(client.info("ai"))),
        cluster_state=_told(lambda: client.execute_command("CLUSTER INFO")["cluster_state"]),
        slowest=_told(lambda: _slowest(client)),
        user=_told(client.acl_whoami),
        refused=_told(lambda: _refused(client, agent)),
        codecs=None if published is None else _told(lambda: _codecs(client, published)),
        unpublished=None if published is None else _told(lambda: _unpublished(client, published)),
        library=scripts.library().name,
        libraries=_told(lambda: _libraries(client)),
        packages={name: _version(name) for name in ("modules-store", "redis", "hiredis")},
    )


def _told(ask: Callable[[], T]) -> T | None:
    """Return the answer, None where the server refuses it: the user may not, or it has no such command."""
    try:
        return ask()
    except redis.ResponseError:
        return None


def _modules(client: redis.Redis, info: Mapping[str, Any] | None) -> dict[str, int] | None:
    listed = _told(client.module_list)
    if listed is not None:
        entries = [{_text(key): value for key, value in entry.items()} for entry in listed]
        return {_text(entry["name"]): int(entry["ver"]) for entry in entries}
    if info is not None and "modules" in info:
        return {entry["name"]: int(entry["ver"]) for entry in info["modules"]}
    return None


def _devices(info: Mapping[str, Any]) -> list[str]:
    found = (re.fullmatch(r"ai_queue_(.+)_waiting", name) for name in info)
    return sorted(match[1].replace("_", ":") for match in found if match)


def _slowest(client: redis.Redis) -> tuple[str, int]:
    entries = client.slowlog_get(128)
    slowest = max(entries, key=lambda entry: entry["duration"], default=None)
    return ("", 0) if slowest is None else (_text(slowest["command"].split()[0]), slowest["duration"])


def _refused(client: redis.Redis, agent: str) -> list[str] | None:
    """Return the commands that the user needs and may not run, None where the server cannot tell."""
    call = (scripts.load("check_rights").function, 1, keys.index(agent), json.dumps(NEEDED))
    try:
        try:
            reply = client.fcall_ro(*call)
        except redis.ResponseError as error:
            if "Function not found" not in str(error):
                raise
            client.function_load(scripts.library().text, replace=True)
            reply = client.fcall_ro(*call)
    except redis.exceptions.NoPermissionError as error:
        named = re.search(r"'(.+)' command", str(error))
        return [named[1].upper().replace("|", " ") if named else "FCALL_RO with an agent's keys"]
    if reply is None:
        return None
    return list(dict.fromkeys(NEEDED[position - 1][0] for position in reply))


def _libraries(client: redis.Redis) -> list[str]:
    listed = client.execute_command("FUNCTION LIST", "LIBRARYNAME", scripts.LIBRARIES)
    found = (entry.values() if isinstance(entry, Mapping) else entry[1::2] for entry in listed)
    return sorted(_text(next(iter(values))) for values in found)


def _codec_documents(client: redis.Redis) -> dict[str, Any]:
    found = {}
    for key in client.scan_iter(keys.codec("*"), count=1000, _type="ReJSON-RL"):
        document = json.loads(client.execute_command("JSON.GET", key) or "null")
        if isinstance(document, dict) and key == keys.codec(document.get("name", "")).encode():
            found[document["name"]] = document
    return found


def _codecs(client: redis.Redis, published: Mapping[str, Any]) -> list[Codec]:
    codecs = []
    for name, document in sorted(published.items()):
        versions = sorted(document["versions"].values(), key=lambda entry: entry["version"])
        missing = [
            f"v{entry['version']} {part}"
            for entry in versions
            for part in ("encoder", "decoder")
            if not client.exists(entry[part])
        ]
        codecs.append(Codec(name, [entry["version"] for entry in versions], missing))
    return codecs


def _unpublished(client: redis.Redis, published: Mapping[str, Any]) -> dict[str, str]:
    text = client.execute_command("JSON.GET", keys.bindings())
    bound = bindings.parse_document(json.loads(text) if text else None)
    return {one.agents: one.codec for one in bound if one.codec and one.codec not in published}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
