"""The simple ways to store a state in few bytes; each works on features scaled to unit variance.

`alternatives.py` lists them and holds a codec against them. Features that were constant in training take no
bytes and come back as they were.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_export import optional

Values = NDArray[np.float32]
Bytes = NDArray[np.uint8]

# Shares of the training values that a range leaves out at each end; the one of least error is taken. Where
# levels are few, a range that leaves out rare values serves the others better.
CLIPPED_SHARES = (0.0, 0.001, 0.01, 0.05, 0.1)
# 256 centroids learn from 256 values each; faiss would draw no more.
CLUSTERED_STATES = 65_536
# The rotation has fewer free numbers than the centroids.
ROTATION_STATES = 32_768
# From a random rotation, and from none. More help the first a little yet, and not the second.
ITERATIONS_FROM_RANDOM, ITERATIONS_FROM_NONE = 25, 10
# faiss is ten times slower with narrower parts; zeros change no distance.
LEAST_PART = 8
SEED = 1234
# zfp codes 4 values at once, and ends on a word of 8 bytes.
ZFP_BLOCK, ZFP_WORD_BYTES = 4, 8
# The least that zfp takes for a block of float32: a flag and an exponent.
ZFP_LEAST_BLOCK_BITS = 9


class Scales:
    """Means and standard deviations of training states; which features vary."""

    def __init__(self, train: Values) -> None:
        low, high = train.min(axis=0), train.max(axis=0)
        self.varying = np.flatnonzero(high > low)
        self.features = train.shape[1]
        self._mean = np.where(high > low, train.mean(axis=0, dtype=np.float64), low)
        self._std = train.std(axis=0, dtype=np.float64)

    def normalize(self, states: Values) -> Values:
        """Return the varying features in standard deviations from their mean, float32[N, V]."""
        kept = self.varying
        scaled: Values = ((states[:, kept] - self._mean[kept]) / self._std[kept]).astype(np.float32)
        return scaled

    def restore(self, values: NDArray[Any]) -> Values:
        """Undo `normalize`; float32[N, D]."""
        states = np.repeat(self._mean[None], len(values), axis=0)
        states[:, self.varying] += values * self._std[self.varying]
        return states.astype(np.float32)


class Quantizer(ABC):
    """One way, fitted to training states: float32[N, D] to uint8[N, stored_bytes] and back."""

    def __init__(self, scales: Scales, stored_bytes: int) -> None:
        self.stored_bytes = stored_bytes
        self._scales = scales

    def encode(self, states: NDArray[Any]) -> Bytes:
        """Return the bytes to store for each state."""
        return self._pack(self._scales.normalize(np.asarray(states, dtype=np.float32)))

    def decode(self, stored: Bytes) -> Values:
        """Restore states from what `encode` returned."""
        return self._scales.restore(self._unpack(stored))

    @abstractmethod
    def _pack(self, values: Values) -> Bytes: ...

    @abstractmethod
    def _unpack(self, stored: Bytes) -> NDArray[Any]: ...


class UniformCells:
    """Rounds each column to equally wide cells over a range; values outside go to the outermost cell."""

    def __init__(self, ranges: NDArray[np.float64], levels: NDArray[np.int64]) -> None:
        self._low = ranges[0]
        self._width = np.maximum(ranges[1] - ranges[0], np.finfo(np.float32).tiny) / levels
        self._levels = levels

    @classmethod
    def fit(cls, values: Values, levels: NDArray[np.int64]) -> tuple[UniformCells, NDArray[np.float64]]:
        """Take for each column the range of least squared error; return the cells and that error.

        More than 256 levels are so fine that only values outside of the range matter: it is that of the
        training values, widened by its own width to each side.
        """
        if levels.size and levels.min() > 256:
            low, high = values.min(axis=0).astype(np.float64), values.max(axis=0).astype(np.float64)
            cells = cls(np.array([2 * low - high, 2 * high - low]), levels)
            return cells, cells.squared_error(values)
        shares = np.array([CLIPPED_SHARES, [1 - share for share in CLIPPED_SHARES]])
        candidates = np.quantile(values.astype(np.float64), shares, axis=0)
        errors = np.array([cls(ranges, levels).squared_error(values) for ranges in candidates.swapaxes(0, 1)])
        best = errors.argmin(axis=0)
        columns = np.arange(len(levels))
        return cls(candidates[:, best, columns], levels), errors[best, columns]

    def squared_error(self, values: Values) -> NDArray[np.float64]:
        """Return the mean squared error of each column."""
        error: NDArray[np.float64] = np.square(self.values(self.cells(values)) - values).mean(axis=0)
        return error

    def cells(self, values: Values) -> NDArray[np.int64]:
        """Return each value's cell, from 0 to its column's levels - 1."""
        cell = np.floor((values - self._low) / self._width)
        clipped: NDArray[np.int64] = np.clip(cell, 0, self._levels - 1).astype(np.int64)
        return clipped

    def values(self, cells: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the middle of each cell."""
        middle: NDArray[np.float64] = self._low + (cells + 0.5) * self._width
        return middle


