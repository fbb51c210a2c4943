"""A target instead of knobs: so many bytes, or so much error."""

from __future__ import annotations

import re

import numpy as np
import pytest

from model_export.config import CodecConfig
from model_export.errors import ConfigError
from model_export.search import train_for_bytes, train_for_error
from model_export.train import TrainingOptions, train
from tests.export.states import correlated_states

CONFIG = CodecConfig("found", 6, feature_groups={"a": (0, 2), "b": (2, 6)})
OPTIONS = TrainingOptions(steps=20, batch_size=64, hidden_dim=16, evaluations=4)


@pytest.fixture(scope="module")
def few_states() -> np.ndarray:
    """float32[500, 6] with 2 degrees of freedom."""
    return correlated_states(500, features=6, factors=2)


def ignore(sentence: str) -> None:
    pass


@pytest.mark.parametrize("total_bytes", [2, 5, 6, 13])
def test_the_size_is_exact_and_the_error_at_most_the_linear_one(few_states, total_bytes):
    learned, held_out = few_states[:400], few_states[400:]
    found = train_for_bytes(CONFIG, learned, held_out, total_bytes, OPTIONS, progress=False, note=ignore)
    assert found.vae.codes == found.vae.encode(found.vae.normalizer.mean[None]).shape[1] == total_bytes
    own = CodecConfig(
        "linear",
        6,
        feature_groups=CONFIG.feature_groups,
        bottleneck=found.vae.config.bottleneck,
        total_bytes=total_bytes,
    )
    linear = train(own, learned, held_out, TrainingOptions(steps=0), progress=False)
    assert found.metrics["validation_nrmse"] <= linear.metrics["validation_nrmse"]


def tried(note: str) -> dict[str, float]:
    """Return the validation errors in a note, by what was tried."""
    return {name: float(error) for name, error in re.findall(r"(\w+ of [a-z ]+) ([\d.]+)", note)}


def test_the_best_candidate_is_taken_and_said(few_states):
    notes: list[str] = []
    found = train_for_bytes(
        CONFIG, few_states[:400], few_states[400:], 4, OPTIONS, progress=False, note=notes.append
    )
    (note,) = notes
    assert "4 bytes after 2 steps" in note
    errors = tried(note)
    assert len(errors) == 4
    best = min(errors, key=lambda name: errors[name])
    assert note.endswith(f"taking {best}")
    assert best.startswith(found.vae.config.bottleneck)


def test_codebooks_are_not_tried_with_many_bytes_a_feature(few_states):
    notes: list[str] = []
    found = train_for_bytes(
        CONFIG, few_states[:400], few_states[400:], 7, OPTIONS, progress=False, note=notes.append
    )
    assert found.vae.config.bottleneck == "scalar"
    assert list(tried(notes[0])) == ["scalar of features", "scalar of principal axes"]


def test_less_than_a_byte_a_group_is_refused(few_states):
    with pytest.raises(ConfigError, match="total_bytes is 1"):
        train_for_bytes(CONFIG, few_states, few_states, 1, OPTIONS, progress=False, note=ignore)


@pytest.mark.parametrize(
    "max_error", [{"state": 0.3}, {"a": 0.1}, {"a": 0.05, "b": 0.5}, {"state": 2.0}, {"state": 0.001}]
)
def test_the_error_asked_for_is_reached(few_states, max_error):
    notes: list[str] = []
    found = train_for_error(
        CONFIG, few_states[:400], few_states[400:], max_error, OPTIONS, progress=False, note=notes.append
    )
    for name, most in max_error.items():
        assert found.metrics["nrmse" if name == "state" else f"nrmse_{name}"] <= most
    assert "enough without training" in notes[0]
    # A byte less was trained, and was not enough.
    less = f"{found.vae.codes - 1} bytes: "
    assert found.vae.codes == 2 or any(note.startswith(less) and "too much" in note for note in notes)


def test_a_looser_error_takes_no_more_bytes(few_states):
    sizes = [
        train_for_error(
            CONFIG, few_states[:400], few_states[400:], {"state": most}, OPTIONS, progress=False, note=ignore
        ).vae.codes
        for most in (0.02, 0.2, 2.0)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1] == 2


@pytest.mark.parametrize(
    ("max_error", "named"),
    [
        ({"c": 0.1}, "'c', which is none of state, a, b"),
        ({}, "at least one group"),
        ({"a": 0.0}, "'a' must be above 0"),
        ({"a": -1.0}, "above 0"),
        ({"a": float("nan")}, "above 0"),
        ({"state": 1e-12}, "not reached with 24 bytes a state: nrmse "),
    ],
)
def test_an_error_that_cannot_be_asked_for_is_refused(few_states, max_error, named):
    with pytest.raises(ConfigError, match=named):
        train_for_error(CONFIG, few_states, few_states, max_error, OPTIONS, progress=False, note=ignore)
