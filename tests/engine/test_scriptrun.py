"""AI.SCRIPTRUN, deprecated: AI.SCRIPTEXECUTE without counts, keys and arguments."""

from __future__ import annotations

import pytest
import redis

from tests.engine import scripts


@pytest.fixture
def run(ai):
    """`run(function, …)` is AI.SCRIPTRUN of scripts.PLAIN with tensors a = 5, b = 3, c = 1."""
    ai("SCRIPTSET", "s", "CPU", "SOURCE", scripts.PLAIN)
    for key, value in (("a", 5), ("b", 3), ("c", 1)):
        ai("TENSORSET", key, "FLOAT", 1, "VALUES", value)
    return lambda function, *arguments: ai("SCRIPTRUN", "s", function, *arguments)


@pytest.mark.parametrize(
    ("function", "inputs", "expected"),
    [
        ("subtract", ["a", "b"], b"2"),
        ("total", ["a", "$", "b", "c"], b"9"),
        ("total", ["a", "$"], b"5"),
        ("total", ["a", "b", "c"], b"9"),
        ("total", ["a"], b"5"),
        ("sum_of", ["$", "a", "b", "c"], b"9"),
    ],
)
def test_tensors_one_by_one_and_as_a_list(ai, run, function, inputs, expected):
    assert run(function, "INPUTS", *inputs, "OUTPUTS", "out") == b"OK"
    assert ai("TENSORGET", "out", "VALUES") == [expected]


def test_several_outputs(ai, run):
    assert run("both", "TIMEOUT", 10_000, "inputs", "a", "outputs", "x", "y") == b"OK"
    assert [ai("TENSORGET", key, "VALUES") for key in "xy"] == [[b"5"], [b"6"]]


def test_a_script_with_entry_points(ai, run, store_script):
    store_script("s")
    assert run("add", "INPUTS", "a", "b", "OUTPUTS", "out") == b"OK"
    assert ai("TENSORGET", "out", "VALUES") == [b"8"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["both"], "Insufficient arguments, INPUTS and OUTPUTS not specified"),
        (["both", "TIMEOUT", 5], "Insufficient arguments, INPUTS and OUTPUTS not specified"),
        (["both", "TIMEOUT", -1, "INPUTS", "a", "OUTPUTS", "x"], "Invalid value for TIMEOUT"),
        (["both", "a"], "INPUTS not specified"),
        (["both", "INPUTS", "a"], "OUTPUTS not specified"),
        (
            ["sum_of", "INPUTS", "$", "a", "$", "b", "OUTPUTS", "x"],
            "Already encountered a variable size list of tensors",
        ),
        (["nothing", "INPUTS", "a", "OUTPUTS", "x"], "Function nothing does not exist in the given script."),
        (["both", "INPUTS", "none", "OUTPUTS", "x"], "tensor key is empty or in a different shard"),
        (
            ["both", "INPUTS", "s", "OUTPUTS", "x"],
            "WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        (
            ["both", "INPUTS", "a", "OUTPUTS", "s"],
            "WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        (
            ["both", "INPUTS", "a", "OUTPUTS", "x"],
            "the script returned 2 tensors where 1 outputs were named",
        ),
    ],
)
def test_bad_arguments(run, redis_client, arguments, message):
    with pytest.raises(redis.ResponseError) as error:
        run(*arguments)
    assert str(error.value) == message
    assert redis_client.dbsize() == 4


def test_the_wrong_number_of_tensors_is_the_scripts_error(run):
    with pytest.raises(redis.ResponseError, match="^the script failed: "):
        run("subtract", "INPUTS", "a", "OUTPUTS", "x")


def test_no_such_script_and_too_few_arguments(ai, run):
    with pytest.raises(redis.ResponseError, match="^script key is empty$"):
        ai("SCRIPTRUN", "none", "both", "INPUTS", "a", "OUTPUTS", "x")
    with pytest.raises(redis.ResponseError, match="wrong number of arguments for 'ai.scriptrun' command"):
        ai("SCRIPTRUN", "s")


def test_in_lua_and_in_multi(ai, run, redis_client):
    line = ["AI.SCRIPTRUN", "s", "total", "INPUTS", "a", "$", "b", "OUTPUTS", "out"]
    assert redis_client.eval("return redis.call(unpack(ARGV))", 0, *line) == b"OK"
    with redis_client.pipeline(transaction=True) as pipeline:
        pipeline.execute_command(*line)
        pipeline.execute_command("AI.TENSORGET", "out", "VALUES")
        assert pipeline.execute() == [b"OK", [b"8"]]


SET_X = ["|>", "AI.TENSORSET", "x", "FLOAT", 1, "VALUES", 2]
GET_Y = ["|>", "AI.TENSORGET", "y", "VALUES"]


@pytest.mark.parametrize("command", ["DAGRUN", "DAGRUN_RO"])
def test_in_a_dag(ai, run, command):
    op = ["|>", "AI.SCRIPTRUN", "s", "total", "INPUTS", "x", "$", "x", "x", "OUTPUTS", "y"]
    assert ai(command, *SET_X, *op, *GET_Y) == [b"OK", b"OK", [b"6"]]


def test_in_a_read_only_dag_a_script_reads_and_does_not_write(ai, run, redis_client):
    redis_client.set("number", 7)
    read = ["|>", "AI.SCRIPTRUN", "s", "recall", "INPUTS", "x", "OUTPUTS", "y"]
    assert ai("DAGRUN_RO", *SET_X, *read, *GET_Y) == [b"OK", b"OK", [7]]
    write = ["|>", "AI.SCRIPTRUN", "s", "remember", "INPUTS", "x", "OUTPUTS", "y"]
    reply = ai("DAGRUN_RO", *SET_X, *write, *GET_Y)
    assert "Redis command returned an error: " in str(reply[1])
    assert not redis_client.exists("seen")
    assert ai("DAGRUN", *SET_X, *write, *GET_Y) == [b"OK", b"OK", [b"2"]]
    assert redis_client.get("seen") == b"yes"


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (["s"], "wrong number of arguments for 'AI.SCRIPTRUN' command"),
        (
            ["s", "both", "TIMEOUT", 5, "INPUTS", "x", "OUTPUTS", "y", "z"],
            "TIMEOUT is for the whole DAG, before the first |>, not for one operation",
        ),
        (["s", "both", "INPUTS", "q", "OUTPUTS", "y", "z"], "INPUT key cannot be found in DAG"),
        (["none", "both", "INPUTS", "x", "OUTPUTS", "y", "z"], "script key is empty"),
    ],
)
def test_bad_ops_of_a_dag(ai, run, op, message):
    with pytest.raises(redis.ResponseError) as error:
        ai("DAGRUN", *SET_X, "|>", "AI.SCRIPTRUN", *op)
    assert str(error.value) == message


def test_it_is_not_for_dagexecute(ai, run):
    message = "^Deprecated AI.SCRIPTRUN cannot be used in AI.DAGEXECUTE command$"
    with pytest.raises(redis.ResponseError, match=message):
        ai("DAGEXECUTE", "ROUTING", "t", *SET_X, "|>", "AI.SCRIPTRUN", "s", "both")
