"""Where recordings come from: one function that tells files, environments and servers apart by their name.

.npy .npz                              here
.parquet .arrow .feather .ipc .csv     tables.py
Ant-v5, mpe2.simple_tag_v3             rollout.py
redis:// rediss:// unix://             memories.py
"""

from __future__ import annotations

import glob
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
        source: a file `.npy` [N, D], `.npz` (`states` [N, D], perhaps `episodes` [N]; or `obs` and
            `episode_starts` [N]), `.parquet`, `.arrow`,
            `.feather`, `.ipc` or `.csv`; a folder or a pattern (`data/*.parquet`) of such files, of which
            none share an episode; an environment of Gymnasium (`Ant-v5`) or module of PettingZoo
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
    elif files := _files_of(name):
        _refuse(f"the files of {name}", of_environments | of_memories)
        own = [
            load_recording(one, schema=schema, columns=columns, episode_column=episode_column)
            for one in files
        ]
        return _joined(own, files)
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


def _of_archive(arrays: Mapping[str, Any]) -> Recording:
    """Read `states` and `episodes`, or `obs` and `episode_starts`: true in the first row of one."""
    if "states" in arrays or "obs" not in arrays:
        return Recording(arrays["states"], arrays.get("episodes"))
    starts = arrays.get("episode_starts")
    if starts is None:
        return Recording(arrays["obs"])
    if starts.ndim != 1 or starts.dtype.kind not in "biu":
        raise ConfigError(f"episode_starts must be booleans[N], not {starts.dtype}{list(starts.shape)}")
    return Recording(arrays["obs"], np.cumsum(starts.astype(bool)))


def _files_of(source: str) -> list[Path]:
    """Return the files of a folder or a pattern, by name; none where it is neither."""
    path = Path(source)
    if source and path.is_dir():
        found = [own for own in path.rglob("*") if own.suffix in _FILE_SUFFIXES and own.is_file()]
        if not found and not stages.is_environment(source):
            raise ConfigError(f"the folder {source} has no file of {', '.join(_FILE_SUFFIXES)}")
        return sorted(found)
    if path.suffix in _FILE_SUFFIXES and glob.has_magic(source) and not path.exists():
        found = [Path(own) for own in glob.glob(source, recursive=True)]
        if not found:
            raise ConfigError(f"no file matches {source!r}")
        return sorted(found)
    return []


def _joined(recordings: Sequence[Recording], paths: Sequence[Path]) -> Recording:
    """Join recordings of files; no two files share an episode."""
    first, episodes, count = recordings[0], [], 0
    for own, path in zip(recordings, paths, strict=True):
        if own.features != first.features or own.feature_names != first.feature_names:
            raise ConfigError(f"files must have the same features, but those of {path} and {paths[0]} differ")
        _, numbers = np.unique(own.episodes, return_inverse=True)
        episodes.append(numbers + count)
        count += int(numbers.max()) + 1
    states = np.concatenate([own.states for own in recordings])
    return Recording(states, np.concatenate(episodes), first.feature_names)


def _read_arrays(path: Path) -> Recording:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return Recording(loaded)
        with loaded:
            return _of_archive(loaded)
    except Exception as error:  # NumPy and zipfile raise a dozen kinds on damaged files
        raise ConfigError(f"cannot read states from {path}: {error or type(error).__name__}") from error
