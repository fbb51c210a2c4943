"""AI.MODELSET, deprecated: AI.MODELSTORE under its old name."""

from __future__ import annotations

import pytest
import redis

from tests.engine import models


def test_it_stores_as_modelstore_does(ai):
    blob = models.blob(models.Double())
    options = ["TAG", "v1", "BATCHSIZE", 4, "MINBATCHSIZE", 2]
    assert ai("MODELSET", "m", "TORCH", "CPU", *options, "BLOB", blob[:99], blob[99:]) == b"OK"
    old = ai("MODELGET", "m")
    ai("MODELSTORE", "m", "TORCH", "CPU", *options, "BLOB", blob)
    assert ai("MODELGET", "m") == old


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["TF", "CPU", "INPUTS", "a", "OUTPUTS", "b", "BLOB", b"x"], "unsupported backend"),
        (["TORCH", "TPU", "BLOB", b"x"], "Invalid DEVICE"),
        (["TORCH", "CPU", "BATCHSIZE", "x", "BLOB", b"x"], "Invalid argument for BATCHSIZE"),
        (["TORCH", "CPU", "TAG", "v1"], "Insufficient arguments, missing model BLOB"),
    ],
)
def test_bad_arguments(ai, redis_client, arguments, message):
    with pytest.raises(redis.ResponseError) as error:
        ai("MODELSET", "m", *arguments)
    assert str(error.value) == message
    assert redis_client.dbsize() == 0


def test_too_few_arguments(ai):
    with pytest.raises(redis.ResponseError, match="wrong number of arguments for 'ai.modelset' command"):
        ai("MODELSET", "m", "TORCH")
