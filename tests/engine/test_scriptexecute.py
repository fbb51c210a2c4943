"""AI.SCRIPTEXECUTE, alone and in a DAG, and what AI.INFO counts of it."""

from __future__ import annotations

import threading

import pytest
import redis

from tests.engine import models


@pytest.fixture
def run(ai, store_script):
    """`run(function, …)` calls a function of scripts.SOURCE; `a` and `b` are tensors."""
    store_script("s")
    ai("TENSORSET", "a", "FLOAT", 2, "VALUES", 1, 2)
    ai("TENSORSET", "b", "FLOAT", 2, "VALUES", 3, 5)
    return lambda function, *arguments: ai("SCRIPTEXECUTE", "s", function, *arguments)


def test_a_tensor_returned_is_one_output(ai, run):
    assert run("add", "INPUTS", 2, "a", "b", "OUTPUTS", 1, "y") == b"OK"
    assert ai("TENSORGET", "y", "VALUES") == [b"4", b"7"]


def test_a_list_returned_is_several_outputs(ai, run):
    assert run("add_and_multiply", "INPUTS", 2, "a", "b", "OUTPUTS", 2, "sum", "product") == b"OK"
    assert ai("TENSORGET", "sum", "VALUES") == [b"4", b"7"]
    assert ai("TENSORGET", "product", "VALUES") == [b"3", b"10"]


def test_arguments_and_keys_reach_the_function(ai, run):
    run("scale", "INPUTS", 1, "a", "ARGS", 1, 2.5, "OUTPUTS", 1, "y")
    assert ai("TENSORGET", "y", "VALUES") == [b"2.5", b"5"]
    run("count_names", "KEYS", 2, "k", "l", "INPUTS", 1, "a", "ARGS", 3, 1, 2, 3, "OUTPUTS", 1, "y")
    assert ai("TENSORGET", "y", "VALUES") == [1, 2, 3]
    run("count_names", "KEYS", 0, "OUTPUTS", 1, "y")
    assert ai("TENSORGET", "y", "VALUES") == [0, 0, 0]


def test_a_script_that_writes_its_input_changes_no_key(ai, run):
    run("write_input", "INPUTS", 1, "a", "OUTPUTS", 1, "y")
    assert ai("TENSORGET", "a", "VALUES") == [b"1", b"2"]
    assert ai("TENSORGET", "y", "VALUES") == [b"2", b"3"]


def test_dtypes_can_be_named(ai, run):
    run("to_half", "INPUTS", 1, "a", "OUTPUTS", 1, "y")
    assert ai("TENSORGET", "y", "META")[1] == b"HALF"


def test_without_outputs_the_result_is_dropped(run, redis_client):
    assert run("add", "INPUTS", 2, "a", "b") == b"OK"
    assert run("nothing", "INPUTS", 1, "a") == b"OK"
    assert redis_client.dbsize() == 3


