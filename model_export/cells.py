"""Fits the equally wide cells that values are rounded to: how far they reach, and around what."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# Unseen states reach farther than those learned from. Levels are fitted as if this share of them were
# stretched so much; it decides only where levels are so many that the rest loses next to nothing.
UNSEEN_SHARE = 1e-5
UNSEEN_STRETCH = 2.0
# Ranges that are tried for a latent's cells leave out so much of the values at each end, or are so many times
# wider than all of them: the fewer the levels, the less they should cover.
CLIPPED_SHARES = (0.0, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.055, 0.1, 0.2)
STRETCHES = (1.25, 1.5, 2.0)


def ranges_to_try(latents: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return ranges to try for cells of FLOAT[N, Z], as centers and widths FLOAT[Z]."""
    ordered, last = latents.sort(dim=0).values, len(latents) - 1
    ends = [(ordered[round(share * last)], ordered[last - round(share * last)]) for share in CLIPPED_SHARES]
    clipped = [((low + high) / 2, (high - low).clamp(min=1e-6)) for low, high in ends]
    center, width = clipped[0]
    stretched = [(center, stretch * width) for stretch in STRETCHES]
    # Where there is one level, the mean is best.
    return [*clipped, *stretched, (latents.mean(dim=0), width)]


def best_cells(
    latents: Tensor, levels: Tensor, ranges: Sequence[tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return center and step of each column's range of least squared error, and that error; FLOAT[Z]."""
    whole_center, middle = ranges[0][0], (levels - 1) / 2
    unseen = whole_center + UNSEEN_STRETCH * (latents - whole_center)

    def lost(values: Tensor, center: Tensor, step: Tensor) -> Tensor:
        scaled = (values - center) / step
        digits = torch.minimum((scaled + middle).round().clamp(min=0.0), 2 * middle) - middle
        return ((scaled - digits) * step).square().mean(dim=0)

    least = torch.full_like(whole_center, torch.inf)
    best_center, best_step = ranges[0]
    for center, width in ranges:
        step = width / levels
        error = lost(latents, center, step) + UNSEEN_SHARE * lost(unseen, center, step)
        better = error < least
        best_center = torch.where(better, center, best_center)
        best_step = torch.where(better, step, best_step)
        least = torch.where(better, error, least)
    return best_center, best_step, least
