"""What clients of RedisAI test for: which error comes first, and what is answered where little is asked."""

from __future__ import annotations

import pytest
import redis

from tests.engine import models, scripts


@pytest.fixture
def filled(ai):
    ai("TENSORSET", "x", "FLOAT", 1, "VALUES", 1)
    ai("MODELSTORE", "m", "TORCH", "cpu", "BLOB", models.blob(models.Double()))
    ai("SCRIPTSTORE", "s", "CPU", *scripts.arguments())
    return ai


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SCRIPTEXECUTE no f KEYS", "Missing arguments after KEYS keyword"),
        ("SCRIPTEXECUTE no f KEYS 0 ARGS", "Invalid arguments provided to AI.SCRIPTEXECUTE"),
        ("SCRIPTEXECUTE no f KEYS 0 INPUTS 2 x", "Invalid arguments provided to AI.SCRIPTEXECUTE"),
        ("DAGEXECUTE LOAD", "missing arguments after LOAD keyword in DAG command"),
        ("DAGEXECUTE LOAD 2 no", "missing arguments after LOAD keyword in DAG command"),
        ("DAGEXECUTE PERSIST", "missing arguments after PERSIST keyword in DAG command"),
        ("DAGEXECUTE PERSIST 3 a b", "missing arguments after PERSIST keyword in DAG command"),
        ("TENSORGET no META BLOB VALUES", "wrong number of arguments for 'AI.TENSORGET' command"),
        ("TENSORGET no META BLOB x", "wrong number of arguments for 'AI.TENSORGET' command"),
        (
            "MODELEXECUTE no INPUTS 2 x",
            "Number of keys given as INPUTS here does not match the number of given arguments",
        ),
        (
            "MODELEXECUTE no INPUTS 1 x OUTPUTS 2 y",
            "Number of keys given as OUTPUTS here does not match the number of given arguments",
        ),
    ],
)
def test_arguments_are_counted_before_anything_is_looked_up(ai, line, message):
    command, *words = line.split()
    with pytest.raises(redis.ResponseError) as error:
        ai(command, *words)
    assert str(error.value) == message


def test_a_string_may_end_in_one_nul(ai):
    ai("TENSORSET", "t", "STRING", 3, "VALUES", b"a\0", b"b", b"\0")
    assert ai("TENSORGET", "t", "VALUES") == [b"a", b"b", b""]
    with pytest.raises(redis.ResponseError, match="^C-string value contains null character$"):
        ai("TENSORSET", "t", "STRING", 1, "VALUES", b"a\0\0")


def test_a_function_that_a_script_lacks_fails_its_operation_alone(filled):
    call = "AI.SCRIPTEXECUTE s none INPUTS 1 x OUTPUTS 1 y"
    rest = "|> AI.TENSORGET y |> AI.TENSORGET x VALUES"
    answer = filled("DAGEXECUTE", *f"LOAD 1 x |> {call} {rest}".split())
    assert str(answer[0]) == "Function does not exist: none"
    assert answer[1:] == [b"NA", [b"1"]]
    with pytest.raises(redis.ResponseError, match="^Function none does not exist in the given script.$"):
        filled(*call.removeprefix("AI.").split())


def test_a_device_comes_back_as_it_was_written(filled, redis_client):
    assert filled("MODELGET", "m", "META")[3] == b"cpu"
    assert filled("INFO", "m")[7] == b"cpu"
    redis_client.restore("again", 0, redis_client.dump("m"))
    assert filled("MODELGET", "again", "META")[3] == b"cpu"


def test_the_text_of_torch_comes_first(ai):
    with pytest.raises(
        redis.ResponseError, match=r"^ ?undefined value y.*\(the script cannot be compiled\)$"
    ):
        ai("SCRIPTSTORE", "s", "CPU", "ENTRY_POINTS", 0, "SOURCE", "def f(x):\n    return y\n")
