"""Where a codec loses detail: latents to few bytes, in a way that training can pass through.

    latents [B, Z] ── affine ──► values [B, V] ── quantizer ──► codes INT8[B, C] ──► values ──► latents

Three kinds share one interface, and keep groups apart. `Rounding`: one rounded INT8 a code. `Scalar`: few
levels a latent, as many as it is worth, packed into exactly the bytes given. `Codebook`: every byte names one
of 256 learned vectors. The integer part of each is its `quantizer`; the two affine maps around it are
matrices, so that an export can fold them into its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import faiss
import numpy as np
import torch
from torch import Tensor, nn

from model_export.cells import best_cells, ranges_to_try
from model_export.config import GroupDimensions
from model_export.entropy import FactorizedPrior
from model_export.layers import GroupedLinear, round_straight_through
from model_export.levels import allot_levels, best_words
from model_export.quantizers import CENTROIDS, CODE_MAX, CODE_MIN, CodebookIndexer, LevelPacker, Rounder

# Codes span this many times the largest value of a usual training batch, so that clamping stays rare.
HEADROOM = 1.25
RANGE_MOMENTUM = 0.02
# Weight of the squared distance between latents and their vectors, as in van den Oord et al., "Neural
# Discrete Representation Learning", 2017.
COMMITMENT = 0.25
# How fast the price of a bit follows the gap between the bits in use and those in the budget.
PRICE_RATE = 0.02
# How often levels are divided anew by the errors that the division before has left; the best is taken.
ALLOTMENTS = 5
# Rows that levels and linear maps are first fitted to, and codebooks; faiss would draw no more.
FIT_ROWS, CLUSTERED_ROWS = 32768, 65536

# faiss's k-means is ten times slower on narrower vectors.
LEAST_PART = 8

Affine = tuple[Tensor, Tensor]
"""Weight [out, in] and bias [out]."""


class Quantized(NamedTuple):
    """What a bottleneck makes of latents in training.

    Args:
        latents: FLOAT[B, Z], as the decoder will see them.
        bits: what the codes of a state cost at their learned or fixed probabilities, FLOAT[].
        penalty: what this kind adds to the loss, FLOAT[].
    """

    latents: Tensor
    bits: Tensor
    penalty: Tensor


class Bottleneck(nn.Module):
    """What all kinds have; they add `forward`, `to_values`, `from_values`, `initialize`."""

    quantizer: Any
    # Whether latents are drawn from the encoder's distribution in training, or are its mean.
    samples_latents = False
    # Whether codes mean nothing before `settle`.
    learns_levels = False

    def forward(self, latents: Tensor) -> Quantized:
        raise NotImplementedError

    def to_values(self) -> Affine:
        """Return the affine map from latents to the quantizer's values."""
        raise NotImplementedError

    def from_values(self) -> Affine:
        """Return the affine map from the quantizer's values to latents."""
        raise NotImplementedError

    def initialize(self, latents: Tensor) -> None:
        """Fit ranges and tables to FLOAT[N, Z]."""
        raise NotImplementedError

    def relax(self, latents: Tensor) -> None:
        """Enter training; FLOAT[N, Z] are the latents at that point, after `initialize`."""

    def settle(self, latents: Tensor) -> None:
        """Leave the first part of training; FLOAT[N, Z] are the latents at that point."""

    def values(self, latents: Tensor) -> Tensor:
        """Map latents to what the quantizer takes."""
        weight, bias = self.to_values()
        return latents @ weight.T + bias

    def restore(self, codes: Tensor) -> Tensor:
        """Map codes INT8[B, C] to latents."""
        weight, bias = self.from_values()
        restored: Tensor = self.quantizer.decode(codes) @ weight.T + bias
        return restored


class Rounding(Bottleneck):
    """One byte a code: latents are spread over or folded into C values a group, scaled and rounded.

    The only kind whose size follows from compression factors, not from a budget of bytes.
    """

    code_range: Tensor
    samples_latents = True

    def __init__(self, dimensions: Sequence[GroupDimensions]) -> None:
        super().__init__()
        latents, codes = [d.latents for d in dimensions], [d.codes for d in dimensions]
        self.quantizer = Rounder()
        self.compress = GroupedLinear(latents, codes)
        # Largest compressed value of a usual batch; a running measurement, as in batch normalisation.
        self.register_buffer("code_range", torch.ones(sum(codes)))
        self.expand = GroupedLinear(codes, latents)
        self.prior = FactorizedPrior(sum(codes))
        mixes = [_mix(group.codes, group.latents) for group in dimensions]
        self.compress.set(mixes)
        self.expand.set([mix.T for mix in mixes])

    @property
    def code_scale(self) -> Tensor:
        """Codes per unit of the compressed latents, float32[C]."""
        return CODE_MAX / (HEADROOM * self.code_range.clamp(min=1e-6))

    def forward(self, latents: Tensor) -> Quantized:
        compressed = self.compress(latents)
        if self.training:
            with torch.no_grad():
                self.code_range.lerp_(compressed.abs().amax(dim=0), RANGE_MOMENTUM)
        values = compressed * self.code_scale
        noisy = values + torch.rand_like(values) - 0.5 if self.training else values.round()
        bits = self.prior.bits(noisy).sum(dim=1).mean()
        codes = round_straight_through(values).clamp(CODE_MIN, CODE_MAX)
        return Quantized(self.expand(codes / self.code_scale), bits, bits.new_zeros(()))

    def to_values(self) -> Affine:
        scale = self.code_scale
        return scale[:, None] * self.compress.weight, scale * self.compress.bias

    def from_values(self) -> Affine:
        return self.expand.weight / self.code_scale, self.expand.bias

    @torch.no_grad()
    def initialize(self, latents: Tensor) -> None:
        if not latents.shape[1]:
            return
        compressed = self.compress(latents)
        self.code_range.copy_(compressed.abs().amax(dim=0))
        self.prior.initialize(compressed[:FIT_ROWS] * self.code_scale)


