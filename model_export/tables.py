"""Recordings from tables: Parquet, Arrow (file, stream, Feather) and CSV, all read by pyarrow.

A table has a row for each state, in order of time: one column a feature, or one column of lists.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute, csv, ipc, parquet

from model_export.errors import ConfigError
from model_export.recording import Recording, number_episodes
from model_export.schema import StateSchema

# A column of lists with one of these names holds whole states; a column of one of those, their episodes.
_STATE_COLUMNS = ("state", "states")
_EPISODE_COLUMNS = ("episode", "episodes", "episode_index")

# LeRobot's columns: the state, and what is no feature in a table that has `episode_index`.
_LEROBOT_STATE = "observation.state"
_LEROBOT_OTHERS = ("index", "timestamp", "frame_index", "episode_index", "task_index", "action")
_LEROBOT_PREFIXES = ("next.", "observation.images.")

# How pandas writes an index along: to CSV without a name, to Parquet with this one.
_INDEX_PREFIX = "__index_level_"

SUFFIXES = (".parquet", ".arrow", ".feather", ".ipc", ".csv")


def read_table(
    path: Path,
    columns: Sequence[str] | None = None,
    episode_column: str | None = None,
    schema: StateSchema | None = None,
) -> Recording:
    """Read a recording from a table. Warns of columns of LeRobot that it leaves out.

    Args:
        path: ends in one of `SUFFIXES`.
        columns: those that hold the features, in this order; a column of lists, all of one length, holds
            several. By default those that `schema` names, if the table has any of them; otherwise a column
            of lists named `state` or `states`; otherwise every column but the episodes'. Of a table of
            LeRobot, which has a column `episode_index`, it is `observation.state`, or else every column but
            LeRobot's own and the actions.
        episode_column: integers or text, each row's episode; by default `episode`, `episodes` or
            `episode_index`, where there is such a column.
        schema: its features are called as columns are, or as `pose[2]`, the third of each list in `pose`.

    Raises:
        ConfigError: the file cannot be read, or a column is missing, not numeric or has gaps.
    """
    table = _read(path)
    episodes = _find_episode_column(path, table, episode_column)
    named = _columns_of(schema, table) if columns is None else None
    chosen = list(columns or named or _default_columns(path, table, episodes))
    if not chosen:
        raise ConfigError(f"{path} has no column of features")
    for name in chosen:
        _check_column(path, table, name)
    parts = [_features(path, name, table.column(name)) for name in chosen]
    states = np.concatenate([values for values, _ in parts], axis=1)
    names: list[str] | None = [name for _, own in parts for name in own]
    if schema is not None and named:
        states, names = states[:, _positions(path, names, schema)], None
    elif len(chosen) == 1 and chosen[0] in _STATE_COLUMNS and names != chosen:
        names = None
    numbers = None if episodes is None else _episodes(path, episodes, table.column(episodes))
    return Recording(states, numbers, names)


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".csv":
            return csv.read_csv(path)
        if path.suffix == ".parquet":
            return parquet.read_table(path)
        with pa.OSFile(str(path)) as file:
            try:
                return ipc.open_file(file).read_all()
            except pa.ArrowInvalid:
                file.seek(0)
                return ipc.open_stream(file).read_all()
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(f"cannot read states from {path}: {error}") from error


def _find_episode_column(path: Path, table: Any, asked_for: str | None) -> str | None:
    if asked_for is not None:
        _check_column(path, table, asked_for)
        return asked_for
    return next((name for name in _EPISODE_COLUMNS if name in table.column_names), None)


def _columns_of(schema: StateSchema | None, table: Any) -> list[str] | None:
    """Return the columns that hold the features a schema names, or None where the table has none of them.

    The feature `pose[2]` is in a column of that name, or in the column of lists `pose`.
    """
    if schema is None:
        return None
    held = set(table.column_names)
    columns = []
    for name in schema.feature_names:
        whole = name.rpartition("[")[0]
        columns.append(whole if name not in held and whole in held else name)
    return list(dict.fromkeys(columns)) if held.intersection(columns) else None


def _positions(path: Path, names: Sequence[str] | None, schema: StateSchema) -> list[int]:
    """Return where the schema's features are among those that were read."""
    positions = {name: position for position, name in enumerate(names or ())}
    for name in schema.feature_names:
        if name not in positions:
            raise ConfigError(f"{path} has no feature {name!r}")
    return [positions[name] for name in schema.feature_names]


