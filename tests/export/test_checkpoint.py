"""A training that is interrupted ends as if it had not been; one of something else is not taken up."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model_export.checkpoint import Checkpoint
from model_export.config import CodecConfig
from model_export.errors import ConfigError
from model_export.train import TrainedCodec, TrainingOptions, train
from tests.export.conftest import CONFIG

BOTTLENECKS = ("rounding", "scalar", "codebook")
each_bottleneck = pytest.mark.parametrize("bottleneck", BOTTLENECKS)
# An evaluation every 4 steps; a scalar bottleneck settles before step 12, its learned rates done.
OPTIONS = TrainingOptions(steps=40, batch_size=32, hidden_dim=16, evaluations=10, patience=100)
SETTLES_AT = 12


class Interruption(Exception):
    pass


def config(bottleneck: str) -> CodecConfig:
    total_bytes = None if bottleneck == "rounding" else 4
    groups = {"moving": (0, 4), "fixed": (4, 12)}
    return CodecConfig("kept", 12, None, groups, bottleneck=bottleneck, total_bytes=total_bytes)


@pytest.fixture
def run(states, tmp_path) -> Callable[..., TrainedCodec]:
    """Train on a few states, with a checkpoint where `path` names one; `stop_at` a step, by an exception."""

    def run(
        bottleneck: str, path: Path | None = None, stop_at: int | None = None, **changes: object
    ) -> TrainedCodec:
        def stop(entry: dict) -> None:
            if entry["step"] == stop_at:
                raise Interruption

        return train(
            config(bottleneck),
            states[:600],
            states[600:700],
            replace(OPTIONS, **changes),
            progress=False,
            checkpoint=path,
            on_evaluation=stop,
        )

    return run


def same(first: TrainedCodec, second: TrainedCodec) -> bool:
    one, other = first.vae.state_dict(), second.vae.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def evaluated_errors(trained: TrainedCodec) -> list[float]:
    found = (entry["validation_nrmse"] for entry in trained.history)
    return [error for error in found if error is not None]


@each_bottleneck
@pytest.mark.parametrize("stop_at", [4, SETTLES_AT, 20, 40])
def test_an_interrupted_training_ends_as_if_it_had_not_been(run, tmp_path, bottleneck, stop_at):
    path = tmp_path / "new" / "training"
    with pytest.raises(Interruption):
        run(bottleneck, path, stop_at)
    resumed, whole = run(bottleneck, path), run(bottleneck)
    assert same(resumed, whole)
    assert resumed.history == whole.history
    assert [entry["step"] for entry in resumed.history] == list(range(4, 44, 4))
    assert {**resumed.metrics, "seconds": 0} == {**whole.metrics, "seconds": 0}


@each_bottleneck
def test_the_last_step_is_what_is_kept_in_training(run, tmp_path, bottleneck):
    # The codec above may be the linear one; this looks at what training itself came to.
    kept = []
    for name, stop_at in (("whole", 40), ("resumed", 20)):
        path = tmp_path / name
        with pytest.raises(Interruption):
            run(bottleneck, path, stop_at)
        run(bottleneck, path)
        found = torch.load(path, weights_only=True)
        kept.append((found["kept"]["model"], found["kept"]["progress"], found["random"]["cpu"]))
    (first, first_progress, first_random), (second, second_progress, second_random) = kept
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first_progress == second_progress
    assert torch.equal(first_random, second_random)


def test_a_training_that_was_done_is_not_done_again(run, tmp_path):
    first = run("scalar", tmp_path / "training")
    evaluated = (tmp_path / "training").stat().st_mtime_ns
    assert same(run("scalar", tmp_path / "training"), first)
    assert (tmp_path / "training").stat().st_mtime_ns == evaluated


def test_a_checkpoint_is_kept_whole_or_not_at_all(run, tmp_path):
    with pytest.raises(Interruption):
        run("rounding", tmp_path / "training", 8)
    assert [path.name for path in tmp_path.iterdir()] == ["training"]


@pytest.mark.parametrize("changes", [{"seed": 1}, {"steps": 41}, {"hidden_dim": 20}, {"learning_rate": 1e-3}])
def test_a_checkpoint_of_other_options_is_refused(run, tmp_path, changes):
    with pytest.raises(Interruption):
        run("rounding", tmp_path / "training", 4)
    with pytest.raises(ConfigError, match="another training"):
        run("rounding", tmp_path / "training", **changes)


def test_a_checkpoint_of_another_configuration_or_other_states_is_refused(run, tmp_path, states):
    path = tmp_path / "training"
    with pytest.raises(Interruption):
        run("scalar", path, 4)
    with pytest.raises(ConfigError, match="another training"):
        run("codebook", path)
    other = states[:600].copy()
    other[599, 11] += 1
    with pytest.raises(ConfigError, match="another training"):
        train(config("scalar"), other, states[600:700], OPTIONS, progress=False, checkpoint=path)


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "other"])
def test_a_damaged_checkpoint_is_refused(run, tmp_path, damage):
    path = tmp_path / "training"
    with pytest.raises(Interruption):
        run("rounding", path, 4)
    if damage == "other":
        torch.save([1, 2], path)
    else:
        blob = path.read_bytes()
        path.write_bytes({"empty": b"", "cut": blob[: len(blob) // 2], "text": b"no checkpoint"}[damage])
    with pytest.raises(ConfigError, match="cannot be read"):
        run("rounding", path)


@each_bottleneck
def test_training_stops_early_and_keeps_the_best(states, bottleneck):
    # Far too fast to learn anything: each evaluation is worse than the start.
    options = replace(OPTIONS, steps=400, evaluations=100, patience=3, learning_rate=1.0)
    trained = train(config(bottleneck), states[:600], states[600:700], options, progress=False)
    assert trained.metrics["steps"] < 400
    errors = evaluated_errors(trained)
    assert len(errors) == 3
    assert trained.metrics["validation_nrmse"] < min(errors)
    assert trained.metrics["linear"] == 1


def test_the_best_evaluation_is_what_comes_back(states):
    options = replace(OPTIONS, steps=200, evaluations=20, hidden_dim=32)
    trained = train(CONFIG, states[:600], states[600:700], options, progress=False)
    errors = evaluated_errors(trained)
    assert trained.metrics["validation_nrmse"] == min(errors) < errors[0]
    assert trained.metrics["linear"] == 0


@each_bottleneck
def test_same_seed_same_codec_other_seed_another(run, bottleneck):
    first, second, other = run(bottleneck), run(bottleneck), run(bottleneck, seed=1)
    assert same(first, second)
    assert first.history == second.history
    assert first.history != other.history


def test_the_callers_generators_are_left_alone(run):
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(5)
    np.random.seed(5)
    run("codebook", steps=4)
    assert (torch.rand(1), np.random.rand()) == expected


def test_a_checkpoint_that_cannot_be_read_again(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ConfigError, match="must be a file, which can be read again"):
        Checkpoint(tmp_path / "fifo", "0").load("cpu")
