"""Divides a budget of bytes, and latents with it, among a codec's groups, by what the data are worth."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from model_export.config import CodecConfig
from model_export.features import Normalizer
from model_export.levels import share_bytes, water_level

# Latents of a byte's vector, where training will bend them anyway: with more, k-means finds better vectors at
# the start; with fewer, a call is cheaper.
CODE_DIM = 8
# A scalar latent is kept where its variance reaches this share of the level below which bits are wasted.
WORTH_A_LATENT = 0.25


def planned(config: CodecConfig, states: Tensor, linear: bool = False) -> CodecConfig:
    """Return `config` with `group_bytes` and `group_latents` filled in; a rounding bottleneck needs neither.

    Args:
        states: FLOAT[N, D], finite.
        linear: plan for features as they are, or a codec that stays linear: a latent for each feature that
            is not constant, and for codebooks as many of them a byte as that takes.
    """
    if config.bottleneck == "rounding":
        return config
    assert config.total_bytes is not None
    scales = Normalizer(config.input_dim)
    scales.fit(states, config.exact_features)
    normalized = scales(states)
    groups = {name: config.feature_groups[name] for name, size in config.learned_features.items() if size}
    parts = {name: normalized[:, group.start : group.end] for name, group in groups.items()}
    varying = {name: max(1, int(part.any(dim=0).sum())) for name, part in parts.items()}
    variances = {name: _variances(part) for name, part in parts.items()}
    group_bytes = config.group_bytes or share_bytes(
        variances,
        {name: group.importance for name, group in groups.items()},
        config.codes - config.exact_bytes,
    )
    if config.bottleneck == "codebook":
        whole = max((math.ceil(count / group_bytes[name]) for name, count in varying.items()), default=1)
        code_dim = whole if linear else min(CODE_DIM, whole)
        latents = {name: code_dim * size_bytes for name, size_bytes in group_bytes.items()}
    elif linear:
        latents = varying
    else:
        latents = {name: _worth(own, 8 * group_bytes[name]) for name, own in variances.items()}
    nothing = dict.fromkeys(config.feature_groups, 0)
    group_bytes, latents = {**nothing, **group_bytes}, {**nothing, **latents}
    return replace(config, group_bytes=group_bytes, group_latents=config.group_latents or latents)


def _variances(normalized: Tensor) -> Tensor:
    """Return the variances along principal axes, largest first; FLOAT[D]."""
    wide = normalized.double()
    variances: Tensor = torch.linalg.eigvalsh(wide.T @ wide / len(wide)).clamp(min=0).flip(0)
    return variances


def _worth(variances: Tensor, bits: float) -> int:
    return max(1, int((variances > WORTH_A_LATENT * water_level(variances, bits)).sum()))
