"""What comes out of a decoder: real numbers, one of two values, one of several; and how far off each is."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_export.config import CodecConfig
from model_export.features import Normalizer

# No `from __future__ import annotations` here: TorchScript's compiler wants the annotations themselves.

# Logits per unit of probability where a linear estimate of it begins as a logit: its slope at one half.
LOGIT_SLOPE = 4.0


class OutputHeads(nn.Module):
    """Turns the decoder's last layer, FLOAT[B, D] in the features' own units, into states.

    Continuous features pass. A binary feature is its higher value where the layer is above 0, else its lower
    one. A one-hot run is 1 at its largest entry, else 0.
    """

    starts: list[int]
    ends: list[int]
    is_binary: Tensor
    is_discrete: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        is_binary = torch.zeros(config.input_dim, dtype=torch.bool)
        is_binary[list(config.binary)] = True
        self.register_buffer("is_binary", is_binary)
        is_discrete = is_binary.clone()
        for start, end in config.one_hot:
            is_discrete[start:end] = True
        self.register_buffer("is_discrete", is_discrete)
        self.register_buffer("low", torch.zeros(config.input_dim))
        self.register_buffer("high", torch.ones(config.input_dim))
        self.starts = [start for start, _ in config.one_hot]
        self.ends = [end for _, end in config.one_hot]
        self.has_binary = len(config.binary) > 0

    def forward(self, outputs: Tensor) -> Tensor:
        states = outputs
        if self.has_binary:
            states = torch.where(self.is_binary, torch.where(outputs > 0, self.high, self.low), outputs)
        for start, end in zip(self.starts, self.ends):  # noqa: B905 - TorchScript knows no strict=
            best = outputs[:, start:end].argmax(dim=1, keepdim=True)
            hot = (torch.arange(end - start, device=outputs.device) == best).to(outputs.dtype)
            states = torch.cat([states[:, :start], hot, states[:, end:]], dim=1)
        return states


class HeadLoss(nn.Module):
    """The distortion of a decoder's last layer against states, weighed by their groups' importance.

    Squared error in units of each feature's variance; cross entropy, in nats, for binary features and one-hot
    runs, which is about as large where nothing is known. The mean over features, so that it means the same
    for every codec.
    """

    weights: Tensor
    is_continuous: Tensor

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        weights = torch.cat([torch.full((g.size,), g.importance) for g in config.feature_groups.values()])
        self.register_buffer("weights", weights / weights.mean())
        discrete = [*config.binary, *(i for run in config.one_hot for i in range(*run))]
        is_continuous = torch.ones(config.input_dim, dtype=torch.bool)
        is_continuous[discrete] = False
        self.register_buffer("is_continuous", is_continuous)
        self.binary = list(config.binary)
        self.one_hot = list(config.one_hot)

    def forward(self, outputs: Tensor, target: Tensor, states: Tensor, heads: OutputHeads) -> Tensor:
        """Return FLOAT[].

        Args:
            outputs: the last layer, FLOAT[B, D]: normalised where continuous, otherwise logits.
            target: the states normalised, FLOAT[B, D].
            states: as they are, FLOAT[B, D].
            heads: knows the two values of binary features.
        """
        loss = ((outputs - target).square() * (self.weights * self.is_continuous)).sum(dim=1)
        if self.binary:
            is_high = (states - heads.low > heads.high - states)[:, self.binary].to(outputs.dtype)
            own = functional.binary_cross_entropy_with_logits(
                outputs[:, self.binary], is_high, reduction="none"
            )
            loss = loss + (own * self.weights[self.binary]).sum(dim=1)
        for start, end in self.one_hot:
            label = states[:, start:end].argmax(dim=1)
            own = functional.cross_entropy(outputs[:, start:end], label, reduction="none")
            loss = loss + own * self.weights[start:end].sum() / 2
        return loss.mean() / outputs.shape[1]


@torch.no_grad()
def fit_heads(heads: OutputHeads, states: Tensor) -> None:
    """Take the two values of binary features from FLOAT[N, D]."""
    low, high = torch.aminmax(states, dim=0)
    heads.low.copy_(torch.where(heads.is_binary, low, heads.low))
    heads.high.copy_(torch.where(heads.is_binary, high, heads.high))


@torch.no_grad()
def logits_of_linear(
    weight: Tensor, bias: Tensor, heads: OutputHeads, scales: Normalizer
) -> tuple[Tensor, Tensor]:
    """Turn a linear estimate of normalised states, [D, Z] and [D], into logits where heads want them."""
    width = torch.where(heads.is_binary, heads.high - heads.low, torch.ones_like(heads.high)).clamp(min=1e-12)
    middle = torch.where(heads.is_binary, (heads.high + heads.low) / 2, torch.zeros_like(heads.high))
    slope = LOGIT_SLOPE * scales.std / width
    offset = LOGIT_SLOPE * (scales.mean - middle) / width
    new_weight = torch.where(heads.is_discrete[:, None], weight * slope[:, None], weight)
    new_bias = torch.where(heads.is_discrete, bias * slope + offset, bias)
    return new_weight, new_bias
