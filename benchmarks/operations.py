"""`make bench-store`: each operation of the store, its round trips, its time for 1, 100 and 1,000 memories.

One blocking client on a server of its own; states of 50 features and three fields of metadata, the built-in
codec. Times are medians of calls, the operations taking turns; what an operation needs is made before it and
not timed. Round trips are the commands that the client sends. Compare ratios: machines differ.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from modules_store import KeepAll, Policy, RedisAgentMemory, files
from modules_store.policy import LAYOUTS
from modules_store.server import EmbeddedServer

COUNTS = (1, 100, 1000)
FEATURES = 50
KEPT = 10_000
"""Memories of the agent that is read."""
READ = "read"
OTHERS = 1000

Prepare = Callable[[], object]
Run = Callable[[Any], object]


@dataclass(frozen=True)
class Operation:
    """What is called, with what `prepare` returned, for each count of memories."""

    name: str
    of: Callable[[int], tuple[Prepare, Run]]


@dataclass
class Measured:
    """Round trips of one call, and the seconds that calls took."""

    round_trips: int
    seconds: list[float]


class Bench:
    """A client that counts what it sends, and memories to work on."""

    def __init__(self, memory: RedisAgentMemory) -> None:
        self.memory = memory
        self.sent = 0
        random = np.random.default_rng(0)
        self.states = random.normal(size=(KEPT, FEATURES)).astype(np.float32)
        self.metadata = [{"step": n, "reward": n / KEPT, "action": f"a{n % 7}"} for n in range(KEPT)]
        send = memory._connections.send

        def counting(*arguments: Any) -> Any:
            self.sent += 1
            return send(*arguments)

        memory._connections.send = counting  # type: ignore[method-assign]

    def fill(self) -> None:
        """Store what is read."""
        for start in range(0, KEPT, 1000):
            self.store(READ, slice(start, start + 1000), list(range(start + 1, start + 1001)))
        for n in range(OTHERS):
            self.store(f"agent-{n}", slice(n, n + 1))
        self.memory.update_priorities(READ, range(1, KEPT + 1), np.linspace(1, 5, KEPT))
        self.memory.create_search_index({"reward": "numeric", "action": "tag"}, wait_s=60)

    def store(self, agent: str, rows: slice, timestamps: list[int] | None = None) -> list[int]:
        """Store some rows; return their timestamps."""
        return self.memory.store_agent_memories(agent, self.states[rows], self.metadata[rows], timestamps)

    def measure(self, operation: Operation, count: int) -> tuple[int, float]:
        """Call an operation once; return round trips and seconds."""
        prepare, run = operation.of(count)
        made = prepare()
        before, start = self.sent, time.perf_counter()
        run(made)
        return self.sent - before, time.perf_counter() - start


def operations(bench: Bench) -> list[Operation]:
    """Return all of them, those that write first."""
    memory, states, metadata = bench.memory, bench.states, bench.metadata

    def queries() -> list[Operation]:
        """Packed memories have no documents that a query could find."""
        if memory.agent_stats(READ).layout == "packed":
            return []
        return [
            reading("find_memories", lambda n: memory.find_memories("@reward:[0 +inf]", agents=READ, limit=n))
        ]

    def reading(name: str, call: Callable[[int], object]) -> Operation:
        return Operation(name, lambda count: (lambda: None, lambda _: call(count)))

    def on_fresh(name: str, run: Callable[[int], Run]) -> Operation:
        def of(count: int) -> tuple[Prepare, Run]:
            return lambda: bench.store("fresh", slice(0, count)), run(count)

        return Operation(name, of)

    def buffer(count: int) -> None:
        with memory.buffered(size=count) as buffered:
            for n in range(count):
                buffered.store_agent_memory("buffered", states[n], metadata[n])

    timestamps = np.random.default_rng(1).permutation(KEPT) + 1
    return [
        reading("store_agent_memories", lambda n: bench.store("stored", slice(0, n))),
        reading(
            "store_agent_memories, no metadata", lambda n: memory.store_agent_memories("bare", states[:n])
        ),
        reading(
            "store_step, one each", lambda n: memory.store_step({f"step-{i}": states[i] for i in range(n)})
        ),
        reading("buffered", buffer),
        reading(
            "retrieve_agent_memories", lambda n: memory.retrieve_agent_memories(READ, timestamps[:n].tolist())
        ),
        reading("get_recent_memories", lambda n: memory.get_recent_memories(READ, n)),
        reading(
            "get_recent_memories, states", lambda n: memory.get_recent_memories(READ, n, fields="states")
        ),
        reading("get_memories_between", lambda n: memory.get_memories_between(READ, 1000, limit=n)),
        reading("count_memories", lambda n: memory.count_memories(READ, 1, n)),
        reading("sample_memories, uniform", lambda n: memory.sample_memories(READ, n, fields="states")),
        reading("… by recency", lambda n: memory.sample_memories(READ, n, by="recency", fields="states")),
        reading("… by priority", lambda n: memory.sample_memories(READ, n, by="priority", fields="states")),
        reading("sample_sequences of 10", lambda n: memory.sample_sequences(READ, max(1, n // 10), 10)),
        reading(
            "update_priorities", lambda n: memory.update_priorities(READ, timestamps[:n].tolist(), [2.0] * n)
        ),
        reading(
            "find_similar_memories of 10,000", lambda n: memory.find_similar_memories(READ, states[5], n)
        ),
        *queries(),
        on_fresh("delete_memories", lambda _: lambda made: memory.delete_memories("fresh", made)),
        on_fresh("delete_agent", lambda _: lambda _: memory.delete_agent("fresh")),
        on_fresh("verify_agent", lambda _: lambda _: memory.verify_agent("fresh")),
        reading("agent_stats of 10,000", lambda _: memory.agent_stats(READ)),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table, and write it as Markdown where asked to."""
    parser = argparse.ArgumentParser(prog="make bench-store", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table here")
    parser.add_argument("--layout", choices=LAYOUTS, default="keys", help="of the memories")
    given = parser.parse_args(arguments)
    console = Console()
    policy = Policy(KeepAll(), layout=given.layout)
    with EmbeddedServer() as server, RedisAgentMemory(server.url, policy=policy) as memory:
        bench = Bench(memory)
        with console.status("Storing what is read"):
            bench.fill()
        measured = measure_all(bench, given.rounds)
    console.print(as_table(measured))
    if given.markdown:
        files.write(given.markdown, as_markdown(measured))


def measure_all(bench: Bench, rounds: int) -> dict[tuple[str, int], Measured]:
    """Return what each operation took for each count, by name and count."""
    measured: dict[tuple[str, int], Measured] = {}
    for round_number in track(range(rounds + 1), "Measuring"):
        for operation in operations(bench):
            for count in COUNTS:
                bench.memory.delete_agent("fresh")
                round_trips, seconds = bench.measure(operation, count)
                entry = measured.setdefault((operation.name, count), Measured(round_trips, []))
                if round_number:  # the first loads scripts and fetches codecs
                    entry.round_trips = round_trips
                    entry.seconds.append(seconds)
    return measured


def rows_of(measured: dict[tuple[str, int], Measured]) -> list[list[str]]:
    """Return a row an operation: its name, round trips, milliseconds for each count."""
    rows = []
    for name in dict.fromkeys(name for name, _ in measured):
        own = [measured[name, count] for count in COUNTS]
        trips = [str(one.round_trips) for one in own]
        shown = trips[0] if len(set(trips)) == 1 else " / ".join(trips)
        rows.append([name, shown, *(f"{1000 * statistics.median(one.seconds):.2f}" for one in own)])
    return rows


def as_table(measured: dict[tuple[str, int], Measured]) -> Table:
    """Return the table for a terminal."""
    table = Table(title="Milliseconds a call, one blocking client, 50 features, float16")
    for heading in headings():
        table.add_column(heading, justify="left" if heading == "operation" else "right")
    for row in rows_of(measured):
        table.add_row(*row)
    return table


def as_markdown(measured: dict[tuple[str, int], Measured]) -> str:
    """Return the table for the documentation."""
    lines = [headings(), ["---"] * len(headings()), *rows_of(measured)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def headings() -> list[str]:
    """Return the names of the columns."""
    return ["operation", "round trips", *(f"{count:,}" for count in COUNTS)]


if __name__ == "__main__":
    main()
