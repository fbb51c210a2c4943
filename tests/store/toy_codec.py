"""A small codec with a known error, published by hand: what these tests need, without training one."""

from __future__ import annotations

import functools
import io
import json

import numpy as np
import redis
import torch
from torch import Tensor, nn

from modules_store import keys

INPUT_DIM = 6
STEP = 1 / 16
"""The codec keeps multiples of 1/16 from -8 to 7.9375 exactly and others within half of that."""


class Encoder(nn.Module):
    """FLOAT[B, D] -> codes[B, D]."""

    def __init__(self, step: float, input_dim: int, half: bool) -> None:
        super().__init__()
        self.step, self.input_dim, self.half_codes = step, input_dim, half

    def forward(self, states: Tensor) -> Tensor:
        if states.size(1) != self.input_dim:
            raise RuntimeError("wrong number of features")
        if not bool(torch.isfinite(states).all()):
            raise RuntimeError("states are not finite")
        if self.half_codes:
            return states.to(torch.float16)
        return torch.clamp(torch.round(states / self.step), -128, 127).to(torch.int8)


class Decoder(nn.Module):
    """codes[B, D] -> FLOAT[B, D]."""

    def __init__(self, step: float, input_dim: int, half: bool) -> None:
        super().__init__()
        self.step, self.input_dim, self.half_codes = step, input_dim, half

    def forward(self, codes: Tensor) -> Tensor:
        if codes.size(1) != self.input_dim:
            raise RuntimeError("wrong number of codes")
        return codes.to(torch.float32) * (1.0 if self.half_codes else self.step)


def publish(
    client: redis.Redis,
    name: str = "toy",
    version: int = 1,
    *,
    input_dim: int = INPUT_DIM,
    step: float = STEP,
    half: bool = False,
) -> None:
    """Store both models and the document; a second version is added to the first."""
    store_models(client, name, version, input_dim=input_dim, step=step, half=half)
    publish_document(client, name, version, input_dim=input_dim, half=half)


def store_models(
    client: redis.Redis, name: str, version: int, *, input_dim: int, step: float = STEP, half: bool = False
) -> None:
    """Store both models alone."""
    for key, module in ((keys.encoder(name, version), Encoder), (keys.decoder(name, version), Decoder)):
        blob = _torchscript(module, step, input_dim, half)
        client.execute_command("AI.MODELSTORE", key, "TORCH", "CPU", "BLOB", blob)


def publish_document(
    client: redis.Redis,
    name: str = "toy",
    version: int = 1,
    *,
    input_dim: int = INPUT_DIM,
    half: bool = False,
) -> None:
    """Store the codec document alone."""
    text = client.execute_command("JSON.GET", keys.codec(name))
    document = json.loads(text) if text else {"name": name, "input_dim": input_dim, "versions": {}}
    document["latest"] = version
    document["versions"][str(version)] = {
        "version": version,
        "codes": input_dim,
        "code_dtype": "HALF" if half else "INT8",
        "encoder": keys.encoder(name, version),
        "decoder": keys.decoder(name, version),
        "feature_groups": {
            "near": {"start": 0, "end": 2, "compression": 0.5, "codes": 2},
            "far": {"start": 2, "end": input_dim, "compression": 0.5, "codes": input_dim - 2},
        },
    }
    client.execute_command("JSON.SET", keys.codec(name), "$", json.dumps(document))


def states(count: int, seed: int = 0, input_dim: int = INPUT_DIM) -> np.ndarray:
    """Random states that the codec brings back exactly: float32[count, input_dim]."""
    return np.random.default_rng(seed).integers(-128, 128, (count, input_dim)).astype(np.float32) * STEP


@functools.cache
def _torchscript(module: type[nn.Module], step: float, input_dim: int, half: bool) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module(step, input_dim, half)), buffer)
    return buffer.getvalue()
