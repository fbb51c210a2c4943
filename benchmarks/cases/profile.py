"""Where the time of one client's call goes, from the client's own clock and the server's INFO commandstats.

A call's time is divided by where it is spent::

    the call ─┬─ this package's Python: checks, arguments, replies
              └─ one command ─┬─ network and redis-py: sending, the server's reading and writing, parsing
                              └─ the program in the server ─┬─ commands that it calls: the engine's (ai.*),
                                                            │  RedisJSON's (json.*), Redis's own
                                                            └─ Lua: the rest

The clock is read twice more a call than elsewhere, which is less than a microsecond.
"""

from __future__ import annotations

import time
from typing import Any

import redis

from benchmarks.cases.common import Bench, Row
from benchmarks.clients import READ, Work, caller, drive, written_agents
from benchmarks.peers.store import Store, StoreClient
from benchmarks.stage import Stage

WORKS = (
    Work("store", 1),
    Work("store", 1, described=True),
    Work("store", 1024),
    Work("store", 1024, described=True),
    Work("recent", 1000),
    Work("sample", 1000),
)
AGENTS = 100
PROFILED = "profile"
"""The client whose stores are profiled, among others' agents."""
PROGRAMS = {"eval", "eval_ro", "evalsha", "evalsha_ro", "fcall", "fcall_ro"}
OUR_OWN = {"info", "config|resetstat"}
"""What the measurement itself sends."""
PARTS = ("engine", "Redis commands", "RedisJSON", "Lua", "network and redis-py", "Python")


def measure(stage: Stage) -> list[Row]:
    """Return a row for each system and work: microseconds a call of each of PARTS, of every round."""
    bench, plan, servers = stage.bench, stage.bench.plan, stage.servers
    systems = [one for one in plan.systems if isinstance(one, Store) and one.mode == "inline"]
    rows: dict[tuple[str, Work], Row] = {}
    clients = {system.name: system.connect(servers.url(system.name), bench.material) for system in systems}
    for round_number in range(plan.rounds):
        bench.tick(f"profile, round {round_number + 1} of {plan.rounds}")
        for work in WORKS:
            for name, client in clients.items():
                parts = _profile(bench, client, servers.redis(name), work)
                row = rows.setdefault((name, work), _row(name, work))
                for part, us in parts.items():
                    row["us"][part].append(us)
                servers.tidy(name)
    for client in clients.values():
        client.close()
    return list(rows.values())


def _row(system: str, work: Work) -> Row:
    named = {"system": system, "work": work.kind, "count": work.count, "described": work.described}
    return {**named, "us": {part: [] for part in PARTS}}


def _profile(bench: Bench, client: StoreClient, server: redis.Redis, work: Work) -> dict[str, float]:
    """Drive one client for a while; return the microseconds that a call spends in each part."""
    agents = [READ] if work.kind != "store" else written_agents(PROFILED, work.described, AGENTS)
    call = caller(client, work, agents)
    call()
    with _Sends(client) as sends:
        server.config_resetstat()
        taken = drive(call, bench.plan.seconds)
        stats = server.info("commandstats")
    calls = len(taken.latencies_s)
    return divided(stats, calls, 1e6 * float(taken.latencies_s.sum()), 1e6 * sends.seconds)


def divided(stats: dict[str, Any], calls: int, total_us: float, sending_us: float) -> dict[str, float]:
    """Divide the time of so many calls by parts, a call.

    `stats` is INFO commandstats of these calls alone, `sending_us` the time from sending commands to having
    their replies. Raises RuntimeError where no program ran: the commands are not those that are divided here.
    """
    spent = {name.removeprefix("cmdstat_").lower(): one["usec"] for name, one in stats.items()}
    program_us = sum(us for name, us in spent.items() if name in PROGRAMS)
    if not program_us:
        raise RuntimeError(f"no program ran in the server, but {', '.join(spent)}")
    inner = {name: us for name, us in spent.items() if name not in PROGRAMS | OUR_OWN}
    engine_us = sum(us for name, us in inner.items() if name.startswith("ai."))
    json_us = sum(us for name, us in inner.items() if name.startswith("json."))
    redis_us = sum(inner.values()) - engine_us - json_us
    parts = {
        "engine": engine_us,
        "Redis commands": redis_us,
        "RedisJSON": json_us,
        "Lua": program_us - engine_us - json_us - redis_us,
        "network and redis-py": sending_us - program_us,
        "Python": total_us - sending_us,
    }
    return {name: parts[name] / calls for name in PARTS}


class _Sends:
    """Adds up what a client spends from sending a command to having its reply, for a `with` block."""

    def __init__(self, client: StoreClient) -> None:
        self._connections = client.memory._connections
        self.seconds = 0.0

    def __enter__(self) -> _Sends:
        send = self._connections.send

        def timed(*arguments: Any) -> Any:
            start = time.perf_counter()
            try:
                return send(*arguments)
            finally:
                self.seconds += time.perf_counter() - start

        self._connections.send = timed  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        del self._connections.send
