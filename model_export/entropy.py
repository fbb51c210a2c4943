"""How many bits integer codes would cost: a learned, factorised model of their distribution."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

# A code that the model thinks impossible costs this much at most; the gradient stays finite.
SMALLEST_PROBABILITY = 2.0**-24


class FactorizedPrior(nn.Module):
    """For each of C codes its own distribution over the integers, whatever the other codes are.

    A mixture of logistics, integrated over the unit interval around each integer. As in learned image
    compression, codes with uniform noise of width 1 in the place of rounding have a differentiable rate that
    bounds the entropy of the rounded ones from above.

    Args:
        codes: how many (C).
        components: of each mixture (K).

    Source of the method: Ballé et al., "Variational Image Compression with a Scale Hyperprior", 2018, for the
    rate under noise; Salimans et al., "PixelCNN++", 2017, for the mixture.
    """

    spread: Tensor

    def __init__(self, codes: int, components: int = 3) -> None:
        super().__init__()
        # Locations and scales count in these units, so that one learning rate fits narrow and wide codes.
        self.register_buffer("spread", torch.ones(codes, 1))
        self.location = nn.Parameter(torch.zeros(codes, components))
        self.log_scale = nn.Parameter(torch.zeros(codes, components))
        self.weight_logits = nn.Parameter(torch.zeros(codes, components))

    @torch.no_grad()
    def initialize(self, values: Tensor) -> None:
        """Fit the mixture's place and width to FLOAT[N, C], codes before rounding."""
        self.spread.copy_(values.std(dim=0, correction=0).clamp(min=0.1).unsqueeze(1))
        at = torch.linspace(0.2, 0.8, self.location.shape[1])
        self.location.copy_(values.quantile(at.to(values), dim=0).T / self.spread)
        self.log_scale.fill_(math.log(0.4))
        self.weight_logits.zero_()

    def bits(self, values: Tensor) -> Tensor:
        """Return what each of FLOAT[B, C] costs, in bits; FLOAT[B, C]."""
        scale = torch.exp(self.log_scale) * self.spread
        from_center = (values.unsqueeze(2) - self.location * self.spread).abs()
        # Both tails are measured on the side where a float32 sigmoid is accurate.
        mass = torch.sigmoid((0.5 - from_center) / scale) - torch.sigmoid((-0.5 - from_center) / scale)
        probability = (mass * self.weight_logits.softmax(dim=1)).sum(dim=2)
        return -torch.log2(probability.clamp(min=SMALLEST_PROBABILITY))
