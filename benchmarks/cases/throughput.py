"""How many calls a second: stores, recalls of the newest and samples, from one client process and several."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.cases.common import Bench, Row
from benchmarks.clients import Fleet, Task, Work
from benchmarks.peers.system import System
from benchmarks.servers import Servers, fill_read

WORKS = (
    *(Work("store", count, described) for count in (1, 64, 1024) for described in (False, True)),
    *(Work("recent", count) for count in (1, 10, 100, 1000)),
    *(Work("sample", count) for count in (256, 1000)),
)


def measure(bench: Bench) -> list[Row]:
    """Return a row for each system, work and number of processes, with `calls_per_second` of every round."""
    plan, material = bench.plan, bench.material
    rows: dict[tuple[str, Work, int], Row] = {}
    bench.tick("starting servers and client processes")
    with (
        Servers(plan.systems, material, engine=plan.engine, appendonly=plan.appendonly) as servers,
        Fleet(plan.processes, material) as fleet,
    ):
        prepare_reads(bench, servers, plan.systems)
        for round_number in range(plan.rounds):
            for processes in (1, plan.processes):
                for work in WORKS:
                    bench.tick(f"round {round_number + 1} of {plan.rounds}: {work.name}, {processes} clients")
                    for system in plan.systems:
                        if work.kind not in system.works:
                            continue
                        task = Task(system.name, servers.url(system.name), work, plan.seconds)
                        outcomes = fleet.run(task, processes)
                        row = rows.setdefault(
                            (system.name, work, processes), _row(system.name, work, processes)
                        )
                        row["calls_per_second"].append(sum(one.calls_per_second for one in outcomes))
                        if work.kind == "store" and not system.is_bounded:
                            servers.tidy(system.name)
    return list(rows.values())


def prepare_reads(bench: Bench, servers: Servers, systems: Sequence[System]) -> None:
    """Fill what is recalled from, on the systems' servers."""
    for system in systems:
        bench.tick(f"storing what is recalled: {system.name}")
        client = system.connect(servers.url(system.name), bench.material)
        fill_read(client, system, bench.material)
        client.close()
        servers.rest(system.name)


def _row(system: str, work: Work, processes: int) -> Row:
    return {
        "system": system,
        "work": work.kind,
        "count": work.count,
        "described": work.described,
        "processes": processes,
        "calls_per_second": [],
    }
