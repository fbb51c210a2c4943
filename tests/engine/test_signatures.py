"""Types that scripts name, numbers that models take, and files that are no TorchScript."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Optional

import pytest
import redis
import torch

from modules_store import resources
from tests import helpers
from tests.engine import models, scripts


@pytest.mark.parametrize("name", ["long", "int", "short", "float", "double", "half"])
def test_a_script_knows_the_short_names_of_types(ai, name):
    source = f"def f(x):\n    return x.to(torch.{name})\n"
    ai("SCRIPTSTORE", "s", "CPU", *scripts.arguments(source, []))
    ai("TENSORSET", "x", "FLOAT", 1, "VALUES", 3)
    ai("SCRIPTEXECUTE", "s", "f", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
    types = {"long": "INT64", "int": "INT32", "short": "INT16", "half": "HALF"}
    assert ai("TENSORGET", "y", "META")[1] == types.get(name, name.upper()).encode()


class Numbers(torch.nn.Module):
    def forward(self, x, rate: int, factor: float, negate: bool, shift: Optional[int] = None):  # noqa: UP045
        y = x * factor + rate
        if shift is not None:
            y = y + shift
        return -y if negate else y


class TakesAList(torch.nn.Module):
    def forward(self, x, sizes: list[int]):
        return x.reshape(sizes)


def test_a_number_is_a_tensor_of_one_element(ai):
    ai("MODELSTORE", "m", "TORCH", "CPU", "BLOB", models.blob(Numbers()))
    ai("TENSORSET", "x", "FLOAT", 2, "VALUES", 1, 2)
    ai("TENSORSET", "rate", "INT64", 1, "VALUES", 10)
    ai("TENSORSET", "factor", "FLOAT", 1, 1, "VALUES", 0.5)
    ai("TENSORSET", "negate", "BOOL", 1, "VALUES", 1)
    ai("MODELEXECUTE", "m", "INPUTS", 4, "x", "rate", "factor", "negate", "OUTPUTS", 1, "y")
    assert ai("TENSORGET", "y", "VALUES") == [b"-10.5", b"-11"]
    ai("MODELEXECUTE", "m", "INPUTS", 5, "x", "rate", "factor", "negate", "rate", "OUTPUTS", 1, "y")
    assert ai("TENSORGET", "y", "VALUES") == [b"-20.5", b"-21"]
    with pytest.raises(redis.ResponseError, match="a number wants a tensor of one element, and this has 2"):
        ai("MODELEXECUTE", "m", "INPUTS", 4, "x", "x", "factor", "negate", "OUTPUTS", 1, "y")
    with pytest.raises(redis.ResponseError, match="an int wants a whole number"):
        ai("MODELEXECUTE", "m", "INPUTS", 4, "x", "factor", "factor", "negate", "OUTPUTS", 1, "y")


def test_a_parameter_that_no_tensor_gives_is_refused(ai, redis_client):
    with pytest.raises(redis.ResponseError, match=r"^the parameter sizes of forward is int\[\]"):
        ai("MODELSTORE", "m", "TORCH", "CPU", "BLOB", models.blob(TakesAList()))
    assert redis_client.dbsize() == 0


def _saved(value: object, **options: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("blob", "what"),
    [
        (_saved(models.Weights().state_dict()), "a file of torch.save"),
        (_saved(models.Weights().state_dict(), _use_new_zipfile_serialization=False), "a pickle"),
        (b"\x08\x0a\x12\x07pytorch\x1a\x052.1.0:\x10", "an ONNX file"),
    ],
    ids=["pth", "old pth", "onnx"],
)
def test_another_file_is_named_and_what_is_wanted(ai, blob, what):
    with pytest.raises(redis.ResponseError) as error:
        ai("MODELSTORE", "m", "TORCH", "CPU", "BLOB", blob)
    message = str(error.value)
    assert f"this is {what}" in message
    assert 'TorchScript is wanted: in Python, torch.jit.script(model).save("model.pt")' in message


OLD_SERVER = """
import ctypes, sys
import torch

GET_API = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p))
LOG = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p)
log = LOG(lambda ctx, level, text, word: print(text.decode() % word.decode()))

def get_api(name, target):
    if name == b"RedisModule_Log":
        target[0] = ctypes.cast(log, ctypes.c_void_p).value
        return 0
    return int(name == b"RedisModule_SetCommandInfo")  # of Redis 7.0

context = ctypes.pointer(GET_API(get_api))
print(ctypes.CDLL(sys.argv[1]).RedisModule_OnLoad(context, None, 0))
"""


def test_a_server_that_is_too_old_is_told_so():
    run = [sys.executable, "-c", OLD_SERVER, str(helpers.engine() or resources.engine())]
    lines = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert "this server is not supported: it has no RedisModule_SetCommandInfo" in lines[0]
    assert lines[1] == "1"  # refused
