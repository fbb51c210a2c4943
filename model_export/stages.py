"""One interface over the two kinds of environment that `rollout.py` plays: Gymnasium's, and PettingZoo's."""

from __future__ import annotations

import importlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_export import optional
from model_export.config import check_features
from model_export.errors import ConfigError, MissingDependencyError

Policy = Callable[[Any, str], Any]
"""Takes an observation and the agent's name, returns an action."""

# What Gymnasium calls its environments ends in a version, `Ant-v5`, which no module's name does.
_GYMNASIUM_NAME = re.compile(r"(?:[\w.-]+:)?(?:[\w-]+/)?[\w.-]+-v\d+")
_MODULE_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")

# The one agent of a Gymnasium environment.
_AGENT = "agent"


class Stage(ABC):
    """An environment in which agents act at the same time."""

    agents: list[str]
    """Names of those that are in the episode now; none at its end."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._action_spaces: dict[str, Any] = {}
        self._observation_spaces: dict[str, Any] = {}

    @abstractmethod
    def reset(self, seed: int | None) -> dict[str, Any]:
        """Begin an episode; return what each agent observes."""

    @abstractmethod
    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Let agents act; return what each observes and earns, as the environment says it."""

    @abstractmethod
    def action_space(self, agent: str) -> Any:
        """Return the Gymnasium space of what the agent does."""

    @abstractmethod
    def observation_space(self, agent: str) -> Any:
        """Return the Gymnasium space of what the agent observes."""

    @abstractmethod
    def close(self) -> None:
        """Close the environment."""

    def random_action(self, agent: str) -> Any:
        """Return one of the agent's actions; those of an agent follow from the seed and its name's place."""
        if agent not in self._action_spaces:
            space = self.action_space(agent)
            space.seed(self._seed + self._place(agent))
            self._action_spaces[agent] = space
        try:
            return self._action_spaces[agent].sample()
        except NotImplementedError as error:
            raise ConfigError(
                f"{agent} acts in {self._action_spaces[agent]}, which draws no random action: give a policy"
            ) from error

    def flatten(self, agent: str, observation: Any) -> NDArray[Any]:
        """Return an observation as numbers[D], in an array of its own."""
        spaces = optional.load("gymnasium.spaces", "demo")
        if agent not in self._observation_spaces:
            self._observation_spaces[agent] = _checked_space(self.observation_space(agent), agent)
        space = self._observation_spaces[agent]
        try:
            # A copy: an environment may write into what it gave.
            return np.array(spaces.flatten(space, observation))
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise ConfigError(
                f"{agent} observes what is not in its space {space}: {type(error).__name__}: {error}"
            ) from error

    def _place(self, agent: str) -> int:
        """Return what sets the agent's random actions apart from those of others."""
        return len(self._action_spaces)


def is_environment(name: str) -> bool:
    """Whether `name` could be an environment's: one of Gymnasium, or a module."""
    return bool(_GYMNASIUM_NAME.fullmatch(name) or _MODULE_NAME.fullmatch(name))


def open_stage(environment: str, options: Mapping[str, Any], seed: int) -> Stage:
    """Return the environment of that name, made with `options`; `rollout` says what is raised."""
    if _GYMNASIUM_NAME.fullmatch(environment):
        return _GymnasiumStage(environment, options, seed)
    return _PettingZooStage(environment, options, seed)


def space_names(space: Any) -> tuple[str, ...] | None:
    """Return what to call the features of a flattened space, or None where its parts have no names."""
    spaces = optional.load("gymnasium.spaces", "demo")
    return tuple(_named_parts(space, "")) if isinstance(space, spaces.Dict) else None


