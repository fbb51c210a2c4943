"""Errors in standard deviations, and how full codes are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model_export import metrics
from model_export.config import FeatureGroup
from model_export.errors import MissingDependencyError
from model_export.optional import load


def test_error_is_in_standard_deviations_and_leaves_constant_features_out():
    states = np.zeros((4, 3))
    restored = states + np.array([2.0, 30.0, 5.0])
    groups = {"a": (0, 1), "b": FeatureGroup(1, 3, 1.0), "none": (2, 3)}
    errors = metrics.normalized_rmse(states, restored, [2.0, 10.0, 0.0], groups)
    assert errors == {"nrmse": round(5**0.5, 6), "nrmse_a": 1.0, "nrmse_b": 3.0, "nrmse_none": 0.0}
    by_feature = metrics.feature_rmse(states, restored, [2.0, 10.0, 0.0])
    assert by_feature[:2].tolist() == [1.0, 3.0]
    assert np.isnan(by_feature[2])


def test_a_restored_nan_does_not_hide():
    errors = metrics.normalized_rmse(np.zeros((2, 2)), np.full((2, 2), np.nan), [1.0, 1.0], {})
    assert np.isnan(errors["nrmse"])


def test_the_error_of_training_is_this_one(trained, states, held_out):
    vae = trained.vae
    with torch.no_grad():
        restored = vae.decode(vae.encode(torch.from_numpy(held_out)))
    std = states[:4000].std(axis=0, dtype=np.float64)
    std[7] = 0  # constant; a mean in floating point misses it
    expected = metrics.normalized_rmse(held_out, restored.numpy(), std, vae.config.feature_groups)
    assert {name: trained.metrics[name] for name in expected} == expected


def test_entropy():
    every = np.arange(-128, 128, dtype=np.int8)
    codes = np.stack([every, np.zeros_like(every), every // 64], axis=1)
    bits, total = metrics.code_entropy(codes)
    assert bits.tolist() == [8.0, 0.0, 2.0]
    assert total == 10.0


def test_zstd_shrinks_what_repeats():
    assert metrics.compressed_bytes(bytes(10_000)) < 50
    noise = np.random.default_rng(0).bytes(10_000)
    assert 10_000 <= metrics.compressed_bytes(noise) < 10_100


def test_a_missing_package_names_its_extra():
    with pytest.raises(MissingDependencyError, match=r"no_such_package.*modules-store\[report\]"):
        load("no_such_package", "report")
