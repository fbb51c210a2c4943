"""The codec as a model: a variational autoencoder whose latent space is divided among feature groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from model_export.config import CodecConfig
from model_export.features import Normalizer
from model_export.layers import GroupedLinear, principal_axes, round_straight_through, shares

CODE_MIN, CODE_MAX = -128, 127
# Codes span this many times the largest value of a usual training batch, so that clamping stays rare.
HEADROOM = 1.25
RANGE_MOMENTUM = 0.02


class VAEOutput(NamedTuple):
    """What `forward` returns: states [B, D], normalised; mean and log variance of the latents [B, Z]."""

    reconstruction: Tensor
    target: Tensor
    mu: Tensor
    logvar: Tensor


class FeatureGroupedVAE(nn.Module):
    """Feature-grouped VAE with an integer bottleneck; one byte a code.

    ::

        states [B, D] ── normalise ──► x ── two hidden layers ──► mu, logvar [B, Z]      every group by itself
        z = mu + exp(logvar / 2) * noise in training, z = mu in evaluation
        z ── compress, scale ──► code values [B, C] ── round, clamp ──► codes INT8       every group by itself
        codes ── scale back, expand ──► z' [B, Z]                                        every group by itself
        z' ── two hidden layers ──► [B, D] ── denormalise ──► states                     all groups together

    A group's codes depend on its own features only, so that its rate buys its own detail. The decoder sees
    all codes, so that what one group tells about another is used and need not be stored twice. Beside each
    pair of hidden layers runs one linear map from end to end: `initialize` sets it to principal components,
    training bends it from there.

    Args:
        input_dim: features of a state (D).
        latent_dim: latent dimensions (Z), shared out among the groups by `CodecConfig.dimensions`.
        feature_groups: `{name: (start, end, compression)}`, covering 0 to `input_dim`.
        base_compression_level: factor on every group's compression.
        hidden_dim: width of the wider hidden layers; the others have half of it.

    Raises:
        ConfigError: the arguments do not describe a codec.

    Source of the method: Kingma and Welling, "Auto-Encoding Variational Bayes", 2013; rounding one can train
    through as in Theis et al., "Lossy Image Compression with Compressive Autoencoders", 2017.
    """

    code_range: Tensor

    def __init__(
        self,
        input_dim: int,
        latent_dim: int,
        feature_groups: Mapping[str, Any],
        base_compression_level: float = 1.0,
        hidden_dim: int = 128,
    ) -> None:
        super().__init__()
        self.config = CodecConfig(
            "unnamed", input_dim, latent_dim, dict(feature_groups), base_compression_level
        )
        self.input_dim = input_dim
        self.codes = self.config.codes
        dimensions = self.config.dimensions.values()
        features = [group.features for group in dimensions]
        latents = [group.latents for group in dimensions]
        codes = [group.codes for group in dimensions]
        narrow_dim = max(1, hidden_dim // 2)
        wide, narrow = shares(hidden_dim, features), shares(narrow_dim, features)

        self.normalizer = Normalizer(input_dim)
        self.encoder_in = GroupedLinear(features, wide)
        self.encoder_hidden = GroupedLinear(wide, narrow)
        self.encoder_mu = GroupedLinear(narrow, latents)
        self.encoder_logvar = GroupedLinear(narrow, latents)
        self.encoder_linear = GroupedLinear(features, latents)
        self.compress = GroupedLinear(latents, codes)
        # Largest compressed value of a usual batch; a running measurement, as in batch normalisation.
        self.register_buffer("code_range", torch.ones(self.codes))
        self.expand = GroupedLinear(codes, latents)
        self.decoder_in = nn.Linear(sum(latents), narrow_dim)
        self.decoder_hidden = nn.Linear(narrow_dim, hidden_dim)
        self.decoder_out = nn.Linear(hidden_dim, input_dim)
        self.decoder_linear = nn.Linear(sum(latents), input_dim)

    @property
    def code_scale(self) -> Tensor:
        """Codes per unit of the compressed latents, float32[C]."""
        return CODE_MAX / (HEADROOM * self.code_range.clamp(min=1e-6))

    def forward(self, states: Tensor) -> VAEOutput:
        """Reconstruct FLOAT[B, D] through the codes; in training with noise, and measuring their range."""
        target = self.normalizer(states)
        mu, logvar = self._latents(target)
        z = mu + torch.exp(logvar / 2) * torch.randn_like(mu) if self.training else mu
        compressed = self.compress(z)
        if self.training:
            self._track_range(compressed)
        codes = round_straight_through(compressed * self.code_scale).clamp(CODE_MIN, CODE_MAX)
        return VAEOutput(self._reconstruct(codes), target, mu, logvar)

    def code_values(self, states: Tensor) -> Tensor:
        """Return the codes of FLOAT[B, D] before rounding, FLOAT[B, C]."""
        mu, _ = self._latents(self.normalizer(states))
        values: Tensor = self.compress(mu) * self.code_scale
        return values

    def encode(self, states: Tensor) -> Tensor:
        """Compress FLOAT[B, D] to codes INT8[B, C]."""
        return self.code_values(states).round().clamp(CODE_MIN, CODE_MAX).to(torch.int8)

    def decode(self, codes: Tensor) -> Tensor:
        """Restore FLOAT[B, D] from codes INT8[B, C]."""
        return self.normalizer.invert(self._reconstruct(codes.float()))

    @torch.no_grad()
    def initialize(self, states: Tensor) -> None:
        """Measure the scales of FLOAT[N, D] and start as a linear codec: principal components by group.

        From random weights the linear maps converge so slowly, and the hidden layers fit the training states
        so closely meanwhile, that the error on unseen states was 15 times larger (simple_tag, 1,500 steps).
        """
        self.normalizer.fit(states)
        x = self.normalizer(states)
        dimensions = self.config.dimensions.values()
        by_group = x.split([group.features for group in dimensions], dim=1)
        self.encoder_linear.set(
            [principal_axes(g, own.latents) for g, own in zip(by_group, dimensions, strict=True)]
        )
        mixes = [_mix(group.codes, group.latents) for group in dimensions]
        self.compress.set(mixes)
        self.expand.set([mix.T for mix in mixes])
        z = self.expand(self.compress(self.encoder_linear(x)))
        design = nn.functional.pad(z, (0, 1), value=1.0).double()
        solution = torch.linalg.lstsq(design, x.double(), driver="gelsd").solution
        self.decoder_linear.weight.copy_(solution[:-1].T)
        self.decoder_linear.bias.copy_(solution[-1])
        # The hidden layers add nothing yet, and the noise starts at about the size of a code's rounding.
        for layer in (self.encoder_mu.free_weight, self.encoder_mu.bias, self.encoder_logvar.free_weight):
            layer.zero_()
        self.encoder_logvar.bias.fill_(-8.0)
        self.decoder_out.weight.zero_()
        self.decoder_out.bias.zero_()
        self.code_range.copy_(self.compress(self.encoder_linear(x)).abs().amax(dim=0))

    def _latents(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.encoder_hidden(self.encoder_in(x).relu()).relu()
        return self.encoder_mu(hidden) + self.encoder_linear(x), self.encoder_logvar(hidden)

    def _reconstruct(self, codes: Tensor) -> Tensor:
        z = self.expand(codes / self.code_scale)
        hidden = self.decoder_hidden(self.decoder_in(z).relu()).relu()
        restored: Tensor = self.decoder_out(hidden) + self.decoder_linear(z)
        return restored

    @torch.no_grad()
    def _track_range(self, compressed: Tensor) -> None:
        self.code_range.lerp_(compressed.abs().amax(dim=0), RANGE_MOMENTUM)


def _mix(codes: int, latents: int) -> Tensor:
    """Return [codes, latents]: latents spread evenly over more codes, or the leading ones over fewer."""
    mix = torch.empty(codes, latents)
    return nn.init.orthogonal_(mix) if codes > latents else nn.init.eye_(mix)