def test_functions_that_are_no_entry_points_take_their_inputs_one_by_one(ai, run):
    run("helper", "INPUTS", 2, "b", "a", "OUTPUTS", 1, "y")
    assert ai("TENSORGET", "y", "VALUES") == [b"2", b"3"]
    run("total", "INPUTS", 3, "a", "b", "b", "OUTPUTS", 1, "y")
    assert ai("TENSORGET", "y", "VALUES") == [b"7", b"12"]
    with pytest.raises(redis.ResponseError, match="^the script failed: "):
        run("helper", "INPUTS", 1, "a", "OUTPUTS", 1, "y")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["s", "add"], "KEYS or INPUTS scope must be provided first for AI.SCRIPTEXECUTE command"),
        (
            ["s", "add", "ARGS", 1, "x", "INPUTS", 1, "a"],
            "KEYS or INPUTS scope must be provided first for AI.SCRIPTEXECUTE command",
        ),
        (["s", "add", "KEYS"], "Missing arguments after KEYS keyword"),
        (["s", "add", "KEYS", "x"], "Invalid or negative value found in number of KEYS"),
        (["s", "add", "KEYS", -1], "Invalid or negative value found in number of KEYS"),
        (
            ["s", "add", "KEYS", 2, "x"],
            "Number of pre declared KEYS to be used in the command does not match the number of given "
            "arguments",
        ),
        (["s", "add", "INPUTS", "a"], "Invalid argument for inputs count in AI.SCRIPTEXECUTE"),
        (["s", "add", "INPUTS", 2, "a"], "Invalid arguments provided to AI.SCRIPTEXECUTE"),
        (["s", "add", "INPUTS", 1, "a", "OUTPUTS", 2, "y"], "Invalid arguments provided to AI.SCRIPTEXECUTE"),
        (["s", "add", "INPUTS", 1, "a", "ARGS", 2, "x"], "Invalid arguments provided to AI.SCRIPTEXECUTE"),
        (
            ["s", "add", "INPUTS", 1, "a", "TIMEOUT"],
            "No value provided for TIMEOUT in AI.SCRIPTEXECUTE",
        ),
        (["s", "add", "INPUTS", 1, "a", "TIMEOUT", 0], "Invalid value for TIMEOUT"),
        (
            ["s", "add", "INPUTS", 1, "a", "SOON"],
            "Invalid AI.SCRIPTEXECUTE command. Unexpected argument: SOON",
        ),
        (
            ["s", "add", "INPUTS", 1, "a", "INPUTS", 1, "b"],
            "Invalid AI.SCRIPTEXECUTE command. Unexpected argument: INPUTS",
        ),
        (["nothing", "add", "INPUTS", 1, "a"], "script key is empty"),
        (["s", "absent", "INPUTS", 1, "a"], "Function absent does not exist in the given script."),
        (["s", "", "INPUTS", 1, "a"], "Function  does not exist in the given script."),
        (["s", "a..b", "INPUTS", 1, "a"], "Function a..b does not exist in the given script."),
        (["s", "add", "INPUTS", 1, "nothing"], "tensor key is empty or in a different shard"),
        (["a", "add", "INPUTS", 1, "a"], "WRONGTYPE Operation against a key holding the wrong kind of value"),
    ],
)
def test_bad_arguments(ai, run, redis_client, arguments, message):
    with pytest.raises(redis.ResponseError) as error:
        ai("SCRIPTEXECUTE", *arguments)
    assert str(error.value) == message
    assert redis_client.dbsize() == 3
    assert ai("INFO", "s")[15] == 0  # calls


def test_a_wrong_typed_output_key_runs_nothing(ai, run, redis_client):
    redis_client.set("text", "text")
    with pytest.raises(redis.ResponseError, match="^WRONGTYPE "):
        run("add_and_multiply", "INPUTS", 2, "a", "b", "OUTPUTS", 2, "sum", "text")
    assert not redis_client.exists("sum")
    assert ai("INFO", "s")[15] == 0


def test_a_failing_script_is_one_line(ai, run, redis_client):
    with pytest.raises(redis.ResponseError) as error:
        run("fail", "INPUTS", 1, "a", "OUTPUTS", 1, "y")
    assert str(error.value).startswith("the script failed: ")
    assert "it is meant to fail" in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(redis.ResponseError, match="the script returned 1 tensors where 2 outputs were named"):
        run("add", "INPUTS", 2, "a", "b", "OUTPUTS", 2, "y", "z")
    assert not redis_client.exists("y")
    assert ai("INFO", "s")[-1] == 2  # errors


def test_info_counts_and_resets(ai, run):
    run("add", "INPUTS", 2, "a", "b", "OUTPUTS", 1, "y")
    info = ai("INFO", "s")
    assert info[1:10:2] == [b"s", b"SCRIPT", b"TORCH", b"CPU", b""]
    assert info[13::2] == [-1, 1, 0]
    assert ai("INFO", "s", "RESETSTAT") == b"OK"
    assert ai("INFO", "s")[11::2] == [0, -1, 0, 0]


def test_a_request_that_waits_too_long_is_timed_out(run, redis_client, wait_until):
    slow = ["slow", "INPUTS", 1, "a", "ARGS", 1, 400, "OUTPUTS", 1, "y"]
    thread = threading.Thread(target=run, args=slow)
    thread.start()
    wait_until(lambda: redis_client.info("clients")["blocked_clients"] == 1)
    assert run("add", "INPUTS", 2, "a", "b", "OUTPUTS", 1, "late", "TIMEOUT", 1) == b"TIMEDOUT"
    thread.join()
    assert not redis_client.exists("late")
    assert redis_client.exists("y")


