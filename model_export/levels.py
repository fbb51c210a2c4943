"""How a budget of bytes is divided: among groups, and among the values of one group."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from model_export.quantizers import BYTES_IN_WORD

# Bits of the most levels a value gets. A float32 has 24: what is left keeps the rounding of sums far below a
# level, so that every form of a codec makes the same codes.
MOST_BITS = 16


def share_bytes(
    variances: Mapping[str, Tensor], importance: Mapping[str, float], total: int
) -> dict[str, int]:
    """Divide `total` bytes among groups so that the sum of their weighted squared errors is least.

    Every group gets one byte; each further byte goes where it lowers the error most. The error that a group
    has at a rate is that of Gaussian components under reverse water-filling (Cover and Thomas, "Elements of
    Information Theory", section 10.3.3).

    Args:
        variances: of each group's principal components, FLOAT[D_g].
        importance: weight of each group's squared error.
        total: bytes, at least one a group.
    """
    given = dict.fromkeys(variances, 1)
    for _ in range(total - len(given) if given else 0):
        gains = {
            name: importance[name]
            * (water_filled_error(own, 8 * given[name]) - water_filled_error(own, 8 * given[name] + 8))
            for name, own in variances.items()
        }
        given[max(gains, key=lambda name: gains[name])] += 1
    return given


def water_level(variances: Tensor, bits: float) -> float:
    """Return the error a component that reverse water-filling leaves where components share `bits`."""
    ordered = variances.double().clamp(min=1e-30).sort(descending=True).values
    # With k components in use the level is their geometric mean, 2 ** (2 * bits / k) times lower.
    logs = ordered.log2().cumsum(0)
    counts = logs.new_ones(len(logs)).cumsum(0)
    levels = (logs - 2 * bits) / counts
    above = (ordered.log2() > levels).nonzero()
    return float(2.0 ** levels[int(above.max())])


def water_filled_error(variances: Tensor, bits: float) -> float:
    """Return the squared error of components of these variances that share `bits`."""
    return float(variances.double().clamp(max=water_level(variances, bits)).sum())


def word_splits(size_bytes: int) -> list[list[int]]:
    """Return every way to divide bytes into the fewest words, without regard to order; the evenest first."""

    def of(total: int, count: int, most: int) -> list[list[int]]:
        if count == 0:
            return [[]]
        least = math.ceil(total / count)
        sizes = range(least, min(most, total - count + 1) + 1)
        return [[size, *rest] for size in sizes for rest in of(total - size, count - 1, size)]

    return of(size_bytes, math.ceil(size_bytes / BYTES_IN_WORD), BYTES_IN_WORD)


def best_words(rates: Sequence[float], size_bytes: int) -> list[int]:
    """Return the division into words in which levels by `rates` lose least.

    Few values of many levels fit one word better than another: 17 of 15 bits into 32 bytes.
    """

    def loss(words: list[int]) -> float:
        _, levels = allot_levels(rates, words)
        return math.fsum(math.pow(4, rate) / count**2 for rate, count in zip(rates, levels, strict=True))

    splits = word_splits(size_bytes)
    return splits[0] if len(splits) == 1 else min(splits, key=loss)


def allot_levels(rates: Sequence[float], word_bytes: Sequence[int]) -> tuple[list[int], list[int]]:
    """Divide values among words, and each word's room among its values.

    Args:
        rates: bits that each value would like, relative to one another; from 0.
        word_bytes: the words, say those of `best_words`.

    Returns:
        For each value its word, and its number of levels (1 where it gets no room).
    """
    room = [8.0 * size for size in word_bytes]
    word_of = [0] * len(rates)
    for value in sorted(range(len(rates)), key=lambda i: -rates[i]):
        word = max(range(len(room)), key=lambda w: room[w])
        word_of[value] = word
        room[word] -= rates[value]
    levels = [1] * len(rates)
    for word, size in enumerate(word_bytes):
        members = [i for i in range(len(rates)) if word_of[i] == word]
        for i, count in zip(members, _fill_word([rates[i] for i in members], size), strict=True):
            levels[i] = count
    return word_of, levels


def _fill_word(rates: Sequence[float], size_bytes: int) -> list[int]:
    """Return levels in proportion to 2 ** rate that multiply to at most 256 ** size_bytes.

    None of them is more than 2 ** MOST_BITS; room that they leave goes to the other values.
    """
    low, high = -64.0, 64.0
    for _ in range(60):
        middle = (low + high) / 2
        if sum(_bits(rate + middle) for rate in rates) <= 8 * size_bytes:
            low = middle
        else:
            high = middle
    wanted = [2.0 ** _bits(rate + low) for rate in rates]
    levels = [max(1, math.floor(count)) for count in wanted]
    largest, product = 256**size_bytes, math.prod(levels)
    # Rounding down left room over: those that lost most of what they wanted get it, one level at a time.
    open_to_more = set(range(len(rates)))
    while open_to_more:
        i = max(open_to_more, key=lambda i: wanted[i] / levels[i])
        if product // levels[i] * (levels[i] + 1) <= largest and levels[i] < 2**MOST_BITS:
            product = product // levels[i] * (levels[i] + 1)
            levels[i] += 1
        else:
            open_to_more.discard(i)
    return levels


def _bits(rate: float) -> float:
    return min(max(0.0, rate), float(MOST_BITS))
