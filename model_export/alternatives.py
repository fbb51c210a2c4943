"""What a codec is held against: the simple ways to store a state, each at a given number of bytes.

`simple_ways.py` holds the ways themselves. zstd is measured on top of each, not as a way of its own: one
memory is read alone, and single rows of so few bytes hardly shrink.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model_export.errors import ConfigError
from model_export.metrics import Group, compressed_bytes, normalized_rmse
from model_export.recording import as_numbers
from model_export.simple_ways import (
    ZFP_LEAST_BLOCK_BITS,
    HalfPrecision,
    PrincipalComponents,
    ProductQuantizer,
    Quantizer,
    ScalarQuantizer,
    Values,
    ZfpFixedRate,
    zfp_block_bits,
)
from modules_store import codec

# Rows that are compressed each by itself, to see what zstd does for one.
SINGLE_ROWS = 500


@dataclass(frozen=True)
class Alternative:
    """One way: `usable` tells whether it can use B bytes for V varying features, `make` fits it to states."""

    name: str
    usable: Callable[[int, int], bool]
    make: Callable[[Values, int], Quantizer]

    def fit(self, train: ArrayLike, total_bytes: int) -> Quantizer | None:
        """Fit to training states.

        Args:
            train: numbers[N, D].
            total_bytes: to spend on a state, at least 1.

        Returns:
            The fitted way, which stores at most `total_bytes` a state, or None where it cannot use so many
            or so few.

        Raises:
            ConfigError: `train` or `total_bytes` is out of range.
            MissingDependencyError: the library behind this way is not installed.
        """
        states = _as_states("train", train)
        if total_bytes < 1:
            raise ConfigError(f"total_bytes must be at least 1, not {total_bytes}")
        varying = int((states.max(axis=0) > states.min(axis=0)).sum())
        if varying == 0 or not self.usable(varying, total_bytes):
            return None
        return self.make(states, total_bytes)


@dataclass(frozen=True)
class Row:
    """What one way does with held-out states.

    Args:
        name: of the way.
        stored_bytes: of one state.
        nrmse: `metrics.normalized_rmse`, of the whole state.
        group_nrmse: the same of each group.
        zstd_block_bytes: bytes a state of all held-out states in one block after zstd.
        zstd_single_bytes: bytes of one state after zstd by itself, the mean of the first 500.
    """

    name: str
    stored_bytes: int
    nrmse: float
    group_nrmse: dict[str, float] = field(default_factory=dict)
    zstd_block_bytes: float = 0.0
    zstd_single_bytes: float = 0.0


ALTERNATIVES = (
    Alternative("int8 scalar", lambda features, size: True, lambda s, size: ScalarQuantizer(s, size, 256)),
    Alternative(
        "int16 scalar",
        lambda features, size: size > features,
        lambda s, size: ScalarQuantizer(s, size, 65536),
    ),
    Alternative("PCA + int8", lambda features, size: True, PrincipalComponents),
    Alternative(
        "product quantisation",
        lambda features, size: size <= features,
        lambda s, size: ProductQuantizer(s, size, False),
    ),
    Alternative(
        "OPQ + product quantisation",
        lambda features, size: size <= features,
        lambda s, size: ProductQuantizer(s, size, True),
    ),
    Alternative("float16", lambda features, size: 2 * features <= size, lambda s, size: HalfPrecision(s)),
    Alternative(
        "zfp", lambda features, size: zfp_block_bits(features, size) >= ZFP_LEAST_BLOCK_BITS, ZfpFixedRate
    ),
)


def compare(
    train: ArrayLike,
    held_out: ArrayLike,
    groups: Mapping[str, Group],
    std: ArrayLike,
    total_bytes: int,
) -> list[Row]:
    """Measure each way that can use `total_bytes` a state.

    Args:
        train: numbers[N, D], to fit to.
        held_out: numbers[M, D], to measure on.
        groups, std: as for `metrics.normalized_rmse`.
        total_bytes: to spend on a state, at least 1.

    Returns:
        One row a way, the one of least error first. Some use fewer bytes than they may.

    Raises:
        ConfigError, MissingDependencyError: as for `Alternative.fit`.
    """
    states = _as_states("held_out", held_out)
    rows = []
    for way in ALTERNATIVES:
        fitted = way.fit(train, total_bytes)
        if fitted is not None:
            stored = fitted.encode(states)
            rows.append(measured(way.name, states, stored, fitted.decode(stored), groups=groups, std=std))
    return sorted(rows, key=lambda row: row.nrmse)


def measured(
    name: str,
    states: ArrayLike,
    stored: NDArray[np.uint8] | NDArray[np.int8],
    restored: ArrayLike,
    *,
    groups: Mapping[str, Group],
    std: ArrayLike,
) -> Row:
    """Return the row of a way that stored `states` as `stored` [M, bytes] and gave back `restored`."""
    errors = normalized_rmse(states, restored, std, groups)
    singles = [compressed_bytes(row.tobytes()) for row in stored[:SINGLE_ROWS]]
    return Row(
        name,
        stored.shape[1],
        errors["nrmse"],
        {group: errors[f"nrmse_{group}"] for group in groups},
        compressed_bytes(stored.tobytes()) / len(stored),
        sum(singles) / len(singles),
    )


def _as_states(argument: str, values: ArrayLike) -> Values:
    states = codec.to_float32(as_numbers(argument, values), argument)
    if states.ndim != 2 or not states.size:
        raise ConfigError(f"{argument} must be of shape [N, D] with N and D >= 1, not {list(states.shape)}")
    return states
