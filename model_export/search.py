"""Finds a codec for a target: the best in so many bytes, or the smallest that is good enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from numpy.typing import ArrayLike

from model_export.config import CodecConfig
from model_export.errors import ConfigError
from model_export.train import TRANSFORMS, TrainedCodec, TrainingOptions, train

# Bottlenecks with a budget of bytes. Which is better, and from which linear codec it should begin, depends
# on how many bits a feature gets, and on whether features are Gaussian, sparse or discrete; a short training
# of each tells. What begins with less error need not end so: on an ant in 8 bytes codebooks of the features
# began at 0.41 and had 0.39 after 600 steps, those of principal axes 0.33.
CANDIDATES = ("scalar", "codebook")
# Share of the steps that candidates are compared after.
TRIAL_SHARE = 0.1
# From so many bytes a feature on, codebooks of 256 vectors cannot compete, and are not tried.
MOST_CODEBOOK_BYTES_PER_FEATURE = 1.0

Note = Callable[[str], object]
Train = Callable[[CodecConfig, TrainingOptions], TrainedCodec]


def train_for_bytes(
    config: CodecConfig,
    train_states: ArrayLike,
    held_out_states: ArrayLike,
    total_bytes: int,
    options: TrainingOptions | None = None,
    *,
    progress: bool = True,
    note: Note = print,
) -> TrainedCodec:
    """Train the codec of least error whose stored row has `total_bytes` bytes.

    Both bottlenecks with a budget train for a while from both linear codecs; the best, by its error on the
    validation states within the training states, trains to the end. Where no training beats a linear codec,
    that is what comes back.

    Args:
        config: name, groups and kinds of features; its bottleneck is replaced.
        train_states, held_out_states, options, progress: as for `train`.
        total_bytes: at least one a group.
        note: is told in a sentence what was tried.

    Raises:
        ConfigError: as for `train`, or `total_bytes` is less than one a group.
    """
    options = options or TrainingOptions()

    def run(own: CodecConfig, how: TrainingOptions) -> TrainedCodec:
        return train(own, train_states, held_out_states, how, progress=progress)

    return _best(config, total_bytes, options, run, note)


def train_for_error(
    config: CodecConfig,
    train_states: ArrayLike,
    held_out_states: ArrayLike,
    max_error: Mapping[str, float],
    options: TrainingOptions | None = None,
    *,
    progress: bool = True,
    note: Note = print,
) -> TrainedCodec:
    """Train the smallest codec whose error on held-out states is at most `max_error` in each group named.

    Linear codecs, which take no training, tell how many bytes are certainly enough; fewer are then tried by
    halving the interval, each with a training.

    Args:
        max_error: normalised RMSE by group (`metrics.normalized_rmse`), above 0; "state" is the whole state.
            Groups that are named weigh more the less error they may have.
        config, train_states, held_out_states, options, progress, note: as for `train_for_bytes`.

    Raises:
        ConfigError: as for `train`; a group that does not exist; no budget up to four bytes a feature is
            enough.
    """
    options = options or TrainingOptions()
    wanted = _metrics_of(config, max_error)
    config = _weighed(config, max_error)

    def run(own: CodecConfig, how: TrainingOptions) -> TrainedCodec:
        return train(own, train_states, held_out_states, how, progress=progress)

    def enough(found: TrainedCodec) -> bool:
        return all(found.metrics[metric] <= most for metric, most in wanted.items())

    least, most = len(config.feature_groups) - 1, len(config.feature_groups)
    best = _linear(config, most, options, run)
    while not enough(best):
        if most >= 4 * config.input_dim:
            errors = ", ".join(f"{metric} {best.metrics[metric]}" for metric in wanted)
            raise ConfigError(f"max_error is not reached with {most} bytes a state: {errors}")
        most = min(2 * most, max(4 * config.input_dim, most + 1))
        best = _linear(config, most, options, run)
    # `least` stays where it is: what is too little for a linear codec may do for a trained one.
    note(f"{most} bytes are enough without training; trying fewer")
    while most - least > 1:
        middle = (least + most) // 2
        found = _best(config, middle, options, run, note)
        if enough(found):
            most, best = middle, found
        else:
            least = middle
        errors = ", ".join(f"{metric} {found.metrics[metric]}" for metric in wanted)
        note(f"{middle} bytes: {errors}: {'enough' if most == middle else 'too much error'}")
    return best


def _best(
    config: CodecConfig, total_bytes: int, options: TrainingOptions, run: Train, note: Note
) -> TrainedCodec:
    kinds: tuple[str, ...] = CANDIDATES
    if total_bytes > MOST_CODEBOOK_BYTES_PER_FEATURE * config.input_dim:
        kinds = ("scalar",)
    configs = {kind: _with_budget(config, kind, total_bytes) for kind in kinds}
    if not options.steps:
        return min((run(own, options) for own in configs.values()), key=_validation_error)
    trial = replace(options, steps=max(1, int(options.steps * TRIAL_SHARE)))
    errors = {
        (kind, start): _validation_error(run(own, replace(trial, start=start)))
        for kind, own in configs.items()
        for start in TRANSFORMS
    }
    kind, start = min(errors, key=lambda candidate: errors[candidate])
    tried = ", ".join(f"{_described(*candidate)} {error:.4f}" for candidate, error in errors.items())
    note(
        f"validation error in {total_bytes} bytes after {trial.steps} steps: {tried}; "
        f"taking {_described(kind, start)}"
    )
    return run(configs[kind], replace(options, start=start))


def _described(kind: str, start: str) -> str:
    return f"{kind} of {'features' if start == 'none' else 'principal axes'}"


def _validation_error(codec: TrainedCodec) -> float:
    return codec.metrics["validation_nrmse"]


def _linear(config: CodecConfig, total_bytes: int, options: TrainingOptions, run: Train) -> TrainedCodec:
    return run(_with_budget(config, "scalar", total_bytes), replace(options, steps=0))


def _with_budget(config: CodecConfig, bottleneck: str, total_bytes: int) -> CodecConfig:
    return replace(
        config, bottleneck=bottleneck, total_bytes=total_bytes, group_bytes=None, group_latents=None
    )


def _metrics_of(config: CodecConfig, max_error: Mapping[str, float]) -> dict[str, float]:
    if not max_error:
        raise ConfigError("max_error must name at least one group, or state")
    for name, most in max_error.items():
        if name != "state" and name not in config.feature_groups:
            names = ", ".join(["state", *config.feature_groups])
            raise ConfigError(f"max_error names {name!r}, which is none of {names}")
        if not most > 0:
            raise ConfigError(f"max_error of {name!r} must be above 0, not {most}")
    named = set(config.feature_groups)
    return {f"nrmse_{name}" if name in named else "nrmse": float(most) for name, most in max_error.items()}


def _weighed(config: CodecConfig, max_error: Mapping[str, float]) -> CodecConfig:
    """Return `config` with importance in inverse proportion to the squared errors that groups may have."""
    loosest = max(max_error.values())
    groups = {
        name: replace(group, importance=min(1000.0, (loosest / max_error[name]) ** 2 * group.importance))
        if name in max_error
        else group
        for name, group in config.feature_groups.items()
    }
    return replace(config, feature_groups=groups)
