"""Looks up what was measured, and compares within rounds: a slow moment of the machine slows both sides."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.cases.common import Row
from benchmarks.clients import Work


class Figures:
    """The rows of all cases that were run, by what they are about. What was not measured is None."""

    def __init__(self, cases: Mapping[str, Sequence[Row]]) -> None:
        self.cases = cases
        self._rates = {
            (row["system"], row["work"], row["count"], row["described"], row["processes"]): row[
                "calls_per_second"
            ]
            for row in cases.get("throughput", ())
        }

    def rows(self, case: str, **wanted: Any) -> list[Row]:
        """Return the rows of a case that have these values."""
        return [
            row
            for row in self.cases.get(case, ())
            if all(row[name] == value for name, value in wanted.items())
        ]

    def process_counts(self) -> list[int]:
        """Return with how many processes throughput was measured, the fewest first."""
        return sorted({row["processes"] for row in self.cases.get("throughput", ())})

    def states_per_second(self, system: str, work: Work, processes: int) -> float | None:
        """Return how many states a second a system stores or recalls: the median round."""
        rates = self._rates_of(system, work, processes)
        return statistics.median(rates) * work.count if rates else None

    def call_us(self, system: str, work: Work) -> float | None:
        """Return the microseconds of a call of one client: the median round."""
        rates = self._rates_of(system, work, 1)
        return 1e6 / statistics.median(rates) if rates else None

    def times_faster(
        self, system: str, work: Work, processes: int, other: str, other_work: Work | None = None
    ) -> float | None:
        """Return how many times the states a second of `other` a system makes: the median of the rounds'."""
        ours = self._rates_of(system, work, processes)
        theirs = self._rates_of(other, other_work or work, processes)
        if not ours or not theirs:
            return None
        per_call = work.count / (other_work or work).count
        return per_call * statistics.median(a / b for a, b in zip(ours, theirs, strict=True))

    def bytes(self, system: str, described: bool, asked: int) -> float | None:
        """Return the bytes a memory."""
        rows = self.rows("bytes", system=system, described=described, asked=asked)
        return rows[0]["bytes"] if rows else None

    def growth(self, system: str, axis: str, work: str, size: int) -> float | None:
        """Return how many times the small server's call one at `size` takes: the median of the rounds'."""
        rows = self.rows("growth", system=system, axis=axis, work=work, size=size)
        if not rows:
            return None
        return statistics.median(a / b for a, b in zip(rows[0]["us"], rows[0]["small_us"], strict=True))

    def largest(self, case: str, name: str, **wanted: Any) -> int | None:
        """Return the largest value of a column, None where there are no such rows."""
        return max((row[name] for row in self.rows(case, **wanted)), default=None)

    def _rates_of(self, system: str, work: Work, processes: int) -> list[float] | None:
        return self._rates.get((system, work.kind, work.count, work.described, processes))


def in_order(names: Iterable[str], order: Sequence[str]) -> list[str]:
    """Return the names, each once, as `order` has them."""
    found = set(names)
    return [name for name in order if name in found]
