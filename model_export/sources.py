"""States to train on: rollouts of a PettingZoo parallel environment, by kind of agent and by episode."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_export.errors import ConfigError, MissingDependencyError

# Numbers that tell agents of one kind apart, as in `adversary_2`.
_SUFFIX = re.compile(r"_?\d+$")


@dataclass(frozen=True)
class Episode:
    """What one agent saw, did and earned in one episode of T steps.

    Args:
        agent: its name in the environment; `kind` is that name without its number.
        number: of the episode, from 0; agents that met in one episode share it.
        states: float32[T, D], the observation before the step.
        actions: array[T] or array[T, …], the action taken in that state.
        rewards: float32[T], what the step earned.
    """

    agent: str
    kind: str
    number: int
    states: NDArray[np.float32]
    actions: NDArray[Any]
    rewards: NDArray[np.float32]


def kind_of(agent: str) -> str:
    """Return an agent's name without its number: `adversary_2` is an `adversary`."""
    return _SUFFIX.sub("", agent) or agent


def rollout(
    environment: str,
    episodes: int,
    seed: int = 0,
    on_episode: Callable[[], object] | None = None,
    **options: Any,
) -> dict[str, list[Episode]]:
    """Play episodes with a random policy and return each kind of agent's.

    Args:
        environment: module of a PettingZoo parallel environment, say `mpe2.simple_tag_v3`.
        episodes: how many to play, at least 1.
        seed: of the environment and of the policy; the same seed gives the same states.
        on_episode: called after each episode, for a progress bar.
        options: go to the environment's `parallel_env`, say `max_cycles=50`.

    Returns:
        Episodes by kind, in order of play, one for each agent and episode.

    Raises:
        MissingDependencyError: the module, or one it needs, is not installed.
        ConfigError: the module is no parallel environment, or agents of one kind observe differently.
    """
    if episodes < 1:
        raise ConfigError(f"episodes must be at least 1, not {episodes}")
    env = _parallel_env(environment)(**options)
    try:
        for offset, agent in enumerate(env.possible_agents):
            env.action_space(agent).seed(seed + offset)
        found: dict[str, list[Episode]] = {}
        for number in range(episodes):
            # The environment draws from its own generator after the first reset.
            for episode in _play(env, number, seed if number == 0 else None):
                found.setdefault(episode.kind, []).append(episode)
            if on_episode is not None:
                on_episode()
    finally:
        env.close()
    for kind, played in found.items():
        lengths = sorted({episode.states.shape[1] for episode in played})
        if len(lengths) > 1:
            raise ConfigError(f"agents of kind {kind!r} observe different numbers of features: {lengths}")
    return found


def split_episodes(episodes: Sequence[Episode], held_out: float = 0.2) -> tuple[list[Episode], list[Episode]]:
    """Split into the earlier and the last episodes, so that no held-out state has a neighbour in training.

    Args:
        episodes: of one kind, of at least two episode numbers.
        held_out: share to hold out, between 0 and 1; at least one number is held out and one is not.

    Returns:
        Episodes to train on, and held-out ones.
    """
    boundary = _first_held_out([episode.number for episode in episodes], held_out)
    return [e for e in episodes if e.number < boundary], [e for e in episodes if e.number >= boundary]


def split_rows(
    states: NDArray[Any], episodes: NDArray[Any] | None = None, held_out: float = 0.2
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Split an array as `split_episodes` does.

    Args:
        states: [N, D].
        episodes: integers[N], each row's episode; without them the rows count as one recording in order of
            time, and the last ones are held out.
        held_out: as for `split_episodes`.

    Returns:
        States to train on, and held-out ones.
    """
    numbers = np.arange(len(states)) if episodes is None else episodes
    if len(numbers) != len(states):
        raise ConfigError(
            f"episodes must have one number for each of {len(states)} states, not {len(numbers)}"
        )
    later = numbers >= _first_held_out(numbers.tolist(), held_out)
    return states[~later], states[later]


def load_states(path: str | Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Read states, and each row's episode where the file tells, from `.npy` or from `.npz`.

    An `.npz` file holds `states` [N, D] and may hold `episodes`, integers[N].

    Raises:
        ConfigError: there is no such file, or it is of another form.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            states, episodes = loaded, None
        else:
            with loaded:
                states, episodes = loaded["states"], loaded.get("episodes")
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ConfigError(f"cannot read states from {path}: {error}") from error
    if states.ndim != 2:
        raise ConfigError(f"states in {path} must be of shape [N, D], not {list(states.shape)}")
    return states, episodes


def stack_states(episodes: Sequence[Episode]) -> NDArray[np.float32]:
    """Return the states of all episodes one after the other, float32[N, D]."""
    return np.concatenate([episode.states for episode in episodes])


def _first_held_out(numbers: Sequence[int], held_out: float) -> int:
    """Return the episode number from which on episodes are held out."""
    distinct = sorted(set(numbers))
    if len(distinct) < 2 or not 0 < held_out < 1:
        raise ConfigError(
            f"cannot hold out a share of {held_out} of {len(distinct)} episodes: two are the least"
        )
    kept = min(max(round(len(distinct) * (1 - held_out)), 1), len(distinct) - 1)
    return distinct[kept]


def _parallel_env(environment: str) -> Callable[..., Any]:
    try:
        module = importlib.import_module(environment)
    except ImportError as error:
        raise MissingDependencyError(
            f"cannot import the environment {environment!r} ({error}); "
            "those of MPE come with: pip install 'modules-store[demo]'"
        ) from error
    if not hasattr(module, "parallel_env"):
        raise ConfigError(f"{environment!r} is no PettingZoo parallel environment: it has no parallel_env")
    make: Callable[..., Any] = module.parallel_env
    return make


def _play(env: Any, number: int, seed: int | None) -> list[Episode]:
    """Play one episode; return one `Episode` for each agent that took a step."""
    steps: dict[str, list[tuple[NDArray[np.float32], Any, float]]] = {}
    observations, _ = env.reset(seed=seed)
    while env.agents:
        actions = {agent: env.action_space(agent).sample() for agent in env.agents}
        following, rewards, _, _, _ = env.step(actions)
        for agent, action in actions.items():
            state = np.asarray(observations[agent], dtype=np.float32).ravel()
            steps.setdefault(agent, []).append((state, action, rewards[agent]))
        observations = following
    return [
        Episode(
            agent=agent,
            kind=kind_of(agent),
            number=number,
            states=np.stack([state for state, _, _ in taken]),
            actions=np.asarray([action for _, action, _ in taken]),
            rewards=np.asarray([reward for _, _, reward in taken], dtype=np.float32),
        )
        for agent, taken in steps.items()
    ]
