"""One small codec, trained once for all tests of this part."""

from __future__ import annotations

import numpy as np
import pytest

from model_export.config import CodecConfig
from model_export.export import ExportedCodec, export
from model_export.train import TrainedCodec, TrainingOptions, train
from tests.export.states import CONSTANT, correlated_states

CONFIG = CodecConfig("small", 12, 8, {"moving": (0, 4, 0.5), "fixed": (4, 12, 1.0)})


@pytest.fixture(scope="session")
def states() -> np.ndarray:
    """float32[5000, 12] with 5 degrees of freedom; feature 7 is constant."""
    made = correlated_states(5000, features=12, factors=5)
    made[:, 7] = CONSTANT
    return made


@pytest.fixture(scope="session")
def held_out(states: np.ndarray) -> np.ndarray:
    """The states that `trained` never saw, float32[1000, 12]."""
    return states[4000:]


@pytest.fixture(scope="session")
def trained(states: np.ndarray, held_out: np.ndarray) -> TrainedCodec:
    """A codec trained for a few seconds."""
    return train(CONFIG, states[:4000], held_out, TrainingOptions(steps=400), progress=False)


@pytest.fixture(scope="session")
def exported(trained: TrainedCodec) -> ExportedCodec:
    """Its export."""
    return export(trained, "small")
