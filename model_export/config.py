"""What a codec looks like: feature groups, bottleneck, and the rule that turns rates into code counts.

Nothing here needs torch. `vae.py` builds the model from a `CodecConfig`, `publish.py` writes it into Redis.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from model_export.errors import ConfigError

# The name is part of Redis keys and of a model's tag `NAME:vN`; a colon in it would make keys ambiguous.
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")

MOST_FEATURES = 4096
"""Features of a state, at most. Fitting a codec takes matrices of features times features."""

BOTTLENECK_NAMES = ("rounding", "scalar", "codebook")
# A word of exact codes has at most so many bytes, as `quantizers.LevelPacker` wants.
_WORD_BYTES = 6


@dataclass(frozen=True)
class FeatureGroup:
    """The features `start` to `end` (exclusive) of a state, which share latents and codes.

    `compression`, a factor from 0.001 to 1000, sets the number of codes of the bottleneck "rounding": the
    larger, the fewer; the codec's base level multiplies it. `importance`, from 0.001 to 1000, weighs the
    group's squared error, both in training and where a budget of bytes is divided among groups.
    """

    start: int
    end: int
    compression: float = 1.0
    importance: float = 1.0

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
        input_dim: features of a state (D), from 1 to `MOST_FEATURES`.
        latent_dim: latent dimensions to share among the groups, at least 1; as many as features if None. Each
            group gets at least one, so a codec of many small groups may own more than this. Of the bottleneck
            "rounding" only: the others take as many latents as their bytes can use.
        feature_groups: group by name; together they cover 0 to `input_dim` without gap or overlap. Mappings
            and `(start, end, compression, importance)` tuples are taken too. Kept in order of `start`.
        base_compression_level: factor from 0.001 to 1000 on every group's compression.
        bottleneck: "rounding", one INT8 a code, their number by compression; "scalar", few levels a latent,
            packed; "codebook", a byte names one of 256 learned vectors.
        total_bytes: stored bytes of one state, for "scalar" and "codebook"; at least `exact_bytes` and one a
            group that has other features. A state without others takes `exact_bytes`, however many are given.
        binary: features that hold one of two values. They come back exactly.
        one_hot: runs `(start, end)` of features of which exactly one is 1 and the rest 0, each run within one
            group. They come back exactly.
        group_bytes, group_latents: how "scalar" and "codebook" divide what `exact_bytes` leave of
            `total_bytes`, and the latents of each group; 0 for a group of binary and one-hot features alone.
            Training fills them in from the data where they are not given.

    Raises:
        ConfigError: an argument is out of range; the message names it.
    """

    name: str
    input_dim: int
    latent_dim: int | None = None
    feature_groups: dict[str, FeatureGroup] = field(default_factory=dict)
    base_compression_level: float = 1.0
    bottleneck: str = "rounding"
    total_bytes: int | None = None
    binary: tuple[int, ...] = ()
    one_hot: tuple[tuple[int, int], ...] = ()
    group_bytes: dict[str, int] | None = None
    group_latents: dict[str, int] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ConfigError(f"name must be 1 to 64 letters, digits, '_', '.' or '-', not {self.name!r}")
        _check_count("input_dim", self.input_dim)
        check_features(self.input_dim, "a state")
        if self.latent_dim is not None:
            _check_count("latent_dim", self.latent_dim)
        _check_factor("base_compression_level", self.base_compression_level)
        object.__setattr__(self, "feature_groups", _checked_groups(self.feature_groups, self.input_dim))
        self._check_kinds()
        self._check_bytes()

    @property
    def dimensions(self) -> dict[str, GroupDimensions]:
        """Dimensions of each group, in the order of their features, latents and codes.

        Raises ConfigError for a budget of bytes that was not divided yet.
        """
        if self.bottleneck == "rounding":
            return self._dimensions_by_rule()
        if self.group_bytes is None or self.group_latents is None:
            raise ConfigError(f"total_bytes of codec {self.name!r} are not divided among its groups yet")
        return {
            name: GroupDimensions(group.size, self.group_latents[name], self.group_bytes[name])
            for name, group in self.feature_groups.items()
        }

    def _dimensions_by_rule(self) -> dict[str, GroupDimensions]:
        sizes = self.learned_features
        total = sum(sizes.values())
        latent_dim = self.latent_dim or total
        latents = {name: max(1, latent_dim * size // total) if size else 0 for name, size in sizes.items()}
        # Rounding down leaves over fewer dimensions than groups; those that keep most detail get them.
        left_over = max(0, latent_dim - sum(latents.values()))
        by_rate = sorted(filter(sizes.get, sizes), key=lambda name: self.feature_groups[name].compression)
        for name in by_rate[:left_over]:
            latents[name] += 1
        return {
            name: GroupDimensions(
                features=group.size,
                latents=latents[name],
                codes=max(1, int(latents[name] / (group.compression * self.base_compression_level)))
                if latents[name]
                else 0,
            )
            for name, group in self.feature_groups.items()
        }

    @property
    def codes(self) -> int:
        """Codes of one state (C), one byte each: the bytes that are stored."""
        if self.total_bytes is not None and any(self.learned_features.values()):
            return self.total_bytes
        if self.total_bytes is not None:
            return self.exact_bytes
        return sum(group.codes for group in self.dimensions.values()) + self.exact_bytes

    @property
    def exact_features(self) -> list[int]:
        """The features that come back exactly: binary ones, then those of each one-hot run."""
        return [*self.binary, *(feature for run in self.one_hot for feature in range(*run))]

    @property
    def learned_features(self) -> dict[str, int]:
        """How many features of each group are neither binary nor one-hot."""
        exact = self.exact_features
        return {
            name: group.size - sum(group.start <= feature < group.end for feature in exact)
            for name, group in self.feature_groups.items()
        }

    @property
    def exact_words(self) -> tuple[list[int], list[int], list[int]]:
        """Bytes of each word of exact codes; and of each binary feature, then run: its word, its levels."""
        levels = [2] * len(self.binary) + [end - start for start, end in self.one_hot]
        products: list[int] = []
        word_of = [0] * len(levels)
        for value in sorted(range(len(levels)), key=lambda value: -levels[value]):
            fits = (w for w, p in enumerate(products) if p * levels[value] <= 256**_WORD_BYTES)
            word_of[value] = next(fits, len(products))
            if word_of[value] == len(products):
                products.append(1)
            products[word_of[value]] *= levels[value]
        return [-(-(product - 1).bit_length() // 8) for product in products], word_of, levels

    @property
    def exact_bytes(self) -> int:
        """Bytes of a state's binary and one-hot features, the last ones of its row."""
        return sum(self.exact_words[0])

    def _check_bytes(self) -> None:
        if self.bottleneck not in BOTTLENECK_NAMES:
            names = ", ".join(BOTTLENECK_NAMES)
            raise ConfigError(f"bottleneck must be one of {names}, not {self.bottleneck!r}")
        if self.bottleneck == "rounding":
            for argument in ("total_bytes", "group_bytes", "group_latents"):
                if getattr(self, argument) is not None:
                    raise ConfigError(
                        f"{argument}: the bytes of a rounding bottleneck follow from compression"
                    )
            return
        _check_count("total_bytes", self.total_bytes)
        assert self.total_bytes is not None
        learned = [name for name, size in self.learned_features.items() if size]
        if self.total_bytes < self.exact_bytes + len(learned):
            exact = f", binary and one-hot features {self.exact_bytes}" if self.exact_bytes else ""
            raise ConfigError(
                f"total_bytes is {self.total_bytes}, but {len(learned)} groups need one each{exact}"
            )
        self._check_divided(learned)

    def _check_divided(self, learned: list[str]) -> None:
        """Check what `learned` groups, and the others, are given of the budget."""
        groups = self.feature_groups
        for argument in ("group_bytes", "group_latents"):
            given = getattr(self, argument)
            if given is not None:
                if not isinstance(given, Mapping) or set(given) != set(groups):
                    raise ConfigError(f"{argument} must name each of the groups {', '.join(groups)}")
                for name, count in given.items():
                    if name in learned:
                        _check_count(f"{argument}[{name!r}]", count)
                    elif count != 0:
                        raise ConfigError(f"{argument}[{name!r}] must be 0: all its features are exact")
                object.__setattr__(self, argument, {name: given[name] for name in groups})
        to_divide = self.codes - self.exact_bytes
        given_bytes = to_divide if self.group_bytes is None else sum(self.group_bytes.values())
        if given_bytes != to_divide:
            exact = f" less {self.exact_bytes} of exact features" if self.exact_bytes else ""
            raise ConfigError(
                f"group_bytes add up to {given_bytes}, not to total_bytes {self.total_bytes}{exact}"
            )
        if self.bottleneck == "codebook" and self.group_bytes is not None and self.group_latents is not None:
            a_byte = {divmod(self.group_latents[name], self.group_bytes[name]) for name in learned}
            if len(a_byte) > 1 or any(rest for _, rest in a_byte):
                raise ConfigError(
                    f"group_latents of a codebook must be equally many a byte, not {self.group_latents}"
                )

    def _check_kinds(self) -> None:
        binary, one_hot = _as_indices("binary", self.binary), _as_runs("one_hot", self.one_hot)
        object.__setattr__(self, "binary", binary)
        object.__setattr__(self, "one_hot", one_hot)
        seen: set[int] = set()
        for argument, features in [("binary", binary)] + [("one_hot", tuple(range(*run))) for run in one_hot]:
            for feature in features:
                if not 0 <= feature < self.input_dim:
                    raise ConfigError(f"{argument} names feature {feature}, outside 0 to {self.input_dim}")
                if feature in seen:
                    raise ConfigError(f"{argument} names feature {feature}, which is named before")
                seen.add(feature)
        for start, end in one_hot:
            if end - start < 2:
                raise ConfigError(f"one_hot run {start} to {end} has fewer than two features")
            if not any(g.start <= start and end <= g.end for g in self.feature_groups.values()):
                raise ConfigError(f"one_hot run {start} to {end} does not lie within one group")

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


def check_features(count: int, what: str) -> None:
    """Raise ConfigError where `what` has more features than a codec can be fitted to."""
    if count > MOST_FEATURES:
        raise ConfigError(
            f"{what} has {count:,} features; a codec takes at most {MOST_FEATURES:,}: choose features, or "
            "store what a feature extractor makes of an image"
        )


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
        raise ConfigError(
            f"{argument} must be (start, end, compression, importance), not {group!r}"
        ) from error
    for bound in (parsed.start, parsed.end):
        if not isinstance(bound, int) or isinstance(bound, bool):
            raise ConfigError(f"{argument}: start and end must be integers, not {bound!r}")
    if not 0 <= parsed.start < parsed.end <= input_dim:
        raise ConfigError(f"{argument} is {parsed.start} to {parsed.end}: empty, or outside 0 to {input_dim}")
    _check_factor(f"{argument}.compression", parsed.compression)
    _check_factor(f"{argument}.importance", parsed.importance)
    return parsed


def _as_indices(argument: str, values: Iterable[Any]) -> tuple[int, ...]:
    try:
        return tuple(operator.index(value) for value in values)
    except TypeError as error:
        raise ConfigError(f"{argument} must be a sequence of feature numbers, not {values!r}") from error


def _as_runs(argument: str, values: Iterable[Any]) -> tuple[tuple[int, int], ...]:
    try:
        return tuple((operator.index(start), operator.index(end)) for start, end in values)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{argument} must be a sequence of (start, end), not {values!r}") from error
