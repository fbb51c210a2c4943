"""Where recordings come from: one function that tells files, environments and servers apart by their name.

.npy .npz                              here
.parquet .arrow .feather .ipc .csv     tables.py
Ant-v5, mpe2.simple_tag_v3             rollout.py
redis:// rediss:// unix://             memories.py
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model_export import memories, stages, tables
from model_export.errors import ConfigError
from model_export.recording import Recording
from model_export.rollout import record, rollout
from model_export.schema import StateSchema
from model_export.stages import Policy
from modules_store.urls import without_password

_ARRAY_SUFFIXES = (".npy", ".npz")
_FILE_SUFFIXES = (*_ARRAY_SUFFIXES, *tables.SUFFIXES)


def load_recording(
    source: str | Path,
    *,
    schema: StateSchema | None = None,
    columns: Sequence[str] | None = None,
    episode_column: str | None = None,
    kind: str | None = None,
    episodes: int = 400,
    seed: int = 0,
    policy: str | Policy | None = None,
    max_steps: int | None = None,
    environment_options: Mapping[str, Any] | None = None,
    agents: str | Sequence[str] | None = None,
    on_episode: Callable[[], object] | None = None,
) -> Recording:
    """Return the states of one kind of agent.

    Args:
        source: a file `.npy` [N, D], `.npz` (`states` [N, D], perhaps `episodes` [N]), `.parquet`, `.arrow`,
            `.feather`, `.ipc` or `.csv`; an environment of Gymnasium (`Ant-v5`) or module of PettingZoo
            (`mpe2.simple_tag_v3`), which is then played; or the URL of a Redis server with memories.
        schema: names the features, and a table's columns; the states must fit it.
        columns: of a table, as `tables.read_table` says.
        episode_column: of a table, likewise.
        kind: which kind of agents of an environment that has several.
        episodes: to play in an environment.
        seed: of what is played; the same seed gives the same states.
        policy: of what is played, as `rollout` says; by default random.
        max_steps: of an episode that is played.
        environment_options: go to what makes the environment, as `rollout` says.
        agents: ids, or a pattern of ids, of the agents whose memories to read; by default all.
        on_episode: called after each episode that is played, for a progress bar.

    Raises:
        MissingDependencyError: the source needs a package that is not installed.
        ConfigError: there is no such source, its states cannot be used or do not fit the schema, or an
            argument does not apply to it.
        MemoryStoreError: of `modules_store`, what the Redis server answered.
    """
    of_tables: dict[str, object] = {"columns": columns, "episode_column": episode_column}
    of_environments: dict[str, object] = {
        "kind": kind,
        "policy": policy,
        "max_steps": max_steps,
        "environment_options": environment_options,
    }
    of_memories: dict[str, object] = {"agents": agents}
    name, path = str(source), Path(source)
    if name.startswith(memories.SCHEMES):
        _refuse("memories in Redis", of_tables | of_environments)
        recording = memories.read_memories(name, agents if agents is not None else "*")
    elif path.suffix in tables.SUFFIXES:
        _refuse(f"the table {name}", of_environments | of_memories)
        recording = tables.read_table(path, columns, episode_column, schema)
    elif path.suffix in _ARRAY_SUFFIXES:
        _refuse(f"the array {name}", of_tables | of_environments | of_memories)
        recording = _read_arrays(path)
    elif stages.is_environment(name) and not path.is_file():
        _refuse(f"the environment {name}", of_tables | of_memories)
        played = rollout(
            name,
            episodes,
            seed,
            on_episode=on_episode,
            policy=policy,
            max_steps=max_steps,
            **(environment_options or {}),
        )
        recording = record(played[_one_kind(kind, list(played))])
    else:
        raise ConfigError(
            f"source must be a file ({', '.join(_FILE_SUFFIXES)}), an environment's name or a redis:// URL, "
            f"not {without_password(name)!r}"
        )
    return recording if schema is None else schema.apply(recording)


def _refuse(source: str, arguments: dict[str, object]) -> None:
    """Raise ConfigError where an argument is given that means nothing for this source."""
    for argument, value in arguments.items():
        if value is not None:
            raise ConfigError(f"{argument} does not apply to {source}")


def _one_kind(kind: str | None, kinds: list[str]) -> str:
    if kind is None and len(kinds) == 1:
        return kinds[0]
    if kind not in kinds:
        raise ConfigError(f"kind must be one of {', '.join(kinds)}, not {kind}")
    return kind


def _read_arrays(path: Path) -> Recording:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return Recording(loaded)
        with loaded:
            return Recording(loaded["states"], loaded.get("episodes"))
    except Exception as error:  # NumPy and zipfile raise a dozen kinds on damaged files
        raise ConfigError(f"cannot read states from {path}: {error or type(error).__name__}") from error
