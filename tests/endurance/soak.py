"""`make soak`: a mixed load from many connections for a long time; the server's memory must stay flat.

Memory is measured at rest, with nothing stored: after a warm-up of the same load, and at the end. What is
measured in between shows what the load takes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import queue
import sys
import time
from collections import Counter
from collections.abc import Callable

import redis
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from modules_store.server import EmbeddedServer
from tests import helpers
from tests.endurance import load, memory
from tests.engine import models, scripts

PROCESSES = 4
CLIENTS_PER_PROCESS = 8
WARM_UP_SHARE = 0.25
SAMPLES = 10
FLAT_SHARE = 0.02
SCRIPT = """
def add(tensors: List[Tensor], keys: List[str], args: List[str]):
    return tensors[0] + tensors[1]

def count_and_add(tensors: List[Tensor], keys: List[str], args: List[str]):
    redis.execute("INCR", keys[0])
    return tensors[0] + tensors[1]
"""

console = Console(highlight=False)


class Soak:
    """The load on one server, and what came of it."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server
        self._double = models.blob(models.Double())
        self._script = scripts.arguments(SCRIPT, ["add", "count_and_add"])
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.unexpected: list[str] = []

    def run(self, seconds: float, progress: Callable[[], None]) -> None:
        """Start the processes, take their reports, and return when they have ended."""
        self._store_shared()
        context = multiprocessing.get_context("spawn")
        reports = context.Queue()
        processes = [
            context.Process(target=load.run, args=(self._plan(seed, seconds), reports), daemon=True)
            for seed in range(PROCESSES)
        ]
        for process in processes:
            process.start()
        left = PROCESSES
        while left and all(process.exitcode in (None, 0) for process in processes):
            try:
                report = reports.get(timeout=1)
            except queue.Empty:
                continue
            if report is None:
                left -= 1
            else:
                self.outcomes += report.outcomes
                self.unexpected += report.unexpected
            progress()
        if left:
            self.unexpected.append("a process of clients ended early")
        for process in processes:
            process.join()

    def _plan(self, seed: int, seconds: float) -> load.Plan:
        path = str(self._server.unix_socket)
        return load.Plan(path, seed, CLIENTS_PER_PROCESS, seconds, self._double, self._script)

    def _store_shared(self) -> None:
        with redis.Redis(unix_socket_path=str(self._server.unix_socket)) as client:
            for number in range(load.SHARED_KEYS):
                model = ["TORCH", "CPU", "BLOB", self._double]
                client.execute_command("AI.MODELSTORE", f"model:{number}", *model)
                model[2:2] = load.BATCHING
                client.execute_command("AI.MODELSTORE", f"batching:{number}", *model)
                client.execute_command("AI.SCRIPTSTORE", f"script:{number}", "CPU", *self._script)


def start_server() -> EmbeddedServer:
    """Return a server as the soak wants it."""
    engine = helpers.engine()
    return EmbeddedServer(helpers.redis_server(), port=0, engine=engine, modules=["engine"])


def soak(server: EmbeddedServer, seconds: float, *, any_memory: bool = False) -> bool:
    """Load the server; print what was done, and return whether all was as it should be.

    `any_memory`: whatever it takes, since the warm-up was too short or a sanitizer keeps what was freed.
    """
    soaking = Soak(server)
    samples: list[tuple[str, int, memory.Memory]] = []
    start = time.monotonic()
    with (
        redis.Redis.from_url(server.url) as client,
        Progress(
            BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"), console=console
        ) as bar,
    ):
        task = bar.add_task("warming up", total=seconds)

        def show() -> None:
            passed_s = time.monotonic() - start
            requests = soaking.outcomes.total()
            bar.update(task, completed=passed_s, description=f"{requests} operations")
            if passed_s >= (len(samples) + 1) * seconds / SAMPLES:
                samples.append((f"{passed_s:.0f} s", requests, memory.now(server, client)))

        soaking.run(seconds * WARM_UP_SHARE, show)
        client.connection_pool.disconnect()
        before = memory.at_rest(server)
        samples.append(("at rest, after the warm-up", soaking.outcomes.total(), before))
        soaking.run(seconds * (1 - WARM_UP_SHARE), show)
        client.connection_pool.disconnect()
        after = memory.at_rest(server)
    samples.append(("at rest, at the end", soaking.outcomes.total(), after))
    _show_outcomes(soaking.outcomes)
    _show_memory(samples)
    return _is_right(soaking, before, after, any_memory=any_memory)


def _is_right(soaking: Soak, before: memory.Memory, after: memory.Memory, *, any_memory: bool) -> bool:
    faults = [f"unexpected: {text}" for text in soaking.unexpected[:20]]
    for name in ("used", "rss"):
        first, last = getattr(before, name), getattr(after, name)
        if last > first * (1 + FLAT_SHARE) and not any_memory:
            faults.append(f"{name} grew from {first} to {last} bytes, by more than {FLAT_SHARE:.0%}")
    for fault in faults:
        print(fault, file=sys.stderr)
    return not faults


def _show_outcomes(outcomes: Counter[tuple[str, str]]) -> None:
    table = Table("operation", "outcome", "count")
    for (operation, outcome), count in sorted(outcomes.items()):
        table.add_row(operation, outcome, str(count))
    console.print(table)


def _show_memory(samples: list[tuple[str, int, memory.Memory]]) -> None:
    table = Table("when", "operations", "used_memory, MiB", "RSS, MiB")
    for when, operations, measured in samples:
        table.add_row(when, str(operations), f"{measured.used / 2**20:.2f}", f"{measured.rss / 2**20:.1f}")
    console.print(table)


def main() -> None:
    """Soak a server of its own; exit with 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="how long (300)")
    parser.add_argument("--any-rss", action="store_true", help="for sanitizers, which keep freed memory")
    options = parser.parse_args()
    with start_server() as server:
        if not soak(server, options.seconds, any_memory=options.any_rss):
            print(server.log_tail(), file=sys.stderr)
            sys.exit(1)


if __name__ == "__main__":
    main()
