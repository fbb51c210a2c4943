"""The training loop: states in, a trained model and its held-out error out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import faiss
import torch
from numpy.typing import ArrayLike
from rich.progress import Progress
from torch import Tensor

from model_export.checkpoint import Checkpoint, fingerprint
from model_export.config import CodecConfig
from model_export.errors import ConfigError
from model_export.features import LARGEST_FEATURE, Normalizer
from model_export.losses import Distortion, vae_loss
from model_export.metrics import normalized_rmse
from model_export.plan import planned
from model_export.recording import as_numbers
from model_export.vae import FeatureGroupedVAE
from modules_store import codec

# Share of the training states, the last ones, that early stopping and the choice of a codec look at.
VALIDATION_SHARE = 0.1
MOST_VALIDATION_STATES = 8192
EVALUATED_AT_ONCE = 4096
# Share of the steps that a scalar bottleneck learns its rates in, with noise for rounding.
RELAXED_SHARE = 0.3
# States with rare, large features make rare, large gradients; unclipped, the error on 348 features of a
# humanoid in 16 bytes was 0.33 instead of 0.30.
LARGEST_GRADIENT = 0.5
# Codebooks that start with less error than this learn at a lower rate, by the square of the share and down to
# a least one: what is fine enough is soon undone. On an ant in 32 bytes, from 0.165, training at 8e-3 never
# came below that again, at 2e-3 it ended at 0.139. Levels do not need it.
FULL_RATE_ERROR, LEAST_RATE_SHARE = 0.3, 0.25
# What linear codecs make of the features first: nothing, or their principal axes.
TRANSFORMS = ("none", "principal")


@dataclass(frozen=True)
class TrainingOptions:
    """How long and how to train.

    Args:
        steps: batches to learn from; they, not the number of states, set how long training takes. 0 gives the
            linear codec that training would start from.
        batch_size: states in a batch.
        learning_rate: at its peak; it falls to zero by the last step. Codebooks that start with little error
            take less.
        kl_weight: weight of the KL divergence beside the squared error.
        rate_weight: price of a bit a feature, in units of a feature's variance, for a rounding bottleneck.
            Its rows stay as long as they are, but what compresses them further gains.
        hidden_dim: width of the model's wider hidden layers.
        evaluations: how often, evenly over the steps, the validation error is measured.
        patience: evaluations without a better one after which training stops.
        start: the linear codec that "scalar" and "codebook" train from, and that is taken where training does
            not help: of the features as they are, "none", of their "principal" axes, or the "best" of the
            two, from which training need not end best.
        device: "cpu", or a CUDA device as torch names it.
        seed: the same seed and states give the same codec on the same machine's CPU.
    """

    steps: int = 2000
    batch_size: int = 256
    learning_rate: float = 4e-3
    kl_weight: float = 1e-5
    rate_weight: float = 1e-6
    hidden_dim: int = 128
    evaluations: int = 20
    patience: int = 10
    start: str = "best"
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("steps", 0),
            ("batch_size", 1),
            ("hidden_dim", 1),
            ("evaluations", 1),
            ("patience", 1),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(f"{name} must be an integer of at least {least}, not {value!r}")
        if self.start not in ("best", *TRANSFORMS):
            raise ConfigError(f"start must be best, {' or '.join(TRANSFORMS)}, not {self.start!r}")
        if not self.learning_rate > 0 or self.kl_weight < 0 or self.rate_weight < 0:
            raise ConfigError("learning_rate must be positive, kl_weight and rate_weight not negative")


@dataclass(frozen=True)
class TrainedCodec:
    """A trained model in evaluation mode, on the CPU, and what was measured.

    Args:
        vae: the model; `vae.config` has the bytes and latents of each group.
        metrics: on states it never saw, see `train`.
        history: one entry an evaluation: `step`, `loss`, `distortion`, `rate_bits` (mean of a state since the
            entry before) and `validation_nrmse`, None while levels are not allotted yet.
    """

    vae: FeatureGroupedVAE
    metrics: dict[str, float]
    history: tuple[dict[str, float | None], ...] = ()


Evaluation = dict[str, float | None]


def train(
    config: CodecConfig,
    train_states: ArrayLike,
    held_out_states: ArrayLike,
    options: TrainingOptions | None = None,
    *,
    progress: bool = True,
    checkpoint: str | Path | None = None,
    on_evaluation: Callable[[Evaluation], object] | None = None,
) -> TrainedCodec:
    """Train a codec.

    Args:
        config: the codec's shape; bytes and latents of groups are filled in where it leaves them open.
        train_states: numbers[N, D], finite; 10,000 to 50,000 states are plenty for most simulations.
        held_out_states: numbers[M, D], finite, of other episodes; measured, not learned from.
        options: how to train.
        progress: show a bar on the terminal.
        checkpoint: a file that the state of training is kept in at each evaluation. Where it exists, of the
            same configuration, options and states, training goes on from there and ends as if it had never
            stopped.
        on_evaluation: is given each entry of the history as it is made.

    Returns:
        The model, and metrics: `nrmse` and `nrmse_GROUP` (`metrics.normalized_rmse`) on the held-out states,
        `train_states`, `held_out_states`, `steps`, `seconds`, `bits` (what a state's codes cost at their
        learned probabilities), `validation_nrmse` (groups weighed by importance) and `linear`: 1 where the
        linear codec was better on the validation states and was taken, else 0.

    Raises:
        ConfigError: states that are empty, of another width than `config.input_dim`, or not finite; a
            checkpoint of another training.
    """
    options = options or TrainingOptions()
    states = as_states("train_states", train_states, config.input_dim)
    held_out = as_states("held_out_states", held_out_states, config.input_dim)
    started = time.perf_counter()
    if not any(config.learned_features.values()):
        options = replace(options, steps=0)
    # Everything random happens in here, and the caller's own generator is left as it was.
    with _one_thread(), torch.random.fork_rng():
        torch.manual_seed(options.seed)
        learned, validation = _without_validation(states)
        start = _best_linear(config, learned, validation, options.start)
        transform = "principal" if start is None else start.transform
        plan = planned(config, learned, linear=transform == "none")
        run = _Run(plan, learned, validation, options, transform)
        if checkpoint is not None:
            found = fingerprint([config.to_dict(), asdict(options)], states)
            run.checkpoint = Checkpoint(Path(checkpoint), found)
        run.fit(f"Training {config.name}", progress, on_evaluation)
        vae, error, linear = run.vae, run.best_error, run.best_step == 0
        if start is not None and start.error < error:
            vae, error, linear = start.vae, start.error, True
    vae = vae.cpu().eval()
    scales = Normalizer(config.input_dim)
    scales.fit(states)
    metrics = {
        **evaluate(vae, held_out, scales.std),
        "train_states": len(states),
        "held_out_states": len(held_out),
        "steps": run.step,
        "seconds": round(time.perf_counter() - started, 1),
        "validation_nrmse": round(error, 6),
        "linear": int(linear),
    }
    return TrainedCodec(vae, metrics, tuple(run.history))


@torch.no_grad()
def evaluate(vae: FeatureGroupedVAE, states: Tensor, std: Tensor) -> dict[str, float]:
    """Return `metrics.normalized_rmse` of FLOAT[N, D] through a model, and `bits`: what its codes cost.

    `std` are the features' standard deviations in training, FLOAT[D].
    """
    restored = torch.cat([vae.decode(vae.encode(batch)) for batch in torch.split(states, EVALUATED_AT_ONCE)])
    some = states[:MOST_VALIDATION_STATES]
    bits = torch.stack([vae(batch).bits for batch in torch.split(some, EVALUATED_AT_ONCE)])
    error = normalized_rmse(states.numpy(), restored.numpy(), std.numpy(), vae.config.feature_groups)
    return {**error, "bits": round(float(bits.mean()), 1)}


def as_states(argument: str, values: ArrayLike, input_dim: int) -> Tensor:
    """Return `values` as FLOAT[N, input_dim]; raise ConfigError where a codec cannot use them."""
    states = torch.from_numpy(codec.to_float32(as_numbers(argument, values), argument))
    if states.dim() != 2 or states.shape[1] != input_dim or len(states) == 0:
        raise ConfigError(
            f"{argument} must be of shape [N, {input_dim}] with N >= 1, not {list(states.shape)}"
        )
    if not bool((states.abs() <= LARGEST_FEATURE).all()):
        raise ConfigError(f"{argument} must be finite and within ±{LARGEST_FEATURE:g}")
    return states


@contextmanager
def _one_thread() -> Iterator[None]:
    """Products this small gain nothing from a second thread, and lose much where it waits for a busy core."""
    before = torch.get_num_threads(), faiss.omp_get_max_threads()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        faiss.omp_set_num_threads(before[1])


def _without_validation(states: Tensor) -> tuple[Tensor, Tensor]:
    """Return states to learn from, shuffled, and the last ones to validate with."""
    kept_out = min(int(len(states) * VALIDATION_SHARE), MOST_VALIDATION_STATES)
    learned = states[: len(states) - kept_out]
    validation = states[len(learned) :] if kept_out else states
    return learned[torch.randperm(len(learned))], validation


class _LinearCodec(NamedTuple):
    """A codec that needs no training, and its error on the validation states."""

    transform: str
    vae: FeatureGroupedVAE
    error: float


def _best_linear(config: CodecConfig, states: Tensor, validation: Tensor, start: str) -> _LinearCodec | None:
    """Return plain scalar or product quantisation, or that of principal axes, as `start` says.

    Sparse features, say contact forces, are better left as they are; most others are not. A rounding
    bottleneck has its own linear start only.
    """
    if config.bottleneck == "rounding":
        return None
    plan = planned(replace(config, group_latents=None), states, linear=True)
    found = []
    for transform in TRANSFORMS if start == "best" else (start,):
        # Their hidden layers add nothing, so they are as narrow as they can be.
        vae = FeatureGroupedVAE.from_config(plan, hidden_dim=1)
        vae.initialize(states, transform)
        found.append(_LinearCodec(transform, vae.eval(), _error(vae, validation)))
    return min(found, key=lambda codec: codec.error)


@torch.no_grad()
def _error(vae: FeatureGroupedVAE, states: Tensor) -> float:
    """Return `normalized_rmse` with each group's squared error weighed by its importance."""
    restored = torch.cat([vae.decode(vae.encode(batch)) for batch in torch.split(states, EVALUATED_AT_ONCE)])
    groups = vae.config.feature_groups.values()
    importance = torch.cat([torch.full((group.size,), group.importance) for group in groups]).to(states)
    inverse_std = vae.normalizer.inverse_std
    weights = importance * (inverse_std > 0)
    squared = ((restored - states) * inverse_std).square().mean(dim=0) * weights
    return float((squared.sum() / weights.sum().clamp(min=1e-12)).sqrt())


