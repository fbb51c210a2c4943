"""What the store is to reach beside the others, and what it reached: the head of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.clients import Work
from benchmarks.peers import BLUEPRINT, KEYS, PACKED, TORCHRL, TORCHRL_SLICES
from benchmarks.report.figures import Figures
from modules_store.flows.modes import MANY_ROWS

OURS = (KEYS, PACKED)
MOST_GROWTH = 1.3


@dataclass(frozen=True)
class Aim:
    """A figure of ours, and what it is to be; None where it is only told.

    `reached` maps a layout and a number of processes, as "keys, 8 clients", to the figure. `judged` are the
    layouts that the aim is for.
    """

    text: str
    unit: str
    limit: float | None
    at_most: bool
    judged: tuple[str, ...]
    reached: dict[str, float | None] = field(default_factory=dict)
    work: Work | None = None
    """What was called, where that has floors."""

    def verdict(self, column: str) -> bool | None:
        """Return whether the aim is met there, None where it is no aim or was not measured."""
        value = self.reached.get(column)
        if self.limit is None or value is None or column.partition(",")[0] not in self.judged:
            return None
        return value <= self.limit if self.at_most else value >= self.limit

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON types, with its verdicts."""
        plain = asdict(self)
        plain.pop("work")
        return {**plain, "met": {column: self.verdict(column) for column in self.reached}}


def columns(figures: Figures) -> list[str]:
    """Return the columns of the table of aims."""
    return [column_name(system, count) for count in figures.process_counts() or [1] for system in OURS]


def column_name(system: str, processes: int) -> str:
    return system if processes == 1 else f"{system}, {processes} clients"


def as_by_default(figures: Figures, layout: str, work: Work) -> str:
    """Return the name of the system that runs models for this work where a client's mode "auto" does."""
    queued = f"{layout}, queued"
    return queued if work.count >= MANY_ROWS and figures.call_us(queued, work) is not None else layout


def aims(figures: Figures) -> list[Aim]:
    """Return all aims whose cases were run."""
    found: list[Aim] = []
    if "throughput" in figures.cases:
        found += _speed(figures)
    if "bytes" in figures.cases:
        found += _bytes(figures)
    if "growth" in figures.cases:
        found += _growth(figures)
    return found


def _speed(figures: Figures) -> list[Aim]:
    def faster(
        work: Work,
        other: str,
        limit: float | None,
        *,
        of: Work | None = None,
        judged: tuple[str, ...] = OURS,
    ) -> Aim:
        what = f"{other}'s {of.name}" if of else other
        reached = {
            column_name(layout, count): figures.times_faster(
                as_by_default(figures, layout, work), work, count, other, of
            )
            for count in figures.process_counts()
            for layout in OURS
        }
        return Aim(f"{work.name}, beside {what}", "×", limit, False, judged, reached, work)

    found = []
    for described in (False, True):
        one, some, many = (Work("store", count, described) for count in (1, 64, 1024))
        found += [
            faster(one, TORCHRL, 3),
            faster(one, BLUEPRINT, 5),
            faster(some, TORCHRL, 3),
            faster(some, TORCHRL_SLICES, None),
            faster(many, TORCHRL, 4, judged=(PACKED,)),
            faster(many, TORCHRL_SLICES, None),
        ]
    recent, sample = Work("recent", 1000), Work("sample", 1000)
    return [
        *found,
        faster(recent, TORCHRL, 5, of=sample),
        faster(recent, TORCHRL, None),
        faster(sample, TORCHRL, 5),
    ]


def _bytes(figures: Figures) -> list[Aim]:
    size = figures.largest("bytes", "asked")
    assert size is not None

    def weighed(described: bool, limit: float, judged: str) -> Aim:
        name = f"bytes a memory{' with three fields of metadata' if described else ''}, {judged}, of {size:,}"
        return Aim(name, "B", limit, True, (judged,), {judged: figures.bytes(judged, described, size)})

    return [weighed(False, 200, KEYS), weighed(False, 48, PACKED), weighed(True, 140, PACKED)]


def _growth(figures: Figures) -> list[Aim]:
    def grown(axis: str, work: str, limit: float | None, name: Callable[[int], str]) -> Aim:
        size = figures.largest("growth", "size", axis=axis)
        assert size is not None
        reached = {system: figures.growth(system, axis, work, size) for system in OURS}
        return Aim(name(size), "×", limit, True, OURS, reached)

    smallest = min(row["size"] for row in figures.rows("growth", axis="memories"))
    found = []
    for work, text, limit in (("store", "store 1", MOST_GROWTH), ("sample", "sample 256", None)):
        found += [
            grown("agents", work, limit, lambda size, text=text: f"{text}, {size:,} agents beside 10"),
            grown(
                "memories",
                work,
                limit,
                lambda size, text=text: f"{text}, {size:,} memories an agent beside {smallest:,}",
            ),
        ]
    return found
