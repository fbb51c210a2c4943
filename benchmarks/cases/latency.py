"""How long single calls take while other processes do the same without pause."""

from __future__ import annotations

import numpy as np

from benchmarks.cases.common import Bench, Row
from benchmarks.cases.throughput import prepare_reads
from benchmarks.clients import Fleet, Task, Work
from benchmarks.peers import CODEC_ALONE
from benchmarks.servers import Servers

WORKS = (Work("store", 1), Work("recent", 10))
PERCENTILES = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}


def measure(bench: Bench) -> list[Row]:
    """Return a row for each system and work, with percentiles in microseconds of every round.

    A percentile is that of all processes' calls of a round together.
    """
    plan, material = bench.plan, bench.material
    systems = [system for system in plan.systems if system.name != CODEC_ALONE]
    rows: dict[tuple[str, Work], Row] = {}
    bench.tick("starting servers and client processes")
    with (
        Servers(systems, material, engine=plan.engine, appendonly=plan.appendonly) as servers,
        Fleet(plan.processes, material) as fleet,
    ):
        prepare_reads(bench, servers, systems)
        for round_number in range(plan.rounds):
            for work in WORKS:
                bench.tick(f"round {round_number + 1} of {plan.rounds}: {work.name}")
                for system in systems:
                    if work.kind not in system.works:
                        continue
                    task = Task(system.name, servers.url(system.name), work, plan.latency_seconds)
                    outcomes = fleet.run(task, plan.processes)
                    taken_us = 1e6 * np.concatenate([one.latencies_s for one in outcomes])
                    row = rows.setdefault(
                        (system.name, work),
                        {
                            "system": system.name,
                            "work": work.kind,
                            "count": work.count,
                            "processes": plan.processes,
                            "calls": [],
                            **{name: [] for name in PERCENTILES},
                        },
                    )
                    row["calls"].append(len(taken_us))
                    for name, percent in PERCENTILES.items():
                        row[name].append(float(np.percentile(taken_us, percent)))
                    if not system.is_bounded:
                        servers.tidy(system.name)
    return list(rows.values())