class _Run:
    """One training: what changes from step to step, so that it can be kept and taken up again."""

    def __init__(
        self,
        config: CodecConfig,
        states: Tensor,
        validation: Tensor,
        options: TrainingOptions,
        transform: str,
    ) -> None:
        self.options = options
        self.states, self.validation = states.to(options.device), validation.to(options.device)
        self.vae = FeatureGroupedVAE.from_config(config, options.hidden_dim)
        self.vae.initialize(states, transform)
        self.vae.to(options.device).eval()
        self.measure = Distortion(config).to(options.device)
        self.best_error = _error(self.vae, self.validation)
        self.best_state = _copied(self.vae)
        self.step, self.best_step, self.stale = 0, 0, 0
        self.history: list[Evaluation] = []
        self.checkpoint: Checkpoint | None = None
        rate = options.learning_rate
        if config.bottleneck == "codebook":
            rate *= min(1.0, max(LEAST_RATE_SHARE, (self.best_error / FULL_RATE_ERROR) ** 2))
        self.optimizer = torch.optim.Adam(self.vae.parameters(), lr=rate, fused=True)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, rate, total_steps=options.steps + 1, pct_start=0.1
        )

    def fit(self, title: str, show: bool, on_evaluation: Callable[[Evaluation], object] | None) -> None:
        """Train from the checkpoint, or from the start, to the last step; leave the best model in `vae`."""
        options = self.options
        settle_at = int(options.steps * RELAXED_SHARE)
        every = max(1, math.ceil(options.steps / options.evaluations))
        if self.checkpoint is not None and (kept := self.checkpoint.load(options.device)) is not None:
            self._take_up(kept)
        elif options.steps:
            self.vae.bottleneck.relax(self._some_latents())
        sums, evaluated = torch.zeros(3, device=options.device), self.step
        with Progress(disable=not show) as bar:
            task = bar.add_task(title, total=options.steps, completed=self.step)
            while self.step < options.steps and self.stale < options.patience:
                if self.step == settle_at:
                    self.vae.bottleneck.settle(self._some_latents())
                sums += self._learn()
                self.step += 1
                bar.advance(task)
                if self.step % every == 0 or self.step == options.steps:
                    settled = self.step > settle_at or not self.vae.bottleneck.learns_levels
                    entry = self._evaluate(sums / (self.step - evaluated), settled)
                    evaluated = self.step
                    sums.zero_()
                    if self.checkpoint is not None:
                        self.checkpoint.save(self._kept())
                    if on_evaluation is not None:
                        on_evaluation(entry)
        self.vae.load_state_dict(self.best_state)
        self.vae.eval()

    def _learn(self) -> Tensor:
        options = self.options
        self.vae.train()
        rows = torch.randint(len(self.states), (options.batch_size,)).to(options.device)
        loss = vae_loss(self.vae, self.measure, self.states[rows], options.kl_weight, options.rate_weight)
        self.optimizer.zero_grad()
        loss.total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.vae.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        self.schedule.step()
        return torch.stack(loss).detach()

    def _evaluate(self, means: Tensor, settled: bool) -> Evaluation:
        self.vae.eval()
        error = _error(self.vae, self.validation) if settled else None
        if error is not None:
            self.stale += 1
            if error < self.best_error:
                self.best_error, self.best_state = error, _copied(self.vae)
                self.best_step, self.stale = self.step, 0
        loss, distortion, bits = (round(value, 6) for value in means.tolist())
        entry: Evaluation = {
            "step": self.step,
            "loss": loss,
            "distortion": distortion,
            "rate_bits": bits,
            "validation_nrmse": None if error is None else round(error, 6),
        }
        self.history.append(entry)
        return entry

    @torch.no_grad()
    def _some_latents(self) -> Tensor:
        self.vae.eval()
        return self.vae.latents(self.states[: 4 * MOST_VALIDATION_STATES])

    def _kept(self) -> dict[str, object]:
        return {
            "model": self.vae.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "progress": (self.step, self.stale, self.history),
            "best": (self.best_step, self.best_error, self.best_state),
        }

    def _take_up(self, kept: dict[str, object]) -> None:
        self.vae.load_state_dict(kept["model"])  # type: ignore[arg-type]
        self.optimizer.load_state_dict(kept["optimizer"])  # type: ignore[arg-type]
        self.schedule.load_state_dict(kept["schedule"])  # type: ignore[arg-type]
        self.step, self.stale, self.history = kept["progress"]  # type: ignore[misc]
        self.best_step, self.best_error, self.best_state = kept["best"]  # type: ignore[misc]


def _copied(vae: FeatureGroupedVAE) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in vae.state_dict().items()}
