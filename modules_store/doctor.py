"""Whether a server is fit to be agents' memory: what was found there, and what to do about it.

Pure: `diagnose` judges facts that cli/facts.py asks a server for. What a server, or the rights on it, do not
tell is None there, and makes a diagnosis that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OK, WARN, PROBLEM, UNKNOWN = "ok", "warn", "problem", "unknown"

WANTED_VERSION = {"Redis": (7, 2), "Valkey": (8, 0)}
LIMITED_VERSION = (6, 2)
"""From here on the scripts load."""

_FULL, _NEARLY_FULL = 0.9, 0.75
_FRAGMENTED = 1.5
_FRAGMENTED_BYTES = 512 * 2**20  # less is torch's libraries, which Redis counts
_SLOW_US = 100_000
_LARGEST_SHARE = 0.8
_EVICTS_ALL = "allkeys-"


@dataclass(frozen=True)
class Codec:
    """A codec that is published."""

    name: str
    versions: Sequence[int]
    missing: Sequence[str]
    """The models that are not there, as in "v2 decoder"."""


@dataclass(frozen=True)
class Facts:
    """What a server says; None where it does not."""

    info: Mapping[str, Any] | None
    """INFO as redis-py reads it."""
    config: Mapping[str, str] | None
    """Of CONFIG GET: save, appendfsync."""
    modules: Mapping[str, int] | None
    """The versions of the modules by name, as in 20803."""
    devices: Sequence[str] | None
    """Those on which the engine has run models since it started."""
    cluster_state: str | None
    slowest: tuple[str, int] | None
    """The command in the slow log that took longest, and how many microseconds; ("", 0) for none."""
    user: str | None
    refused: Sequence[str] | None
    """Commands that the user needs and may not run."""
    codecs: Sequence[Codec] | None
    unpublished: Mapping[str, str] | None
    """Agents, or patterns of them, that are bound to a codec that is not published, and its name."""
    library: str
    """The library of functions of this version, by name."""
    libraries: Sequence[str] | None
    """All versions' libraries that the server has."""
    packages: Mapping[str, str | None]
    """The versions of modules-store, redis (redis-py) and hiredis here; None for what is not installed."""


@dataclass(frozen=True)
class Diagnosis:
    """One thing that was looked at."""

    subject: str
    state: str
    """OK, WARN, PROBLEM or UNKNOWN."""
    found: str
    advice: str = ""
    """What to do; empty where nothing need be done."""


def diagnose(facts: Facts) -> list[Diagnosis]:
    """Return what there is to say about a server, subject by subject."""
    return [diagnosis for check in _CHECKS for diagnosis in check(facts)]


def _server(facts: Facts) -> Iterator[Diagnosis]:
    if facts.info is None or "redis_version" not in facts.info:
        yield Diagnosis("server", UNKNOWN, "INFO is not allowed", _allow("info"))
        return
    product = "Valkey" if "valkey_version" in facts.info else "Redis"
    version = str(facts.info.get("valkey_version", facts.info["redis_version"]))
    found, numbers = f"{product} {version}", tuple(int(part) for part in version.split(".")[:2])
    if numbers >= WANTED_VERSION[product]:
        yield Diagnosis("server", OK, found)
    elif numbers >= LIMITED_VERSION:
        yield Diagnosis(
            "server", WARN, f"{found}: too old for all to work", "install Redis 7.2 or Valkey 8 or newer"
        )
    else:
        yield Diagnosis("server", PROBLEM, f"{found}: too old", "install Redis 7.2 or Valkey 8 or newer")
    if facts.info.get("loading"):
        yield Diagnosis("server", PROBLEM, "it is loading its data", "wait until it has")


def _modules(facts: Facts) -> Iterator[Diagnosis]:
    if facts.modules is None:
        yield Diagnosis("modules", UNKNOWN, "neither INFO nor MODULE LIST is allowed", _allow("module|list"))
        return
    for name, (title, state, advice) in _MODULES.items():
        if name not in facts.modules:
            yield Diagnosis(title, state, "not loaded", advice)
            continue
        found = _module_version(facts.modules[name])
        if name == "ai" and facts.devices:
            found += f", has run models on {', '.join(facts.devices)}"
        yield Diagnosis(title, OK, found)


