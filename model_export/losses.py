"""What training minimises: distortion, rate and what keeps latents in shape."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from model_export.heads import HeadLoss
from model_export.vae import FeatureGroupedVAE, VAEOutput


class Loss(NamedTuple):
    """One batch's loss and the two parts that people look at, FLOAT[] each."""

    total: Tensor
    distortion: Tensor
    bits: Tensor


def vae_loss(
    vae: FeatureGroupedVAE,
    head_loss: HeadLoss,
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
    distortion = head_loss(output.outputs, output.target, states, vae.heads)
    total = distortion + rate_weight * output.bits / vae.input_dim + output.penalty
    if vae.bottleneck.samples_latents:
        divergence = output.mu.square() + output.logvar.exp() - 1 - output.logvar
        total = total + kl_weight * 0.5 * divergence.mean()
    return Loss(total, distortion, output.bits)