class Scalar(Bottleneck):
    """Few levels a latent, packed by mixed radix into exactly the bytes of its group.

    Training begins relaxed: uniform noise stands for rounding, and each latent pays for its learned rate at a
    price that holds the sum to the budget. `settle` then allots levels by the rates learned, and the rest of
    the training rounds to those levels.
    """

    learns_levels = True
    relaxed: Tensor
    price: Tensor
    center: Tensor
    common_log_step: Tensor

    def __init__(self, dimensions: Sequence[GroupDimensions]) -> None:
        super().__init__()
        self.latents = [group.latents for group in dimensions]
        self.sizes_bytes = [group.codes for group in dimensions]
        self.budget_bits = 8 * sum(group.codes for group in dimensions)
        count = sum(self.latents)
        self.quantizer = self._packer([0.0] * count)
        self.prior = FactorizedPrior(count)
        self.log_step = nn.Parameter(torch.zeros(count))
        self.register_buffer("center", torch.zeros(count))
        self.register_buffer("relaxed", torch.tensor(True))
        self.register_buffer("price", torch.tensor(1e-3))
        # The step at which the entropies of the latents first filled the budget, the same for all.
        self.register_buffer("common_log_step", torch.tensor(0.0))

    def forward(self, latents: Tensor) -> Quantized:
        step = self.log_step.exp()
        scaled = (latents - self.center) / step
        zero = scaled.new_zeros(())
        if not self.relaxed:
            middle = self._middle()
            digits = torch.minimum((scaled + middle).clamp(min=0.0), 2 * middle)
            restored = (round_straight_through(digits) - middle) * step + self.center
            return Quantized(restored, zero + self.budget_bits, zero)
        noisy = scaled + torch.rand_like(scaled) - 0.5 if self.training else scaled.round()
        bits = self.prior.bits(noisy).sum(dim=1).mean()
        if self.training:
            with torch.no_grad():
                self.price.mul_(torch.exp(PRICE_RATE * (bits / self.budget_bits - 1).clamp(-1, 1)))
        return Quantized(noisy * step + self.center, bits, self.price * bits / self.budget_bits)

    def to_values(self) -> Affine:
        inverse = torch.exp(-self.log_step)
        return torch.diag(inverse), self._middle() - self.center * inverse

    def from_values(self) -> Affine:
        step = self.log_step.exp()
        return torch.diag(step), self.center - self._middle() * step

    @torch.no_grad()
    def initialize(self, latents: Tensor) -> None:
        """Take one step for all latents, such that their entropies fill the budget; allot levels by them."""
        if not latents.shape[1]:
            self.relaxed.fill_(False)
            return
        self.center.copy_(latents.mean(dim=0))
        centered = latents[:FIT_ROWS] - self.center
        largest = float(centered.abs().max().clamp(min=1e-6))
        low, high = math.log(largest * 2.0**-24), math.log(2 * largest)
        for _ in range(30):
            middle = (low + high) / 2
            if float(_entropies((centered / math.exp(middle)).round()).sum()) > self.budget_bits:
                low = middle
            else:
                high = middle
        self.log_step.fill_(high)
        scaled = centered / math.exp(high)
        self.prior.initialize(scaled)
        self._allot(_entropies(scaled.round()), latents[:FIT_ROWS])
        self.common_log_step.fill_(high)
        self.relaxed.fill_(False)

    @torch.no_grad()
    def relax(self, latents: Tensor) -> None:
        centered = latents[:FIT_ROWS] - self.center
        self.log_step.fill_(float(self.common_log_step))
        self.prior.initialize(centered / self.log_step.exp())
        self.relaxed.fill_(True)

    @torch.no_grad()
    def settle(self, latents: Tensor) -> None:
        rows = latents[:FIT_ROWS]
        scaled = (rows - self.center) / self.log_step.exp()
        self._allot(self.prior.bits(scaled.round()).mean(dim=0), rows)
        self.relaxed.fill_(False)

    def _middle(self) -> Tensor:
        middle: Tensor = (self.quantizer.levels - 1) / 2
        return middle

    def _packer(self, rates: Sequence[float]) -> LevelPacker:
        word_bytes: list[int] = []
        word_of: list[int] = []
        levels: list[int] = []
        start = 0
        for latents, size_bytes in zip(self.latents, self.sizes_bytes, strict=True):
            own = rates[start : start + latents]
            words = best_words(own, size_bytes)
            own_words, own_levels = allot_levels(own, words)
            word_of += [len(word_bytes) + word for word in own_words]
            word_bytes += words
            levels += own_levels
            start += latents
        return LevelPacker(word_bytes, word_of, levels)

    def _allot(self, rates: Tensor, latents: Tensor) -> None:
        """Give levels by rates, FLOAT[Z], then move them to where they lower the squared error more.

        With many levels the best division leaves all latents the same error, and 2 ** r times the levels
        leave 4 ** -r of it. Rates alone leave out how far rare values reach, which levels have to cover.
        """
        ranges = ranges_to_try(latents)
        least = math.inf
        for _ in range(ALLOTMENTS):
            packer = self._packer(rates.tolist())
            center, step, errors = best_cells(latents, packer.levels, ranges)
            if float(errors.sum()) < least:
                least = float(errors.sum())
                self.quantizer.load_state_dict(packer.state_dict())
                self.center.copy_(center)
                self.log_step.copy_(step.log())
            wanted = packer.levels.log2() + (errors / errors.mean()).clamp(min=1e-6).log2() / 2
            rates = wanted.clamp(min=0.0)


