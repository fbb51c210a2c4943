"""Cells reach as far, and around what, the squared error is least."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model_export.cells import best_cells, ranges_to_try
from model_export.config import CodecConfig
from model_export.simple_ways import ScalarQuantizer, UniformCells
from model_export.train import TrainingOptions, train


def skewed_values(columns: int) -> np.ndarray:
    """Return float32[4000, columns]: exponential ones, far from symmetric, each of another size."""
    random = np.random.default_rng(5)
    return (random.exponential(size=(4000, columns)) * np.geomspace(0.1, 10, columns)).astype(np.float32)


def fitted(values: np.ndarray, levels: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    own = torch.from_numpy(values)
    return best_cells(own, torch.tensor(levels), ranges_to_try(own))


@pytest.mark.parametrize("levels", [2, 5, 16])
def test_no_cells_of_quantiles_lose_less(levels):
    values = skewed_values(3)
    _, _, errors = fitted(values, [levels] * 3)
    _, simple = UniformCells.fit(values, np.full(3, levels))
    # The share of unseen values counts here too; with more levels it decides.
    assert (errors.numpy() <= 1.02 * simple).all()


def test_many_levels_reach_beyond_what_was_seen():
    values = skewed_values(2)
    center, step, _ = fitted(values, [60000] * 2)
    assert (center.numpy() + 30000 * step.numpy() > 1.2 * values.max(axis=0)).all()


def test_one_level_is_the_mean():
    values = skewed_values(2)
    center, _, errors = fitted(values, [1, 1])
    np.testing.assert_allclose(center.numpy(), values.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(errors.numpy(), values.var(axis=0), rtol=1e-3)


def test_a_value_that_never_changes_is_kept():
    values = np.full((100, 1), 7.0, dtype=np.float32)
    center, step, _ = fitted(values, [4])
    digits = ((torch.from_numpy(values) - center) / step + 1.5).round().clamp(0, 3)
    np.testing.assert_allclose(((digits - 1.5) * step + center).numpy(), values, atol=1e-5)


@pytest.mark.parametrize("total_bytes", [6, 12])
def test_a_linear_codec_does_no_worse_than_levels_by_gain(total_bytes):
    values = skewed_values(12)
    config = CodecConfig("skewed", 12, None, {"state": (0, 12)}, bottleneck="scalar", total_bytes=total_bytes)
    codec = train(config, values[:3000], values[3000:], TrainingOptions(steps=0), progress=False)
    simple = ScalarQuantizer(values[:3000], total_bytes, 256)
    restored = simple.decode(simple.encode(values[3000:]))
    error = np.sqrt(np.mean(((restored - values[3000:]) / values[:3000].std(axis=0)) ** 2))
    assert codec.metrics["nrmse"] <= 1.02 * error
