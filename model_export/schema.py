"""What a state's features are: names, groups, units, ranges and kinds, from a small YAML or JSON file.

    features:                                    # in the order of the state's columns
      - {name: joint, count: 8, group: body, unit: rad, range: [-3.2, 3.2]}
      - {name: contact, group: body, kind: binary}
      - {name: goal, count: 4, group: task, kind: one_hot}
    groups:                                      # optional; what is not said is 1
      body: {compression: 0.5, importance: 2}

An entry with a count stands for as many features, `joint[0]` to `joint[7]`; one with a list
`columns`, for the features of these names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

import yaml
from numpy.typing import NDArray

from model_export.errors import ConfigError
from model_export.recording import Recording
from model_export.schema_entries import GroupSchema, SchemaEntry
from modules_store import files

Part = TypeVar("Part", SchemaEntry, GroupSchema)


@dataclass(frozen=True)
class StateSchema:
    """The features of one kind of agent's states, in the order of their columns.

    Args:
        entries: at least one. Those of one group follow each other.
        groups: how groups are compressed; those that are left out, as `GroupSchema()` says.

    Raises:
        ConfigError: an argument cannot be right; the message names the feature or the group.
    """

    entries: tuple[SchemaEntry, ...]
    groups: dict[str, GroupSchema] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.entries:
            raise ConfigError("features must be a list of at least one")
        names = self.feature_names
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(f"feature {twice[0]!r} is there twice")
        closed: list[str] = []
        for entry in self.entries:
            if entry.group in closed[:-1]:
                raise ConfigError(
                    f"feature {entry.name!r} comes back to group {entry.group!r} after others: the features "
                    "of a group must follow each other"
                )
            if entry.group not in closed:
                closed.append(entry.group)
        if unknown := sorted(self.groups.keys() - set(closed)):
            raise ConfigError(f"groups: no feature is of group {unknown[0]!r}")
        object.__setattr__(self, "groups", {name: self.groups.get(name, GroupSchema()) for name in closed})

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """Name of each feature."""
        return tuple(name for entry in self.entries for name in entry.feature_names)

    @property
    def spans(self) -> list[tuple[SchemaEntry, int, int]]:
        """Each entry with the start and end (exclusive) of its features."""
        ends = list(accumulate(entry.count for entry in self.entries))
        return [(entry, end - entry.count, end) for entry, end in zip(self.entries, ends, strict=True)]

    def feature_groups(self) -> dict[str, tuple[int, int, float]]:
        """Return start, end (exclusive) and compression of each group, as `CodecConfig` takes them."""
        found: dict[str, tuple[int, int, float]] = {}
        for entry, start, end in self.spans:
            first = found[entry.group][0] if entry.group in found else start
            found[entry.group] = (first, end, self.groups[entry.group].compression)
        return found

    @property
    def importance(self) -> dict[str, float]:
        """Weight of each group's errors."""
        return {name: group.importance for name, group in self.groups.items()}

    @property
    def binary(self) -> tuple[int, ...]:
        """Indices of the binary features."""
        return tuple(
            i for entry, start, end in self.spans if entry.kind == "binary" for i in range(start, end)
        )

    @property
    def one_hot(self) -> tuple[tuple[int, int], ...]:
        """Start and end (exclusive) of each one-hot."""
        return tuple((start, end) for entry, start, end in self.spans if entry.kind == "one_hot")

    def check(self, states: NDArray[Any]) -> None:
        """Raise ConfigError, which names the feature, where states [N, D] are not what this schema says."""
        if states.ndim != 2 or states.shape[1] != len(self.feature_names):
            raise ConfigError(
                f"states must have the schema's {len(self.feature_names)} features, not be of shape "
                f"{list(states.shape)}"
            )
        for entry, start, end in self.spans:
            entry.check(states[:, start:end])

    def apply(self, recording: Recording) -> Recording:
        """Return the recording with this schema's names; raise ConfigError where `check` does."""
        self.check(recording.states)
        return Recording(
            recording.states,
            recording.episodes,
            self.feature_names,
            recording.kind,
            binary=recording.binary,
            one_hot=recording.one_hot,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return this schema as plain JSON types; what is by default is left out of features."""
        return {
            "features": [_given(entry) for entry in self.entries],
            "groups": {
                name: {"compression": group.compression, "importance": group.importance}
                for name, group in self.groups.items()
            },
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> StateSchema:
        """Build a schema from what `to_dict` returned, or a person wrote; ConfigError where it cannot."""
        if not isinstance(document, Mapping) or not isinstance(document.get("features"), list):
            raise ConfigError("a schema is a mapping with a list of features")
        if unknown := sorted(map(str, document.keys() - {"features", "groups"})):
            raise ConfigError(f"a schema has features and groups, not {unknown[0]!r}")
        features = enumerate(document["features"])
        entries = tuple(_build(SchemaEntry, f"features[{index}]", own) for index, own in features)
        groups = document.get("groups")
        groups = {} if groups is None else groups
        if not isinstance(groups, Mapping):
            raise ConfigError(f"groups must be a mapping from a name, not {groups!r}")
        return cls(
            entries, {name: _build(GroupSchema, f"groups[{name!r}]", own) for name, own in groups.items()}
        )

    @classmethod
    def load(cls, path: str | Path) -> StateSchema:
        """Read a schema from a `.yaml`, `.yml` or `.json` file. Raises ConfigError where it cannot."""
        try:
            text = Path(path).read_text(encoding="utf-8")
            # JSON is not read as YAML, to which 1e3 is text.
            document = json.loads(text) if _is_json(path) else yaml.safe_load(text)
            return cls.from_dict(document)
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise ConfigError(f"cannot read a schema from {path}: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write a file that `load` reads, JSON or YAML by its name."""
        document = self.to_dict()
        if _is_json(path):
            text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        else:
            text = yaml.safe_dump(
                document, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110
            )
        files.write(path, text)


def _is_json(path: str | Path) -> bool:
    suffix = Path(path).suffix
    if suffix not in (".json", ".yaml", ".yml"):
        raise ConfigError(f"a schema is in a .yaml, .yml or .json file, not in {path}")
    return suffix == ".json"


def _build(part: type[Part], argument: str, given: Any) -> Part:
    """Return an entry or a group from its mapping."""
    if not isinstance(given, Mapping):
        raise ConfigError(f"{argument} must be a mapping, not {given!r}")
    known = [known.name for known in fields(part)]
    if unknown := sorted(map(str, given.keys() - set(known))):
        raise ConfigError(f"{argument} has an unknown field {unknown[0]!r}; it may have {', '.join(known)}")
    try:
        return part(**given)
    except TypeError as error:
        raise ConfigError(f"{argument} needs a name and a group, not {given!r}") from error
    except ConfigError as error:
        raise ConfigError(f"{argument}: {error}") from error


def _given(entry: SchemaEntry) -> dict[str, Any]:
    """Return the entry's fields but those that are as by default."""
    found = {own.name: getattr(entry, own.name) for own in fields(entry)}
    found = {own.name: found[own.name] for own in fields(entry) if found[own.name] != own.default}
    if entry.columns is not None:
        del found["count"]
    # Tuples are no plain JSON.
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}
