"""The state of a training in a file: kept whole or not at all, and taken up only by the same training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model_export.errors import ConfigError
from modules_store import files


class Checkpoint:
    """One training's file.

    Args:
        path: where; its folder is made if needed.
        fingerprint: of the training, as `fingerprint` gives it.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path = path
        self._fingerprint = fingerprint

    def save(self, kept: dict[str, Any]) -> None:
        """Replace the file by `kept` and the random generators as they are now."""
        random: dict[str, Any] = {"cpu": torch.get_rng_state()}
        if torch.cuda.is_available():
            random["cuda"] = torch.cuda.get_rng_state_all()
        files.make_folder(self._path.parent)
        with files.writing(self._path) as file:
            torch.save({"fingerprint": self._fingerprint, "random": random, "kept": kept}, file)

    def load(self, device: str) -> dict[str, Any] | None:
        """Return what was kept, None where there is no file, and set the random generators back.

        Raises:
            ConfigError: the file is of another training, no checkpoint, or no file.
        """
        if not self._path.exists():
            return None
        if not self._path.is_file():
            raise ConfigError(f"checkpoint {self._path} must be a file, which can be read again")
        try:
            found = torch.load(self._path, map_location=device, weights_only=True)
            matches = found["fingerprint"] == self._fingerprint
        except Exception as error:  # torch raises what unpickling and zip files do
            raise ConfigError(f"checkpoint {self._path} cannot be read: {error}") from error
        if not matches:
            raise ConfigError(
                f"checkpoint {self._path} is of another training: configuration, options or states differ"
            )
        torch.set_rng_state(found["random"]["cpu"].cpu())
        if "cuda" in found["random"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all([state.cpu() for state in found["random"]["cuda"]])
        kept: dict[str, Any] = found["kept"]
        return kept


def fingerprint(settings: Sequence[Any], states: Tensor) -> str:
    """Return a hash of JSON types and of FLOAT[N, D]."""
    digest = hashlib.sha256(json.dumps([*settings, list(states.shape)], sort_keys=True).encode())
    digest.update(states.numpy().tobytes())
    return digest.hexdigest()