def space_kinds(space: Any) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Return the binary features of a flattened space, and the start and end of each one-hot run."""
    spaces = optional.load("gymnasium.spaces", "demo")
    binary: list[int] = []
    one_hot: list[tuple[int, int]] = []

    def visit(part: Any, start: int) -> None:
        if isinstance(part, spaces.Dict | spaces.Tuple):
            for own in part.spaces.values() if isinstance(part, spaces.Dict) else part.spaces:
                visit(own, start)
                start += spaces.flatdim(own)
        elif isinstance(part, spaces.MultiBinary):
            binary.extend(range(start, start + spaces.flatdim(part)))
        elif isinstance(part, spaces.Discrete | spaces.MultiDiscrete):
            counts = [part.n] if isinstance(part, spaces.Discrete) else part.nvec.ravel()
            for count in map(int, counts):
                if count > 1:
                    one_hot.append((start, start + count))
                start += count

    visit(space, 0)
    return tuple(binary), tuple(one_hot)


def _checked_space(space: Any, agent: str) -> Any:
    """Return the space; raise ConfigError where its observations are no fixed, usual number of features."""
    spaces = optional.load("gymnasium.spaces", "demo")
    try:
        features = spaces.flatdim(space) if space.is_np_flattenable else 0
    except (NotImplementedError, AttributeError):  # a space of the environment's own
        features = 0
    if not features:
        raise ConfigError(f"{agent} observes no fixed number of features: {space}")
    check_features(features, f"an observation of {agent}")
    return space


def _named_parts(space: Any, name: str) -> list[str]:
    spaces = optional.load("gymnasium.spaces", "demo")
    if isinstance(space, spaces.Dict):
        parts = [(f"{name}.{key}" if name else str(key), part) for key, part in space.spaces.items()]
        return [found for key, part in parts for found in _named_parts(part, key)]
    size = spaces.flatdim(space)
    return [name] if size == 1 else [f"{name}[{index}]" for index in range(size)]


class _GymnasiumStage(Stage):
    def __init__(self, environment: str, options: Mapping[str, Any], seed: int) -> None:
        super().__init__(seed)
        self._env = _make(environment, options)
        self.agents = []

    def reset(self, seed: int | None) -> dict[str, Any]:
        observation, _ = self._env.reset(seed=seed)
        self.agents = [_AGENT]
        return {_AGENT: observation}

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        observation, reward, terminated, truncated, _ = self._env.step(actions[_AGENT])
        if terminated or truncated:
            self.agents = []
        return {_AGENT: observation}, {_AGENT: reward}

    def action_space(self, agent: str) -> Any:
        return self._env.action_space

    def observation_space(self, agent: str) -> Any:
        return self._env.observation_space

    def close(self) -> None:
        self._env.close()


class _PettingZooStage(Stage):
    def __init__(self, environment: str, options: Mapping[str, Any], seed: int) -> None:
        super().__init__(seed)
        self._env = _parallel_env(environment)(**options)
        self._done: set[str] = set()

    @property
    def agents(self) -> list[str]:  # type: ignore[override]
        # Some environments keep the dead in their list.
        return [agent for agent in self._env.agents if agent not in self._done]

    def reset(self, seed: int | None) -> dict[str, Any]:
        observations: dict[str, Any]
        observations, _ = self._env.reset(seed=seed)
        self._done = set()
        return observations

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        observations, rewards, terminated, truncated, _ = self._env.step(actions)
        self._done = {agent for told in (terminated, truncated) for agent in told if told[agent]}
        return observations, rewards

    def action_space(self, agent: str) -> Any:
        return self._env.action_space(agent)

    def observation_space(self, agent: str) -> Any:
        return self._env.observation_space(agent)

    def _place(self, agent: str) -> int:
        # Agents that are not known beforehand come after those that are.
        known = list(getattr(self._env, "possible_agents", ()))
        return known.index(agent) if agent in known else len(known) + super()._place(agent)

    def close(self) -> None:
        self._env.close()


def _make(environment: str, options: Mapping[str, Any]) -> Any:
    gymnasium = optional.load("gymnasium", "demo")
    try:
        return gymnasium.make(environment, **options)
    except (gymnasium.error.DependencyNotInstalled, ImportError) as error:
        raise MissingDependencyError(f"cannot make the environment {environment!r}: {error}") from error
    except gymnasium.error.Error as error:
        raise ConfigError(f"environment {environment!r}: {error}") from error


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
