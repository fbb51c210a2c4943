"""Which of an agent's memories are kept: the rules that a policy may state, and the JSON that scripts read.

`lua/include/trim.lua` applies them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from modules_store import checks, errors

_FIELD = re.compile(r"[\w-]+(\.[\w-]+)*")
_LARGEST_FIELD_BYTES = 256


@dataclass(frozen=True)
class Oldest:
    """Past `threshold` memories an agent loses the oldest fifth of its hundred oldest."""

    threshold: int = 1000
    """Memories that an agent may have, from 1."""

    def __post_init__(self) -> None:
        checks.integer(self.threshold, "threshold", 1, checks.MAX_TIMESTAMP)


@dataclass(frozen=True)
class KeepAll:
    """No memory goes, until it expires or is deleted."""


@dataclass(frozen=True)
class MaxCount:
    """An agent never has more than `count` memories: the oldest go."""

    count: int
    """From 1."""

    def __post_init__(self) -> None:
        checks.integer(self.count, "count", 1, checks.MAX_TIMESTAMP)


@dataclass(frozen=True)
class MaxAge:
    """Memories go that are older than the agent's newest by more than `age_ms`."""

    age_ms: int
    """In the unit of the timestamps: milliseconds, or steps where those are steps; from 1."""

    def __post_init__(self) -> None:
        checks.integer(self.age_ms, "age_ms", 1, checks.MAX_TIMESTAMP)


@dataclass(frozen=True)
class Importance:
    """An agent has at most `count` memories: those go whose metadata has the lowest number in `field`.

    A memory without the field, or with something else than a number there, counts as 0; of equal ones the
    oldest goes first. A memory that is stored with the lowest number is gone at once.
    """

    count: int
    """From 1."""
    field: str
    """Names of letters, digits, `_` and `-`, joined by dots: "reward", "priority.td"."""

    def __post_init__(self) -> None:
        checks.integer(self.count, "count", 1, checks.MAX_TIMESTAMP)
        if not isinstance(self.field, str) or not _FIELD.fullmatch(self.field):
            raise errors.InvalidInputError(
                f"field is {self.field!r}, not names of letters, digits, _ and -, joined by dots"
            )
        if len(self.field.encode()) > _LARGEST_FIELD_BYTES:
            raise errors.InvalidInputError(f"field has more than {_LARGEST_FIELD_BYTES} bytes")


@dataclass(frozen=True)
class Thinning:
    """The newest `recent` memories stay, older ones at a rate that falls like 1 / age.

    Of those a memory goes where that leaves no gap larger than its age / `recent`; its age is how much older
    than the newest it is. The oldest memory stays. Of n memories at equal distances about
    recent * (1 + 1.5 * ln(n / recent)) are left.
    """

    recent: int
    """From 1."""

    def __post_init__(self) -> None:
        checks.integer(self.recent, "recent", 1, checks.MAX_TIMESTAMP)


@dataclass(frozen=True)
class ByteBudget:
    """Values and the JSON of metadata have at most `size_bytes` in all: the oldest memories go.

    The newest stays, whatever its size. Keys, index and other overhead of Redis do not count.
    """

    size_bytes: int
    """From 1."""

    def __post_init__(self) -> None:
        checks.integer(self.size_bytes, "size_bytes", 1, checks.MAX_TIMESTAMP)


Retention = Oldest | KeepAll | MaxCount | MaxAge | Importance | Thinning | ByteBudget

_NAMES: dict[type, str] = {
    Oldest: "oldest",
    KeepAll: "keep_all",
    MaxCount: "max_count",
    MaxAge: "max_age",
    Importance: "importance",
    Thinning: "thinning",
    ByteBudget: "byte_budget",
}
_CONSTANTS: dict[type, dict[str, int | float]] = {Oldest: {"sample": 100, "fraction": 0.2}}
"""What the scripts read besides the fields of a rule."""


def is_retention(value: Any) -> bool:
    """Whether this is one of the rules."""
    return type(value) in _NAMES


def to_json(rule: Retention) -> dict[str, Any]:
    """Return what the scripts read."""
    stated = {field.name: getattr(rule, field.name) for field in fields(rule)}
    return {"policy": _NAMES[type(rule)], **stated, **_CONSTANTS.get(type(rule), {})}


def from_json(document: Any) -> Retention:
    """Return the rule that `to_json` gave this for; ServerError where there is none."""
    name = document.get("policy") if isinstance(document, Mapping) else None
    for kind, known in _NAMES.items():
        if known == name:
            constants = _CONSTANTS.get(kind, {})
            stated = {key: value for key, value in document.items() if key not in ("policy", *constants)}
            try:
                rule: Retention = kind(**stated)
            except (TypeError, errors.InvalidInputError) as problem:
                raise errors.ServerError(f"retention {document!r}: {problem}") from problem
            if to_json(rule) == document:
                return rule
    raise errors.ServerError(f"retention {document!r} is none that this version knows")
