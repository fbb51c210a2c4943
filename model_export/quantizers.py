"""The integer parts of the bottlenecks: real values to the bytes that are stored, and back.

    values FLOAT[B, V] ── encode ──► codes INT8[B, C], one byte each ── decode ──► values FLOAT[B, V]

One class a kind, without anything that is learned but its tables. Each is used as it is by the model, by its
TorchScript and by its ONNX export, so there is one implementation of what a byte means. `excess` is for
verification: how much farther from a value the given code lies than the nearest one does, in units of the
distance between neighbouring codes; 0 for every code of `encode`.
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

# No `from __future__ import annotations` here: TorchScript's compiler wants the annotations themselves.

CODE_MIN, CODE_MAX = -128, 127
# Whole numbers of this many bytes are exact in a float64, which ONNX runtimes may divide in.
BYTES_IN_WORD = 6
CENTROIDS = 256


class Rounder(nn.Module):
    """Every value is rounded to one INT8 code; what lies outside is clamped. V = C."""

    code_min: Final[int] = CODE_MIN
    code_max: Final[int] = CODE_MAX

    def encode(self, values: Tensor) -> Tensor:
        return values.round().clamp_(self.code_min, self.code_max).to(torch.int8)

    def decode(self, codes: Tensor) -> Tensor:
        return codes.to(torch.float32)

    def excess(self, values: Tensor, codes: Tensor) -> Tensor:
        """Return FLOAT[B, V]."""
        clamped = values.clamp(self.code_min, self.code_max)
        return (codes - clamped).abs() - (clamped.round() - clamped).abs()


class LevelPacker(nn.Module):
    """Value v becomes one of `levels[v]` integers from 0; several of them share a word of up to 6 bytes.

    A word is a mixed-radix number: its digits are the integers, the radix of each is its number of levels.
    So a value of 3 levels costs 1.58 bits, not 2, and a word's levels multiply to at most 256 ** its bytes.

    Args:
        word_bytes: bytes of each word, 1 to 6; they add up to C.
        word_of: for each of the V values, the word it is in.
        levels: for each of the V values, its number of levels, at least 1.
    """

    code_min: Final[int] = CODE_MIN
    resolution: Final[float] = 2.0**-20
    levels: Tensor
    strides: Tensor
    word_of: Tensor
    in_word: Tensor
    byte_word: Tensor
    byte_in_word: Tensor
    byte_weight: Tensor
    byte_radix: Tensor

    def __init__(self, word_bytes: list[int], word_of: list[int], levels: list[int]) -> None:
        super().__init__()
        strides, product = [], [1] * len(word_bytes)
        for word, count in zip(word_of, levels, strict=True):
            strides.append(product[word])
            product[word] *= count
        for size, number in zip(word_bytes, product, strict=True):
            if not 1 <= size <= BYTES_IN_WORD or number > 256**size:
                raise ValueError(f"levels that multiply to {number} do not fit into a word of {size} bytes")
        self.register_buffer("levels", torch.tensor(levels, dtype=torch.int64))
        self.register_buffer("strides", torch.tensor(strides, dtype=torch.int64))
        self.register_buffer("word_of", torch.tensor(word_of, dtype=torch.int64))
        words = torch.arange(len(word_bytes))
        self.register_buffer("in_word", (self.word_of == words[:, None]).long())
        self.register_buffer(
            "byte_word", torch.repeat_interleave(words, torch.tensor(word_bytes, dtype=torch.int64))
        )
        self.register_buffer("byte_in_word", (self.byte_word == words[:, None]).long())
        self.register_buffer(
            "byte_weight",
            torch.tensor([256**i for size in word_bytes for i in range(size)], dtype=torch.int64),
        )
        self.register_buffer("byte_radix", torch.full_like(self.byte_weight, 256))

    def encode(self, values: Tensor) -> Tensor:
        highest = (self.levels - 1).to(values.dtype)
        digits = torch.minimum(values.round().clamp(min=0.0), highest).to(torch.int64)
        words = ((digits * self.strides).unsqueeze(1) * self.in_word).sum(dim=2)
        unsigned = _digit(words[:, self.byte_word], self.byte_weight, self.byte_radix)
        return (unsigned + self.code_min).to(torch.int8)

    def decode(self, codes: Tensor) -> Tensor:
        return self.digits(codes).to(torch.float32)

    def digits(self, codes: Tensor) -> Tensor:
        """Return INT64[B, V]. Bytes that no encoder made give the digits of their remainder."""
        weighted = (codes.to(torch.int64) - self.code_min) * self.byte_weight
        words = (weighted.unsqueeze(1) * self.byte_in_word).sum(dim=2)
        return _digit(words[:, self.word_of], self.strides, self.levels)

    def excess(self, values: Tensor, codes: Tensor) -> Tensor:
        """Return FLOAT[B, V]."""
        clamped = torch.minimum(values.clamp(min=0.0), (self.levels - 1).to(values.dtype))
        excess = (self.digits(codes) - clamped).abs() - (clamped.round() - clamped).abs()
        # Sums of float32 in another order differ by that much of the largest.
        return (excess - self.levels * self.resolution).clamp(min=0.0)


class CodebookIndexer(nn.Module):
    """Every `code_dim` values in a row become one byte: the index of the nearest of 256 learned vectors.

    V = C * code_dim. Source: Jegou et al., "Product Quantization for Nearest Neighbor Search", 2011.

    Args:
        codebooks: FLOAT[C, 256, code_dim].
    """

    code_min: Final[int] = CODE_MIN
    centroids: Final[int] = CENTROIDS
    codebooks: Tensor
    square_norms: Tensor
    offsets: Tensor

    def __init__(self, codebooks: Tensor) -> None:
        super().__init__()
        self.codes, self.code_dim = codebooks.shape[0], codebooks.shape[2]
        self.register_buffer("codebooks", codebooks)
        self.register_buffer("square_norms", codebooks.square().sum(dim=2).unsqueeze(1))
        self.register_buffer("offsets", torch.arange(self.codes, device=codebooks.device) * CENTROIDS)

    def encode(self, values: Tensor) -> Tensor:
        return (self.distances(values).argmin(dim=2).transpose(0, 1) + self.code_min).to(torch.int8)

    def decode(self, codes: Tensor) -> Tensor:
        rows = codes.to(torch.int64) - self.code_min + self.offsets
        vectors = functional.embedding(
            rows, self.codebooks.reshape(self.codes * self.centroids, self.code_dim)
        )
        return vectors.reshape(codes.size(0), self.codes * self.code_dim)

    def distances(self, values: Tensor) -> Tensor:
        """Return FLOAT[C, B, 256]: squared distances, less each value's own square, which all share."""
        parts = values.reshape(values.size(0), self.codes, self.code_dim).transpose(0, 1)
        return torch.baddbmm(self.square_norms, parts, self.codebooks.transpose(1, 2), alpha=-2.0)

    def excess(self, values: Tensor, codes: Tensor) -> Tensor:
        """Return FLOAT[B, C]."""
        parts = values.reshape(values.size(0), self.codes, self.code_dim).transpose(0, 1)
        distances = torch.cdist(parts.double(), self.codebooks.double()).to(values.dtype)
        nearest = distances.amin(dim=2)
        rows = (codes.to(torch.int64) - self.code_min).transpose(0, 1).unsqueeze(2)
        given = distances.gather(2, rows).squeeze(2)
        spacing = torch.cdist(self.codebooks, self.codebooks).mean(dim=(1, 2)).unsqueeze(1)
        return ((given - nearest) / spacing.clamp(min=1e-12)).transpose(0, 1)


def _digit(numbers: Tensor, stride: Tensor, radix: Tensor) -> Tensor:
    """Return the digits of mixed-radix numbers, INT64, none negative.

    By truncating division alone: ONNX has it for integers, where flooring and remainders pass through floats.
    """
    shifted = numbers.div(stride, rounding_mode="trunc")
    return shifted - shifted.div(radix, rounding_mode="trunc") * radix
