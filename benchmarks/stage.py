"""What several cases are measured on: all systems' servers with something to recall, and client processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from benchmarks.cases.common import Bench
from benchmarks.clients import Fleet, Outcome, Task, Work
from benchmarks.peers.system import System
from benchmarks.servers import Servers, fill_read


class Stage:
    """Servers and client processes, started and filled for the length of a `with` block."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        plan = bench.plan
        with contextlib.ExitStack() as stack:
            bench.tick("starting servers and client processes")
            self.servers = stack.enter_context(
                Servers(plan.systems, bench.material, engine=plan.engine, appendonly=plan.appendonly)
            )
            self.fleet = stack.enter_context(Fleet(plan.processes, bench.material))
            for system in plan.systems:
                bench.tick(f"storing what is recalled: {system.name}")
                client = system.connect(self.servers.url(system.name), bench.material)
                fill_read(client, system, bench.material)
                client.close()
                self.servers.rest(system.name)
            self._stack = stack.pop_all()

    def run(self, system: System, work: Work, processes: int, seconds: float) -> list[Outcome]:
        """Have so many clients do the work at once; return what each did."""
        task = Task(system.name, self.servers.url(system.name), work, seconds)
        outcomes = self.fleet.run(task, processes)
        if work.kind == "store" and not system.is_bounded:
            self.servers.tidy(system.name)
        return outcomes

    def turns(self, work: Work, round_number: int) -> Iterator[System]:
        """Yield the systems that do this work, each round beginning with another."""
        able = [system for system in self.bench.plan.systems if work.kind in system.works]
        for place in range(len(able)):
            yield able[(place + round_number) % len(able)]

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
