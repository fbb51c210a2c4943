"""What a codec looks like: feature groups, dimensions, and the rule that turns rates into code counts.

Nothing here needs torch. `vae.py` builds the model from a `CodecConfig`, `publish.py` writes it into Redis.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from model_export.errors import ConfigError

# The name is part of Redis keys and of a model's tag `NAME:vN`; a colon in it would make keys ambiguous.
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True)
class FeatureGroup:
    """The features `start` to `end` (exclusive) of a state, compressed at one rate.

    `compression` is a factor from 0.001 to 1000; the larger, the fewer codes. The codec's base level
    multiplies it.
    """

    start: int
    end: int
    compression: float

    @property
    def size(self) -> int:
        """Number of features."""
        return self.end - self.start


@dataclass(frozen=True)
class GroupDimensions:
    """How many of each dimension one group owns: features (D), latents (Z), codes (C)."""

    features: int
    latents: int
    codes: int


@dataclass(frozen=True)
class CodecConfig:
    """Everything that fixes a codec's shape.

    Args:
        name: letters, digits, `_`, `.` and `-`, at most 64 of them; part of the Redis keys.
        input_dim: features of a state (D), at least 1.
        latent_dim: latent dimensions to share among the groups, at least 1. Each group gets at least one, so
            a codec of many small groups may own more than this.
        feature_groups: group by name; together they cover 0 to `input_dim` without gap or overlap. Mappings
            and `(start, end, compression)` tuples are taken too. Kept in order of `start`.
        base_compression_level: factor from 0.001 to 1000 on every group's compression.

    Raises:
        ConfigError: an argument is out of range; the message names it.
    """

    name: str
    input_dim: int
    latent_dim: int
    feature_groups: dict[str, FeatureGroup] = field(default_factory=dict)
    base_compression_level: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ConfigError(f"name must be 1 to 64 letters, digits, '_', '.' or '-', not {self.name!r}")
        _check_count("input_dim", self.input_dim)
        _check_count("latent_dim", self.latent_dim)
        _check_factor("base_compression_level", self.base_compression_level)
        object.__setattr__(self, "feature_groups", _checked_groups(self.feature_groups, self.input_dim))

    @property
    def dimensions(self) -> dict[str, GroupDimensions]:
        """Dimensions of each group, in the order of their features, latents and codes."""
        latents = {
            name: max(1, self.latent_dim * group.size // self.input_dim)
            for name, group in self.feature_groups.items()
        }
        # Rounding down leaves over fewer dimensions than groups; those that keep most detail get them.
        left_over = max(0, self.latent_dim - sum(latents.values()))
        by_rate = sorted(self.feature_groups, key=lambda name: self.feature_groups[name].compression)
        for name in by_rate[:left_over]:
            latents[name] += 1
        return {
            name: GroupDimensions(
                features=group.size,
                latents=latents[name],
                codes=max(1, int(latents[name] / (group.compression * self.base_compression_level))),
            )
            for name, group in self.feature_groups.items()
        }

    @property
    def codes(self) -> int:
        """Codes of one state (C), one byte each."""
        return sum(group.codes for group in self.dimensions.values())

    def to_dict(self) -> dict[str, Any]:
        """Return this configuration as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> CodecConfig:
        """Build a configuration from what `to_dict` returned. Raises ConfigError where it cannot."""
        try:
            return cls(**document)
        except TypeError as error:
            raise ConfigError(f"not a codec configuration: {error}") from error


def reference_config(name: str = "reference") -> CodecConfig:
    """Return the reference configuration: 50 features become 33 + 20 + 25 + 25 = 103 codes."""
    return CodecConfig(
        name=name,
        input_dim=50,
        latent_dim=25,
        feature_groups={
            "critical": FeatureGroup(0, 10, 0.3),
            "spatial": FeatureGroup(10, 20, 0.5),
            "social": FeatureGroup(20, 30, 0.4),
            "other": FeatureGroup(30, 50, 0.8),
        },
        base_compression_level=0.5,
    )


def _check_count(argument: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{argument} must be an integer of at least 1, not {value!r}")


def _check_factor(argument: str, value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0.001 <= value <= 1000:
        raise ConfigError(f"{argument} must be a number from 0.001 to 1000, not {value!r}")


def _checked_groups(groups: Mapping[str, Any], input_dim: int) -> dict[str, FeatureGroup]:
    """Return the groups as `FeatureGroup`, in order of start; they cover each feature once."""
    if not isinstance(groups, Mapping) or not groups:
        raise ConfigError(f"feature_groups must be a mapping with at least one group, not {groups!r}")
    parsed = {name: _parsed_group(name, group, input_dim) for name, group in groups.items()}
    ordered = dict(sorted(parsed.items(), key=lambda item: item[1].start))
    covered = 0
    for name, group in ordered.items():
        if group.start < covered:
            raise ConfigError(
                f"feature_groups[{name!r}] starts at {group.start} and overlaps the group before it"
            )
        if group.start > covered:
            raise ConfigError(f"feature_groups leave features {covered} to {group.start} without a group")
        covered = group.end
    if covered < input_dim:
        raise ConfigError(f"feature_groups leave features {covered} to {input_dim} without a group")
    return ordered


def _parsed_group(name: object, group: Any, input_dim: int) -> FeatureGroup:
    argument = f"feature_groups[{name!r}]"
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{argument}: a group's name must be text that is not empty")
    try:
        if isinstance(group, FeatureGroup):
            parsed = group
        else:
            parsed = FeatureGroup(**group) if isinstance(group, Mapping) else FeatureGroup(*group)
    except TypeError as error:
        raise ConfigError(f"{argument} must be (start, end, compression), not {group!r}") from error
    for bound in (parsed.start, parsed.end):
        if not isinstance(bound, int) or isinstance(bound, bool):
            raise ConfigError(f"{argument}: start and end must be integers, not {bound!r}")
    if not 0 <= parsed.start < parsed.end <= input_dim:
        raise ConfigError(f"{argument} is {parsed.start} to {parsed.end}: empty, or outside 0 to {input_dim}")
    _check_factor(f"{argument}.compression", parsed.compression)
    return parsed
