"""States from simulations: plays episodes of a Gymnasium or PettingZoo environment, with any policy.

name ──► a stage (one interface over both kinds of environment) ──► episodes, by kind of agent
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_export.errors import ConfigError
from model_export.recording import Recording, as_numbers, first_held_out
from model_export.stages import Policy, Stage, open_stage, space_kinds, space_names
from modules_store import codec

# Numbers that tell agents of one kind apart, as in `adversary_2`.
_SUFFIX = re.compile(r"_?\d+$")


@dataclass(frozen=True)
class Episode:
    """What one agent saw, did and earned in one episode of T steps.

    Args:
        agent: its name in the environment; `kind` is that name without its number.
        number: of the episode, from 0; agents that met in one episode share it.
        states: float32[T, D], the observation before the step, flattened.
        actions: array[T] or array[T, …], the action taken in that state; of parts, as of a Tuple, Dict,
            Sequence or Graph, object[T], as the environment has them.
        rewards: float32[T], what the step earned; float32[T, K] where rewards are vectors; NaN where the
            environment told none. Of any other form, say a mapping, object[T].
        feature_names: of the D features, where the observation has named parts.
        binary, one_hot: which features the observation's space calls so, as in `CodecConfig`.
    """

    agent: str
    kind: str
    number: int
    states: NDArray[np.float32]
    actions: NDArray[Any]
    rewards: NDArray[Any]
    feature_names: tuple[str, ...] | None = None
    binary: tuple[int, ...] = ()
    one_hot: tuple[tuple[int, int], ...] = ()


class _Step(NamedTuple):
    """What one agent saw, numbers[D], did and earned in one step; None where it was told of no reward."""

    state: NDArray[Any]
    action: Any
    reward: Any


def kind_of(agent: str) -> str:
    """Return an agent's name without its number: `adversary_2` is an `adversary`."""
    return _SUFFIX.sub("", agent) or agent


def rollout(
    environment: str,
    episodes: int,
    seed: int = 0,
    *,
    on_episode: Callable[[], object] | None = None,
    policy: str | Policy | None = None,
    max_steps: int | None = None,
    **options: Any,
) -> dict[str, list[Episode]]:
    """Play episodes and return each kind of agent's.

    Agents may die or join within an episode. One that is not observed before a step does not act in it; where
    none is observed the episode ends.

    Args:
        environment: a Gymnasium environment's name, say `Ant-v5`, whose one agent is `agent`; or the module
            of a PettingZoo parallel environment, say `mpe2.simple_tag_v3`.
        episodes: how many to play, at least 1.
        seed: of the environment and of the random policy; the same seed gives the same states.
        on_episode: called after each episode, for a progress bar.
        policy: `package.module:callable`, or the callable itself: it gets an observation, not flattened, and
            the agent's name, and returns an action. By default actions are random.
        max_steps: at which an episode is cut off, at least 1; by default it lasts until the environment ends
            it.
        options: go to `gymnasium.make` or to the module's `parallel_env`, say `max_cycles=50`.

    Returns:
        Episodes by kind, in order of play, one for each agent and episode.

    Raises:
        MissingDependencyError: the environment, or a package it needs, is not installed.
        ConfigError: there is no such environment or policy, its observations are no fixed number of
            features or more than `config.MOST_FEATURES`, no agent was observed, or agents of one kind observe
            differently.
    """
    for argument, value in (("episodes", episodes), ("max_steps", max_steps)):
        if value is not None and value < 1:
            raise ConfigError(f"{argument} must be at least 1, not {value}")
    choose = resolve_policy(policy) if isinstance(policy, str) else policy
    stage = open_stage(environment, options, seed)
    try:
        found: dict[str, list[Episode]] = {}
        for number in range(episodes):
            # The environment draws from its own generator after the first reset.
            for episode in _play(stage, number, seed if number == 0 else None, choose, max_steps):
                found.setdefault(episode.kind, []).append(episode)
            if on_episode is not None:
                on_episode()
    finally:
        stage.close()
    if not found:
        raise ConfigError(f"environment {environment!r}: no agent was observed in {episodes} episodes")
    for kind, played in found.items():
        lengths = sorted({episode.states.shape[1] for episode in played})
        if len(lengths) > 1:
            raise ConfigError(f"agents of kind {kind!r} observe different numbers of features: {lengths}")
        rows = codec.to_float32(stack_states(played), f"states of {kind!r}")
        ends = np.cumsum([len(episode.states) for episode in played])
        parts = np.split(rows, ends[:-1])
        found[kind] = [replace(episode, states=own) for episode, own in zip(played, parts, strict=True)]
    return found


