"""A recording's arrays, its hash, and a split that parts no episode."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_export.errors import ConfigError
from model_export.recording import Recording, number_episodes

STATES = np.arange(12.0).reshape(6, 2)


def test_arrays_are_kept_as_float32_and_int64():
    recording = Recording(STATES, [1, 1, 2, 2.0, 3, 3], ["x", "y"], "drone")
    assert (recording.states.dtype, recording.episodes.dtype) == (np.float32, np.int64)
    assert np.array_equal(recording.states, STATES)
    assert (len(recording), recording.features) == (6, 2)
    assert (recording.feature_names, recording.kind) == (("x", "y"), "drone")
    assert Recording(STATES).episodes.tolist() == [0] * 6


def test_the_hash_is_of_what_is_learned_from():
    recording = Recording(STATES)
    assert recording.sha256 == Recording(STATES.astype(np.float32), np.zeros(6), ["x", "y"]).sha256
    assert len(recording.sha256) == 64
    changed = STATES.copy()
    changed[5, 1] += 1e-3
    others = [Recording(changed), Recording(STATES, np.arange(6)), Recording(STATES.reshape(4, 3))]
    assert len({recording.sha256, *(other.sha256 for other in others)}) == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([np.zeros(3)], r"states must be of shape \[N, D\]"),
        ([np.zeros((0, 3))], "states"),
        ([np.broadcast_to(np.uint8(0), (10**9, 100_800))], "100,800 features; a codec takes at most 4,096"),
        ([np.array([["a"]])], "states has dtype <U1; a state is made of real numbers"),
        ([np.array([[1.0, 2.0], [3.0, np.nan]])], "feature 1 is nan in row 1"),
        ([np.array([[1e300]]), None, ["mass"]], r"feature 'mass' is 1e\+300 in row 0"),
        ([STATES, [1, 2]], "episodes must have one number for each of 6 states"),
        ([STATES, np.full(6, 0.5)], "episodes must be integers"),
        ([STATES, np.full(6, np.nan)], "episodes must be integers"),
        ([STATES, None, ["x"]], "feature_names must be 2 different names"),
        ([STATES, None, ["x", "x"]], "feature_names must be 2 different names"),
    ],
)
def test_errors_name_the_argument(arguments, said):
    with pytest.raises(ConfigError, match=said):
        Recording(*arguments)


def test_rows_of_one_episode_are_split_by_time():
    learned, held_out = Recording(np.arange(10)[:, None]).split()
    assert learned.states.ravel().tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert held_out.states.ravel().tolist() == [8, 9]


def test_episodes_may_alternate():
    recording = Recording(np.arange(10)[:, None], [1, 2] * 5, ["x"], "drone")
    learned, held_out = recording.split(0.5)
    assert held_out.states.ravel().tolist() == [1, 3, 5, 7, 9]
    assert (learned.feature_names, learned.kind) == (("x",), "drone")


@given(
    episodes=st.lists(st.integers(-5, 5), min_size=2, max_size=40),
    held_out=st.floats(0, 1, exclude_min=True, exclude_max=True),
)
def test_no_episode_is_on_both_sides(episodes, held_out):
    recording = Recording(np.arange(len(episodes))[:, None], episodes)
    learned, kept = recording.split(held_out)
    assert len(learned) + len(kept) == len(episodes)
    assert sorted([*learned.states.ravel(), *kept.states.ravel()]) == list(range(len(episodes)))
    if len(set(episodes)) > 1:
        assert max(learned.episodes) < min(kept.episodes)
        total = len(set(episodes))
        assert abs(len(set(kept.episodes)) - held_out * total) <= 1


@pytest.mark.parametrize("held_out", [0, 1, -1, float("nan")])
def test_a_share_is_between_0_and_1(held_out):
    with pytest.raises(ConfigError, match="hold out"):
        Recording(STATES).split(held_out)


def test_one_row_cannot_be_split():
    with pytest.raises(ConfigError, match="two are the least"):
        Recording(STATES[:1]).split()


def test_labels_of_episodes_are_numbered_as_they_appear():
    assert number_episodes([7, 7, 3]).tolist() == [7, 7, 3]
    assert number_episodes(["b", "a", "b"]).tolist() == [0, 1, 0]
    assert number_episodes([7, "a", 7]).tolist() == [0, 1, 0]
    assert number_episodes([2**64 - 1, 5, 2**64 - 1]).tolist() == [0, 1, 0]
