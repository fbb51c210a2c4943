"""Drives a system's client: in this process, or in several that start together and each measure themselves.

Client processes are spawned once and keep their connections. They get a task, prepare it (connect, load
scripts, store once to each agent, make one call), say so, and begin at a time on the machine's monotonic
clock that is the same for all. A process that gets no more tasks because its parent is gone ends.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.material import STATES, Material
from benchmarks.peers import SYSTEMS
from benchmarks.peers.system import Client

READ = "read"
"""The agent that is recalled from."""
READ_HOLDS = 10_000
START_DELAY_S = 0.02


@dataclass(frozen=True)
class Work:
    """A call: "store", "recent" or "sample", of so many states, stored with metadata where `described`."""

    kind: str
    count: int
    described: bool = False

    @property
    def name(self) -> str:
        return f"{self.kind} {self.count:,}{' with metadata' if self.described else ''}"


@dataclass(frozen=True)
class Task:
    """Work on a system's server for so long."""

    system: str
    url: str
    work: Work
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What one client did: the seconds of each call, float64[calls], one after the other."""

    latencies_s: NDArray[np.float64]

    @property
    def calls_per_second(self) -> float:
        return len(self.latencies_s) / float(self.latencies_s.sum())


def caller(client: Client, work: Work, agents: Iterable[str]) -> Callable[[], object]:
    """Return what makes one call of `work`, for the agents in turn."""
    names = itertools.cycle(agents)
    if work.kind != "store":
        recall = client.recent if work.kind == "recent" else client.sample
        return lambda: recall(next(names), work.count)
    starts = itertools.cycle(range(0, STATES - work.count + 1, work.count))

    def store() -> None:
        start = next(starts)
        client.store(next(names), slice(start, start + work.count), work.described)

    return store


def drive(call: Callable[[], object], seconds: float, start_at: float | None = None) -> Outcome:
    """Call again and again for `seconds`, once at least, beginning at a time of the monotonic clock."""
    if start_at is not None:
        time.sleep(max(0.0, start_at - time.monotonic()))
    taken: list[float] = []
    now = time.perf_counter()
    end = now + seconds
    while now < end:
        call()
        before, now = now, time.perf_counter()
        taken.append(now - before)
    return Outcome(np.array(taken))


class Fleet:
    """Client processes, for the length of a `with` block."""

    def __init__(self, size: int, material: Material) -> None:
        context = multiprocessing.get_context("spawn")
        self._connections: list[Connection] = []
        self._processes = []
        for number in range(size):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, material.folder, number), daemon=True)
            process.start()
            theirs.close()
            self._connections.append(ours)
            self._processes.append(process)
        # Those that still import torch would take the cores from the first measurements.
        for connection in self._connections:
            _received(connection)

    def run(self, task: Task, processes: int) -> list[Outcome]:
        """Have so many processes do the task at once; return what each did. Raises RuntimeError."""
        taking_part = self._connections[:processes]
        for connection in taking_part:
            connection.send(task)
        for connection in taking_part:
            _received(connection)
        start_at = time.monotonic() + START_DELAY_S
        for connection in taking_part:
            connection.send(start_at)
        return [Outcome(_received(connection)) for connection in taking_part]

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.send(None)
        for process in self._processes:
            process.join(10)
            if process.is_alive():
                process.terminate()
                process.join()


def _received(connection: Connection) -> object:
    try:
        answer = connection.recv()
    except EOFError as error:
        raise RuntimeError("a client process ended") from error
    if isinstance(answer, str):
        raise RuntimeError(f"a client process failed:\n{answer}")
    return answer


def _serve(connection: Connection, folder: Path, number: int) -> None:
    """Do tasks until there are no more."""
    torch.set_num_threads(1)
    material = Material(folder)
    ready: dict[tuple[str, str, Work], Callable[[], object]] = {}
    clients: dict[str, Client] = {}
    with contextlib.suppress(EOFError, BrokenPipeError):
        connection.send(True)
        while (task := connection.recv()) is not None:
            try:
                call = _prepared(task, number, material, clients, ready)
                connection.send(True)
                connection.send(drive(call, task.seconds, connection.recv()).latencies_s)
            except Exception:
                connection.send(traceback.format_exc())
    for client in clients.values():
        client.close()


def _prepared(
    task: Task,
    number: int,
    material: Material,
    clients: dict[str, Client],
    ready: dict[tuple[str, str, Work], Callable[[], object]],
) -> Callable[[], object]:
    system = SYSTEMS[task.system]
    if task.url not in clients:
        clients[task.url] = system.connect(task.url, material)
    client, agents = clients[task.url], [READ]
    if task.work.kind == "store":
        agents = written_agents(number, task.work.described, system.agents_a_client)
        for agent in agents:  # what an agent's first store takes is another matter
            client.store(agent, slice(0, 1), task.work.described)
    known = (task.system, task.url, task.work)
    if known not in ready:
        if task.work.kind != "store":
            client.open(READ, holds=READ_HOLDS)
        ready[known] = caller(client, task.work, agents)
        ready[known]()  # loads scripts, fetches the codec, fills caches
    return ready[known]


def written_agents(client: int | str, described: bool, count: int) -> Sequence[str]:
    """Return the agents that a client stores to. Their memories have metadata, or have not."""
    return [f"{WRITTEN}{client}-{'described' if described else 'bare'}-{agent}" for agent in range(count)]


WRITTEN = "written-"
"""What the names of agents begin with whose memories may go when there are too many."""
