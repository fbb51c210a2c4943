"""The budget of bytes: spent to the byte, kept apart by groups, and never worse than without training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from model_export.config import CodecConfig
from model_export.train import TrainedCodec, TrainingOptions, train
from tests.export.states import CONSTANT, correlated_states

BUDGETED = ("scalar", "codebook")
each_bottleneck = pytest.mark.parametrize("bottleneck", ["rounding", *BUDGETED])
each_budgeted = pytest.mark.parametrize("bottleneck", BUDGETED)

GROUPS = {"moving": (0, 4), "fixed": (4, 12)}
CONFIG = CodecConfig("budget", 12, feature_groups=GROUPS, bottleneck="scalar", total_bytes=6)
SHORT = TrainingOptions(steps=30, hidden_dim=32, evaluations=3)
LINEAR = TrainingOptions(steps=0)


def config(bottleneck: str, **changes: object) -> CodecConfig:
    budget = {} if bottleneck == "rounding" else {"total_bytes": 6}
    return CodecConfig(
        "budget", 12, **{"feature_groups": GROUPS, "bottleneck": bottleneck, **budget, **changes}
    )


def fit(own: CodecConfig, states: np.ndarray, options: TrainingOptions = SHORT) -> TrainedCodec:
    return train(own, states[:1500], states[4000:4500], options, progress=False)


@pytest.fixture(scope="module")
def codecs(states):
    """A shortly trained codec of each kind."""
    return {bottleneck: fit(config(bottleneck), states) for bottleneck in ("rounding", *BUDGETED)}


@pytest.fixture(scope="module")
def discrete_states():
    """float32[2000, 12]: feature 0 is -1 or 3, features 4 to 8 are one-hot."""
    made = correlated_states(2000, features=12, factors=3)
    made[:, 0] = np.where(made[:, 0] > np.median(made[:, 0]), 3, -1)
    made[:, 4:8] = np.eye(4)[made[:, 4:8].argmax(axis=1)]
    return made


@each_budgeted
def test_the_stored_row_is_exactly_the_bytes_asked_for(codecs, bottleneck, held_out):
    vae = codecs[bottleneck].vae
    codes = vae.encode(torch.from_numpy(held_out[:7]))
    assert (codes.dtype, tuple(codes.shape)) == (torch.int8, (7, 6))
    assert sum(vae.config.group_bytes.values()) == 6
    assert vae.config.codes == 6


@each_budgeted
@pytest.mark.parametrize("total_bytes", [2, 3, 13, 40])
def test_any_budget_is_spent_to_the_byte(states, bottleneck, total_bytes):
    own = config(bottleneck, total_bytes=total_bytes)
    codec = train(own, states[:200], states[:1], LINEAR, progress=False).vae
    assert sum(codec.config.group_bytes.values()) == total_bytes
    assert codec.encode(torch.from_numpy(states[:3])).shape == (3, total_bytes)


@each_bottleneck
def test_a_groups_codes_depend_on_its_own_features_only(codecs, bottleneck, held_out):
    vae = codecs[bottleneck].vae
    states = torch.from_numpy(held_out[:100].copy())
    changed = states.clone()
    changed[:, 4:] = states.roll(1, dims=0)[:, 4:]
    codes, changed_codes = vae.encode(states), vae.encode(changed)
    boundary = vae.config.dimensions["moving"].codes
    assert torch.equal(codes[:, :boundary], changed_codes[:, :boundary])
    assert not torch.equal(codes[:, boundary:], changed_codes[:, boundary:])


@each_bottleneck
def test_a_constant_feature_comes_back_exactly(codecs, bottleneck, held_out):
    vae = codecs[bottleneck].vae
    states = torch.from_numpy(held_out[:20].copy())
    codes = vae.encode(states)
    assert (vae.decode(codes)[:, 7] == torch.tensor(CONSTANT)).all()
    states[:, 7] = -1e6
    assert torch.equal(vae.encode(states), codes)


@each_bottleneck
def test_a_group_of_constant_features_comes_back_exactly(states, bottleneck):
    still = states.copy()
    still[:, :4] = [1, -2.5, 1e6, CONSTANT]
    vae = fit(config(bottleneck), still, replace(SHORT, steps=5)).vae
    restored = vae.decode(vae.encode(torch.from_numpy(still[:50])))
    assert torch.equal(restored[:, :4], torch.from_numpy(still[:50, :4]))


@each_bottleneck
def test_one_state_is_enough_to_train_and_encode(bottleneck, states):
    options = TrainingOptions(steps=4, batch_size=1, evaluations=2)
    trained = train(config(bottleneck), states[:1], states[:1], options, progress=False)
    state = torch.from_numpy(states[:1])
    assert torch.equal(trained.vae.decode(trained.vae.encode(state)), state)
    assert trained.metrics["nrmse"] == 0


@each_bottleneck
def test_batches_of_one_train(bottleneck, states):
    trained = fit(config(bottleneck), states, replace(SHORT, batch_size=1, steps=10))
    assert np.isfinite(trained.metrics["nrmse"])
    codes = trained.vae.encode(torch.from_numpy(states[:10]))
    alone = torch.cat([trained.vae.encode(torch.from_numpy(states[i : i + 1])) for i in range(10)])
    assert (codes != alone).float().mean() < 0.05


@each_bottleneck
def test_discrete_outputs_are_what_states_can_be(discrete_states, bottleneck):
    kinds = {"binary": (0,), "one_hot": ((4, 8),)}
    own = config(bottleneck, **kinds)
    trained = train(own, discrete_states[:1500], discrete_states[1500:], SHORT, progress=False)
    codes = torch.randint(-128, 128, (500, own.codes), generator=torch.Generator().manual_seed(0))
    for some in (codes.to(torch.int8), trained.vae.encode(torch.from_numpy(discrete_states[1500:]))):
        restored = trained.vae.decode(some)
        assert set(restored[:, 0].tolist()) == {-1.0, 3.0}
        assert torch.equal(restored[:, 4:8].sort(dim=1).values, torch.tensor([[0.0, 0, 0, 1]]).expand(500, 4))


@each_bottleneck
def test_discrete_features_come_back_exactly(discrete_states, bottleneck):
    kinds = {"binary": (0,), "one_hot": ((4, 8),)}
    own = config(bottleneck, **kinds)
    vae = train(own, discrete_states[:1500], discrete_states[1500:], SHORT, progress=False).vae
    rows = torch.from_numpy(discrete_states[1500:])
    restored = vae.decode(vae.encode(rows))
    assert torch.equal(restored[:, 0], rows[:, 0])
    assert torch.equal(restored[:, 4:8], rows[:, 4:8])


@each_budgeted
def test_importance_lowers_a_groups_error_at_equal_bytes(states, bottleneck):
    def error(importance: float) -> float:
        groups = {"moving": (0, 4, 1.0, importance), "fixed": (4, 12)}
        return fit(config(bottleneck, feature_groups=groups), states, LINEAR).metrics["nrmse_moving"]

    assert error(30.0) < 0.7 * error(1.0)


@each_budgeted
def test_more_bytes_mean_less_error(states, bottleneck):
    errors = [
        fit(config(bottleneck, total_bytes=size), states, LINEAR).metrics["nrmse"] for size in (2, 4, 8, 16)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 3


@each_budgeted
def test_training_never_ends_above_the_linear_codec(bottleneck):
    # Independent features of one size: no codec has anything to learn from them.
    random = np.random.default_rng(0).uniform(size=(1500, 12)).astype(np.float32)
    hasty = TrainingOptions(steps=10, learning_rate=0.5, evaluations=2)
    metrics, linear = (
        train(config(bottleneck), random, random[:300], options, progress=False).metrics
        for options in (hasty, LINEAR)
    )
    assert metrics["validation_nrmse"] <= linear["validation_nrmse"]
    assert metrics["linear"] in (0, 1)


@each_budgeted
def test_no_steps_give_a_linear_codec(states, bottleneck):
    trained = fit(config(bottleneck), states, LINEAR)
    assert (trained.metrics["linear"], trained.metrics["steps"], trained.history) == (1, 0, ())
    assert not trained.vae.decoder_out.weight.any()


@each_budgeted
def test_training_beats_the_linear_codec(states, bottleneck):
    longer = TrainingOptions(steps=300, hidden_dim=64, evaluations=6)
    trained, linear = (
        train(config(bottleneck), states[:4000], states[4000:], options, progress=False).metrics
        for options in (longer, LINEAR)
    )
    assert trained["linear"] == 0
    assert trained["nrmse"] < linear["nrmse"]


def test_a_feature_alone_uses_all_its_bytes():
    values = np.random.default_rng(0).uniform(size=(2000, 1)).astype(np.float32)
    for size_bytes in (1, 2, 4, 9):
        own = CodecConfig("one", 1, feature_groups={"g": (0, 1)}, bottleneck="scalar", total_bytes=size_bytes)
        error = train(own, values, values[:500], LINEAR, progress=False).metrics["nrmse"]
        # Its range is sqrt(12) standard deviations, and the error of a step is its width / sqrt(12).
        assert error < 1.2 * max(256.0**-size_bytes, 2.0**-15)
