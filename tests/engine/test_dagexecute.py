"""AI.DAGEXECUTE and AI.DAGEXECUTE_RO."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tests.engine import models, scripts

ROUTING = ["ROUTING", "{tag}"]
SET_X = ["|>", "AI.TENSORSET", "x", "FLOAT", 2, "VALUES", 1, 2]
GET_X = ["|>", "AI.TENSORGET", "x", "VALUES"]


def run(model, source, target):
    return ["|>", "AI.MODELEXECUTE", model, "INPUTS", 1, source, "OUTPUTS", 1, target]


@pytest.fixture(params=["DAGEXECUTE", "DAGEXECUTE_RO"])
def dag(request, ai):
    return lambda *arguments: ai(request.param, *arguments)


def test_each_op_answers(dag, store, redis_client):
    store("m", models.Double())
    reply = dag(*ROUTING, *SET_X, *run("m", "x", "y"), "|>", "AI.TENSORGET", "y", "META", "VALUES")
    assert reply == [b"OK", b"OK", [b"dtype", b"FLOAT", b"shape", [2], b"values", [b"2", b"4"]]]
    assert redis_client.keys() == [b"m"]  # names inside are local


def test_a_name_assigned_again_is_a_new_version(dag, store):
    store("m", models.Double())
    reply = dag(*ROUTING, *SET_X, *run("m", "x", "x"), *GET_X, *run("m", "x", "x"), *GET_X)
    assert reply == [b"OK", b"OK", [b"2", b"4"], b"OK", [b"4", b"8"]]


def test_load_takes_keys_in(dag, ai, store):
    store("m", models.AddAndMultiply())
    ai("TENSORSET", "a", "FLOAT", 1, "VALUES", 3)
    ai("TENSORSET", "b", "FLOAT", 1, "VALUES", 4)
    both = ["|>", "AI.MODELEXECUTE", "m", "INPUTS", 2, "a", "b", "OUTPUTS", 2, "sum", "product"]
    assert dag("LOAD", 2, "a", "b", *both, "|>", "AI.TENSORGET", "product", "VALUES") == [b"OK", [b"12"]]


@pytest.fixture
def two_devices(ai):
    """`s0` and `s1` are scripts.REDIS, each on a device of its own."""
    for number in (0, 1):
        ai("SCRIPTSTORE", f"s{number}", f"CPU:{number}", *scripts.REDIS_ARGUMENTS)


def call(script, function, source, target, *arguments):
    lists = ["KEYS", 1, "key", "INPUTS", 1, source, "ARGS", len(arguments), *arguments]
    return ["|>", "AI.SCRIPTEXECUTE", script, function, *lists, "OUTPUTS", 1, target]


def test_branches_on_several_devices_run_at_the_same_time(ai, two_devices):
    # The first ends only when the second has run; its own branch goes on after it.
    reply = ai(
        *("DAGEXECUTE", *ROUTING, *SET_X, *call("s0", "wait_for", "x", "y")),
        *call("s1", "set_and_get", "x", "z", 7),
        *call("s0", "wait_for", "y", "y"),
        *("|>", "AI.TENSORGET", "y", "VALUES", "|>", "AI.TENSORGET", "z", "VALUES"),
    )
    assert reply == [*[b"OK"] * 4, [b"1", b"2"], [7]]


def test_a_branch_waits_for_what_another_device_makes(ai, two_devices):
    # In the order of the devices alone the second would find nothing to add one to.
    ai("SCRIPTSTORE", "work", "CPU:0", *scripts.arguments())
    ai("TENSORSET", "rounds", "FLOAT", 1, "VALUES", 1)
    slow = ["|>", "AI.SCRIPTEXECUTE", "work", "slow", "INPUTS", 1, "rounds", "ARGS", 1, 50, "OUTPUTS", 1, "a"]
    reply = ai(
        *("DAGEXECUTE", "LOAD", 1, "rounds", *slow, *call("s1", "wait_for", "a", "b")),
        *("|>", "AI.SCRIPTEXECUTE", "s0", "set_and_get", "KEYS", 1, "key", "ARGS", 1, 1, "OUTPUTS", 1, "c"),
        *("|>", "AI.TENSORGET", "b", "VALUES"),
    )
    assert reply == [b"OK", b"OK", b"OK", [b"1"]]


def test_a_failure_on_one_device_stops_only_what_needs_it(ai, two_devices):
    reply = ai(
        *("DAGEXECUTE", *ROUTING, *SET_X, *call("s0", "call", "x", "a", "NOSUCH")),
        *call("s1", "wait_for", "a", "b"),
        *call("s1", "set_and_get", "x", "c", 5),
        *call("s0", "wait_for", "b", "d"),
        *("|>", "AI.TENSORGET", "c", "VALUES", "|>", "AI.TENSORGET", "d", "VALUES"),
    )
    assert "unknown command" in str(reply[1])
    assert reply[2:] == [b"NA", b"OK", b"NA", [5], b"NA"]


def test_a_dag_timed_out_on_one_device_ends_when_it_runs_on_no_other(
    ai, two_devices, redis_client, wait_until
):
    def is_waiting(count):
        return lambda: redis_client.info("ai_queues").get("ai_queue_CPU_0_waiting") == count

    with ThreadPoolExecutor() as pool:
        ai("TENSORSET", "x", "FLOAT", 1)
        busy = pool.submit(ai, "SCRIPTEXECUTE", "s0", "wait_for", "KEYS", 1, "busy", "INPUTS", 1, "x")
        wait_until(lambda: redis_client.info("clients")["blocked_clients"] == 1)
        both = [*call("s0", "set_and_get", "x", "y", 1), *call("s1", "wait_for", "x", "z")]
        late = pool.submit(ai, "DAGEXECUTE", *ROUTING, "TIMEOUT", 300, *SET_X, *both)
        wait_until(is_waiting(1))
        wait_until(is_waiting(0))
        assert not late.done()
        redis_client.set("key", 1)
        assert late.result() == b"TIMEDOUT"
        redis_client.set("busy", 1)
        assert busy.result() == b"OK"


def test_persist_keeps_the_last_version(ai, store):
    store("m", models.Double())
    reply = ai("DAGEXECUTE", "PERSIST", 2, "x", "y", *SET_X, *run("m", "x", "y"), *run("m", "y", "x"))
    assert reply == [b"OK"] * 3
    assert ai("TENSORGET", "x", "VALUES") == [b"4", b"8"]
    assert ai("TENSORGET", "y", "VALUES") == [b"2", b"4"]


def test_a_loaded_tensor_may_be_persisted_as_it_is(ai):
    ai("TENSORSET", "x", "FLOAT", 1, "VALUES", 5)
    ai("DAGEXECUTE", "LOAD", 1, "x", "PERSIST", 1, "x", *GET_X)
    assert ai("TENSORGET", "x", "VALUES") == [b"5"]


def test_strings_are_loaded_persisted_and_refused_by_models(ai, store):
    store("m", models.Double())
    ai("TENSORSET", "s", "STRING", 1, "VALUES", "kept")
    set_t = ["|>", "AI.TENSORSET", "t", "STRING", 2, "VALUES", "a", "b"]
    get_s = ["|>", "AI.TENSORGET", "s", "VALUES"]
    assert ai("DAGEXECUTE", "LOAD", 1, "s", "PERSIST", 1, "t", *set_t, *get_s) == [b"OK", [b"kept"]]
    assert ai("TENSORGET", "t", "VALUES") == [b"a", b"b"]
    failed = ai("DAGEXECUTE", "LOAD", 1, "s", *run("m", "s", "y"))[0]
    assert "STRING tensors are not for models" in str(failed)


def test_what_depends_on_a_failure_is_not_available_and_nothing_is_persisted(ai, store, redis_client):
    store("bad", models.RefusesNan())
    store("m", models.Double())
    reply = ai(
        "DAGEXECUTE",
        *("PERSIST", 2, "x", "z"),
        *("|>", "AI.TENSORSET", "x", "FLOAT", 1, "VALUES", "nan"),
        *run("bad", "x", "y"),
        *run("m", "y", "z"),
        *("|>", "AI.TENSORGET", "z", "VALUES"),
        *GET_X,
        *run("m", "x", "other"),
    )
    assert reply[0] == b"OK"
    assert isinstance(reply[1], redis.ResponseError)
    assert "the input is not finite" in str(reply[1])
    assert reply[2:] == [b"NA", b"NA", [b"nan"], b"OK"]
    assert sorted(redis_client.keys()) == [b"bad", b"m"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["LOAD"], "missing arguments after LOAD keyword in DAG command"),
        (["LOAD", "x"], "invalid or negative value found in number of keys to LOAD"),
        (["LOAD", -1, "x"], "invalid or negative value found in number of keys to LOAD"),
        (["LOAD", 2, "x"], "missing arguments after LOAD keyword in DAG command"),
        (["LOAD", 2, "t", "t", *GET_X], "a key is given to LOAD twice: t"),
        (["LOAD", 1, "nothing", *GET_X], "tensor key is empty or in a different shard"),
        (["PERSIST"], "missing arguments after PERSIST keyword in DAG command"),
        (["PERSIST", 0], "invalid or negative value found in number of keys to PERSIST"),
        (
            ["PERSIST", 9, "x"],
            "missing arguments after PERSIST keyword in DAG command",
        ),
        (["ROUTING"], "Missing ROUTING value"),
        ([*ROUTING, "x", *SET_X], "Invalid DAG command. Unexpected argument:  x"),
        ([*ROUTING, "TIMEOUT", 0, *SET_X], "Invalid value for TIMEOUT"),
        ([*ROUTING, "TIMEOUT"], "No value provided for TIMEOUT"),
        (
            SET_X,
            "AI.DAGEXECUTE and AI.DAGEXECUTE_RO commands must contain at least one out of ROUTING, LOAD, "
            "PERSIST keywords",
        ),
        (ROUTING, "DAG is empty"),
        ([*ROUTING, "|>"], "DAG is empty"),
        ([*ROUTING, *SET_X, "|>"], "DAG is empty"),
        ([*ROUTING, "|>", "PING"], "Unsupported command within DAG"),
        (
            [*ROUTING, "|>", "AI.MODELRUN", "m"],
            "Deprecated AI.MODELRUN cannot be used in AI.DAGEXECUTE command",
        ),
        (
            [*ROUTING, "|>", "AI.SCRIPTRUN", "s", "f"],
            "Deprecated AI.SCRIPTRUN cannot be used in AI.DAGEXECUTE command",
        ),
        ([*ROUTING, *GET_X], "INPUT key cannot be found in DAG"),
        ([*ROUTING, *run("m", "x", "y")], "INPUT key cannot be found in DAG"),
        ([*ROUTING, *SET_X, *run("nothing", "x", "y")], "model key is empty"),
        (
            [*ROUTING, *SET_X, *run("t", "x", "y")],
            "WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        ([*ROUTING, "|>", "AI.TENSORSET", "x", "TEXT", 1], "invalid data type"),
        (
            [*ROUTING, "|>", "AI.TENSORSET", "x", "FLOAT"],
            "wrong number of arguments for 'AI.TENSORSET' command",
        ),
        (
            [*ROUTING, *SET_X, *run("m", "x", "y"), "TIMEOUT", 5],
            "TIMEOUT is for the whole DAG, before the first |>, not for one operation",
        ),
    ],
)
def test_an_error_of_parsing_is_one_for_the_whole(ai, store, redis_client, arguments, message):
    store("m", models.Double())
    ai("TENSORSET", "t", "FLOAT", 1)
    with pytest.raises(redis.ResponseError) as error:
        ai("DAGEXECUTE", *arguments)
    assert str(error.value) == message
    assert ai("INFO", "m")[15] == 0  # calls


@pytest.mark.parametrize("command", ["AI.DAGEXECUTE", "AI.DAGEXECUTE_RO"])
def test_no_arguments_at_all(redis_client, command):
    with pytest.raises(redis.ResponseError, match=f"^missing arguments for '{command}' command$"):
        redis_client.execute_command(command)


def test_persist_of_what_the_dag_does_not_make(ai):
    with pytest.raises(redis.ResponseError, match="^PERSIST key cannot be found in DAG$"):
        ai("DAGEXECUTE", "PERSIST", 1, "y", *SET_X)


def test_persist_onto_another_type_runs_nothing(ai, store, redis_client):
    store("m", models.Double())
    redis_client.set("y", "text")
    with pytest.raises(redis.ResponseError, match="^WRONGTYPE "):
        ai("DAGEXECUTE", "PERSIST", 2, "x", "y", *SET_X, *run("m", "x", "y"))
    assert ai("INFO", "m")[15] == 0
    assert not redis_client.exists("x")


def test_the_read_only_form_takes_no_persist(ai):
    with pytest.raises(redis.ResponseError, match="^PERSIST cannot be specified in a read-only DAG$"):
        ai("DAGEXECUTE_RO", "PERSIST", 1, "x", *SET_X)
