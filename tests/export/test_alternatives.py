"""The simple ways to store a state: sizes, errors, and that they repeat."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from model_export.alternatives import ALTERNATIVES, compare
from model_export.errors import ConfigError
from tests.export.states import CONSTANT, correlated_states

WAYS = {way.name: way for way in ALTERNATIVES}
# Of 11 varying features; each way with a budget that it can use.
USABLE = {
    "int8 scalar": 5,
    "int16 scalar": 16,
    "PCA + int8": 5,
    "product quantisation": 5,
    "OPQ + product quantisation": 5,
    "float16": 22,
    "zfp": 16,
}


@pytest.fixture(scope="module")
def small() -> np.ndarray:
    """float32[3000, 12]; feature 7 is constant, the others vary."""
    made = correlated_states(3000, features=12, factors=5)
    made[:, 7] = CONSTANT
    return made


def std_of(states):
    std = states.std(axis=0, dtype=np.float64)
    std[states.max(axis=0) == states.min(axis=0)] = 0
    return std


def nrmse_of(way, states, total_bytes):
    fitted = WAYS[way].fit(states[:2400], total_bytes)
    restored = fitted.decode(fitted.encode(states[2400:]))
    scaled = (restored - states[2400:]) / np.where(std_of(states) > 0, std_of(states), np.inf)
    return np.sqrt(np.square(scaled).mean())


def test_every_way_is_tested():
    assert USABLE.keys() == WAYS.keys()


@pytest.mark.parametrize(("name", "budget"), USABLE.items())
def test_sizes_rows_and_constant_features(small, name, budget):
    learned, held_out = small[:2400], small[2400:]
    fitted = WAYS[name].fit(learned, budget)
    stored = fitted.encode(held_out)
    assert stored.dtype == np.uint8
    assert stored.shape == (600, fitted.stored_bytes)
    assert fitted.stored_bytes <= budget
    for row in (0, 17, 599):
        assert np.array_equal(fitted.encode(held_out[row : row + 1])[0], stored[row])
    assert np.array_equal(WAYS[name].fit(learned, budget).encode(held_out), stored)

    restored = fitted.decode(stored)
    assert restored.shape == held_out.shape
    assert (restored[:, 7] == CONSTANT).all()
    assert np.isfinite(restored).all()
    single = fitted.decode(np.ascontiguousarray(stored[3:4]))
    np.testing.assert_allclose(single[0], restored[3], rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "budgets"),
    [
        ("int8 scalar", (1, 2, 4, 8, 11)),
        ("int16 scalar", (12, 16, 22)),
        ("PCA + int8", (1, 2, 4, 8, 11)),
        ("product quantisation", (1, 2, 4, 8, 11)),
        ("OPQ + product quantisation", (1, 2, 4, 11)),
        ("zfp", (8, 16, 24, 32)),
    ],
)
def test_error_falls_with_bytes(small, name, budgets):
    errors = [nrmse_of(name, small, budget) for budget in budgets]
    assert all(later < earlier for earlier, later in itertools.pairwise(errors)), errors


@pytest.mark.parametrize(
    ("name", "budget"),
    [
        ("int16 scalar", 11),
        ("product quantisation", 12),
        ("OPQ + product quantisation", 12),
        ("float16", 21),
        ("zfp", 7),
    ],
)
def test_a_budget_that_does_not_fit(small, name, budget):
    assert WAYS[name].fit(small, budget) is None


@pytest.mark.parametrize(
    ("name", "budget", "stored"),
    [("int8 scalar", 64, 11), ("int16 scalar", 64, 22), ("PCA + int8", 64, 11), ("float16", 64, 22)],
)
def test_some_need_less_than_they_may_use(small, name, budget, stored):
    assert WAYS[name].fit(small, budget).stored_bytes == stored


def test_scalars_spend_a_budget_of_few_bits():
    features = correlated_states(2000, features=40, factors=5)
    fitted = WAYS["int8 scalar"].fit(features, 2)
    restored = fitted.decode(fitted.encode(features))
    # 16 bits are two levels for 16 features; the others come back as their mean.
    kept = (np.ptp(restored, axis=0) > 0).sum()
    assert fitted.stored_bytes == 2
    assert kept == 16


def test_few_training_states(small):
    for name in ("product quantisation", "OPQ + product quantisation"):
        fitted = WAYS[name].fit(small[:20], 5)
        assert fitted.decode(fitted.encode(small)).shape == small.shape


def test_states_without_a_varying_feature_need_no_way():
    assert compare(np.ones((5, 3)), np.ones((5, 3)), {}, np.zeros(3), 8) == []


@pytest.mark.parametrize(("train", "total_bytes", "said"), [([1.0], 8, "train"), ([[1.0]], 0, "total_bytes")])
def test_bad_arguments(train, total_bytes, said):
    with pytest.raises(ConfigError, match=said):
        WAYS["int8 scalar"].fit(train, total_bytes)


def test_compare(small):
    groups = {"moving": (0, 4), "fixed": (4, 12)}
    rows = compare(small[:2400], small[2400:], groups, std_of(small[:2400]), 8)
    assert {row.name for row in rows} == WAYS.keys() - {"int16 scalar", "float16"}
    assert [row.nrmse for row in rows] == sorted(row.nrmse for row in rows)
    for row in rows:
        assert row.stored_bytes == 8
        assert row.group_nrmse.keys() == groups.keys()
        mean_square = (4 * row.group_nrmse["moving"] ** 2 + 7 * row.group_nrmse["fixed"] ** 2) / 11
        assert row.nrmse == pytest.approx(mean_square**0.5, rel=1e-3)
        assert 0 < row.zstd_block_bytes < 9
        assert row.zstd_single_bytes > 8
