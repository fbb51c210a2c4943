"""The codec as a model: a variational autoencoder whose latent space is divided among feature groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from model_export.bottlenecks import BOTTLENECKS, FIT_ROWS
from model_export.config import CodecConfig
from model_export.exact import ExactFeatures
from model_export.features import Normalizer
from model_export.layers import GroupedLinear, principal_axes, shares

# Ridge, as a share of a latent's mean square, where the first decoder is fitted: keeps latents that say the
# same from taking weights that cancel out.
RIDGE = 1e-6


class VAEOutput(NamedTuple):
    """What `forward` returns.

    Args:
        outputs: the decoder's last layer, FLOAT[B, D]: normalised states; nothing where features are exact.
        target: the states normalised, FLOAT[B, D].
        mu, logvar: mean and log variance of the latents, FLOAT[B, Z].
        bits: what the codes of a state cost, FLOAT[].
        penalty: what the bottleneck adds to the loss, FLOAT[].
    """

    outputs: Tensor
    target: Tensor
    mu: Tensor
    logvar: Tensor
    bits: Tensor
    penalty: Tensor


class FeatureGroupedVAE(nn.Module):
    """Feature-grouped VAE with an integer bottleneck; its codes are the bytes that are stored.

    ::

        states [B, D] ── normalise ──► x ── two hidden layers ──► mu, logvar [B, Z]      every group by itself
        z = mu + exp(logvar / 2) * noise in training with rounding, else z = mu
        z ── bottleneck ──► codes INT8[B, C] ──► z' [B, Z]                               every group by itself
        z' ── two hidden layers ──► [B, D] ── denormalise ──► states                     all groups together
        binary and one-hot features ── ExactFeatures ──► codes INT8[B, E], the last ones ──► the same features

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
        options: the other fields of `CodecConfig`: `bottleneck`, `total_bytes`, `group_bytes`,
            `group_latents`, `binary`, `one_hot`.

    Raises:
        ConfigError: the arguments do not describe a codec.

    Source of the method: Kingma and Welling, "Auto-Encoding Variational Bayes", 2013; rounding one can train
    through as in Theis et al., "Lossy Image Compression with Compressive Autoencoders", 2017.
    """

    def __init__(
        self,
        input_dim: int,
        latent_dim: int | None,
        feature_groups: Mapping[str, Any],
        base_compression_level: float = 1.0,
        hidden_dim: int = 128,
        **options: Any,
    ) -> None:
        super().__init__()
        self.config = CodecConfig(
            "unnamed", input_dim, latent_dim, dict(feature_groups), base_compression_level, **options
        )
        self.input_dim = input_dim
        dimensions = list(self.config.dimensions.values())
        self.codes = self.config.codes
        features = [group.features for group in dimensions]
        latents = [group.latents for group in dimensions]
        narrow_dim = max(1, hidden_dim // 2)
        wide, narrow = shares(hidden_dim, features), shares(narrow_dim, features)

        self.normalizer = Normalizer(input_dim)
        self.encoder_in = GroupedLinear(features, wide)
        self.encoder_hidden = GroupedLinear(wide, narrow)
        self.encoder_mu = GroupedLinear(narrow, latents)
        self.encoder_logvar = GroupedLinear(narrow, latents)
        self.encoder_linear = GroupedLinear(features, latents)
        self.bottleneck = BOTTLENECKS[self.config.bottleneck](dimensions)
        self.decoder_in = nn.Linear(sum(latents), narrow_dim)
        self.decoder_hidden = nn.Linear(narrow_dim, hidden_dim)
        self.decoder_out = nn.Linear(hidden_dim, input_dim)
        self.decoder_linear = nn.Linear(sum(latents), input_dim)
        self.exact = ExactFeatures(self.config)

    @classmethod
    def from_config(cls, config: CodecConfig, hidden_dim: int = 128) -> FeatureGroupedVAE:
        """Build the model that a planned configuration describes."""
        options = {
            name: getattr(config, name)
            for name in ("bottleneck", "total_bytes", "group_bytes", "group_latents", "binary", "one_hot")
        }
        groups, base = config.feature_groups, config.base_compression_level
        return cls(config.input_dim, config.latent_dim, groups, base, hidden_dim, **options)

    def forward(self, states: Tensor) -> VAEOutput:
        """Reconstruct FLOAT[B, D] through the codes; in training with noise, and measuring their range."""
        target = self.normalizer(states)
        mu, logvar = self._latents(target)
        z = mu
        if self.training and self.bottleneck.samples_latents:
            z = mu + torch.exp(logvar / 2) * torch.randn_like(mu)
        quantized = self.bottleneck(z)
        return VAEOutput(
            self._outputs(quantized.latents), target, mu, logvar, quantized.bits, quantized.penalty
        )

    def code_values(self, states: Tensor) -> Tensor:
        """Return what the quantizer makes codes of, FLOAT[B, V], from FLOAT[B, D]."""
        mu, _ = self._latents(self.normalizer(states))
        return self.bottleneck.values(mu)

    def encode(self, states: Tensor) -> Tensor:
        """Compress FLOAT[B, D] to codes INT8[B, C]."""
        learned = self.bottleneck.quantizer.encode(self.code_values(states))
        return torch.cat([learned, self.exact.encode(states)], dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Restore FLOAT[B, D] from codes INT8[B, C]."""
        learned, exact = self.parted(codes)
        outputs = self._outputs(self.bottleneck.restore(learned))
        return self.exact.decode(self.normalizer.invert(outputs), exact)

    def compared(self, codes: Tensor) -> Tensor:
        """Return what memories are compared by, FLOAT[B, Z + K]: latents, and exact features as 0 or 1."""
        learned, exact = self.parted(codes)
        latents = self.bottleneck.restore(learned)
        return torch.cat([latents, self.exact.are_high(exact).to(latents.dtype)], dim=1)

    def excess(self, states: Tensor, codes: Tensor) -> Tensor:
        """Return how far each of `codes` is from what it must be, see `quantizers`."""
        learned, exact = self.parted(codes)
        far = self.bottleneck.quantizer.excess(self.code_values(states), learned)
        return torch.cat([far, (self.exact.encode(states) != exact).to(far.dtype)], dim=1)

    def parted(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the codes that are learned, and those of exact features."""
        learned = self.codes - self.exact.codes
        return codes[:, :learned], codes[:, learned:]

    @torch.no_grad()
    def initialize(self, states: Tensor, transform: str = "principal") -> None:
        """Measure the scales of FLOAT[N, D] and start as a linear codec.

        From random weights the linear maps converge so slowly, and the hidden layers fit the training states
        so closely meanwhile, that the error on unseen states was 15 times larger (simple_tag, 1,500 steps).

        Args:
            transform: from features to latents, by group. "principal": principal axes, for codebooks dealt
                out so that each byte gets an equal share (the parametric solution of Ge et al., "Optimized
                Product Quantization", 2013). "none": features as they are, but for constant ones, padded with
                zeros; plain scalar or product quantisation.
        """
        self.normalizer.fit(states, self.config.exact_features)
        self.exact.fit(states)
        x = self.normalizer(states)
        dimensions = list(self.config.dimensions.values())
        by_group = x.split([group.features for group in dimensions], dim=1)
        self.encoder_linear.set(
            [
                self._first_transform(own, group.latents, group.codes, transform)
                for own, group in zip(by_group, dimensions, strict=True)
            ]
        )
        # The hidden layers add nothing yet, and the noise starts at about the size of a code's rounding.
        for layer in (self.encoder_mu.free_weight, self.encoder_mu.bias, self.encoder_logvar.free_weight):
            layer.zero_()
        self.encoder_logvar.bias.fill_(-8.0)
        self.decoder_out.weight.zero_()
        self.decoder_out.bias.zero_()
        latents = self.encoder_linear(x)
        self.bottleneck.initialize(latents)
        self._fit_linear_decoder(latents, x)

    def latents(self, states: Tensor) -> Tensor:
        """Return the means of the latents, FLOAT[B, Z]."""
        return self._latents(self.normalizer(states))[0]

    def _first_transform(self, x: Tensor, latents: int, codes: int, transform: str) -> Tensor:
        if not latents:
            return x.new_zeros(0, x.shape[1])
        if transform == "none":
            varying = torch.eye(x.shape[1])[x.any(dim=0)][:latents]
            return nn.functional.pad(varying, (0, 0, 0, latents - len(varying)))
        axes = principal_axes(x, latents, unit_variance=self.config.bottleneck == "rounding")
        return _balanced(axes, x, codes) if self.config.bottleneck == "codebook" else axes

    def _fit_linear_decoder(self, latents: Tensor, x: Tensor) -> None:
        """Set the decoder's linear map to the least squares from quantised latents to states."""
        rows = latents[:FIT_ROWS]
        restored = self.bottleneck.restore(self.bottleneck.quantizer.encode(self.bottleneck.values(rows)))
        design = nn.functional.pad(restored, (0, 1), value=1.0).double()
        gram = design.T @ design
        gram.diagonal().add_(RIDGE * gram.diagonal().mean())
        solution = torch.linalg.solve(gram, design.T @ x[:FIT_ROWS].double()).to(x.dtype)
        self.decoder_linear.weight.copy_(solution[:-1].T)
        self.decoder_linear.bias.copy_(solution[-1])

    def _latents(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.encoder_hidden(self.encoder_in(x).relu()).relu()
        return self.encoder_mu(hidden) + self.encoder_linear(x), self.encoder_logvar(hidden)

    def _outputs(self, z: Tensor) -> Tensor:
        hidden = self.decoder_hidden(self.decoder_in(z).relu()).relu()
        outputs: Tensor = self.decoder_out(hidden) + self.decoder_linear(z)
        return outputs


def _balanced(axes: Tensor, x: Tensor, codes: int) -> Tensor:
    """Order axes FLOAT[Z, D] so that the part of each code has about the same product of variances."""
    per_code = len(axes) // codes
    logs = (x @ axes.T).double().var(dim=0, correction=0).clamp(min=1e-12).log()
    parts: list[list[int]] = [[] for _ in range(codes)]
    totals = [0.0] * codes
    for axis in logs.argsort(descending=True, stable=True).tolist():
        emptiest = min(
            (code for code in range(codes) if len(parts[code]) < per_code), key=lambda code: totals[code]
        )
        parts[emptiest].append(axis)
        totals[emptiest] += float(logs[axis])
    return axes[[axis for part in parts for axis in part]]
