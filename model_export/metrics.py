"""How good a codec is: error in units that compare across features, and how full its codes are.

NumPy only, so that a codec of any kind, also one without a model, is measured the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model_export import optional
from model_export.config import FeatureGroup

# A group as its configuration holds it, or the bare (start, end).
Group = FeatureGroup | tuple[int, int]

ZSTD_LEVEL = 19


def normalized_rmse(
    states: ArrayLike, restored: ArrayLike, std: ArrayLike, groups: Mapping[str, Group]
) -> dict[str, float]:
    """Return the root mean square error in units of each feature's standard deviation in training.

    0 is perfect; predicting the mean gives 1. Features that were constant in training are left out.

    Args:
        states, restored: numbers[N, D].
        std: standard deviations in training, numbers[D]; 0 where a feature was constant.
        groups: the features of each group, by name.

    Returns:
        `nrmse` for the whole state and `nrmse_GROUP` for each group; 0 where all features were constant.
    """
    squared = _squared_error(states, restored, std)
    varies = np.asarray(std) > 0
    spans = {"nrmse": slice(None)} | {f"nrmse_{name}": span(group) for name, group in groups.items()}
    return {name: _root_mean(squared[:, own][:, varies[own]]) for name, own in spans.items()}


def feature_rmse(states: ArrayLike, restored: ArrayLike, std: ArrayLike) -> NDArray[np.float64]:
    """Return what `normalized_rmse` does for each feature, float64[D]; NaN where one was constant."""
    root: NDArray[np.float64] = np.sqrt(_squared_error(states, restored, std).mean(axis=0))
    return root


def code_entropy(codes: NDArray[Any]) -> tuple[NDArray[np.float64], float]:
    """Return how many bits of each stored byte are used.

    Args:
        codes: int8[N, C] or uint8[N, C].

    Returns:
        Entropy of each column's values as they are distributed in `codes`, in bits, float64[C], and the sum.
        8 means that all 256 values are equally frequent. Few rows show too little: 256 values need thousands.
    """
    bits = np.zeros(codes.shape[1])
    for column, values in enumerate(codes.T):
        share = np.unique(values, return_counts=True)[1] / len(values)
        bits[column] = -(share * np.log2(share)).sum()
    # A column of one value gives -0.0.
    bits = np.abs(bits)
    return bits, float(bits.sum())


def compressed_bytes(blob: bytes) -> int:
    """Return the length of `blob` after zstd at level 19.

    Raises:
        MissingDependencyError: zstandard is not installed.
    """
    zstandard = optional.load("zstandard", "report")
    return len(zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(blob))


def span(group: Group) -> slice:
    """Return a group's features as a slice."""
    start, end = (group.start, group.end) if isinstance(group, FeatureGroup) else group[:2]
    return slice(start, end)


def _squared_error(states: ArrayLike, restored: ArrayLike, std: ArrayLike) -> NDArray[np.float64]:
    """Return float64[N, D] in units of variance; NaN in columns of features that were constant."""
    scale = np.asarray(std, dtype=np.float64)
    scale = np.where(scale > 0, scale, np.nan)
    difference = np.asarray(restored, dtype=np.float64) - np.asarray(states, dtype=np.float64)
    squared: NDArray[np.float64] = np.square(difference / scale)
    return squared


def _root_mean(squared: NDArray[np.float64]) -> float:
    # Rounded to digits that mean something, which JSON then brings back as they are.
    return round(float(np.sqrt(squared.mean())), 6) if squared.size else 0.0
