"""The training loop: states in, a trained model and its held-out error out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from rich.progress import Progress
from torch import Tensor

from model_export.config import CodecConfig
from model_export.errors import ConfigError
from model_export.features import LARGEST_FEATURE
from model_export.losses import normalized_rmse, vae_loss
from model_export.vae import FeatureGroupedVAE


@dataclass(frozen=True)
class TrainingOptions:
    """How long and how to train.

    Args:
        steps: batches to learn from; they, not the number of states, set how long training takes.
        batch_size: states in a batch.
        learning_rate: at its peak; it falls to zero by the last step.
        kl_weight: weight of the KL divergence beside the squared error.
        hidden_dim: width of the model's wider hidden layers.
        seed: the same seed and states give the same codec on the same machine.
    """

    steps: int = 2000
    batch_size: int = 256
    learning_rate: float = 4e-3
    kl_weight: float = 1e-5
    hidden_dim: int = 128
    seed: int = 0


@dataclass(frozen=True)
class TrainedCodec:
    """A trained model in evaluation mode, and what was measured on states it never saw."""

    vae: FeatureGroupedVAE
    metrics: dict[str, float]


def train(
    config: CodecConfig,
    train_states: ArrayLike,
    held_out_states: ArrayLike,
    options: TrainingOptions | None = None,
    progress: bool = True,
) -> TrainedCodec:
    """Train a codec on one core of the CPU.

    Args:
        config: the codec's shape.
        train_states: numbers[N, D], finite; 10,000 to 50,000 states are plenty for most simulations.
        held_out_states: numbers[M, D], finite, of other episodes; measured, not learned from.
        options: how to train.
        progress: show a bar on the terminal.

    Returns:
        The model, and metrics: `nrmse` and `nrmse_GROUP` (`losses.normalized_rmse`) on the held-out states,
        `train_states`, `held_out_states`, `steps`, `seconds`.

    Raises:
        ConfigError: states that are empty, of another width than `config.input_dim`, or not finite.
    """
    options = options or TrainingOptions()
    states = as_states("train_states", train_states, config.input_dim)
    held_out = as_states("held_out_states", held_out_states, config.input_dim)
    started = time.perf_counter()
    # Everything random happens in here, and the caller's own generator is left as it was.
    with _one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        vae = FeatureGroupedVAE(
            config.input_dim,
            config.latent_dim,
            config.feature_groups,
            config.base_compression_level,
            options.hidden_dim,
        )
        vae.initialize(states)
        _fit(vae, states, options, f"Training {config.name}", progress)
    vae.eval()
    with torch.no_grad():
        restored = vae.decode(vae.encode(held_out))
    metrics = {
        **normalized_rmse(vae, held_out, restored),
        "train_states": len(states),
        "held_out_states": len(held_out),
        "steps": options.steps,
        "seconds": round(time.perf_counter() - started, 1),
    }
    return TrainedCodec(vae, metrics)


def as_states(argument: str, values: ArrayLike, input_dim: int) -> Tensor:
    """Return `values` as FLOAT[N, input_dim]; raise ConfigError where a codec cannot use them."""
    try:
        states = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{argument} are not an array of numbers: {error}") from error
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
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _fit(vae: FeatureGroupedVAE, states: Tensor, options: TrainingOptions, title: str, show: bool) -> None:
    optimizer = torch.optim.Adam(vae.parameters(), lr=options.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, total_steps=options.steps + 1, pct_start=0.1
    )
    vae.train()
    with Progress(disable=not show) as bar:
        task = bar.add_task(title, total=options.steps)
        for _ in range(options.steps):
            batch = states[torch.randint(len(states), (options.batch_size,))]
            loss = vae_loss(vae(batch), options.kl_weight)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            bar.advance(task)
