"""Rollouts of simulations that are not ours, of Gymnasium and of PettingZoo."""

from __future__ import annotations

import sys
import types

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from model_export.config import MOST_FEATURES
from model_export.errors import ConfigError, MissingDependencyError
from model_export.rollout import kind_of, record, resolve_policy, rollout, split_episodes, stack_states
from modules_store.errors import PrecisionWarning

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


def test_observations_that_are_equal_in_float32_are_warned_of(docks, monkeypatch):
    seen = iter(range(10_000))
    monkeypatch.setattr(Docks, "observation_space", spaces.Box(0, 2e9, (2,), np.float64))
    monkeypatch.setattr(Docks, "_observe", lambda self: np.array([1e9 + next(seen) / 100, 5.0]))
    with pytest.warns(PrecisionWarning, match="states of 'agent': .*features 0"):
        played = rollout(docks, episodes=3, max_steps=100)["agent"]
    assert [(e.states.shape, e.states.dtype) for e in played] == [((100, 2), np.dtype(np.float32))] * 3


def test_observations_without_a_fixed_length_are_refused(docks, monkeypatch):
    monkeypatch.setattr(Docks, "observation_space", spaces.Sequence(spaces.Discrete(3)))
    monkeypatch.setattr(Docks, "_observe", lambda self: (1, 2))
    with pytest.raises(ConfigError, match="no fixed number of features"):
        rollout(docks, episodes=1, max_steps=2)


ACTION_SPACES = {
    "tuple": spaces.Tuple([spaces.Discrete(3), spaces.Box(-1, 1, (2,))]),
    "dict": spaces.Dict({"turn": spaces.Discrete(3), "push": spaces.Box(-1, 1, (2,))}),
    "sequence": spaces.Sequence(spaces.Discrete(5)),
    "graph": spaces.Graph(spaces.Box(-1, 1, (2,)), spaces.Discrete(3)),
}


@pytest.mark.parametrize("form", ACTION_SPACES)
def test_actions_of_parts_are_kept_as_they_are(docks, monkeypatch, form):
    space = ACTION_SPACES[form]
    monkeypatch.setattr(Docks, "action_space", space)
    (episode,) = rollout(docks, episodes=1, max_steps=30, seed=2)["agent"]
    assert episode.states.shape == (30, 11)
    assert (episode.actions.dtype, episode.actions.shape) == (object, (30,))
    assert all(space.contains(action) for action in episode.actions)
    (again,) = rollout(docks, episodes=1, max_steps=30, seed=2)["agent"]
    assert repr(again.actions.tolist()) == repr(episode.actions.tolist())


@pytest.mark.parametrize(
    ("earned", "expected"),
    [
        ([1, 2.5, np.float64(3)], np.array([1, 2.5, 3], np.float32)),
        ([1.0, None, 3.0], np.array([1, np.nan, 3], np.float32)),
        ([None, None, None], np.full(3, np.nan, np.float32)),
        ([[1, 2], None, (5, 6)], np.array([[1, 2], [np.nan, np.nan], [5, 6]], np.float32)),
        ([np.array([1.5, 2])] * 3, np.array([[1.5, 2]] * 3, np.float32)),
    ],
)
def test_rewards_of_numbers(docks, monkeypatch, earned, expected):
    left = list(earned)
    monkeypatch.setattr(Docks, "step", lambda self, action: (self._observe(), left.pop(0), False, False, {}))
    (episode,) = rollout(docks, episodes=1, max_steps=3)["agent"]
    assert episode.rewards.dtype == np.float32
    np.testing.assert_array_equal(episode.rewards, expected)


@pytest.mark.parametrize("earned", [[{"a": 1.0}, {"b": 2}, None], [[1], [1, 2], 3.0], ["x", "y", None]])
def test_other_rewards_are_kept_as_they_are(docks, monkeypatch, earned):
    left = list(earned)
    monkeypatch.setattr(Docks, "step", lambda self, action: (self._observe(), left.pop(0), False, False, {}))
    (episode,) = rollout(docks, episodes=1, max_steps=3)["agent"]
    assert episode.rewards.dtype == object
    assert episode.rewards.tolist() == earned


class Letters(gymnasium.Space):
    """A space of the environment's own, of texts; it can neither be flattened nor drawn from."""

    def __init__(self):
        super().__init__(None, None)


