"""Training learns, repeats itself under a seed, and keeps the groups apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from model_export.config import CodecConfig, reference_config
from model_export.errors import ConfigError
from model_export.rollout import rollout, split_episodes, stack_states
from model_export.train import TrainingOptions, train
from tests.export.conftest import CONFIG
from tests.export.states import CONSTANT, correlated_states

SHORT = TrainingOptions(steps=20)


def test_reference_codec_learns_correlated_states():
    states = correlated_states(12_000, features=50, factors=10)
    metrics = train(
        reference_config(), states[:10_000], states[10_000:], TrainingOptions(steps=600), progress=False
    ).metrics
    # Predicting the mean would give 1.
    assert metrics["nrmse"] < 0.12
    assert all(metrics[f"nrmse_{group}"] < 0.15 for group in ("critical", "spatial", "social", "other"))


def test_training_improves_on_the_linear_start(trained, states, held_out):
    untrained = train(CONFIG, states[:4000], held_out, TrainingOptions(steps=1), progress=False)
    assert trained.metrics["nrmse"] < 0.8 * untrained.metrics["nrmse"]


def test_byte_per_feature_codec_of_a_simulation():
    episodes = rollout("mpe2.simple_tag_v3", episodes=100, seed=1)["agent"]
    learned, held_out = (stack_states(part) for part in split_episodes(episodes))
    config = CodecConfig("agent", 14, 14, {"self": (0, 4, 1.0), "others": (4, 14, 1.0)})
    metrics = train(config, learned, held_out, TrainingOptions(steps=200), progress=False).metrics
    assert metrics["nrmse"] < 0.03


def test_same_seed_same_codec(states, held_out):
    def weights(seed: int) -> dict[str, torch.Tensor]:
        options = TrainingOptions(steps=20, seed=seed)
        return train(CONFIG, states[:4000], held_out, options, progress=False).vae.state_dict()

    torch.manual_seed(123)
    expected_next = torch.rand(1)
    torch.manual_seed(123)
    first, second, other = weights(1), weights(1), weights(2)
    assert torch.rand(1) == expected_next, "training draws from the caller's generator"
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["encoder_in.free_weight"], other["encoder_in.free_weight"])


def test_a_groups_codes_depend_on_its_features_only(trained, held_out):
    states = torch.from_numpy(held_out[:100].copy())
    changed = states.clone()
    changed[:, 4:] = states.roll(1, dims=0)[:, 4:]
    codes, changed_codes = trained.vae.encode(states), trained.vae.encode(changed)
    boundary = CONFIG.dimensions["moving"].codes
    assert torch.equal(codes[:, :boundary], changed_codes[:, :boundary])
    assert not torch.equal(codes[:, boundary:], changed_codes[:, boundary:])


def test_a_constant_feature_comes_back_exactly_whatever_is_sent(trained, held_out):
    states = torch.from_numpy(held_out[:10].copy())
    codes = trained.vae.encode(states)
    states[:, 7] = 1e6
    assert torch.equal(trained.vae.encode(states), codes)
    assert (trained.vae.decode(codes)[:, 7] == torch.tensor(CONSTANT)).all()


def test_codes_are_rarely_clamped(trained, held_out):
    codes = trained.vae.encode(torch.from_numpy(held_out))
    assert (codes.int().abs() >= 127).float().mean() < 1e-3
    assert codes.float().std(dim=0).min() > 10, "the range of INT8 goes unused"


@pytest.mark.parametrize("offset", [1e5, -1e5])
def test_a_large_mean_beside_a_small_spread(offset):
    states = correlated_states(2000, features=12, factors=12)
    states = (states / states.std(axis=0) + offset).astype(np.float32)
    config = CodecConfig("offset", 12, 12, {"all": (0, 12, 1.0)})
    metrics = train(config, states[:1500], states[1500:], SHORT, progress=False).metrics
    assert metrics["nrmse"] < 0.05


def test_one_training_state_is_enough_to_run(held_out):
    trained = train(CONFIG, held_out[:1], held_out[:1], SHORT, progress=False)
    assert trained.metrics["nrmse"] == 0
    state = torch.from_numpy(held_out[:1])
    assert torch.equal(trained.vae.decode(trained.vae.encode(state)), state)


@pytest.mark.parametrize(
    ("unusable", "what"),
    [
        (np.zeros((0, 12)), "N >= 1"),
        (np.zeros(12), "shape"),
        (np.zeros((3, 11)), "shape"),
        (np.full((3, 12), np.nan), "finite"),
        (np.full((3, 12), 1e30), "within"),
        ([["a"] * 12], "numbers"),
    ],
)
def test_unusable_states_are_refused(unusable, what, held_out):
    with pytest.raises(ConfigError, match=what):
        train(CONFIG, unusable, held_out, SHORT, progress=False)
    with pytest.raises(ConfigError, match="held_out_states"):
        train(CONFIG, held_out, unusable, SHORT, progress=False)


@pytest.mark.parametrize("bottleneck", ["scalar", "codebook"])
def test_training_starts_where_it_is_told_to(bottleneck):
    states = correlated_states(2000, features=12, factors=4)
    config = CodecConfig("start", 12, None, {"all": (0, 12)}, bottleneck=bottleneck, total_bytes=3)
    errors = {}
    for start in ("none", "principal", "best"):
        options = replace(SHORT, steps=1, start=start)
        errors[start] = train(config, states[:1500], states[1500:], options, progress=False).history[0][
            "loss"
        ]
    # The batches are others where both linear codecs were made first, so the losses are only near each other.
    assert errors["principal"] < 0.5 * errors["none"]
    assert errors["best"] == pytest.approx(errors["principal"], rel=0.2)


def test_an_unknown_start_is_refused():
    with pytest.raises(ConfigError, match="start must be best, none or principal, not 'pca'"):
        TrainingOptions(start="pca")
