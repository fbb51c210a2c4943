"""What training minimises: distortion, rate and what keeps latents in shape."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from model_export.config import CodecConfig
from model_export.vae import FeatureGroupedVAE, VAEOutput


class Distortion(nn.Module):
    """Squared error of learned features in units of their variance, weighed by their groups' importance."""

    weights: Tensor

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        weights = torch.cat([torch.full((g.size,), g.importance) for g in config.feature_groups.values()])
        weights /= weights.mean()
        weights[config.exact_features] = 0.0
        self.register_buffer("weights", weights)

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return FLOAT[] of the last layer's outputs and the states normalised, FLOAT[B, D] both."""
        return ((outputs - target).square() * self.weights).mean()


class Loss(NamedTuple):
    """One batch's loss and the two parts that people look at, FLOAT[] each."""

    total: Tensor
    distortion: Tensor
    bits: Tensor


def vae_loss(
    vae: FeatureGroupedVAE,
    measure: Distortion,
    states: Tensor,
    kl_weight: float = 0.0,
    rate_weight: float = 0.0,
) -> Loss:
    """Return rate + distortion of FLOAT[B, D].

    `rate_weight` is the price of a bit a feature, in units of a feature's variance. The KL divergence keeps
    sampled latents near unit size and neighbouring states near one another; latents that are not sampled have
    none. Both are means over their elements, so the weights mean the same for every codec.
    """
    output: VAEOutput = vae(states)
    distortion = measure(output.outputs, output.target)
    total = distortion + rate_weight * output.bits / vae.input_dim + output.penalty
    if vae.bottleneck.samples_latents:
        divergence = output.mu.square() + output.logvar.exp() - 1 - output.logvar
        total = total + kl_weight * 0.5 * divergence.mean()
    return Loss(total, distortion, output.bits)