class Codebook(Bottleneck):
    """Every byte of a group is the index of one of 256 learned vectors of `code_dim` latents.

    The gradient passes to the encoder as if nothing had happened, and to the chosen vectors as they are.
    """

    def __init__(self, dimensions: Sequence[GroupDimensions]) -> None:
        super().__init__()
        code_dims = {group.latents // group.codes for group in dimensions if group.codes} or {1}
        assert len(code_dims) == 1, "all bytes name vectors of one length"
        codes = sum(group.codes for group in dimensions)
        self.codebooks = nn.Parameter(torch.zeros(codes, CENTROIDS, code_dims.pop()))
        self.budget_bits = 8 * codes

    @property
    def quantizer(self) -> CodebookIndexer:
        """The indexer of the codebooks as they are now."""
        return CodebookIndexer(self.codebooks)

    def forward(self, latents: Tensor) -> Quantized:
        indexer = self.quantizer
        with torch.no_grad():
            codes = indexer.encode(latents)
        vectors = indexer.decode(codes)
        penalty = COMMITMENT * (latents - vectors.detach()).square().mean()
        bits = penalty.new_zeros(()) + self.budget_bits
        return Quantized(vectors + (latents - latents.detach()), bits, penalty)

    def to_values(self) -> Affine:
        eye = torch.eye(self.codebooks.shape[0] * self.codebooks.shape[2]).to(self.codebooks)
        return eye, eye.new_zeros(len(eye))

    from_values = to_values

    @torch.no_grad()
    def initialize(self, latents: Tensor) -> None:
        codes, _, code_dim = self.codebooks.shape
        if not codes:
            return
        parts = fit_rows(latents).reshape(-1, codes, code_dim)
        # Zeros change no distance.
        padded = np.pad(parts, ((0, 0), (0, 0), (0, max(0, LEAST_PART - code_dim))))
        quantizer = faiss.ProductQuantizer(codes * padded.shape[2], codes, 8)
        # Without a warning on standard error where training states are few.
        quantizer.cp.min_points_per_centroid = 1
        quantizer.train(padded.reshape(len(padded), -1))
        trained = faiss.vector_to_array(quantizer.centroids).reshape(codes, CENTROIDS, -1)
        self.codebooks.copy_(torch.from_numpy(trained[:, :, :code_dim].copy()))


BOTTLENECKS: dict[str, type[Rounding | Scalar | Codebook]] = {
    "rounding": Rounding,
    "scalar": Scalar,
    "codebook": Codebook,
}


def fit_rows(values: Tensor) -> np.ndarray:
    """Return float32[≥ 256, …] for k-means: the first rows, or all of them several times."""
    rows = values[:CLUSTERED_ROWS].detach().cpu().numpy()
    if len(rows) < CENTROIDS:
        rows = np.resize(rows, (CENTROIDS, rows.shape[1]))
    return np.ascontiguousarray(rows, dtype=np.float32)


def _mix(codes: int, latents: int) -> Tensor:
    """Return [codes, latents]: latents spread evenly over more codes, or the leading ones over fewer."""
    mix = torch.empty(codes, latents)
    return nn.init.orthogonal_(mix) if codes > latents else nn.init.eye_(mix)


def _entropies(codes: Tensor) -> Tensor:
    """Return the empirical entropy of each column of integers FLOAT[N, C], in bits."""
    found = []
    for column in codes.T:
        counts = column.unique(return_counts=True)[1].double()
        shares = counts / counts.sum()
        found.append(-(shares * shares.log2()).sum())
    return torch.stack(found)