def resolve_policy(name: str) -> Policy:
    """Return the callable that `package.module:callable` names; raise ConfigError where there is none."""
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ConfigError(f"policy must be package.module:callable, not {name!r}")
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"policy {name!r}: {error}; is its folder on PYTHONPATH?") from error
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise ConfigError(f"policy {name!r}: {module} has no callable {attribute}")
    chosen: Policy = found
    return chosen


def split_episodes(episodes: Sequence[Episode], held_out: float = 0.2) -> tuple[list[Episode], list[Episode]]:
    """Split into the earlier and the last episodes, as `Recording.split` does, actions and rewards included.

    Args:
        episodes: of one kind, of at least two episode numbers.
        held_out: share to hold out, between 0 and 1; at least one number is held out and one is not.

    Returns:
        Episodes to train on, and held-out ones.
    """
    boundary = first_held_out([episode.number for episode in episodes], held_out)
    return [e for e in episodes if e.number < boundary], [e for e in episodes if e.number >= boundary]


def record(episodes: Sequence[Episode]) -> Recording:
    """Return the states of one kind's episodes, at least one, one after the other."""
    first = episodes[0]
    numbers = np.repeat([e.number for e in episodes], [len(e.states) for e in episodes])
    return Recording(
        stack_states(episodes),
        numbers,
        first.feature_names,
        first.kind,
        binary=first.binary,
        one_hot=first.one_hot,
    )


def stack_states(episodes: Sequence[Episode]) -> NDArray[np.float32]:
    """Return the states of all episodes one after the other, float32[N, D]."""
    return np.concatenate([episode.states for episode in episodes])


def _play(
    stage: Stage, number: int, seed: int | None, policy: Policy | None, max_steps: int | None
) -> list[Episode]:
    """Play one episode; return one `Episode` for each agent that took a step, not rounded to float32 yet."""
    steps: dict[str, list[_Step]] = {}
    observations = stage.reset(seed)
    played = 0
    while max_steps is None or played < max_steps:
        seen = {agent: observations[agent] for agent in stage.agents if observations.get(agent) is not None}
        if not seen:
            break
        actions = {
            agent: stage.random_action(agent) if policy is None else policy(observation, agent)
            for agent, observation in seen.items()
        }
        states = {agent: stage.flatten(agent, observation) for agent, observation in seen.items()}
        observations, rewards = stage.step(actions)
        for agent, action in actions.items():
            steps.setdefault(agent, []).append(_Step(states[agent], action, rewards.get(agent)))
        played += 1
    return [_episode(stage, agent, number, taken) for agent, taken in steps.items()]


def _episode(stage: Stage, agent: str, number: int, taken: Sequence[_Step]) -> Episode:
    try:
        states = np.stack([step.state for step in taken])
    except ValueError as error:
        raise ConfigError(f"{agent} observes different numbers of features: {error}") from error
    space = stage.observation_space(agent)
    binary, one_hot = space_kinds(space)
    return Episode(
        agent=agent,
        kind=kind_of(agent),
        number=number,
        states=as_numbers(f"observations of {agent}", states),
        actions=_array([step.action for step in taken]),
        rewards=_rewards([step.reward for step in taken]),
        feature_names=space_names(space),
        binary=binary,
        one_hot=one_hot,
    )


def _rewards(rewards: Sequence[Any]) -> NDArray[Any]:
    """Return one array of rewards, NaN where there are none; `Episode` says of what form."""
    told = [reward for reward in rewards if reward is not None]
    if any(isinstance(reward, Mapping) for reward in told):
        return _objects(rewards)
    try:
        known = np.asarray(told, dtype=np.float32)
    except (TypeError, ValueError):  # of different lengths, or no numbers
        return _objects(rewards)
    found = np.full((len(rewards), *known.shape[1:]), np.nan, dtype=np.float32)
    found[[reward is not None for reward in rewards]] = known
    return found


def _array(actions: Sequence[Any]) -> NDArray[Any]:
    """Return one array of actions, of objects where they are no plain values and arrays of one shape."""
    plain = all(isinstance(action, np.ndarray | np.generic | int | float | str) for action in actions)
    if plain and len({np.shape(action) for action in actions}) == 1:
        return np.asarray(actions)
    return _objects(actions)


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    """Return object[T], whatever the values are: NumPy by itself would look into sequences."""
    found = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        found[index] = value
    return found
