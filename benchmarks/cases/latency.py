"""How long single calls take while other processes do the same without pause."""

from __future__ import annotations

import numpy as np

from benchmarks.cases.common import Row
from benchmarks.clients import Work
from benchmarks.peers import CODEC_ALONE
from benchmarks.stage import Stage

WORKS = (Work("store", 1), Work("recent", 10))
PERCENTILES = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}


def measure(stage: Stage) -> list[Row]:
    """Return a row for each system and work, with percentiles in microseconds of every round.

    A percentile is that of all processes' calls of a round together.
    """
    plan = stage.bench.plan
    rows: dict[tuple[str, Work], Row] = {}
    for round_number in range(plan.rounds):
        for work in WORKS:
            stage.bench.tick(f"latency, round {round_number + 1} of {plan.rounds}: {work.name}")
            for system in stage.turns(work, round_number):
                if system.name == CODEC_ALONE:  # no other process can load what is not on a server
                    continue
                outcomes = stage.run(system, work, plan.processes, plan.latency_seconds)
                taken_us = 1e6 * np.concatenate([one.latencies_s for one in outcomes])
                row = rows.setdefault((system.name, work), _row(system.name, work, plan.processes))
                row["calls"].append(len(taken_us))
                for name, percent in PERCENTILES.items():
                    row[name].append(float(np.percentile(taken_us, percent)))
    return list(rows.values())


def _row(system: str, work: Work, processes: int) -> Row:
    named = {"system": system, "work": work.kind, "count": work.count, "processes": processes}
    return {**named, "calls": [], **{name: [] for name in PERCENTILES}}