def _default_columns(path: Path, table: Any, episodes: str | None) -> list[str]:
    for name in _STATE_COLUMNS:
        if name in table.column_names and pa.types.is_nested(table.schema.field(name).type):
            return [name]
    names = [name for name in table.column_names if name != episodes]
    if "episode_index" in table.column_names:
        names = _without_lerobot(path, names)
    if names and all(_is_number(name) for name in names) and names != [str(i) for i in range(len(names))]:
        raise ConfigError(f"the first line of {path} must name the columns, not hold numbers")
    for position, name in enumerate(names):
        if not name or name.startswith(_INDEX_PREFIX):
            raise ConfigError(
                f"column {position} of {path}, named {name!r}, seems to be an index: leave it out, or name "
                "the columns to use"
            )
    return names


def _without_lerobot(path: Path, names: list[str]) -> list[str]:
    """Return the columns of features in a table of LeRobot, and warn of the others."""
    kept = [name for name in names if name not in _LEROBOT_OTHERS and not name.startswith(_LEROBOT_PREFIXES)]
    if _LEROBOT_STATE in kept:
        kept = [_LEROBOT_STATE]
    if left_out := [name for name in names if name not in kept]:
        warnings.warn(
            f"{path} is a table of LeRobot: features are {', '.join(kept)}; left out are "
            f"{', '.join(left_out)}; name columns to choose others",
            stacklevel=2,
        )
    return kept


def _check_column(path: Path, table: Any, name: str) -> None:
    count = table.column_names.count(name)
    if count != 1:
        raise ConfigError(
            f"{path} must have one column {name!r}, not {count}; it has {', '.join(table.column_names)}"
        )


def _features(path: Path, name: str, column: Any) -> tuple[NDArray[Any], list[str]]:
    """Return the column as numbers[N, features], and their names."""
    array = column.combine_chunks()
    if not _is_list(array.type):
        return _numbers(path, name, array)[:, None], [name]
    if array.null_count:
        raise ConfigError(f"column {name!r} of {path} has {array.null_count} empty cells")
    sizes = np.unique(compute.list_value_length(array).to_numpy(zero_copy_only=False))
    if len(sizes) > 1:
        raise ConfigError(
            f"column {name!r} of {path} must hold lists of one length, not of {sizes[0]} to {sizes[-1]}"
        )
    size = int(sizes[0]) if len(sizes) else 0
    values = _numbers(path, name, array.flatten()).reshape(len(array), size)
    return values, [f"{name}[{index}]" for index in range(size)]


def _numbers(path: Path, name: str, array: Any) -> NDArray[Any]:
    kind = array.type
    if array.null_count:
        raise ConfigError(f"column {name!r} of {path} has {array.null_count} empty cells")
    if pa.types.is_decimal(kind):
        array = array.cast(pa.float64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise ConfigError(
            f"column {name!r} of {path} holds {kind}, which is not numeric; name the columns to use"
        )
    numbers: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return numbers


def _episodes(path: Path, name: str, column: Any) -> NDArray[Any]:
    if column.null_count:
        raise ConfigError(f"column {name!r} of {path} has {column.null_count} empty cells")
    if pa.types.is_floating(column.type):
        return _numbers(path, name, column.combine_chunks())
    if pa.types.is_nested(column.type):
        raise ConfigError(
            f"column {name!r} of {path} holds {column.type}, but an episode is an integer or text"
        )
    return number_episodes(column.to_pylist())


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
