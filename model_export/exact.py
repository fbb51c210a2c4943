"""Features of few values, binary and one-hot, as codes that bring them back exactly.

    states FLOAT[B, D] ── encode ──► codes INT8[B, E] ── decode ──► the same values in their columns

A binary feature is a digit of two levels, a one-hot run a digit of as many levels as it has classes; the
digits share words by mixed radix. They follow the codes that are learned, at the end of a row.
"""

import torch
from torch import Tensor, nn

from model_export.config import CodecConfig
from model_export.quantizers import LevelPacker

# No `from __future__ import annotations` here: TorchScript's compiler wants the annotations themselves.


class ExactFeatures(nn.Module):
    """The integer code of binary and one-hot features.

    A value between the two of a binary feature goes to the nearer one, a run that is not one-hot to the class
    of its largest entry.
    """

    starts: list[int]
    ends: list[int]
    binary: Tensor
    low: Tensor
    high: Tensor
    digit_of: Tensor
    class_of: Tensor
    source: Tensor

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.codes = config.exact_bytes
        self.packer = LevelPacker(*config.exact_words)
        self.starts = [start for start, _ in config.one_hot]
        self.ends = [end for _, end in config.one_hot]
        columns, binaries = config.exact_features, len(config.binary)
        self.register_buffer("binary", torch.tensor(config.binary, dtype=torch.int64))
        # For each exact feature: the digit that tells it, the class for which it is high, its two values.
        digit_of, class_of = list(range(binaries)), [1] * binaries
        for run, (start, end) in enumerate(config.one_hot):
            digit_of += [binaries + run] * (end - start)
            class_of += range(end - start)
        self.register_buffer("digit_of", torch.tensor(digit_of, dtype=torch.int64))
        self.register_buffer("class_of", torch.tensor(class_of, dtype=torch.int64))
        self.register_buffer("low", torch.zeros(len(columns)))
        self.register_buffer("high", torch.ones(len(columns)))
        # Where each feature of a state is found in a decoder's outputs and the exact features side by side.
        source = torch.arange(config.input_dim)
        source[columns] = config.input_dim + torch.arange(len(columns))
        self.register_buffer("source", source)

    @torch.no_grad()
    def fit(self, states: Tensor) -> None:
        """Take the two values of binary features from FLOAT[N, D]; 0 and 1 where one of them alone came."""
        low, high = torch.aminmax(states[:, self.binary], dim=0)
        is_flag = (low == high) & ((low == 0) | (low == 1))
        count = len(self.binary)
        self.low[:count] = torch.where(is_flag, 0.0, low)
        self.high[:count] = torch.where(is_flag, 1.0, high)

    def encode(self, states: Tensor) -> Tensor:
        """Return INT8[B, E]."""
        own = states[:, self.binary]
        count = own.size(1)
        digits = [(own - self.low[:count] > self.high[:count] - own).to(torch.int64)]
        for start, end in zip(self.starts, self.ends):  # noqa: B905 - TorchScript knows no strict=
            digits.append(states[:, start:end].argmax(dim=1, keepdim=True))
        codes: Tensor = self.packer.encode(torch.cat(digits, dim=1).to(torch.float32))
        return codes

    def are_high(self, codes: Tensor) -> Tensor:
        """Return which exact features have the higher of their two values, BOOL[B, K]."""
        digits: Tensor = self.packer.digits(codes)
        return digits[:, self.digit_of] == self.class_of

    def decode(self, outputs: Tensor, codes: Tensor) -> Tensor:
        """Return a decoder's outputs FLOAT[B, D] with the exact features in their places."""
        exact = torch.where(self.are_high(codes), self.high, self.low)
        return torch.cat([outputs, exact], dim=1)[:, self.source]
