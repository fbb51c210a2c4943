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
    """Names of those that act now; none at an episode's end."""

    @abstractmethod
    def seed(self, seed: int) -> None:
        """Seed the random actions."""

    @abstractmethod
    def reset(self, seed: int | None) -> dict[str, Any]:
        """Begin an episode; return what each agent observes."""

    @abstractmethod
    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], dict[str, float]]:
        """Let every agent act; return what each observes and earns."""

    @abstractmethod
    def random_action(self, agent: str) -> Any:
        """Return one of the agent's actions."""

    @abstractmethod
    def observation_space(self, agent: str) -> Any:
        """Return the Gymnasium space of what the agent observes."""

    @abstractmethod
    def close(self) -> None:
        """Close the environment."""

    def flatten(self, agent: str, observation: Any) -> NDArray[np.float32]:
        """Return an observation as float32[D]."""
        spaces = optional.load("gymnasium.spaces", "demo")
        space = self.observation_space(agent)
        if not space.is_np_flattenable:
            raise ConfigError(f"{agent} observes no fixed number of features: {space}")
        # A copy: an environment may write into what it gave.
        return np.array(spaces.flatten(space, observation), dtype=np.float32)


def is_environment(name: str) -> bool:
    """Whether `name` could be an environment's: one of Gymnasium, or a module."""
    return bool(_GYMNASIUM_NAME.fullmatch(name) or _MODULE_NAME.fullmatch(name))


def open_stage(environment: str, options: Mapping[str, Any]) -> Stage:
    """Return the environment of that name, made with `options`; `rollout` says what is raised."""
    if _GYMNASIUM_NAME.fullmatch(environment):
        return _GymnasiumStage(environment, options)
    return _PettingZooStage(environment, options)


def space_names(space: Any) -> tuple[str, ...] | None:
    """Return what to call the features of a flattened space, or None where its parts have no names."""
    spaces = optional.load("gymnasium.spaces", "demo")
    return tuple(_named_parts(space, "")) if isinstance(space, spaces.Dict) else None


def _named_parts(space: Any, name: str) -> list[str]:
    spaces = optional.load("gymnasium.spaces", "demo")
    if isinstance(space, spaces.Dict):
        parts = [(f"{name}.{key}" if name else str(key), part) for key, part in space.spaces.items()]
        return [found for key, part in parts for found in _named_parts(part, key)]
    size = spaces.flatdim(space)
    return [name] if size == 1 else [f"{name}[{index}]" for index in range(size)]


class _GymnasiumStage(Stage):
    def __init__(self, environment: str, options: Mapping[str, Any]) -> None:
        self._env = _make(environment, options)
        self.agents = []

    def seed(self, seed: int) -> None:
        self._env.action_space.seed(seed)

    def reset(self, seed: int | None) -> dict[str, Any]:
        observation, _ = self._env.reset(seed=seed)
        self.agents = [_AGENT]
        return {_AGENT: observation}

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], dict[str, float]]:
        observation, reward, terminated, truncated, _ = self._env.step(actions[_AGENT])
        if terminated or truncated:
            self.agents = []
        return {_AGENT: observation}, {_AGENT: float(reward)}

    def random_action(self, agent: str) -> Any:
        return self._env.action_space.sample()

    def observation_space(self, agent: str) -> Any:
        return self._env.observation_space

    def close(self) -> None:
        self._env.close()


class _PettingZooStage(Stage):
    def __init__(self, environment: str, options: Mapping[str, Any]) -> None:
        self._env = _parallel_env(environment)(**options)

    @property
    def agents(self) -> list[str]:  # type: ignore[override]
        return list(self._env.agents)

    def seed(self, seed: int) -> None:
        for offset, agent in enumerate(self._env.possible_agents):
            self._env.action_space(agent).seed(seed + offset)

    def reset(self, seed: int | None) -> dict[str, Any]:
        observations: dict[str, Any]
        observations, _ = self._env.reset(seed=seed)
        return observations

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], dict[str, float]]:
        observations, rewards, _, _, _ = self._env.step(actions)
        return observations, rewards

    def random_action(self, agent: str) -> Any:
        return self._env.action_space(agent).sample()

    def observation_space(self, agent: str) -> Any:
        return self._env.observation_space(agent)

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
