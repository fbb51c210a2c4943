"""Rollouts of simulations that are not ours, of Gymnasium and of PettingZoo."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from model_export.errors import ConfigError, MissingDependencyError
from model_export.rollout import kind_of, record, resolve_policy, rollout, split_episodes, stack_states

TAG = "mpe2.simple_tag_v3"


def push_left(observation, agent):
    """A policy for CartPole and for simple_tag, which `policy` names below."""
    assert agent == "agent" or kind_of(agent) in ("adversary", "agent")
    assert observation.dtype == np.float32
    return 0


class Docks(gymnasium.Env):
    """An environment with an observation of parts, none of them plain numbers."""

    observation_space = spaces.Dict(
        {
            "arm": spaces.Dict({"angle": spaces.Box(-1, 1, (2, 2)), "grip": spaces.Discrete(3)}),
            "pair": spaces.Tuple([spaces.Box(0, 9, ()), spaces.MultiBinary(2)]),
            "lamp": spaces.Box(0, 1, (1,)),
        }
    )
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._observe(), {}

    def step(self, action):
        return self._observe(), 1.0, False, False, {}

    def _observe(self):
        return {
            "arm": {"angle": np.full((2, 2), 0.5, np.float32), "grip": 2},
            "pair": (np.array(7, np.float32), np.array([1, 0], np.int8)),
            "lamp": np.array([0.25], np.float32),
        }


@pytest.fixture
def docks():
    gymnasium.register("Docks-v0", Docks)
    yield "Docks-v0"
    del gymnasium.registry["Docks-v0"]


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


def test_a_record_of_episodes(tag):
    recording = record(tag["adversary"])
    assert np.array_equal(recording.states, stack_states(tag["adversary"]))
    assert recording.episodes.tolist() == [number for number in range(5) for _ in range(30)]
    assert recording.kind == "adversary"
    assert recording.feature_names is None


@pytest.mark.parametrize(("name", "features"), [("CartPole-v1", 4), ("Pendulum-v1", 3)])
def test_gymnasium_by_name(name, features):
    played = rollout(name, episodes=3, seed=5)
    assert list(played) == ["agent"]
    assert [episode.number for episode in played["agent"]] == [0, 1, 2]
    for episode in played["agent"]:
        assert episode.states.dtype == np.float32
        assert episode.states.shape == (len(episode.actions), features)
        assert episode.rewards.shape == (len(episode.actions),)
    again, other = rollout(name, episodes=3, seed=5), rollout(name, episodes=3, seed=6)
    assert record(again["agent"]).sha256 == record(played["agent"]).sha256
    assert record(other["agent"]).sha256 != record(played["agent"]).sha256


def test_options_go_to_gymnasium():
    (slow,) = rollout("Pendulum-v1", episodes=1, seed=1, g=1.0)["agent"]
    (fast,) = rollout("Pendulum-v1", episodes=1, seed=1, g=20.0)["agent"]
    assert np.array_equal(slow.states[0], fast.states[0])
    assert not np.array_equal(slow.states[1:], fast.states[1:])


def test_an_episode_is_cut_off_at_max_steps():
    assert [len(e.states) for e in rollout("Pendulum-v1", episodes=2, max_steps=7)["agent"]] == [7, 7]
    assert {len(e.states) for e in rollout(TAG, episodes=2, max_steps=3)["adversary"]} == {3}
    with pytest.raises(ConfigError, match="max_steps"):
        rollout("Pendulum-v1", episodes=1, max_steps=0)


@pytest.mark.parametrize("environment", ["CartPole-v1", TAG])
def test_a_policy_chooses_every_action(environment):
    named = rollout(environment, episodes=2, seed=1, max_steps=5, policy=f"{__name__}:push_left")
    for episodes in named.values():
        assert all((episode.actions == 0).all() for episode in episodes)
    given = rollout(environment, episodes=2, seed=1, max_steps=5, policy=push_left)
    for kind, episodes in named.items():
        assert np.array_equal(stack_states(episodes), stack_states(given[kind]))


@pytest.mark.parametrize(
    "name", ["push_left", ":push_left", "no_such_module:act", f"{__name__}:no_such", f"{__name__}:TAG"]
)
def test_what_is_no_policy_is_refused(name):
    with pytest.raises(ConfigError, match="policy"):
        resolve_policy(name)


def test_observations_of_parts_are_flattened_and_named(docks):
    (episode,) = rollout(docks, episodes=1, max_steps=4)["agent"]
    names = ["angle[0]", "angle[1]", "angle[2]", "angle[3]", "grip[0]", "grip[1]", "grip[2]"]
    assert episode.feature_names == (
        *(f"arm.{name}" for name in names),
        *("lamp", "pair[0]", "pair[1]", "pair[2]"),
    )
    assert episode.states.tolist() == 4 * [[0.5] * 4 + [0, 0, 1] + [0.25] + [7, 1, 0]]
    assert record([episode]).feature_names == episode.feature_names


def test_observations_without_a_fixed_length_are_refused(docks, monkeypatch):
    monkeypatch.setattr(Docks, "observation_space", spaces.Sequence(spaces.Discrete(3)))
    monkeypatch.setattr(Docks, "_observe", lambda self: (1, 2))
    with pytest.raises(ConfigError, match="no fixed number of features"):
        rollout(docks, episodes=1, max_steps=2)


def test_what_is_no_environment_is_refused():
    with pytest.raises(MissingDependencyError, match=r"no_such_env.*pip install"):
        rollout("no_such_env", episodes=1)
    with pytest.raises(ConfigError, match="parallel_env"):
        rollout("json", episodes=1)
    with pytest.raises(ConfigError, match="NoSuchEnv-v1"):
        rollout("NoSuchEnv-v1", episodes=1)
    with pytest.raises(MissingDependencyError, match="no_such_module"):
        rollout("no_such_module:Env-v1", episodes=1)
    with pytest.raises(ConfigError, match="episodes"):
        rollout(TAG, episodes=0)
