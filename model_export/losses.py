"""What training minimises, and the error it is judged by."""

from __future__ import annotations

import torch
from torch import Tensor

from model_export.vae import FeatureGroupedVAE, VAEOutput


def vae_loss(output: VAEOutput, kl_weight: float) -> Tensor:
    """Return the squared error in units of each feature's variance plus `kl_weight` times the KL divergence.

    Both are means over their elements, so the weight means the same for every codec. The number of codes
    fixes the rate; the divergence only keeps latents near unit size and neighbouring states near one another.
    """
    error = (output.reconstruction - output.target).square().mean()
    divergence = 0.5 * (output.mu.square() + output.logvar.exp() - 1 - output.logvar).mean()
    return error + kl_weight * divergence


@torch.no_grad()
def normalized_rmse(vae: FeatureGroupedVAE, states: Tensor, restored: Tensor) -> dict[str, float]:
    """Return the root mean square error in units of each feature's standard deviation in training.

    0 is perfect; predicting the mean gives 1. Features that were constant in training are left out.

    Args:
        states, restored: FLOAT[N, D].

    Returns:
        `nrmse` for the whole state and `nrmse_GROUP` for each group; 0 where all features were constant.
    """
    std = vae.normalizer.std.double()
    squared = ((restored.double() - states.double()) / std).square()
    spans = {"nrmse": slice(None)}
    spans |= {f"nrmse_{name}": slice(g.start, g.end) for name, g in vae.config.feature_groups.items()}
    return {name: _root_mean(squared[:, span][:, std[span] > 0]) for name, span in spans.items()}


def _root_mean(squared: Tensor) -> float:
    # Rounded to digits that mean something, which JSON then brings back as they are.
    return round(squared.mean().sqrt().item(), 6) if squared.numel() else 0.0
