"""Binary and one-hot features: they come back exactly, in as many bits as their classes need."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model_export.config import CodecConfig
from model_export.errors import ConfigError
from model_export.export import export
from model_export.sources import load_recording
from model_export.stages import space_kinds
from model_export.suggest import suggest_groups
from model_export.train import TrainingOptions, train
from model_export.verify import restore, verify

CLASSES = 500
SHORT = TrainingOptions(steps=20, hidden_dim=16, evaluations=2)


def one_hot(random: np.random.Generator, count: int, classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[random.integers(classes, size=count)]


@pytest.mark.parametrize("bottleneck", ["scalar", "codebook", "rounding"])
def test_500_classes_take_two_bytes_and_none_is_lost(bottleneck):
    random = np.random.default_rng(0)
    total_bytes = None if bottleneck == "rounding" else 2
    groups = {"state": (0, CLASSES)}
    config = CodecConfig("taxi", CLASSES, None, groups, 1.0, bottleneck, total_bytes, one_hot=((0, CLASSES),))
    states = one_hot(random, 1000, CLASSES)
    trained = train(config, states[:800], states[800:], SHORT, progress=False)
    exported = export(trained, "taxi", onnx=True)
    every_class = np.eye(CLASSES, dtype=np.float32)
    assert verify(trained.vae, exported, every_class).codes_apart == 0
    assert np.array_equal(restore(exported, every_class), every_class)
    assert exported.config.codes == trained.vae.encode(torch.from_numpy(states)).shape[1] == 2


@pytest.mark.parametrize("bottleneck", ["scalar", "codebook", "rounding"])
def test_exact_features_beside_others(bottleneck):
    """Group "exact" has nothing to learn, group "mixed" both."""
    random = np.random.default_rng(0)
    flags = np.where(random.random((1000, 2)) > 0.5, 3.0, -1.0)
    blocks = [random.normal(size=(1000, 3)), flags, one_hot(random, 1000, 7), random.normal(size=(1000, 2))]
    states = np.hstack(blocks).astype(np.float32)
    groups = {"mixed": (0, 4), "exact": (4, 12), "rest": (12, 14)}
    config = CodecConfig(
        "any",
        14,
        None,
        groups,
        bottleneck=bottleneck,
        total_bytes=None if bottleneck == "rounding" else 6,
        binary=(3, 4),
        one_hot=((5, 12),),
    )
    trained = train(config, states[:800], states[800:], SHORT, progress=False)
    exported = export(trained, "any", onnx=True)
    verify(trained.vae, exported, states[800:])
    assert np.array_equal(restore(exported, states)[:, 3:12], states[:, 3:12])
    assert config.exact_bytes == 1
    assert trained.vae.config.dimensions["exact"].codes == 0
    assert trained.metrics["nrmse_exact"] == 0
    assert 0 < trained.metrics["nrmse_rest"] < 1


def test_a_budget_below_the_exact_bytes_is_refused():
    with pytest.raises(ConfigError, match="total_bytes is 2, but 1 groups need one each, .* features 2"):
        CodecConfig("any", 501, None, {"all": (0, 501)}, 1.0, "scalar", 2, one_hot=((0, CLASSES),))


def test_many_runs_share_words_of_six_bytes():
    runs = tuple((start, start + 5) for start in range(0, 200, 5))
    config = CodecConfig("any", 200, None, {"all": (0, 200)}, one_hot=runs)
    # 20 digits of 5 levels fit 48 bits; 40 take two words.
    assert config.exact_words[0] == [6, 6]


def test_a_flag_that_never_came_is_not_lost():
    states = np.zeros((100, 2), dtype=np.float32)
    states[:, 0] = np.linspace(-1, 1, 100)
    config = CodecConfig("any", 2, None, {"all": (0, 2)}, 1.0, "scalar", 3, binary=(1,))
    exported = export(train(config, states, states, SHORT, progress=False), "any")
    assert restore(exported, np.array([[0.5, 1.0]]))[0, 1] == 1.0


def test_spaces_say_which_features_are_exact():
    recording = load_recording("FrozenLake-v1", episodes=2, max_steps=5)
    assert (recording.binary, recording.one_hot) == ((), ((0, 16),))
    assert recording.split()[0].one_hot == ((0, 16),)
    assert suggest_groups(recording).one_hot == ((0, 16),)


def test_kinds_of_nested_spaces():
    spaces = pytest.importorskip("gymnasium.spaces")
    space = spaces.Dict(
        {
            "flags": spaces.MultiBinary(2),
            "mode": spaces.Discrete(3),
            "pair": spaces.Tuple([spaces.Box(-1, 1, (2,)), spaces.MultiDiscrete([2, 4])]),
        }
    )
    assert space_kinds(space) == ((0, 1), ((2, 5), (7, 9), (9, 13)))
