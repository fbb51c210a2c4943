"""Scales of a state's features, measured on training states and kept inside the model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Outside of these, scales and what is multiplied with them would overflow float32.
LARGEST_FEATURE = 1e18
SMALLEST_WIDTH = 1e-18


class Normalizer(nn.Module):
    """Maps features to zero mean and unit variance, and back.

    A feature that was constant in training has `std` 0: it normalises to 0 whatever it holds, and comes back
    exactly as it was. Others are clipped to the range seen in training, widened by its own width to each
    side, so that one absurd feature cannot spoil the codes of the rest.

    Buffers, all float32[D]: `mean`, `std`, `low`, `high`.
    """

    mean: Tensor
    std: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, input_dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(input_dim))
        self.register_buffer("std", torch.ones(input_dim))
        largest = torch.finfo(torch.float32).max
        self.register_buffer("low", torch.full((input_dim,), -largest))
        self.register_buffer("high", torch.full((input_dim,), largest))

    @torch.no_grad()
    def fit(self, states: Tensor, exact: Sequence[int] = ()) -> None:
        """Measure the scales of `states`, float32[N, D], N >= 1, within ±`LARGEST_FEATURE`.

        The features `exact` get `std` 0: they are coded elsewhere.
        """
        low, high = torch.aminmax(states, dim=0)
        width = high - low
        constant = width < SMALLEST_WIDTH
        # In float64: a sum of many float32 loses digits.
        wide = states.double()
        self.mean.copy_(torch.where(constant, low.double(), wide.mean(dim=0)))
        self.std.copy_(torch.where(constant, 0.0, wide.std(dim=0, correction=0)))
        self.std[list(exact)] = 0.0
        self.low.copy_(low - width)
        self.high.copy_(high + width)

    @property
    def inverse_std(self) -> Tensor:
        """1 / std, and 0 where a feature is constant. float32[D]."""
        return torch.where(self.std > 0, 1 / self.std, 0.0)

    def forward(self, states: Tensor) -> Tensor:
        """Normalise `states`, FLOAT[B, D]."""
        return (torch.clamp(states, self.low, self.high) - self.mean) * self.inverse_std

    def invert(self, normalized: Tensor) -> Tensor:
        """Undo `forward`, FLOAT[B, D]."""
        return normalized * self.std + self.mean
