"""A recording: the states of one kind of agent, in order of time, and the episode of each.

Where recordings come from is `sources.py`. Nothing here needs torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model_export.config import check_features
from model_export.errors import ConfigError
from modules_store import codec
from modules_store.errors import InvalidInputError


@dataclass(frozen=True, eq=False, init=False)
class Recording:
    """N states of D features of one kind of agent.

    Args:
        states: numbers[N, D], as `as_numbers` takes them, finite in float32, N and D at least 1, D at most
            `config.MOST_FEATURES`; kept as float32. Warns with a PrecisionWarning as the store does.
        episodes: integers[N], each row's episode; within an episode rows are in order of time. None makes
            all rows one episode. Agents that met share an episode, so that no split parts them.
        feature_names: D different names, or None where features have none.
        kind: of agent, or None where it has no name.
        binary, one_hot: features that an environment's space calls so, as in `CodecConfig`.

    Raises:
        ConfigError: an argument cannot be right; the message names it, and the feature.
    """

    states: NDArray[np.float32]
    episodes: NDArray[np.int64]
    feature_names: tuple[str, ...] | None
    kind: str | None
    binary: tuple[int, ...]
    one_hot: tuple[tuple[int, int], ...]

    def __init__(
        self,
        states: ArrayLike,
        episodes: ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
        kind: str | None = None,
        *,
        binary: Sequence[int] = (),
        one_hot: Sequence[tuple[int, int]] = (),
    ) -> None:
        names = None if feature_names is None else tuple(feature_names)
        rows = _checked_states(states, names)
        object.__setattr__(self, "states", rows)
        object.__setattr__(self, "episodes", _checked_episodes(episodes, len(rows)))
        object.__setattr__(self, "feature_names", names)
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "binary", tuple(binary))
        object.__setattr__(self, "one_hot", tuple(one_hot))

    def __len__(self) -> int:
        return len(self.states)

    @property
    def features(self) -> int:
        """Features of a state (D)."""
        return int(self.states.shape[1])

    @cached_property
    def sha256(self) -> str:
        """Hash of shape, states and episodes, as 64 hexadecimal digits; names do not count."""
        digest = hashlib.sha256(repr(self.states.shape).encode())
        digest.update(self.states.astype("<f4", copy=False).data)
        digest.update(self.episodes.astype("<i8", copy=False).data)
        return digest.hexdigest()

    def split(self, held_out: float = 0.2) -> tuple[Recording, Recording]:
        """Split into earlier and last episodes, so that no held-out state has a neighbour in training.

        Rows of one episode alone are parted in time instead, and the last ones are held out.

        Args:
            held_out: share of the episodes to hold out, between 0 and 1; at least one is held out and one
                is not.

        Returns:
            What to train on, and what is held out.

        Raises:
            ConfigError: `held_out` is no such share, or there is one row.
        """
        numbers = self.episodes
        if (numbers == numbers[0]).all():
            numbers = np.arange(len(self))
        later = numbers >= first_held_out(numbers, held_out)
        return self._rows(~later), self._rows(later)

    def _rows(self, chosen: NDArray[np.bool_]) -> Recording:
        return Recording(
            self.states[chosen],
            self.episodes[chosen],
            self.feature_names,
            self.kind,
            binary=self.binary,
            one_hot=self.one_hot,
        )


def as_numbers(argument: str, values: ArrayLike) -> NDArray[Any]:
    """Return an array of real numbers by the rule of the store, `modules_store.codec.to_numbers`.

    Raises ConfigError, which calls `values` by `argument`.
    """
    try:
        return codec.to_numbers(values, argument)
    except InvalidInputError as error:
        raise ConfigError(str(error)) from error


def first_held_out(numbers: ArrayLike, held_out: float) -> int:
    """Return the episode number from which on episodes are held out; `Recording.split` says which."""
    distinct = np.unique(np.asarray(numbers))
    if len(distinct) < 2 or not 0 < held_out < 1:
        raise ConfigError(
            f"cannot hold out a share of {held_out} of {len(distinct)} episodes: two are the least"
        )
    kept = min(max(round(len(distinct) * (1 - held_out)), 1), len(distinct) - 1)
    return int(distinct[kept])


def number_episodes(labels: Sequence[Hashable]) -> NDArray[np.int64]:
    """Return one number for each label: integers of 64 bits as they are, others numbered as they appear."""
    if all(isinstance(label, int) and -(2**63) <= label < 2**63 for label in labels):
        return np.array(labels, dtype=np.int64)
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)


def feature_name(names: Sequence[str] | None, feature: int) -> str:
    """Return what a message calls a feature: its name, or its index where features have no names."""
    return f"feature {feature}" if names is None else f"feature {names[feature]!r}"


def _checked_states(states: ArrayLike, names: tuple[str, ...] | None) -> NDArray[np.float32]:
    array = as_numbers("states", states)
    if array.ndim != 2 or 0 in array.shape:
        raise ConfigError(f"states must be of shape [N, D], both at least 1, not {list(array.shape)}")
    check_features(array.shape[1], "a row of states")
    if names is not None and len(set(names)) != array.shape[1]:
        raise ConfigError(
            f"feature_names must be {array.shape[1]} different names, not {len(set(names))} of {len(names)}"
        )
    rows = codec.to_float32(array, "states", names)
    finite = np.isfinite(rows)
    if not finite.all():
        row, feature = (int(i) for i in np.argwhere(~finite)[0])
        raise ConfigError(
            f"states must be finite in float32, but {feature_name(names, feature)} is "
            f"{array[row, feature]} in row {row}"
        )
    return rows


def _checked_episodes(episodes: ArrayLike | None, count: int) -> NDArray[np.int64]:
    if episodes is None:
        return np.zeros(count, dtype=np.int64)
    given: NDArray[Any] = np.asarray(episodes)
    if given.shape != (count,):
        raise ConfigError(
            f"episodes must have one number for each of {count} states, not be of shape {list(given.shape)}"
        )
    if given.dtype.kind not in "fiub" or not (np.isfinite(given) & (given == np.floor(given))).all():
        raise ConfigError("episodes must be integers")
    return given.astype(np.int64)
