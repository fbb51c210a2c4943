"""How many calls a second: stores, recalls of the newest and samples, from one client process and several."""

from __future__ import annotations

from benchmarks.cases.common import Row
from benchmarks.clients import Work
from benchmarks.stage import Stage

WORKS = (
    *(Work("store", count, described) for count in (1, 64, 1024) for described in (False, True)),
    *(Work("recent", count) for count in (1, 10, 100, 1000)),
    *(Work("sample", count) for count in (256, 1000)),
)


def measure(stage: Stage) -> list[Row]:
    """Return a row for each system, work and number of processes, with `calls_per_second` of every round."""
    plan = stage.bench.plan
    rows: dict[tuple[str, Work, int], Row] = {}
    for round_number in range(plan.rounds):
        for processes in (1, plan.processes):
            for work in WORKS:
                where = f"round {round_number + 1} of {plan.rounds}, {processes} clients"
                stage.bench.tick(f"throughput, {where}: {work.name}")
                for system in stage.turns(work, round_number):
                    outcomes = stage.run(system, work, processes, plan.seconds)
                    key = (system.name, work, processes)
                    row = rows.setdefault(key, _row(*key))
                    row["calls_per_second"].append(sum(one.calls_per_second for one in outcomes))
    return list(rows.values())


def _row(system: str, work: Work, processes: int) -> Row:
    return {
        "system": system,
        "work": work.kind,
        "count": work.count,
        "described": work.described,
        "processes": processes,
        "calls_per_second": [],
    }