def test_in_lua_and_in_multi(ai, run, redis_client):
    call = "return redis.call('AI.SCRIPTEXECUTE', KEYS[1], 'add', 'INPUTS', 2, KEYS[2], KEYS[2], 'OUTPUTS',"
    assert redis_client.eval(f"{call} 1, KEYS[3])", 3, "s", "a", "lua") == b"OK"
    with redis_client.pipeline(transaction=True) as pipeline:
        pipeline.execute_command("AI.SCRIPTEXECUTE", "s", "add", "INPUTS", 2, "a", "lua", "OUTPUTS", 1, "y")
        pipeline.execute_command("AI.TENSORGET", "y", "VALUES")
        assert pipeline.execute() == [b"OK", [b"3", b"6"]]


SET_X = ["|>", "AI.TENSORSET", "x", "FLOAT", 1, "VALUES", 3]
ADD = ["|>", "AI.SCRIPTEXECUTE", "s", "add", "INPUTS", 2, "x", "x", "OUTPUTS", 1, "y"]
GET_Y = ["|>", "AI.TENSORGET", "y", "VALUES"]


def test_in_a_dag(ai, run, store):
    store("m", models.Double())
    double = ["|>", "AI.MODELEXECUTE", "m", "INPUTS", 1, "y", "OUTPUTS", 1, "y"]
    reply = ai("DAGEXECUTE", "PERSIST", 1, "y", *SET_X, *ADD, *double, *ADD[:-1], "z", *GET_Y)
    assert reply == [b"OK"] * 4 + [[b"12"]]
    assert ai("TENSORGET", "y", "VALUES") == [b"12"]


def test_a_failing_script_in_a_dag(ai, run, redis_client):
    fail = ["|>", "AI.SCRIPTEXECUTE", "s", "fail", "INPUTS", 1, "x", "OUTPUTS", 1, "y"]
    reply = ai("DAGEXECUTE", "PERSIST", 1, "x", *SET_X, *fail, *GET_Y)
    assert reply[0] == b"OK"
    assert "it is meant to fail" in str(reply[1])
    assert reply[2] == b"NA"
    assert not redis_client.exists("x")


@pytest.mark.parametrize(
    ("command", "op", "message"),
    [
        ("DAGEXECUTE_RO", ADD, "AI.SCRIPTEXECUTE command cannot be specified in a read-only DAG"),
        ("DAGEXECUTE", ["|>", "AI.SCRIPTEXECUTE", "none", *ADD[3:]], "script key is empty"),
        (
            "DAGEXECUTE",
            [*ADD, "TIMEOUT", 5],
            "TIMEOUT is for the whole DAG, before the first |>, not for one operation",
        ),
        (
            "DAGEXECUTE",
            ["|>", "AI.SCRIPTEXECUTE", "s"],
            "wrong number of arguments for 'AI.SCRIPTEXECUTE' command",
        ),
        (
            "DAGEXECUTE",
            ["|>", "AI.SCRIPTEXECUTE", "s", "add", "INPUTS", 1, "unknown"],
            "INPUT key cannot be found in DAG",
        ),
        (
            "DAGEXECUTE",
            ["|>", "AI.SCRIPTRUN", "s", "add"],
            "Deprecated AI.SCRIPTRUN cannot be used in AI.DAGEXECUTE command",
        ),
    ],
)
def test_bad_ops_of_a_dag(ai, run, command, op, message):
    with pytest.raises(redis.ResponseError) as error:
        ai(command, "ROUTING", "x", *SET_X, *op)
    assert str(error.value) == message


def test_a_dag_does_not_lend_a_user_scripts_that_its_acl_withholds(server, run, redis_client):
    redis_client.acl_setuser("limited", enabled=True, nopass=True, commands=["+ai.dagexecute"], keys=["x"])
    try:
        user = redis.Redis.from_url(server.url, username="limited", password="any")
        with user, pytest.raises(redis.exceptions.NoPermissionError):
            user.execute_command("AI.DAGEXECUTE", "ROUTING", "x", *SET_X, *ADD)
    finally:
        redis_client.acl_deluser("limited")
