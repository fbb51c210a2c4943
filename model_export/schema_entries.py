"""The parts of a state's schema: its features, and how its groups are compressed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_export.errors import ConfigError

KINDS = ("continuous", "binary", "one_hot")


@dataclass(frozen=True)
class SchemaEntry:
    """One feature, or `count` alike.

    Args:
        name: printable text, not empty.
        group: of features that are compressed together.
        unit: of the values, say `m/s`; for people.
        range: lowest and highest value, of which either may be None for no bound.
        kind: `continuous`; `binary`, one of two values: the ends of `range`, or 0 and 1; `one_hot`, `count`
            features of which one is 1 and the others 0.
        count: of features, at least 1; at least 2 of a one-hot.
        columns: names of the `count` features, where they are not `name[0]` and so on.
    """

    name: str
    group: str
    unit: str | None = None
    range: tuple[float | None, float | None] | None = None
    kind: str = "continuous"
    count: int = 1
    columns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for argument in ("name", "group"):
            value = getattr(self, argument)
            if not isinstance(value, str) or not value or not value.isprintable():
                raise ConfigError(
                    f"{argument} of a feature must be printable text, in quotes where YAML reads it as "
                    f"something else, not {value!r}"
                )
        if self.unit is not None and not (isinstance(self.unit, str) and self.unit.isprintable()):
            raise ConfigError(f"feature {self.name!r}: unit must be printable text, not {self.unit!r}")
        if self.kind not in KINDS:
            raise ConfigError(
                f"feature {self.name!r}: kind must be one of {', '.join(KINDS)}, not {self.kind!r}"
            )
        if self.columns is not None:
            self._take_columns()
        least = 2 if self.kind == "one_hot" else 1
        if not isinstance(self.count, int) or isinstance(self.count, bool) or self.count < least:
            raise ConfigError(
                f"feature {self.name!r}: count must be an integer of at least {least}, not {self.count!r}"
            )
        if self.range is not None:
            object.__setattr__(self, "range", _checked_range(self.name, self.range))
        if self.kind == "binary" and (None in self.bounds or self.bounds[0] == self.bounds[1]):
            raise ConfigError(f"feature {self.name!r}: the range of a binary is its two values")
        if self.kind == "one_hot" and self.range is not None:
            raise ConfigError(f"feature {self.name!r}: a one-hot has no range, its values are 0 and 1")

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """Lowest and highest value, None for no bound."""
        if self.range is not None:
            return self.range
        return (None, None) if self.kind == "continuous" else (0.0, 1.0)

    @property
    def feature_names(self) -> list[str]:
        """Names of its features."""
        if self.columns is not None:
            return list(self.columns)
        return [self.name] if self.count == 1 else [f"{self.name}[{index}]" for index in range(self.count)]

    def check(self, values: NDArray[Any]) -> None:
        """Raise ConfigError, which names the feature, where its values [N, count] are not as said here."""
        # As float32, which states are: 0.1 is not the same number in both.
        low, high = (None if bound is None else np.float32(bound) for bound in self.bounds)
        if self.kind == "continuous":
            wrong = np.zeros(values.shape, dtype=bool)
            wrong |= False if low is None else values < low
            wrong |= False if high is None else values > high
            self._refuse(wrong, values, f"within {self._range_text}")
        else:
            self._refuse((values != low) & (values != high), values, f"{low:g} or {high:g}, as a {self.kind}")
        if self.kind == "one_hot" and (several := values.sum(axis=1) != 1).any():
            row = int(np.argmax(several))
            raise ConfigError(
                f"one-hot {self.name!r} must have one 1 in each state, but has {int(values[row].sum())} "
                f"in row {row}"
            )

    def _take_columns(self) -> None:
        columns = self.columns
        if (
            not isinstance(columns, list | tuple)
            or not all(isinstance(name, str) and name and name.isprintable() for name in columns)
            or self.count not in (1, len(columns))
        ):
            raise ConfigError(
                f"feature {self.name!r}: columns must be a list of {self.count} names, not {columns!r}"
            )
        object.__setattr__(self, "columns", tuple(columns))
        object.__setattr__(self, "count", len(columns))

    def _refuse(self, wrong: NDArray[np.bool_], values: NDArray[Any], expected: str) -> None:
        if wrong.any():
            row, feature = (int(index) for index in np.argwhere(wrong)[0])
            raise ConfigError(
                f"feature {self.feature_names[feature]!r} must be {expected}, but is {values[row, feature]} "
                f"in row {row}"
            )

    @property
    def _range_text(self) -> str:
        low, high = ("open" if bound is None else f"{bound:g}" for bound in self.bounds)
        return f"[{low}, {high}]"


@dataclass(frozen=True)
class GroupSchema:
    """How one group is compressed.

    Args:
        compression: a number above 0; the larger, the fewer codes.
        importance: the weight of its errors, a number above 0.
    """

    compression: float = 1.0
    importance: float = 1.0

    def __post_init__(self) -> None:
        for argument in ("compression", "importance"):
            value = getattr(self, argument)
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
                raise ConfigError(f"{argument} of a group must be a number above 0, not {value!r}")


def _checked_range(name: str, given: Any) -> tuple[float | None, float | None]:
    argument = f"feature {name!r}: range"
    if not isinstance(given, list | tuple) or len(given) != 2:
        raise ConfigError(f"{argument} must be [low, high], not {given!r}")
    for bound in given:
        if bound is not None and (not isinstance(bound, int | float) or math.isnan(bound)):
            raise ConfigError(
                f"{argument} must be numbers, or null for no bound, not {bound!r} (YAML reads 1e3 as text: "
                "write 1.0e+3)"
            )
    low, high = (None if bound is None or math.isinf(bound) else float(bound) for bound in given)
    if low is not None and high is not None and low > high:
        raise ConfigError(f"{argument} must be [low, high], not {given!r}")
    return low, high
