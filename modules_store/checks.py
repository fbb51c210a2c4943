"""Checks and encodes the arguments of operations.

Each refusal is an InvalidInputError that names the argument.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

from modules_store import errors

MAX_TIMESTAMP = 2**53 - 1
"""The largest timestamp: sorted sets and Lua hold integers exactly up to here."""

MAX_BATCH = 16384
"""The most memories that one script call works on."""

MAX_BYTES = 512 * 2**20
"""The most that one call stores: Redis takes no longer text, and closes the connection of who sends one."""

_ILLEGAL = re.compile(r"[{}\x00-\x1f\x7f-\x9f]")  # in an agent's id


def agent_id(value: str, argument: str = "agent_id") -> str:
    """Return `value` if it is text of 1 to 256 UTF-8 bytes without braces or control characters.

    A pattern for ids is such a text, too. `argument` is what errors call it.
    """
    if not isinstance(value, str):
        raise errors.InvalidAgentIdError(f"{argument} is of type {type(value).__name__}, not text")
    try:
        size_bytes = len(value.encode())
    except UnicodeEncodeError as problem:
        raise errors.InvalidAgentIdError(f"{argument} {value!r} is not valid Unicode") from problem
    if not 1 <= size_bytes <= 256:
        raise errors.InvalidAgentIdError(f"{argument} has {size_bytes} bytes, not 1 to 256")
    illegal = _ILLEGAL.search(value)
    if illegal is not None:
        raise errors.InvalidAgentIdError(
            f"{argument} {value!r} holds {illegal[0]!r}; braces and control characters are illegal"
        )
    return value


def batch(count: int, size_bytes: int, argument: str) -> None:
    """Raise InvalidInputError where `count` memories of `size_bytes` together are too many for one call."""
    if count > MAX_BATCH:
        raise errors.InvalidInputError(
            f"{argument} has {count} states, more than {MAX_BATCH}: store in parts"
        )
    if size_bytes > MAX_BYTES:
        raise errors.InvalidInputError(
            f"{argument} has {size_bytes / 2**20:.0f} MiB, metadata included, more than "
            f"{MAX_BYTES // 2**20}: store in parts"
        )


def codec_name(value: str, argument: str) -> str:
    """Return `value` if it is text that is not empty."""
    if not isinstance(value, str) or not value:
        raise errors.InvalidInputError(f"{argument} is {value!r}, not the name of a codec")
    return value


def integer(value: int, argument: str, low: int = 1, high: int | None = None) -> int:
    """Return `value` if it is an integer from `low` to `high`, or from `low` on where that is None."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low or (high and value > high):
        bounds = f"from {low}" if high is None else f"from {low} to {high}"
        raise errors.InvalidInputError(f"{argument} is {value!r}, not an integer {bounds}")
    return value


def positive(value: float, argument: str) -> float:
    """Return `value` if it is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise errors.InvalidInputError(f"{argument} is {value!r}, not a number above 0")
    return value


def number(value: float, argument: str, low: float, high: float) -> float:
    """Return `value` as a float if it is a number, NumPy's included, from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, Real) or not low <= value <= high:
        raise errors.InvalidInputError(f"{argument} is {value!r}, not a number from {low:g} to {high:g}")
    return float(value)


def choice(value: str, argument: str, choices: Sequence[str]) -> str:
    """Return `value` if it is one of `choices`."""
    if value not in choices:
        raise errors.InvalidInputError(f"{argument} is {value!r}, not one of {', '.join(choices)}")
    return value


def timestamp(value: Any, argument: str) -> int:
    """Return `value` as an int if it is an integer, NumPy's included, from 0 to MAX_TIMESTAMP."""
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if isinstance(value, bool) or not 0 <= number <= MAX_TIMESTAMP:
        raise errors.InvalidTimestampError(f"{argument} is {value!r}, not an integer from 0 to 2**53 - 1")
    return number


def timestamps(values: Iterable[Any]) -> list[int]:
    """Return the timestamps of a batch as ints, of which none repeats."""
    checked = [timestamp(value, f"timestamps[{i}]") for i, value in enumerate(values)]
    if len(set(checked)) < len(checked):
        repeated = next(t for t, times in Counter(checked).items() if times > 1)
        raise errors.InvalidTimestampError(f"timestamps gives {repeated} more than once")
    return checked


def metadata(value: Mapping[str, Any] | None, argument: str) -> bytes:
    """Return `value` as JSON, empty for None.

    Besides what the module json takes, values may be whatever has `tolist()`, as NumPy's scalars and
    arrays do. Refused is what would not come back equal in every layout: NaN and infinity, integers from
    -2^63 - 1 down and from 2^64 up, keys that are not text, and what is nested deeper than RedisJSON takes.
    """
    if value is None:
        return b""
    if type(value) is not dict and not isinstance(value, Mapping):
        raise errors.InvalidMetadataError(f"{argument} is of type {type(value).__name__}, not a mapping")
    for key in value:
        if not isinstance(key, str):
            raise errors.InvalidMetadataError(f"{argument} has the key {key!r}, which is not text")
    for key, entry in value.items():
        if type(entry) not in _SCALARS:
            _must_be_kept(entry, f"{argument}[{key!r}]", 2)
    try:
        return _to_json(value)
    except (TypeError, ValueError, RecursionError):
        for key, entry in value.items():
            try:
                _to_json({key: entry})
            except (TypeError, ValueError, RecursionError) as problem:
                raise errors.InvalidMetadataError(f"{argument}[{key!r}]: {problem}") from problem
        raise


def all_metadata(values: Iterable[Mapping[str, Any] | None]) -> list[bytes]:
    """Return the metadata of a batch as JSON: one mapping or None for each state."""
    if isinstance(values, Mapping | str):
        raise errors.InvalidMetadataError(
            "metadata of a batch is a sequence with one mapping or None for each state, not a single one"
        )
    return [metadata(value, f"metadata[{i}]") for i, value in enumerate(values)]


def _must_be_kept(value: Any, argument: str, depth: int) -> None:
    """Refuse what a JSON document would change; `depth` is how deep `value` would be in its document."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise errors.InvalidMetadataError(
            f"{argument} is an integer beyond 64 bits, which JSON documents change"
        )
    if not isinstance(value, Mapping | list | tuple):
        return
    if depth > _DEEPEST:
        raise errors.InvalidMetadataError(f"{argument} is nested more than {_DEEPEST} deep")
    if isinstance(value, Mapping):
        for key, entry in value.items():
            if not isinstance(key, str):
                raise errors.InvalidMetadataError(f"{argument} has the key {key!r}, which is not text")
            if type(entry) not in _SCALARS:
                _must_be_kept(entry, argument, depth + 1)
    else:
        for entry in value:
            if type(entry) not in _SCALARS:
                _must_be_kept(entry, argument, depth + 1)


_SCALARS = frozenset((str, float, bool, type(None)))

_DEEPEST = 126
"""Of RedisJSON's 128: a document has the metadata as one of its members."""


def _to_json(metadata: Mapping[str, Any]) -> bytes:
    return _ENCODER.encode(metadata if type(metadata) is dict else dict(metadata)).encode()


def _to_builtin(value: Any) -> Any:
    if not hasattr(value, "tolist"):
        raise TypeError(f"a value of type {type(value).__name__} cannot be expressed in JSON")
    return value.tolist()


# json.dumps makes one anew for each text, which takes half of its time.
_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_to_builtin)
