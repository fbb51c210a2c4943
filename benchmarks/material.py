"""What every system stores: states, metadata, and the one codec of those that have one.

The codec is a feature-grouped VAE that makes 32 codes of 50 features. It is trained for a moment only, since
its shape decides what a call costs. A folder carries it to the client processes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model_export.config import CodecConfig, FeatureGroup
from model_export.export import ExportedCodec, export
from model_export.train import TrainingOptions, train
from model_export.vae import FeatureGroupedVAE

CODEC = "bench"
FEATURES = 50
STATES = 16_384
ACTIONS = ("left", "right", "stay")
LATENTS = 10
"""Of the states: so many numbers, mixed into the features."""
NOISE = 0.1
TRAINING_STEPS = 50

CONFIG = CodecConfig(
    CODEC,
    FEATURES,
    25,
    {
        "critical": FeatureGroup(0, 10, 0.5),
        "spatial": FeatureGroup(10, 20, 0.8),
        "social": FeatureGroup(20, 30, 0.8),
        "other": FeatureGroup(30, 50, 1.0),
    },
)


@dataclass(frozen=True)
class Material:
    """What clients store and recall, from the folder that `make` wrote."""

    folder: Path

    @functools.cached_property
    def states(self) -> NDArray[np.float32]:
        """float32[16384, 50]."""
        states: NDArray[np.float32] = np.load(self.folder / "states.npy")
        return states

    @functools.cached_property
    def metadata(self) -> list[dict[str, Any]]:
        """Three fields for each state."""
        rewards = np.random.default_rng(1).uniform(size=STATES).round(2)
        return [
            {"step": 10_000 + number, "reward": float(reward), "action": ACTIONS[number % len(ACTIONS)]}
            for number, reward in enumerate(rewards)
        ]

    @functools.cached_property
    def codec(self) -> ExportedCodec:
        """As it is published."""
        return ExportedCodec.load(self.folder)

    @functools.cached_property
    def vae(self) -> FeatureGroupedVAE:
        """The model that the codec was exported from, for who runs it in the client."""
        vae: FeatureGroupedVAE = torch.load(self.folder / "vae.pt", weights_only=False)
        return vae.eval()

    @functools.cached_property
    def codes(self) -> NDArray[np.int8]:
        """What the codec makes of the states, int8[16384, 32]."""
        encoder, _ = self.codec.modules()
        with torch.inference_mode():
            codes: NDArray[np.int8] = encoder(torch.from_numpy(self.states)).numpy()
        return codes


def make(folder: Path) -> Material:
    """Make states, train a codec on them and write both to an existing folder."""
    random = np.random.default_rng(0)
    mixed = random.normal(size=(STATES, LATENTS)) @ random.normal(size=(LATENTS, FEATURES))
    states = (mixed + NOISE * random.normal(size=mixed.shape)).astype(np.float32)
    trained = train(
        CONFIG, states[:4096], states[-512:], TrainingOptions(steps=TRAINING_STEPS), progress=False
    )
    export(trained.vae, CODEC).save(folder)
    torch.save(trained.vae.eval(), folder / "vae.pt")
    np.save(folder / "states.npy", states)
    return Material(folder)
