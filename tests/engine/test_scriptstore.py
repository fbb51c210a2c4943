"""AI.SCRIPTSTORE, and sources that are no scripts."""

from __future__ import annotations

import pytest
import redis
import torch

from tests.engine import scripts

ENTRY = "def f(tensors: List[Tensor], keys: List[str], args: List[str]):\n    return tensors\n"
STORED = ["ENTRY_POINTS", 1, "f", "SOURCE", ENTRY]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["TPU", *STORED], "Invalid DEVICE"),
        (["CPU", "TAG"], "Insufficient arguments, missing script entry points"),
        (["CPU", "SOURCE", ENTRY], "Insufficient arguments, missing script entry points"),
        (["CPU", "ENTRY_POINTS"], "Insufficient arguments, missing script entry points"),
        (["CPU", "ENTRY_POINTS", 3, "f"], "Insufficient arguments, missing script entry points"),
        (
            ["CPU", "ENTRY_POINTS", "f", "SOURCE", ENTRY],
            "Non numeric entry points number provided to AI.SCRIPTSTORE command",
        ),
        (
            ["CPU", "ENTRY_POINTS", -1, "SOURCE", ENTRY],
            "Non numeric entry points number provided to AI.SCRIPTSTORE command",
        ),
        (["CPU", "ENTRY_POINTS", 1, "f"], "Insufficient arguments, missing script SOURCE"),
        (["CPU", "ENTRY_POINTS", 1, "f", "SOURCE"], "Insufficient arguments, missing script SOURCE"),
        (["CPU", "ENTRY_POINTS", 1, "f", "TEXT", ENTRY], "Insufficient arguments, missing script SOURCE"),
        (["CPU", *STORED, "more"], "Invalid argument: more"),
        (
            ["CPU", "ENTRY_POINTS", 1, "g", "SOURCE", ENTRY],
            "Function g does not exist in the given script.",
        ),
        (
            ["CPU", "ENTRY_POINTS", 1, "f", "SOURCE", "def f(x, y):\n    return x"],
            "Wrong number of inputs in function f. Expected 3 but was 2",
        ),
        (
            ["CPU", "ENTRY_POINTS", 1, "f", "SOURCE", "def f(a, b: List[str], c: List[str]):\n    return a"],
            "Wrong inputs type in function f. Expected signature similar to: "
            "def f(tensors: List[Tensor], keys: List[str], args: List[str])",
        ),
        (
            ["CPU", "ENTRY_POINTS", 1, "f", "SOURCE", ENTRY.replace("keys: List[str]", "keys: List[int]")],
            "Wrong inputs type in function f. Expected signature similar to: "
            "def f(tensors: List[Tensor], keys: List[str], args: List[str])",
        ),
    ],
)
def test_bad_arguments(ai, redis_client, arguments, message):
    with pytest.raises(redis.ResponseError) as error:
        ai("SCRIPTSTORE", "s", *arguments)
    assert str(error.value) == message
    assert redis_client.dbsize() == 0


def test_too_few_arguments(ai):
    with pytest.raises(redis.ResponseError, match="wrong number of arguments for 'ai.scriptstore' command"):
        ai("SCRIPTSTORE", "s")


@pytest.mark.parametrize(
    "source",
    [
        "not Python",
        "def f(",
        "def f(x):\n    return undefined(x)",
        "def f(x):\n    return redis.undefined(x)",
        "import os\ndef f(x):\n    return x",
        "def f(x):\n    return g(x)\ndef g(x):\n    return f(x)",
        b"\xff\xfe\x00",
    ],
    ids=["words", "cut", "unknown name", "unknown operator", "import", "recursion", "bytes"],
)
def test_what_does_not_compile_is_refused_in_one_line(ai, redis_client, source):
    with pytest.raises(redis.ResponseError) as error:
        ai("SCRIPTSTORE", "s", "CPU", "ENTRY_POINTS", 0, "SOURCE", source)
    assert "(the script cannot be compiled)" in str(error.value)
    assert "\n" not in str(error.value)
    assert redis_client.dbsize() == 0


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("return " + "(" * 100_000 + "x", "a statement"),
        ("return " + "not " * 100_000 + "x", "a statement"),
        ("return x" + " + x" * 100_000, "a statement"),
        ("return [\n" + "x +\n" * 100_000 + "x]", "a statement"),
        ("if x:\n        pass\n" + "    elif x:\n        pass\n" * 100_000, "branches"),
    ],
    ids=["brackets", "unary", "binary", "lines", "branches"],
)
def test_source_that_would_exhaust_the_compiler_is_refused(ai, redis_client, body, what):
    with pytest.raises(redis.ResponseError, match=what):
        ai("SCRIPTSTORE", "s", "CPU", "ENTRY_POINTS", 0, "SOURCE", f"def f(x):\n    {body}\n")
    assert redis_client.ping()


def test_long_texts_and_tables_are_no_statements(ai):
    text = "'''" + "((( if elif '\" # " * 1000 + "'''"
    body = f"    # {'((' * 5000}\n    text = {text}\n    table = [{'1.5, ' * 5000}2.0]\n"
    source = f"def f(x):\n{body}    return torch.tensor(table)\n"
    assert ai("SCRIPTSTORE", "s", "CPU", "ENTRY_POINTS", 0, "SOURCE", source) == b"OK"
    ai("TENSORSET", "x", "FLOAT", 1)
    ai("SCRIPTEXECUTE", "s", "f", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
    assert ai("TENSORGET", "y", "META")[-1] == [5001]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has what the test says is missing")
def test_a_gpu_that_is_not_there(ai, redis_client):
    with pytest.raises(redis.ResponseError, match="^Invalid DEVICE: GPU needs CUDA"):
        ai("SCRIPTSTORE", "s", "GPU", *STORED)
    assert redis_client.dbsize() == 0


def test_a_key_of_another_type_is_left_alone(ai, redis_client):
    redis_client.set("s", "text")
    with pytest.raises(redis.ResponseError, match="^WRONGTYPE "):
        ai("SCRIPTSTORE", "s", "CPU", *STORED)
    assert redis_client.get("s") == b"text"


def test_a_refused_script_leaves_the_old_one(ai):
    ai("SCRIPTSTORE", "s", "CPU", *STORED)
    with pytest.raises(redis.ResponseError):
        ai("SCRIPTSTORE", "s", "CPU", *scripts.arguments("def f(", []))
    assert ai("SCRIPTGET", "s", "SOURCE") == ENTRY.encode()


def test_in_lua_and_in_multi(ai, redis_client):
    call = "return redis.call('AI.SCRIPTSTORE', KEYS[1], 'CPU', 'ENTRY_POINTS', 1, 'f', 'SOURCE', ARGV[1])"
    assert redis_client.eval(call, 1, "lua", ENTRY) == b"OK"
    with redis_client.pipeline(transaction=True) as pipeline:
        pipeline.execute_command("AI.SCRIPTSTORE", "multi", "CPU", *STORED)
        assert pipeline.execute() == [b"OK"]
    assert sorted(ai("_SCRIPTSCAN")) == [[b"lua", b""], [b"multi", b""]]
