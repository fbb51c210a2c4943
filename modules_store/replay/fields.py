"""Numbers in the metadata of memories as tensors, and back: which ones, and of which dtype."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from modules_store import errors

Path = tuple[str, ...]
"""Where a field is in the metadata: ("pose", "x") for x in {"pose": {"x": 1.5}}."""


class Fields:
    """The fields that users have named, with their dtypes."""

    def __init__(self, dtypes: Mapping[Path, torch.dtype]) -> None:
        """Check what users have named; raise InvalidInputError."""
        for path, dtype in dtypes.items():
            if not isinstance(dtype, torch.dtype) or dtype.is_complex:
                raise errors.InvalidInputError(
                    f"fields[{'.'.join(path)!r}] is {dtype!r}, not a torch.dtype of real numbers"
                )
        self._dtypes = dict(dtypes)

    @property
    def recalled(self) -> str:
        """What to recall of memories, as operations take it: without fields no document is read."""
        return "both" if self._dtypes else "states"

    def to_tensors(
        self,
        metadata: Sequence[Mapping[str, Any] | None],
        agent_ids: Sequence[str],
        timestamps: Sequence[int],
    ) -> dict[Path, Tensor]:
        """Return each field of N memories as a tensor, [N, …]; raise InvalidMetadataError.

        `agent_ids` and `timestamps` say whose they are where one lacks a field.
        """
        tensors = {}
        for path, dtype in self._dtypes.items():
            values = [_value(document, path) for document in metadata]
            if None in values:
                at = values.index(None)
                raise errors.InvalidMetadataError(
                    f"agent {agent_ids[at]!r} has no metadata {'.'.join(path)!r} at {timestamps[at]}"
                )
            try:
                tensors[path] = _tensor(values, dtype)
            except (TypeError, ValueError, RuntimeError, OverflowError) as problem:
                raise errors.InvalidMetadataError(
                    f"metadata {'.'.join(path)!r} cannot be made a tensor of {dtype}: {problem}"
                ) from problem
        return tensors

    def to_metadata(self, tensors: Mapping[Path, Tensor]) -> list[dict[str, Any]] | None:
        """Return the metadata that N memories have these fields by, which are [N, …]; None without fields."""
        if not tensors:
            return None
        columns = {path: tensor.tolist() for path, tensor in tensors.items()}
        return [
            _document(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)
        ]

    def __iter__(self) -> Iterator[Path]:
        return iter(self._dtypes)


def _value(document: Any, path: Path) -> Any:
    """Return what a document has at `path`, None where it has nothing there."""
    for name in path:
        if not isinstance(document, Mapping):
            return None
        document = document.get(name)
    return document


def _tensor(values: list[Any], dtype: torch.dtype) -> Tensor:
    if not dtype.is_floating_point and bool((torch.tensor(values, dtype=torch.float64) % 1).any()):
        raise ValueError("some are not whole numbers")  # torch would cut them off
    return torch.tensor(values, dtype=dtype)


def _document(values: Mapping[Path, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for path, value in values.items():
        place = document
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = value
    return document
