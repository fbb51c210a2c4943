"""The building blocks of the model: linear layers that keep groups apart, rounding, principal axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class GroupedLinear(nn.Module):
    """A linear layer in which every group's outputs depend on that group's inputs only.

    One masked matrix instead of a layer a group: one matrix product runs them all, and export drops the mask.

    Args:
        in_sizes, out_sizes: inputs and outputs of each group, in order; of equal length G.
    """

    mask: Tensor

    def __init__(self, in_sizes: Sequence[int], out_sizes: Sequence[int]) -> None:
        super().__init__()
        blocks = [torch.ones(outputs, inputs) for outputs, inputs in zip(out_sizes, in_sizes, strict=True)]
        self.register_buffer("mask", torch.block_diag(*blocks))  # type: ignore[no-untyped-call]
        # The usual initialisation of nn.Linear, with each output's own number of inputs.
        bound = 1 / self.mask.sum(dim=1).sqrt()
        self.free_weight = nn.Parameter((torch.rand_like(self.mask) * 2 - 1) * bound[:, None])
        self.bias = nn.Parameter((torch.rand_like(bound) * 2 - 1) * bound)

    @property
    def weight(self) -> Tensor:
        """The matrix in use, [sum(out_sizes), sum(in_sizes)], zero outside the groups' blocks."""
        return self.free_weight * self.mask

    @torch.no_grad()
    def set(self, blocks: Sequence[Tensor], bias: float = 0.0) -> None:
        """Give every group its matrix, [out, in], and all outputs one bias."""
        self.free_weight.copy_(torch.block_diag(*blocks))  # type: ignore[no-untyped-call]
        self.bias.fill_(bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map [B, sum(in_sizes)] to [B, sum(out_sizes)]."""
        return functional.linear(inputs, self.weight, self.bias)


def round_straight_through(values: Tensor) -> Tensor:
    """Round to the nearest integer; the gradient passes as if nothing had happened."""
    return values + (values.round() - values).detach()


def shares(total: int, sizes: Sequence[int]) -> list[int]:
    """Divide `total` units among groups in proportion to their sizes, rounding up."""
    return [math.ceil(total * size / sum(sizes)) for size in sizes]


def principal_axes(inputs: Tensor, count: int, unit_variance: bool = True) -> Tensor:
    """Return the directions in which FLOAT[N, D] varies most, FLOAT[count, D].

    Directions beyond the rank of the data are zero. With `unit_variance` each is scaled to that.
    """
    wide = inputs.double()
    variance, axes = torch.linalg.eigh(wide.T @ wide / len(wide))
    variance, axes = variance.flip(0)[:count], axes.flip(1)[:, :count]
    matters = variance > 1e-6 * variance.max()
    scale = torch.where(matters, variance, torch.inf).rsqrt() if unit_variance else matters.double()
    found = (axes * scale).T.to(inputs.dtype)
    return functional.pad(found, (0, 0, 0, count - len(found)))
