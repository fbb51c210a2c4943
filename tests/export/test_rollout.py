"""Rollouts of a simulation that is not ours, and splits that keep episodes whole."""

from __future__ import annotations

import numpy as np
import pytest

from model_export.data import kind_of, load_states, rollout, split_episodes, split_rows, stack_states
from model_export.errors import ConfigError, MissingDependencyError

TAG = "mpe2.simple_tag_v3"


@pytest.fixture(scope="module")
def tag():
    return rollout(TAG, episodes=5, seed=3, max_cycles=10)


def test_kinds_and_shapes(tag):
    assert {kind: len(episodes) for kind, episodes in tag.items()} == {"adversary": 15, "agent": 5}
    for kind, features in (("adversary", 16), ("agent", 14)):
        for episode in tag[kind]:
            assert (episode.states.dtype, episode.states.shape) == (np.float32, (10, features))
            assert (episode.rewards.dtype, episode.rewards.shape) == (np.float32, (10,))
            assert episode.actions.shape == (10,)
            assert set(episode.actions) <= set(range(5))
            assert kind_of(episode.agent) == kind


def test_agents_of_one_episode_share_its_number(tag):
    assert [e.number for e in tag["adversary"]] == [number for number in range(5) for _ in range(3)]
    assert {e.agent for e in tag["adversary"]} == {"adversary_0", "adversary_1", "adversary_2"}


def test_a_state_precedes_its_action(tag):
    # Everyone starts at rest; the first two features are the agent's own velocity.
    assert all((episode.states[0, :2] == 0).all() for episode in tag["agent"])
    assert any((episode.states[-1, :2] != 0).any() for episode in tag["agent"])


def test_the_seed_decides(tag):
    again = rollout(TAG, episodes=5, seed=3, max_cycles=10)
    other = rollout(TAG, episodes=5, seed=4, max_cycles=10)
    for one, same, another in zip(tag["agent"], again["agent"], other["agent"], strict=True):
        assert np.array_equal(one.states, same.states)
        assert np.array_equal(one.actions, same.actions)
        assert not np.array_equal(one.states, another.states)
    assert len({episode.states.tobytes() for episode in tag["agent"]}) == 5


def test_progress_is_told_after_each_episode():
    told = []
    rollout(TAG, episodes=3, on_episode=lambda: told.append(1), max_cycles=2)
    assert len(told) == 3


@pytest.mark.parametrize("held_out", [0.01, 0.2, 0.5, 0.99])
def test_split_keeps_episodes_whole(tag, held_out):
    learned, kept = split_episodes(tag["adversary"], held_out)
    assert not {e.number for e in learned} & {e.number for e in kept}
    assert len(learned) + len(kept) == 15
    assert learned
    assert kept
    assert len(stack_states(learned)) == 10 * len(learned)


def test_split_of_too_little(tag):
    with pytest.raises(ConfigError, match="two are the least"):
        split_episodes(tag["adversary"][:3])
    with pytest.raises(ConfigError, match="hold out"):
        split_episodes(tag["adversary"], 1.0)


def test_rows_split_by_episode_or_by_time():
    states = np.arange(10)[:, None]
    learned, kept = split_rows(states)
    assert (learned.ravel().tolist(), kept.ravel().tolist()) == ([0, 1, 2, 3, 4, 5, 6, 7], [8, 9])
    learned, kept = split_rows(states, np.array([1, 2] * 5), held_out=0.5)
    assert kept.ravel().tolist() == [1, 3, 5, 7, 9]
    with pytest.raises(ConfigError, match="episodes"):
        split_rows(states, np.zeros(3))


def test_states_from_files(tmp_path):
    states, episodes = np.ones((4, 3), np.float32), np.array([0, 0, 1, 1])
    np.save(tmp_path / "s.npy", states)
    np.savez(tmp_path / "s.npz", states=states, episodes=episodes)
    np.savez(tmp_path / "other.npz", observations=states)
    np.save(tmp_path / "flat.npy", states.ravel())
    loaded, none = load_states(tmp_path / "s.npy")
    assert np.array_equal(loaded, states)
    assert none is None
    loaded, numbers = load_states(tmp_path / "s.npz")
    assert np.array_equal(loaded, states)
    assert np.array_equal(numbers, episodes)
    for name in ("other.npz", "flat.npy", "missing.npy"):
        with pytest.raises(ConfigError, match=name):
            load_states(tmp_path / name)


def test_what_is_no_environment_is_refused():
    with pytest.raises(MissingDependencyError, match=r"no_such_env.*pip install"):
        rollout("no_such_env", episodes=1)
    with pytest.raises(ConfigError, match="parallel_env"):
        rollout("json", episodes=1)
    with pytest.raises(ConfigError, match="episodes"):
        rollout(TAG, episodes=0)