def _memory(facts: Facts) -> Iterator[Diagnosis]:
    info = facts.info
    if info is None or "used_memory" not in info:
        yield Diagnosis("memory", UNKNOWN, "INFO is not allowed", _allow("info"))
        return
    used, limit, system = info["used_memory"], info.get("maxmemory", 0), info.get("total_system_memory", 0)
    of_system = f", the machine has {_size(system)}" if system else ""
    if not limit:
        advice = "set maxmemory to about 60 % of the machine's, so that stores are refused before it runs out"
        yield Diagnosis("memory", WARN, f"{_size(used)} used, no limit{of_system}", advice)
    else:
        share = used / limit
        found = f"{_size(used)} of {_size(limit)} used ({share:.0%}){of_system}"
        if share >= _NEARLY_FULL:
            state = PROBLEM if share >= _FULL else WARN
            yield Diagnosis(
                "memory", state, found, "raise maxmemory, or keep less: see Policy, `modules-store trim`"
            )
        elif system and limit > _LARGEST_SHARE * system:
            yield Diagnosis(
                "memory", WARN, found, "lower maxmemory: saving and replication need some beside it"
            )
        else:
            yield Diagnosis("memory", OK, found)
    ratio, wasted = info.get("mem_fragmentation_ratio", 0), info.get("mem_fragmentation_bytes", 0)
    if ratio >= _FRAGMENTED and wasted >= _FRAGMENTED_BYTES:
        found = f"{_size(wasted)} lost to it (ratio {ratio:.2f})"
        yield Diagnosis("fragmentation", WARN, found, "CONFIG SET activedefrag yes")


def _eviction(facts: Facts) -> Iterator[Diagnosis]:
    policy = (facts.info or {}).get("maxmemory_policy")
    if policy is None:
        yield Diagnosis("eviction", UNKNOWN, "INFO is not allowed", _allow("info"))
        return
    evicted = (facts.info or {}).get("evicted_keys", 0)
    found = f"{policy}, {evicted:,} keys evicted since the start" if evicted else str(policy)
    if policy.startswith(_EVICTS_ALL):
        advice = (
            "CONFIG SET maxmemory-policy noeviction (or volatile-ttl where memories expire), and let agents' "
            "policies keep memory within bounds: this one may evict codecs, without which nothing is recalled"
        )
        yield Diagnosis("eviction", WARN, found, advice)
    elif evicted:
        yield Diagnosis(
            "eviction", WARN, found, "memories were lost: raise maxmemory, or keep less; verify agents"
        )
    else:
        yield Diagnosis("eviction", OK, found)


def _persistence(facts: Facts) -> Iterator[Diagnosis]:
    info, config = facts.info, facts.config or {}
    if info is None or "aof_enabled" not in info:
        yield Diagnosis("persistence", UNKNOWN, "INFO is not allowed", _allow("info"))
        return
    if info["aof_enabled"]:
        yield from _append_only_file(config.get("appendfsync"))
    elif "save" not in config:
        found = "no append-only file; CONFIG is not allowed, so whether snapshots are saved is unknown"
        yield Diagnosis("persistence", UNKNOWN, found, "ask who runs the server for appendonly yes")
    elif config["save"]:
        found = f"snapshots alone (save {config['save']}): a crash loses what came after the last"
        yield Diagnosis("persistence", WARN, found, "CONFIG SET appendonly yes")
    else:
        yield Diagnosis("persistence", WARN, "none: a restart loses all", "CONFIG SET appendonly yes")
    for field, what in _WRITES.items():
        if info.get(field, "ok") != "ok":
            yield Diagnosis(
                "persistence", PROBLEM, f"{what} failed", "see the server's log and free disk space"
            )


def _append_only_file(fsync: str | None) -> Iterator[Diagnosis]:
    found, state, advice = {
        "always": ("each answer is on disk before it is given", OK, ""),
        "everysec": ("a crash of the machine loses up to a second", OK, ""),
        "no": ("the system decides when it is on disk", WARN, "CONFIG SET appendfsync everysec"),
    }.get(fsync or "", ("how often it is on disk is unknown", OK, ""))
    yield Diagnosis("persistence", state, f"append-only file: {found}", advice)


def _replication(facts: Facts) -> Iterator[Diagnosis]:
    info = facts.info
    if info is None or "role" not in info:
        yield Diagnosis("replication", UNKNOWN, "INFO is not allowed", _allow("info"))
        return
    if info["role"] == "master":
        yield Diagnosis("replication", OK, f"a master with {info.get('connected_slaves', 0)} replicas")
    elif info.get("master_link_status") != "up":
        found = "a replica that has lost its master: what it recalls is out of date"
        yield Diagnosis("replication", PROBLEM, found, "see the server's log")
    else:
        yield Diagnosis(
            "replication", WARN, "a replica: it recalls, but refuses stores", "store on its master"
        )
    if info.get("cluster_enabled"):
        if facts.cluster_state == "ok":
            yield Diagnosis("cluster", OK, "on: queries are refused, a step is a call for each slot")
        else:
            found = f"on, its state is {facts.cluster_state or 'unknown'}"
            state = UNKNOWN if facts.cluster_state is None else PROBLEM
            yield Diagnosis("cluster", state, found, "CLUSTER INFO and CLUSTER NODES say more")