def test_a_space_of_the_environments_own_is_refused_or_needs_a_policy(docks, monkeypatch):
    monkeypatch.setattr(Docks, "action_space", Letters())
    with pytest.raises(ConfigError, match="give a policy"):
        rollout(docks, episodes=1, max_steps=2)
    (episode,) = rollout(docks, episodes=1, max_steps=2, policy=lambda *_: "go")["agent"]
    assert episode.actions.tolist() == ["go", "go"]
    monkeypatch.setattr(Docks, "observation_space", Letters())
    monkeypatch.setattr(Docks, "_observe", lambda self: "a door")
    with pytest.raises(ConfigError, match="no fixed number of features"):
        rollout(docks, episodes=1, max_steps=2, policy=lambda *_: "go")


def test_an_observation_outside_of_its_space_is_refused(docks, monkeypatch):
    monkeypatch.setattr(Docks, "observation_space", spaces.Text(8, charset="abc"))
    monkeypatch.setattr(Docks, "_observe", lambda self: "doors")
    with pytest.raises(ConfigError, match="agent observes what is not in its space"):
        rollout(docks, episodes=1, max_steps=2)


def test_images_are_refused_by_size_before_they_are_played(docks, monkeypatch):
    played = []
    monkeypatch.setattr(Docks, "observation_space", spaces.Box(0, 255, (210, 160, 3), np.uint8))
    monkeypatch.setattr(Docks, "_observe", lambda self: np.zeros((210, 160, 3), np.uint8))
    monkeypatch.setattr(Docks, "step", lambda self, action: played.append(action))
    with pytest.raises(ConfigError, match=f"agent has 100,800 features; .* at most {MOST_FEATURES:,}"):
        rollout(docks, episodes=60)
    assert not played


class Arena:
    """A parallel environment: `b_0` dies after step 2, `c_0` joins at step 3; `a_0` is not seen at step 1."""

    possible_agents = ("a_0", "b_0")

    def __init__(self, keeps_the_dead=False):
        self._keeps_the_dead = keeps_the_dead

    def observation_space(self, agent):
        return spaces.Box(0, 9, (2,))

    def action_space(self, agent):
        return spaces.Box(0, 1, (1,))  # a new one each time, as some environments give

    def reset(self, seed=None, options=None):
        self.agents, self._at = ["a_0", "b_0"], 0
        return self._observe(), {}

    def step(self, actions):
        assert set(actions) == set(self._observe())
        self._at += 1
        dead = {agent: self._at >= (6 if agent != "b_0" else 2) for agent in self.agents}
        rewards = {agent: float(self._at) for agent in actions if not dead[agent]}
        if self._at == 3:
            self.agents = [*self.agents, "c_0"]
        if not self._keeps_the_dead:
            self.agents = [agent for agent in self.agents if not dead.get(agent)]
        return self._observe(), rewards, dead, dict.fromkeys(dead, False), {}

    def _observe(self):
        seen = [agent for agent in self.agents if agent != "b_0" or self._at < 2]
        return {agent: np.full(2, self._at, np.float32) for agent in seen if (agent, self._at) != ("a_0", 1)}

    def close(self):
        pass


@pytest.mark.parametrize("options", [{}, {"keeps_the_dead": True}])
def test_agents_die_and_join_within_an_episode(monkeypatch, options):
    module = types.ModuleType("arena")
    module.parallel_env = Arena
    monkeypatch.setitem(sys.modules, "arena", module)
    played = {kind: own[0] for kind, own in rollout("arena", episodes=1, seed=1, **options).items()}
    assert {kind: e.states[:, 0].tolist() for kind, e in played.items()} == {
        "a": [0, 2, 3, 4, 5],
        "b": [0, 1],
        "c": [3, 4, 5],
    }
    nan = np.nan
    for kind, rewards in {"a": [1, 3, 4, 5, nan], "b": [1, nan], "c": [4, 5, nan]}.items():
        np.testing.assert_array_equal(played[kind].rewards, np.array(rewards, np.float32))
    again = rollout("arena", episodes=1, seed=1, **options)
    for kind, episode in played.items():
        assert np.array_equal(again[kind][0].actions, episode.actions)
        assert len(set(episode.actions.ravel().tolist())) == len(episode.actions)


def test_an_environment_that_shows_nothing_is_refused(monkeypatch):
    module = types.ModuleType("arena")
    module.parallel_env = Arena
    monkeypatch.setattr(Arena, "_observe", lambda self: {})
    monkeypatch.setitem(sys.modules, "arena", module)
    with pytest.raises(ConfigError, match="no agent was observed"):
        rollout("arena", episodes=2)


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
