"""Memories in Parquet files: the columns agent, timestamp, state and metadata, a row each.

`state` is a list of floats of one fixed length, so that model_export, and whatever else reads Parquet,
takes it as it is; `metadata` is JSON text, or null. Files are written and read a row group at a time. Needs
pyarrow.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import parquet

from modules_store import files
from modules_store.cli import columns
from modules_store.errors import InvalidInputError
from modules_store.memories import Memory

_GROUP_BYTES = 64 * 2**20
_MOST_ROWS = 16_384  # of a row group
_ROWS_READ = 1024  # at a time, which is then stored: more would hold the server up


@dataclass(frozen=True)
class Rows:
    """Memories of one agent that follow one another in a file."""

    first: int
    """The row of the first in the file, from 0."""
    agent_id: str
    timestamps: list[int]
    states: npt.NDArray[Any]
    """Numbers[B, D]."""
    metadata: list[dict[str, Any] | None]


def write_memories(path: Path, memories: Iterable[Memory]) -> int:
    """Write memories to a file, as `files.writing` does; return how many.

    Raises InvalidInputError where there is none, states differ in length or the file cannot be written.
    """
    rest = iter(memories)
    first = next(rest, None)
    if first is None:
        raise InvalidInputError("there are no memories to write")
    features = len(first.state)
    schema = pa.schema(
        [
            pa.field("agent", pa.string(), nullable=False),
            pa.field("timestamp", pa.int64(), nullable=False),
            pa.field("state", pa.list_(pa.float32(), features), nullable=False),
            pa.field("metadata", pa.string()),
        ]
    )
    rows_a_group = max(1, min(_MOST_ROWS, _GROUP_BYTES // (4 * max(1, features))))
    rest, written = itertools.chain([first], rest), 0
    try:
        with files.writing(path) as file, parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            while group := list(itertools.islice(rest, rows_a_group)):
                writer.write_batch(_record_batch(group, features, schema))
                written += len(group)
    except pa.ArrowException as error:
        raise InvalidInputError(f"cannot write {path}: {error}") from error
    return written


def read_memories(path: Path) -> Iterator[Rows]:
    """Read a file as `write_memories` writes it, or one whose columns are convertible to those; no metadata
    column is none for all.

    Raises InvalidInputError where the file cannot be read so.
    """
    try:
        with parquet.ParquetFile(path) as file:
            wanted = _columns(path, file.schema_arrow.names)
            first = 0
            for batch in file.iter_batches(_ROWS_READ, columns=wanted):
                yield from _by_agent(path, batch, first)
                first += len(batch)
    except (OSError, pa.ArrowException) as error:
        raise InvalidInputError(f"cannot read memories from {path}: {error}") from error


def count_rows(path: Path) -> int:
    """Return how many memories a file has; raises as `read_memories`."""
    try:
        return int(parquet.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise InvalidInputError(f"cannot read memories from {path}: {error}") from error


def _record_batch(memories: list[Memory], features: int, schema: pa.Schema) -> pa.RecordBatch:
    for one in memories:
        if len(one.state) != features:
            raise InvalidInputError(
                f"agents must be of one kind, but states of {one.agent_id!r} have {len(one.state)} features "
                f"and those before {features}"
            )
    values = pa.array(np.concatenate([one.state for one in memories]), pa.float32())
    arrays = [
        pa.array([one.agent_id for one in memories], pa.string()),
        pa.array([one.timestamp for one in memories], pa.int64()),
        pa.FixedSizeListArray.from_arrays(values, features),
        pa.array([_to_text(one.metadata) for one in memories], pa.string()),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _to_text(metadata: Mapping[str, Any] | None) -> str | None:
    return None if metadata is None else json.dumps(metadata, ensure_ascii=False, separators=(",", ":"))


def _columns(path: Path, names: list[str]) -> list[str]:
    for name in ("agent", "timestamp", "state"):
        if names.count(name) != 1:
            raise InvalidInputError(f"{path} must have one column {name!r}; it has {', '.join(names)}")
    return ["agent", "timestamp", "state", *(["metadata"] if "metadata" in names else [])]


def _by_agent(path: Path, batch: pa.RecordBatch, first: int) -> Iterator[Rows]:
    """Split a batch where the agent changes; `first` is the batch's first row in the file."""
    agents = columns.agents(path, batch.column("agent"), first)
    timestamps = columns.timestamps(path, batch.column("timestamp"), first)
    states = columns.states(path, batch.column("state"), first)
    metadata: list[dict[str, Any] | None] = [None] * len(agents)
    if "metadata" in batch.schema.names:
        metadata = columns.metadata(path, batch.column("metadata"), first)
    start = 0
    for agent, rows in itertools.groupby(agents):
        own = slice(start, start + len(list(rows)))
        yield Rows(first + start, agent, timestamps[own], states[own], metadata[own])
        start = own.stop
