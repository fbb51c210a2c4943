"""A budget of bytes is spent to the last byte, where it lowers the error most."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model_export.levels import (
    MOST_BITS,
    allot_levels,
    best_words,
    share_bytes,
    water_filled_error,
    water_level,
    word_splits,
)
from model_export.quantizers import LevelPacker

variances = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=8).map(torch.tensor)
groups = st.lists(variances, min_size=1, max_size=4).map(lambda own: dict(enumerate(own)))


def bits_at(level: float, own: torch.Tensor) -> float:
    """Return what components cost where each keeps an error of at most `level`."""
    return sum(max(0.0, 0.5 * math.log2(variance / level)) for variance in own.tolist())


@given(variances, st.floats(0.1, 200))
def test_water_level_spends_exactly_the_bits(own, bits):
    level = water_level(own, bits)
    assert bits_at(level, own) == pytest.approx(bits, rel=1e-6, abs=1e-6)
    assert water_filled_error(own, bits) == pytest.approx(sum(min(level, v) for v in own.tolist()), rel=1e-6)


def test_with_hardly_any_bits_the_error_is_the_variance():
    own = torch.tensor([3.0, 1.0, 0.5])
    assert water_filled_error(own, 1e-9) == pytest.approx(4.5)


def test_components_without_variance_take_no_bits():
    own = torch.tensor([4.0, 0.0, 0.0])
    assert water_filled_error(own, 8) == pytest.approx(4.0 / 2**16)
    assert water_filled_error(torch.zeros(3), 8) == pytest.approx(0, abs=1e-20)


@settings(deadline=None)
@given(groups, st.integers(0, 40), st.data())
def test_bytes_add_up_and_every_group_has_one(own, extra, data):
    importance = {name: data.draw(st.floats(0.001, 1000)) for name in own}
    shared = share_bytes(own, importance, len(own) + extra)
    assert set(shared) == set(own)
    assert sum(shared.values()) == len(own) + extra
    assert min(shared.values()) >= 1


@settings(deadline=None)
@given(groups, st.integers(0, 30), st.floats(1, 100), st.data())
def test_more_importance_never_means_fewer_bytes(own, extra, factor, data):
    name = data.draw(st.sampled_from(sorted(own)))
    even = dict.fromkeys(own, 1.0)
    before = share_bytes(own, even, len(own) + extra)
    assert share_bytes(own, {**even, name: factor}, len(own) + extra)[name] >= before[name]


def test_bytes_go_where_the_variance_is():
    own = {"still": torch.zeros(4), "moving": torch.ones(4)}
    assert share_bytes(own, {"still": 1.0, "moving": 1.0}, 16) == {"still": 1, "moving": 15}


def test_equal_groups_share_equally():
    own = {name: torch.ones(4) for name in "abc"}
    assert share_bytes(own, dict.fromkeys("abc", 1.0), 12) == dict.fromkeys("abc", 4)


@given(st.integers(1, 200))
def test_words_are_as_few_as_can_be_and_the_first_division_is_even(size_bytes):
    splits = word_splits(size_bytes)
    for words in splits:
        assert sum(words) == size_bytes
        assert len(words) == math.ceil(size_bytes / 6)
        assert 1 <= min(words) <= max(words) <= 6
    assert max(splits[0]) - min(splits[0]) <= 1
    assert len({tuple(sorted(words)) for words in splits}) == len(splits)


def test_words_suit_the_values_in_them():
    words = best_words([15.0] * 17, 32)
    counts = sorted(allot_levels([15.0] * 17, words)[1])
    # In even words, 6, 6 and four times 5 bytes, nine values would have 10,321 levels.
    assert counts == [10321] * 6 + [65536] * 11


@settings(deadline=None)
@given(st.lists(st.floats(0, 24), min_size=1, max_size=40), st.integers(1, 40))
@example([15.0], 6)
@example([1.0], 4)
@example([15.0, 15.0], 6)
@example([0.0] * 5, 12)
def test_levels_fit_their_words_and_a_float32(rates, size_bytes):
    words = word_splits(size_bytes)[0]
    word_of, levels = allot_levels(rates, words)
    packer = LevelPacker(words, word_of, levels)
    highest = [[count - 1 for count in levels]]
    assert packer.digits(packer.encode(torch.tensor(highest, dtype=torch.float32))).tolist() == highest


@settings(deadline=None)
@given(st.lists(st.floats(0, 8), min_size=1, max_size=30), st.integers(1, 30))
def test_a_larger_rate_gets_no_fewer_levels_within_a_word(rates, size_bytes):
    words = word_splits(size_bytes)[0]
    word_of, levels = allot_levels(rates, words)
    for word in range(len(words)):
        ordered = sorted((rates[i], levels[i]) for i in range(len(rates)) if word_of[i] == word)
        counts = [count for _, count in ordered]
        # One more: what rounding leaves over goes to those that lost most by it.
        assert all(later >= earlier - 1 for earlier, later in itertools.pairwise(counts))


@settings(deadline=None)
@given(st.lists(st.floats(1, 8), min_size=1, max_size=12), st.integers(1, 24))
def test_words_are_nearly_full(rates, size_bytes):
    words = word_splits(size_bytes)[0]
    word_of, levels = allot_levels(rates, words)
    for word, size in enumerate(words):
        own = [count for count, at in zip(levels, word_of, strict=True) if at == word]
        # Not one level more fits anywhere.
        assert all(
            count == 2**MOST_BITS or math.prod(own) // count * (count + 1) > 256**size for count in own
        )


def test_levels_follow_rates():
    _, levels = allot_levels([4.0, 2.0, 2.0, 0.0], [1])
    assert levels == [16, 4, 4, 1]
