"""AI.MODELSTORE: its arguments, and blobs that are no models."""

from __future__ import annotations

import io

import pytest
import redis
import torch

from tests.engine import models


def test_a_blob_may_come_in_chunks(ai):
    blob = models.blob(models.Double())
    chunks = [blob[:100], blob[100:101], blob[101:]]
    assert ai("MODELSTORE", "m", "torch", "cpu", "BLOB", *chunks) == b"OK"
    assert ai("MODELGET", "m", "BLOB") == blob


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ONNX", "CPU", "BLOB", b"x"], "unsupported backend"),
        (["TORCH", "TPU", "BLOB", b"x"], "Invalid DEVICE"),
        (["TORCH", "CPU:x", "BLOB", b"x"], "Invalid DEVICE"),
        (["TORCH", "CPU:-1", "BLOB", b"x"], "Invalid DEVICE"),
        (["TORCH", "CPU", "BATCHSIZE", "x", "BLOB", b"x"], "Invalid argument for BATCHSIZE"),
        (["TORCH", "CPU", "BATCHSIZE", 0, "BLOB", b"x"], "Invalid argument for BATCHSIZE"),
        (["TORCH", "CPU", "MINBATCHSIZE", 2, "BLOB", b"x"], "MINBATCHSIZE specified without BATCHSIZE"),
        (
            ["TORCH", "CPU", "BATCHSIZE", 2, "MINBATCHSIZE", "x", "BLOB", b"x"],
            "Invalid argument for MINBATCHSIZE",
        ),
        (
            ["TORCH", "CPU", "BATCHSIZE", 2, "MINBATCHTIMEOUT", 5, "BLOB", b"x"],
            "MINBATCHTIMEOUT specified without MINBATCHSIZE",
        ),
        (
            ["TORCH", "CPU", "BATCHSIZE", 2, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", -1, "BLOB", b"x"],
            "Invalid argument for MINBATCHTIMEOUT",
        ),
        (
            ["TORCH", "CPU", "INPUTS", 1, "x", "BLOB", b"x"],
            "INPUTS argument should not be specified for this backend",
        ),
        (
            ["TORCH", "CPU", "OUTPUTS", 1, "x", "BLOB", b"x"],
            "OUTPUTS argument should not be specified for this backend",
        ),
        (["TORCH", "CPU"], "Insufficient arguments, missing model BLOB"),
        (["TORCH", "CPU", "BLOB"], "Insufficient arguments, missing model BLOB"),
        (["TORCH", "CPU", "TAG"], "Insufficient arguments, missing model BLOB"),
        (["TORCH", "CPU", "FILE", b"x"], "Invalid argument, expected BLOB"),
    ],
)
def test_bad_arguments(ai, redis_client, arguments, message):
    with pytest.raises(redis.ResponseError) as error:
        ai("MODELSTORE", "m", *arguments)
    assert str(error.value) == message
    assert redis_client.dbsize() == 0


def _state_dict() -> bytes:
    buffer = io.BytesIO()
    torch.save({"weights": torch.ones(3)}, buffer)
    return buffer.getvalue()


class _WithoutForward(torch.nn.Module):
    @torch.jit.export
    def encode(self, x):
        return x


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"not a model",
        bytes(100_000),
        models.blob(models.Weights())[:1000],
        models.blob(models.Weights())[:-30],
        b"PK\x05\x06" + bytes(18),
        _state_dict(),
        models.blob(_WithoutForward()),
    ],
    ids=["empty", "text", "zeros", "cut", "tail cut", "empty archive", "state dict", "no forward"],
)
def test_what_is_no_model_is_refused_in_one_line(ai, redis_client, blob):
    with pytest.raises(redis.ResponseError) as error:
        ai("MODELSTORE", "m", "TORCH", "CPU", "BLOB", blob)
    assert "the model cannot be loaded" in str(error.value)
    assert "\n" not in str(error.value)
    assert redis_client.dbsize() == 0
    assert redis_client.ping()


def test_a_damaged_byte_anywhere_never_takes_the_server_down(ai, redis_client):
    blob = models.blob(models.AddAndMultiply())
    for position in range(0, len(blob), max(1, len(blob) // 150)):
        damaged = bytearray(blob)
        damaged[position] ^= 0xFF
        try:
            ai("MODELSTORE", "m", "TORCH", "CPU", "BLOB", bytes(damaged))
        except redis.ResponseError as error:
            assert "\n" not in str(error)
    assert redis_client.ping()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has what the test says is missing")
def test_a_gpu_that_is_not_there(ai, redis_client):
    with pytest.raises(redis.ResponseError, match="^Invalid DEVICE: GPU:1 needs CUDA"):
        ai("MODELSTORE", "m", "TORCH", "GPU:1", "BLOB", models.blob(models.Double()))
    assert redis_client.dbsize() == 0


def test_a_key_of_another_type_is_left_alone(ai, redis_client):
    redis_client.set("m", "text")
    with pytest.raises(redis.ResponseError, match="^WRONGTYPE "):
        ai("MODELSTORE", "m", "TORCH", "CPU", "BLOB", models.blob(models.Double()))
    assert redis_client.get("m") == b"text"


def test_a_refused_model_leaves_the_old_one(ai, store):
    store("m", models.Double())
    with pytest.raises(redis.ResponseError):
        ai("MODELSTORE", "m", "TORCH", "CPU", "BLOB", b"not a model")
    assert ai("MODELGET", "m", "BLOB") == models.blob(models.Double())


def test_a_model_saved_in_training_mode_runs_in_evaluation_mode(ai, store):
    store("m", models.Dropout().train())
    ai("TENSORSET", "x", "FLOAT", 100, "VALUES", *[1] * 100)
    ai("MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
    assert ai("TENSORGET", "y", "BLOB") == ai("TENSORGET", "x", "BLOB")


def test_equal_blobs_share_one_loaded_module(store, redis_client):
    def resident_kib() -> int:
        return redis_client.info("memory")["used_memory_rss"] // 1024

    module = models.Weights(2000)  # 16 MB of parameters
    store("m0", module)
    before = resident_kib()
    for i in range(1, 6):
        store(f"m{i}", module)
    grown_mib = (resident_kib() - before) / 1024
    # Five more, each loaded by itself, would hold 80 MB of archives and 80 MB of parameters.
    assert grown_mib < 80
    store("other", models.Weights(2001))
    assert redis_client.memory_usage("m1") > 16_000_000