class ScalarQuantizer(Quantizer):
    """Rounds every feature to so many levels that all of them together, in mixed radix, fit the bytes.

    All features get the same number of levels, at most `most_levels`. Those that gain most from it get one
    level more, as long as they fit. Where even two levels each do not fit, the others have one: their mean.
    """

    def __init__(self, train: Values, total_bytes: int, most_levels: int) -> None:
        scales = Scales(train)
        values = scales.normalize(train)
        count = values.shape[1]
        common = min(most_levels, int(256 ** (total_bytes / count) + 1e-9))
        levels = np.full(count, common, dtype=np.int64)
        if common < most_levels:
            gain = UniformCells.fit(values, levels)[1] - UniformCells.fit(values, levels + 1)[1]
            levels[np.argsort(-gain, kind="stable")[: _raises(common, count, total_bytes)]] += 1
        self._count = count
        self._kept = np.flatnonzero(levels > 1)
        self._levels = levels[self._kept].tolist()
        self._cells, _ = UniformCells.fit(values[:, self._kept], levels[self._kept])
        super().__init__(scales, -(-(math.prod(self._levels) - 1).bit_length() // 8))

    def _pack(self, values: Values) -> Bytes:
        cells = self._cells.cells(values[:, self._kept]).astype(object)
        number = np.zeros(len(values), dtype=object)
        for column, levels in zip(cells.T, self._levels, strict=True):
            number = number * levels + column
        stored = b"".join(value.to_bytes(self.stored_bytes, "big") for value in number)
        return np.frombuffer(stored, dtype=np.uint8).reshape(-1, self.stored_bytes)

    def _unpack(self, stored: Bytes) -> NDArray[Any]:
        number = np.array([int.from_bytes(row.tobytes(), "big") for row in stored], dtype=object)
        cells = np.empty((len(stored), len(self._kept)), dtype=np.int64)
        for column, levels in reversed(list(enumerate(self._levels))):
            cells[:, column] = number % levels
            number //= levels
        values = np.zeros((len(stored), self._count))
        values[:, self._kept] = self._cells.values(cells)
        return values


class PrincipalComponents(Quantizer):
    """Keeps the leading principal components, one byte each."""

    def __init__(self, train: Values, total_bytes: int) -> None:
        scales = Scales(train)
        # In float64, so that a state has the same codes alone and in a batch.
        values = scales.normalize(train).astype(np.float64)
        count = min(total_bytes, values.shape[1])
        _, axes = np.linalg.eigh(values.T @ values)
        self._axes = axes[:, ::-1][:, :count]
        self._cells, _ = UniformCells.fit((values @ self._axes).astype(np.float32), np.full(count, 256))
        super().__init__(scales, count)

    def _pack(self, values: Values) -> Bytes:
        components = values.astype(np.float64) @ self._axes
        return self._cells.cells(components.astype(np.float32)).astype(np.uint8)

    def _unpack(self, stored: Bytes) -> NDArray[Any]:
        values: NDArray[Any] = self._cells.values(stored.astype(np.int64)) @ self._axes.T
        return values


class ProductQuantizer(Quantizer):
    """Cuts the features into one part a byte; the byte names the nearest of 256 vectors learned for the part.

    Sources: Jégou, Douze and Schmid, "Product Quantization for Nearest Neighbor Search", 2011; with
    `rotate`, Ge, He, Ke and Sun, "Optimized Product Quantization", 2013. Both as faiss implements them.
    """

    def __init__(self, train: Values, total_bytes: int, rotate: bool) -> None:
        faiss = optional.load("faiss", "report")
        super().__init__(Scales(train), total_bytes)
        self._features = len(self._scales.varying)
        self._part = -(-self._features // total_bytes)
        random = np.random.default_rng(SEED)
        rows = random.permutation(len(train))[:CLUSTERED_STATES]
        values = self._padded(self._scales.normalize(train[np.sort(rows)]))
        # faiss refuses fewer rows than centroids.
        values = np.resize(values, (max(len(values), 256), values.shape[1]))
        with _one_thread(faiss):
            self._rotation = None
            if rotate:
                width = values.shape[1]
                self._rotation = faiss.OPQMatrix(width, total_bytes)
                self._rotation.niter = ITERATIONS_FROM_RANDOM
                if self._part < LEAST_PART:
                    # faiss starts from a random rotation. With narrow parts it never finds back to features
                    # of few values, which need no rotation: there it starts from none.
                    faiss.copy_array_to_vector(np.eye(width, dtype=np.float32).ravel(), self._rotation.A)
                    self._rotation.niter = ITERATIONS_FROM_NONE
                inner = self._new_quantizer(faiss, width)
                self._rotation.pq = inner
                self._rotation.max_train_points = ROTATION_STATES
                self._rotation.train(values)
                values = self._rotation.apply(values)
            self._quantizer = self._new_quantizer(faiss, values.shape[1])
            self._quantizer.train(values)

    def _new_quantizer(self, faiss: Any, width: int) -> Any:
        quantizer = faiss.ProductQuantizer(width, self.stored_bytes, 8)
        quantizer.cp.seed = SEED
        # Without a warning on standard error where training states are few.
        quantizer.cp.min_points_per_centroid = 1
        return quantizer

    def _padded(self, values: Values) -> Values:
        """Return the parts side by side, each filled up with zeros."""
        whole = np.pad(values, ((0, 0), (0, self._part * self.stored_bytes - self._features)))
        parts = whole.reshape(len(values), self.stored_bytes, self._part)
        return np.pad(parts, ((0, 0), (0, 0), (0, max(0, LEAST_PART - self._part)))).reshape(len(values), -1)

    def _pack(self, values: Values) -> Bytes:
        values = self._padded(values)
        if self._rotation is not None:
            values = self._rotation.apply(values)
        stored: Bytes = self._quantizer.compute_codes(values)
        return stored

    def _unpack(self, stored: Bytes) -> NDArray[Any]:
        values: NDArray[Any] = self._quantizer.decode(np.ascontiguousarray(stored))
        if self._rotation is not None:
            values = self._rotation.reverse_transform(values)
        parts = values.reshape(len(stored), self.stored_bytes, -1)[:, :, : self._part]
        return parts.reshape(len(stored), -1)[:, : self._features]


class HalfPrecision(Quantizer):
    """Stores each feature as a float16."""

    def __init__(self, train: Values) -> None:
        scales = Scales(train)
        super().__init__(scales, 2 * len(scales.varying))

    def _pack(self, values: Values) -> Bytes:
        largest = np.finfo(np.float16).max
        return np.ascontiguousarray(np.clip(values, -largest, largest), dtype="<f2").view(np.uint8)

    def _unpack(self, stored: Bytes) -> NDArray[Any]:
        return np.ascontiguousarray(stored).view("<f2").astype(np.float32)


class ZfpFixedRate(Quantizer):
    """Compresses each state's features as one array with zfp at a fixed rate, so that one can be read alone.

    Source: Lindstrom, "Fixed-Rate Compressed Floating-Point Arrays", 2014.
    """

    def __init__(self, train: Values, total_bytes: int) -> None:
        scales = Scales(train)
        self._features = len(scales.varying)
        self._rate = zfp_block_bits(self._features, total_bytes) / ZFP_BLOCK
        super().__init__(scales, total_bytes // ZFP_WORD_BYTES * ZFP_WORD_BYTES)
        self._zfp = optional.load("zfpy", "report")

    def _pack(self, values: Values) -> Bytes:
        rows = [
            self._zfp.compress_numpy(np.ascontiguousarray(row), rate=self._rate, write_header=False)
            for row in values
        ]
        stored = np.zeros((len(rows), self.stored_bytes), dtype=np.uint8)
        for row, blob in zip(stored, rows, strict=True):
            row[: len(blob)] = np.frombuffer(blob, dtype=np.uint8)
        return stored

    def _unpack(self, stored: Bytes) -> NDArray[Any]:
        shape, kind = (self._features,), self._zfp.type_float
        return np.array(
            [self._zfp._decompress(row.tobytes(), kind, shape, rate=self._rate) for row in stored]
        ).reshape(len(stored), self._features)


def zfp_block_bits(features: int, total_bytes: int) -> int:
    """Return how many bits zfp may take for each block of 4 values; below 9 it cannot."""
    return total_bytes // ZFP_WORD_BYTES * ZFP_WORD_BYTES * 8 // -(-features // ZFP_BLOCK)


def _raises(levels: int, count: int, total_bytes: int) -> int:
    """Return how many of `count` features can have one level more than `levels`."""
    room = 256**total_bytes
    raised = 0
    while raised < count and levels ** (count - raised - 1) * (levels + 1) ** (raised + 1) <= room:
        raised += 1
    return raised


@contextmanager
def _one_thread(faiss: Any) -> Iterator[None]:
    """Sums of several threads come in any order, so that two fits would differ."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