def _clients(facts: Facts) -> Iterator[Diagnosis]:
    info = facts.info or {}
    connected, limit = info.get("connected_clients"), info.get("maxclients")
    if not connected or not limit:
        return
    found = f"{connected:,} of {limit:,} connections"
    if info.get("rejected_connections"):
        found += f", {info['rejected_connections']:,} were refused since the start"
    if connected >= _FULL * limit:
        yield Diagnosis("connections", WARN, found, "raise maxclients, or share clients: each has a pool")
    else:
        yield Diagnosis("connections", OK, found)


def _latency(facts: Facts) -> Iterator[Diagnosis]:
    if facts.slowest is None:
        yield Diagnosis("latency", UNKNOWN, "SLOWLOG is not allowed", _allow("slowlog|get"))
        return
    command, duration_us = facts.slowest
    if duration_us >= _SLOW_US:
        advice = "nothing else runs meanwhile: take smaller batches, pages and steps, and no KEYS"
        yield Diagnosis("latency", WARN, f"{command} took {duration_us / 1000:,.0f} ms", advice)
    elif duration_us:
        yield Diagnosis("latency", OK, f"the slowest of late was {command}, {duration_us / 1000:.0f} ms")
    else:
        yield Diagnosis("latency", OK, "nothing in the slow log")


def _rights(facts: Facts) -> Iterator[Diagnosis]:
    user = "this user" if facts.user is None else f"user {facts.user}"
    if facts.refused is None:
        yield Diagnosis(
            "rights", UNKNOWN, f"the server does not tell what {user} may run", "Redis 7.0 or newer does"
        )
    elif facts.refused:
        found = f"{user} may not run {', '.join(facts.refused)}"
        yield Diagnosis(
            "rights", PROBLEM, found, "allow them with ACL SETUSER, on agent:* and memory_system*"
        )
    else:
        yield Diagnosis("rights", OK, f"{user} may run all that is needed")


def _functions(facts: Facts) -> Iterator[Diagnosis]:
    if facts.libraries is None:
        yield Diagnosis("functions", UNKNOWN, "FUNCTION LIST is not allowed", _allow("function|list"))
        return
    is_there = facts.library in facts.libraries
    found = f"{facts.library} is {'there' if is_there else 'not loaded yet: a client does that'}"
    others = [name for name in facts.libraries if name != facts.library]
    if others:
        advice = "FUNCTION DELETE each once all clients are of this version"
        yield Diagnosis("functions", OK, f"{found}; of other versions {', '.join(others)}", advice)
    else:
        yield Diagnosis("functions", OK, found)


def _codecs(facts: Facts) -> Iterator[Diagnosis]:
    if facts.codecs is None:
        yield Diagnosis("codecs", UNKNOWN, "they cannot be listed", _allow("scan", "exists", "json.get"))
    elif not facts.codecs:
        yield Diagnosis("codecs", OK, "none is published yet; the first store publishes float16")
    for codec in facts.codecs or ():
        versions = ", ".join(f"v{version}" for version in codec.versions)
        if codec.missing:
            found = f"{codec.name} lacks {', '.join(codec.missing)}: its memories cannot be decoded"
            yield Diagnosis(
                "codec", PROBLEM, found, "publish that very version again, or restore it from a backup"
            )
        else:
            yield Diagnosis("codec", OK, f"{codec.name} {versions}, all models are there")
    for agents, name in (facts.unpublished or {}).items():
        found = f"{agents} is bound to {name}, which is not published"
        yield Diagnosis("binding", PROBLEM, found, "publish it, or bind those agents to another")


def _packages(facts: Facts) -> Iterator[Diagnosis]:
    own, client, parser = (facts.packages.get(name) for name in ("modules-store", "redis", "hiredis"))
    found = f"modules-store {own}, redis-py {client}"
    if parser is None:
        yield Diagnosis(
            "client", OK, f"{found}, no hiredis", "pip install hiredis: long replies are read faster"
        )
    else:
        yield Diagnosis("client", OK, f"{found}, hiredis {parser}")


_LOAD = "start the server with --loadmodule, or `modules-store serve`, which has it"
_MODULES = {
    "ai": ("engine", PROBLEM, _LOAD),
    "ReJSON": ("RedisJSON", PROBLEM, _LOAD),
    "search": ("RediSearch", WARN, f"find_memories needs it: {_LOAD}"),
}
_WRITES = {
    "rdb_last_bgsave_status": "the last snapshot",
    "aof_last_bgrewrite_status": "the last rewrite of the append-only file",
    "aof_last_write_status": "the last write to the append-only file",
}
_CHECKS: list[Callable[[Facts], Iterator[Diagnosis]]] = [
    _server,
    _modules,
    _memory,
    _eviction,
    _persistence,
    _replication,
    _clients,
    _latency,
    _rights,
    _functions,
    _codecs,
    _packages,
]


def _allow(*commands: str) -> str:
    return f"ACL SETUSER … {' '.join(f'+{command}' for command in commands)}, where the server lets you"


def _module_version(number: int) -> str:
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def _size(size_bytes: int) -> str:
    size, unit = float(size_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.4g} {unit}"
