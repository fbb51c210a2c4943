"""Columns of a Parquet file as memories have them: agents, timestamps in milliseconds, metadata as mappings.

Errors name the file, the column and the row, which counts from 0.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from modules_store.errors import InvalidInputError

_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
_MILLISECONDS = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 1_000_000)}
"""What a unit's numbers are multiplied with, and then divided by."""


def agents(path: Path, column: Any, first_row: int) -> list[str]:
    """Return the ids of agents; what is no text is written as text."""
    _refuse_nulls(path, "agent", column, first_row)
    ids: list[str] = _plain(column).cast(pa.string()).to_pylist()
    return ids


def timestamps(path: Path, column: Any, first_row: int) -> list[int]:
    """Return timestamps in milliseconds.

    Times and durations are converted by their unit, and parts of a millisecond dropped; a time without a
    zone is UTC. Integers are milliseconds.
    """
    _refuse_nulls(path, "timestamp", column, first_row)
    column = _plain(column)
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("ms"))
    unit = "ms"
    if pa.types.is_timestamp(column.type) or pa.types.is_duration(column.type):
        unit = column.type.unit
    elif not pa.types.is_integer(column.type):
        raise InvalidInputError(
            f"column 'timestamp' of {path} holds {column.type}; it must hold integers, which are "
            "milliseconds, or times of any unit"
        )
    factor, divisor = _MILLISECONDS[unit]
    return [value * factor // divisor for value in column.cast(pa.int64()).to_pylist()]


def metadata(path: Path, column: Any, first_row: int) -> list[dict[str, Any] | None]:
    """Return metadata: JSON text, or structs and maps, whose values must be expressible in JSON."""
    column = _plain(column)
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    kind = column.type
    is_text = any(check(kind) for check in _TEXTS)
    if not (is_text or pa.types.is_struct(kind) or pa.types.is_map(kind) or pa.types.is_null(kind)):
        raise InvalidInputError(
            f"column 'metadata' of {path} holds {kind}; it must hold JSON text, structs or maps"
        )
    found: list[dict[str, Any] | None] = []
    for row, cell in enumerate(column, first_row):
        try:
            value = cell.as_py() if is_text else cell.as_py(maps_as_pydicts="strict")
            found.append(json.loads(value) if is_text and value is not None else value)
        except (ValueError, KeyError, RecursionError) as error:
            form = "JSON" if is_text else "keys that differ"
            raise InvalidInputError(
                f"column 'metadata' of {path} must hold {form}; row {row}: {error}"
            ) from error
    return found


def states(path: Path, column: Any, first_row: int) -> npt.NDArray[Any]:
    """Return states, numbers[B, D]: lists of one length."""
    if not any(check(column.type) for check in _LISTS):
        raise InvalidInputError(
            f"column 'state' of {path} must hold lists of numbers, all of one length; it holds {column.type}"
        )
    _refuse_nulls(path, "state", column, first_row)
    lengths = compute.list_value_length(column).to_pylist()
    for row, length in enumerate(lengths, first_row):
        if length != lengths[0]:
            raise InvalidInputError(
                f"column 'state' of {path} must hold lists of numbers, all of one length; row {row} has "
                f"{length} and row {first_row} has {lengths[0]}"
            )
    values = column.flatten()
    if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
        values = values.cast(pa.float32())
    numbers: npt.NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return numbers.reshape(len(column), -1)


def _refuse_nulls(path: Path, name: str, column: Any, first_row: int) -> None:
    if column.null_count:
        row = first_row + column.is_null().to_pylist().index(True)
        raise InvalidInputError(
            f"{path} has rows without an agent, a timestamp or a state: row {row}, column {name!r}"
        )


def _plain(column: Any) -> Any:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
