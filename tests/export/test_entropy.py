"""The learned prior is a distribution over the integers, learns one, and has gradients everywhere."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model_export.entropy import SMALLEST_PROBABILITY, FactorizedPrior


def gaussian(std: list[float], rows: int = 4000) -> Tensor:
    return torch.randn(rows, len(std), generator=torch.Generator().manual_seed(0)) * torch.tensor(std)


def empirical_bits(codes: Tensor) -> float:
    """Return the entropy of a column of integers, in bits."""
    shares = codes.unique(return_counts=True)[1].double() / len(codes)
    return float(-(shares * shares.log2()).sum())


@settings(deadline=None, max_examples=30)
@given(st.floats(0.0, 20.0), st.floats(-50.0, 50.0), st.integers(1, 4))
def test_probabilities_add_up_to_one(std, mean, components):
    prior = FactorizedPrior(1, components)
    prior.initialize(gaussian([std]) + mean)
    integers = torch.arange(-1000.0, 1001.0)[:, None]
    with torch.no_grad():
        total = (2.0 ** -prior.bits(integers)).double().sum().item()
    # What is clamped from below adds a little.
    assert total == pytest.approx(1, abs=2001 * SMALLEST_PROBABILITY + 1e-5)


def test_bits_approach_the_entropy_of_the_codes():
    values = gaussian([0.7, 3.0, 12.0])
    prior = FactorizedPrior(3)
    prior.initialize(values)
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.02)
    codes = values.round()
    for _ in range(150):
        optimizer.zero_grad()
        prior.bits(codes).mean().backward()
        optimizer.step()
    bits = prior.bits(codes).mean(dim=0).tolist()
    wanted = [empirical_bits(column) for column in codes.T]
    assert bits == pytest.approx(wanted, abs=0.1)


def test_the_first_guess_is_close_already():
    values = gaussian([0.7, 3.0, 12.0])
    prior = FactorizedPrior(3)
    prior.initialize(values)
    bits = prior.bits(values.round()).mean(dim=0).tolist()
    assert bits == pytest.approx([empirical_bits(column) for column in values.round().T], abs=0.5)


def test_noise_bounds_the_rate_of_rounding_from_above():
    values = gaussian([0.3, 1.0, 5.0])
    prior = FactorizedPrior(3)
    prior.initialize(values)
    noise = torch.rand(values.shape, generator=torch.Generator().manual_seed(1)) - 0.5
    noisy = prior.bits(values + noise).mean(dim=0)
    assert bool((noisy > torch.tensor([empirical_bits(column) for column in values.round().T]) - 0.02).all())


@pytest.mark.parametrize("far", [0.0, 1e2, 1e4, 1e9, -1e9, 1e30])
def test_gradients_are_finite_however_far_the_value(far):
    prior = FactorizedPrior(2)
    prior.initialize(gaussian([0.0, 2.0]))
    values = torch.full((1, 2), far, requires_grad=True)
    bits = prior.bits(values)
    bits.sum().backward()
    assert bool(((bits >= 0) & (bits <= 24)).all())
    assert bool(torch.isfinite(values.grad).all())
    assert all(bool(torch.isfinite(parameter.grad).all()) for parameter in prior.parameters())


def test_a_rare_value_pulls_towards_the_others():
    prior = FactorizedPrior(1)
    prior.initialize(gaussian([2.0]))
    values = torch.tensor([[5.0]], requires_grad=True)
    prior.bits(values).sum().backward()
    assert values.grad.item() > 0


def test_each_code_has_its_own_distribution():
    prior = FactorizedPrior(2)
    prior.initialize(gaussian([1.0, 1.0]) + torch.tensor([0.0, 20.0]))
    bits = prior.bits(torch.tensor([[0.0, 20.0], [20.0, 0.0]]))
    assert bool((bits[0] < 3).all())
    assert bool((bits[1] > 15).all())
