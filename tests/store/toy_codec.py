"""A small codec with a known error, published by hand: what these tests need, without training one."""

from __future__ import annotations

import functools
import json
import pickle
import subprocess
from pathlib import Path

import numpy as np
import redis

from modules_store import keys
from tests import helpers

INPUT_DIM = 6
STEP = 1 / 16
"""The codec keeps multiples of 1/16 from -8 to 7.9375 exactly and others within half of that."""


def publish(
    client: redis.Redis,
    name: str = "toy",
    version: int = 1,
    *,
    input_dim: int = INPUT_DIM,
    step: float = STEP,
    half: bool = False,
    work: int = 0,
    together: int = 0,
) -> None:
    """Store encoder, decoder and the document; a second version is added to the first.

    Each unit of `work` makes the encoder take half a millisecond or more longer. On the worker queue both
    models wait a minute for rows to run `together`.
    """
    store_models(
        client, name, version, input_dim=input_dim, step=step, half=half, work=work, together=together
    )
    publish_document(client, name, version, input_dim=input_dim, half=half)


def store_models(
    client: redis.Redis,
    name: str,
    version: int,
    *,
    input_dim: int,
    step: float = STEP,
    half: bool = False,
    work: int = 0,
    together: int = 0,
) -> None:
    """Store encoder and decoder alone."""
    encoder, decoder, _ = torchscript(step, input_dim, _code_dtype(half), work)
    batching = ("BATCHSIZE", together, "MINBATCHSIZE", together, "MINBATCHTIMEOUT", 60_000)
    for key, blob in ((keys.encoder(name, version), encoder), (keys.decoder(name, version), decoder)):
        client.execute_command(
            "AI.MODELSTORE", key, "TORCH", "CPU", *(batching if together else ()), "BLOB", blob
        )


def store_latents(client: redis.Redis, name: str = "toy", version: int = 1) -> None:
    """Store the model of the latents: the first feature, and ten times the last one."""
    blob = torchscript(STEP, INPUT_DIM, _code_dtype(False), 0)[2]
    client.execute_command("AI.MODELSTORE", keys.latents(name, version), "TORCH", "CPU", "BLOB", blob)


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
        "code_dtype": _code_dtype(half),
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


def _code_dtype(half: bool) -> str:
    return "HALF" if half else "INT8"


@functools.cache
def torchscript(step: float, input_dim: int, code_dtype: str, work: int) -> tuple[bytes, bytes, bytes]:
    """Return encoder, decoder, latents, made by the Python that has torch: the one that runs us may not."""
    program = Path(__file__).with_name("toy_models.py")
    arguments = [str(step), str(input_dim), code_dtype, str(work)]
    output = subprocess.check_output([helpers.TORCH_PYTHON, "-W", "ignore", program, *arguments])
    return pickle.loads(output)
