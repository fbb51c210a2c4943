"""How the cost of a store of 1 and a sample of 256 grows with the agents, and with the memories of an agent.

At each size a small server is measured in turn with the one that has grown, so that a size is compared with
the small one of the same moment, not of some minutes ago. It is a new one each time, since its few agents
soon have many memories of what is stored to measure. An agent among many has 100 memories; where memories of
an agent grow, there are as many agents as make 10,000 memories, and one from there on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.cases.common import Bench, Plan, Row
from benchmarks.clients import Work, caller, drive
from benchmarks.material import Material
from benchmarks.measure import interleaved
from benchmarks.peers.system import System
from benchmarks.servers import Servers, fill

WORKS = (Work("sample", 256), Work("store", 1))
"""In this order, as stores add to what is sampled."""
AN_AGENT = 100
IN_ALL = 10_000
ROOM = 10_000
"""Entries that a storage of fixed length has beside those that are filled in."""
SMALL_AGENTS = 10
"""What numbers of agents are compared with; memories of an agent are compared with the fewest."""


@dataclass(frozen=True)
class Size:
    """So many agents of so many memories each."""

    agents: int
    memories: int

    @property
    def names(self) -> list[str]:
        return [f"agent-{self.memories}-{number}" for number in range(self.agents)]


class Place:
    """A system's server, the client of it, and the agents that it holds already."""

    def __init__(self, system: System, servers: Servers, material: Material) -> None:
        self.client = system.connect(servers.url(system.name), material)
        self._held: set[str] = set()

    def grow(self, size: Size) -> None:
        """Hold the agents of `size`, whatever is held already."""
        for agent in size.names:
            if agent not in self._held:
                self._held.add(agent)
                self.client.open(agent, capacity=2 * size.memories + ROOM)
                fill(self.client, agent, size.memories)

    def call(self, work: Work, size: Size) -> Callable[[], object]:
        """Return what makes one call for the agents of `size` in turn, made once already."""
        call = caller(self.client, work, size.names)
        call()
        return call


def measure(bench: Bench) -> list[Row]:
    """Return a row for each system, axis, size and work.

    `us` and `small_us` are the microseconds of a call there and on the small server, of every round.
    """
    plan = bench.plan
    agents = [Size(count, AN_AGENT) for count in plan.agents]
    memories = [Size(max(1, IN_ALL // count), count) for count in plan.memories]
    few = Size(min(SMALL_AGENTS, max(plan.agents)), AN_AGENT)
    return [*_axis(bench, "agents", few, agents), *_axis(bench, "memories", memories[0], memories)]


def _axis(bench: Bench, axis: str, small: Size, sizes: list[Size]) -> list[Row]:
    systems = [system for system in bench.plan.systems if system.is_weighed and not system.is_floor]
    bench.tick(f"growth: {axis}: starting servers")
    rows: list[Row] = []
    with _places(bench, systems) as places:
        for size in sizes:
            taking_part = [system for system in systems if not _is_too_large(system, size)]
            for system in taking_part:
                bench.tick(f"growth: {axis}, {getattr(size, axis):,}: storing, {system.name}")
                places[system.name].grow(size)
            bench.tick(f"growth: {axis}, {getattr(size, axis):,}: measuring")
            with _places(bench, taking_part) as small_places:
                for place in small_places.values():
                    place.grow(small)
                for work in WORKS:
                    taken = _compared(bench.plan, work, (places, size), (small_places, small))
                    rows += [
                        {
                            "system": system.name,
                            "axis": axis,
                            "size": getattr(size, axis),
                            "work": work.kind,
                            "count": work.count,
                            **{
                                name: [one[system.name, name] for one in taken] for name in ("us", "small_us")
                            },
                        }
                        for system in taking_part
                    ]
    return rows


@contextlib.contextmanager
def _places(bench: Bench, systems: Sequence[System]) -> Iterator[dict[str, Place]]:
    """Start a server for each system, and end them."""
    plan = bench.plan
    with Servers(systems, bench.material, engine=plan.engine, appendonly=plan.appendonly) as servers:
        places = {system.name: Place(system, servers, bench.material) for system in systems}
        try:
            yield places
        finally:
            for place in places.values():
                place.client.close()


def _compared(
    plan: Plan, work: Work, grown: tuple[dict[str, Place], Size], small: tuple[dict[str, Place], Size]
) -> list[dict[tuple[str, str], float]]:
    """Measure a work on the small places and the grown ones in turn; return microseconds of every round."""
    calls = {}
    for system, small_place in small[0].items():
        calls[system, "small_us"] = partial(_us, small_place.call(work, small[1]), plan.seconds / 2)
        calls[system, "us"] = partial(_us, grown[0][system].call(work, grown[1]), plan.seconds / 2)
    return interleaved(calls, rounds=2 * plan.rounds)


def _is_too_large(system: System, size: Size) -> bool:
    in_all = size.agents * size.memories
    return size.agents > (system.most_agents or size.agents) or in_all > (system.most_memories or in_all)


def _us(call: Callable[[], object], seconds: float) -> float:
    return 1e6 / drive(call, seconds).calls_per_second
