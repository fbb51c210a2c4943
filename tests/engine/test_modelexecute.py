"""AI.MODELEXECUTE and what AI.INFO counts of it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import redis

from tests.engine import models


def set_floats(ai, key, *values):
    ai("TENSORSET", key, "FLOAT", len(values), "VALUES", *values)


def test_several_inputs_and_outputs(ai, store):
    store("m", models.AddAndMultiply())
    set_floats(ai, "a", 1, 2)
    set_floats(ai, "b", 3, 5)
    assert ai("MODELEXECUTE", "m", "INPUTS", 2, "a", "b", "OUTPUTS", 2, "sum", "product") == b"OK"
    assert ai("TENSORGET", "sum", "VALUES") == [b"4", b"7"]
    assert ai("TENSORGET", "product", "VALUES") == [b"3", b"10"]


def test_outputs_that_are_views_of_another_order(ai, store):
    store("m", models.Transposes())
    ai("TENSORSET", "x", "FLOAT", 2, 2, "VALUES", 1, 2, 3, 4)
    ai("MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 2, "y", "z")
    assert ai("TENSORGET", "y", "VALUES") == [b"1", b"3", b"2", b"4"]
    assert ai("TENSORGET", "z", "VALUES") == [b"-2", b"-4"]


def test_an_output_may_replace_an_input(ai, store):
    store("m", models.Double())
    set_floats(ai, "x", 1, 2)
    for _ in range(3):
        ai("MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "x")
    assert ai("TENSORGET", "x", "VALUES") == [b"8", b"16"]


def test_a_model_that_writes_its_input_changes_no_key(ai, store):
    store("m", models.WritesItsInput())
    set_floats(ai, "x", 1, 2)
    ai("MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
    assert ai("TENSORGET", "x", "VALUES") == [b"1", b"2"]
    assert ai("TENSORGET", "y", "VALUES") == [b"2", b"3"]


def test_a_model_that_returns_its_input(ai, store):
    store("m", models.Identity())
    set_floats(ai, "x", 1, 2)
    ai("MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
    set_floats(ai, "x", 9)
    assert ai("TENSORGET", "y", "VALUES") == [b"1", b"2"]


@pytest.mark.parametrize(
    ("module", "meta"),
    [
        (models.ToHalf(), [b"dtype", b"HALF", b"shape", [2]]),
        (models.Scalar(), [b"dtype", b"FLOAT", b"shape", []]),
        (models.Empty(), [b"dtype", b"FLOAT", b"shape", [0]]),
    ],
)
def test_unusual_outputs(ai, store, module, meta):
    store("m", module)
    set_floats(ai, "x", 1, 2)
    ai("MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
    assert ai("TENSORGET", "y", "META") == meta


def test_an_input_with_a_default_may_be_left_out(ai, store):
    store("m", models.OptionalInput())
    set_floats(ai, "x", 1)
    ai("MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "alone")
    ai("MODELEXECUTE", "m", "INPUTS", 2, "x", "x", "OUTPUTS", 1, "both")
    assert ai("TENSORGET", "alone", "VALUES") == [b"1"]
    assert ai("TENSORGET", "both", "VALUES") == [b"2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["m"], "INPUTS not specified"),
        (["m", "INPUTS", "x"], "Invalid argument for input_count"),
        (["m", "INPUTS", 0], "Input count must be a positive integer"),
        (["m", "INPUTS", 1, "x"], "OUTPUTS not specified"),
        (["m", "INPUTS", 1, "x", "OUTPUTS", "y"], "Invalid argument for output_count"),
        (["m", "INPUTS", 1, "x", "OUTPUTS", 0], "Output count must be a positive integer"),
        (
            ["m", "INPUTS", 1, "x", "OUTPUTS", 2, "y"],
            "Number of keys given as OUTPUTS here does not match the number of given arguments",
        ),
        (
            ["m", "INPUTS", 2, "x", "x", "OUTPUTS", 1, "y"],
            "Number of keys given as INPUTS here does not match model definition",
        ),
        (
            ["m", "INPUTS", 1, "x", "OUTPUTS", 2, "y", "z"],
            "Number of keys given as OUTPUTS here does not match model definition",
        ),
        (["m", "INPUTS", 1, "x", "OUTPUTS", 1, "y", "SOON"], "Invalid argument: SOON"),
        (["m", "INPUTS", 1, "x", "OUTPUTS", 1, "y", "TIMEOUT"], "No value provided for TIMEOUT"),
        (["m", "INPUTS", 1, "x", "OUTPUTS", 1, "y", "TIMEOUT", 0], "Invalid value for TIMEOUT"),
        (["nothing", "INPUTS", 1, "x", "OUTPUTS", 1, "y"], "model key is empty"),
        (["m", "INPUTS", 1, "nothing", "OUTPUTS", 1, "y"], "tensor key is empty or in a different shard"),
    ],
)
def test_bad_arguments(ai, store, redis_client, arguments, message):
    store("m", models.Double())
    set_floats(ai, "x", 1)
    with pytest.raises(redis.ResponseError) as error:
        ai("MODELEXECUTE", *arguments)
    assert str(error.value) == message
    assert redis_client.dbsize() == 2


def test_a_wrong_typed_output_key_is_one_error_and_nothing_is_written(ai, store, redis_client):
    store("m", models.AddAndMultiply())
    set_floats(ai, "x", 1)
    redis_client.set("text", "text")
    with pytest.raises(redis.ResponseError, match="^WRONGTYPE "):
        ai("MODELEXECUTE", "m", "INPUTS", 2, "x", "x", "OUTPUTS", 2, "sum", "text")
    assert redis_client.ping()
    assert not redis_client.exists("sum")


@pytest.mark.parametrize(
    ("module", "tensor"),
    [
        (models.Weights(), ["FLOAT", 1, 3]),
        (models.Weights(), ["INT8", 1, 256]),
        (models.RefusesNan(), ["FLOAT", 1, "VALUES", "nan"]),
        (models.ReturnsText(), ["FLOAT", 1]),
        (models.Double(), ["STRING", 1, "VALUES", "text"]),
    ],
    ids=["shape", "dtype", "assert", "no tensor", "strings"],
)
def test_an_exception_of_the_model_is_one_line(ai, store, redis_client, module, tensor):
    store("m", module)
    ai("TENSORSET", "x", *tensor)
    with pytest.raises(redis.ResponseError) as error:
        ai("MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
    assert str(error.value).startswith("the model ")
    assert "\n" not in str(error.value)
    assert not redis_client.exists("y")
    assert ai("INFO", "m")[-1] == 1  # errors


def test_the_server_answers_others_while_a_model_runs(ai, store, redis_client, wait_until):
    store("slow", models.Slow())
    ai("TENSORSET", "rounds", "INT64", 1, "VALUES", 400)
    run = threading.Thread(target=ai, args=("MODELEXECUTE", "slow", "INPUTS", 1, "rounds", "OUTPUTS", 1, "y"))
    run.start()
    answered_meanwhile = 0
    wait_until(lambda: redis_client.info("clients")["blocked_clients"] == 1)
    while redis_client.info("clients")["blocked_clients"] == 1:
        answered_meanwhile += redis_client.ping()
    run.join()
    assert answered_meanwhile > 2
    assert ai("TENSORGET", "y", "META") == [b"dtype", b"FLOAT", b"shape", [1]]


def test_a_request_that_waits_too_long_is_timed_out(ai, store, redis_client, wait_until):
    store("slow", models.Slow())
    ai("TENSORSET", "rounds", "INT64", 1, "VALUES", 400)
    run = threading.Thread(target=ai, args=("MODELEXECUTE", "slow", "INPUTS", 1, "rounds", "OUTPUTS", 1, "y"))
    run.start()
    wait_until(lambda: redis_client.info("clients")["blocked_clients"] == 1)
    reply = ai("MODELEXECUTE", "slow", "INPUTS", 1, "rounds", "OUTPUTS", 1, "late", "TIMEOUT", 1)
    run.join()
    assert reply == b"TIMEDOUT"
    assert not redis_client.exists("late")


def test_many_clients_at_once(store, server, ai):
    store("m", models.Double())
    wrong = []

    def work(number):
        with redis.Redis.from_url(server.url) as client:
            for i in range(50):
                data = np.full(4, number * 1000 + i, np.float32)
                client.execute_command("AI.TENSORSET", f"x{number}", "FLOAT", 4, "BLOB", data.tobytes())
                client.execute_command(
                    "AI.MODELEXECUTE", "m", "INPUTS", 1, f"x{number}", "OUTPUTS", 1, f"y{number}"
                )
                reply = np.frombuffer(
                    client.execute_command("AI.TENSORGET", f"y{number}", "BLOB"), np.float32
                )
                if not np.array_equal(reply, data * 2):
                    wrong.append((number, i, reply))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    info = ai("INFO", "m")
    counters = dict(zip(info[::2], info[1::2], strict=True))
    assert counters[b"calls"] == 400
    assert counters[b"samples"] == 1600


def test_info_counts_and_resets(ai, store):
    ai("MODELSTORE", "m", "TORCH", "CPU", "TAG", "v1", "BLOB", models.blob(models.Double()))
    ai("TENSORSET", "x", "FLOAT", 7, 2)
    ai("MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
    info = ai("INFO", "m")
    names = [b"key", b"type", b"backend", b"device", b"tag", b"duration", b"samples", b"calls", b"errors"]
    assert info[::2] == names
    assert info[1:10:2] == [b"m", b"MODEL", b"TORCH", b"CPU", b"v1"]
    assert info[11] >= 0
    assert info[13::2] == [7, 1, 0]
    assert ai("INFO", "m", "RESETSTAT") == b"OK"
    assert ai("INFO", "m")[11::2] == [0, 0, 0, 0]
    with pytest.raises(redis.ResponseError, match="^cannot find run info for key$"):
        ai("INFO", "nothing")


def test_a_shutdown_with_a_full_queue_ends_cleanly(start_server, wait_until):
    server = start_server()
    execute = ["AI.MODELEXECUTE", "slow", "INPUTS", 1, "rounds", "OUTPUTS", 1, "y"]
    clients = [redis.Redis.from_url(server.url) for _ in range(5)]
    clients[0].execute_command("AI.MODELSTORE", "slow", "TORCH", "CPU", "BLOB", models.blob(models.Slow()))
    clients[0].execute_command("AI.TENSORSET", "rounds", "INT64", 1, "VALUES", 1000)

    def run(client):
        with pytest.raises(redis.RedisError):
            client.execute_command(*execute)

    waiting = [threading.Thread(target=run, args=(client,)) for client in clients[1:]]
    for thread in waiting:
        thread.start()
    wait_until(lambda: clients[0].info("clients")["blocked_clients"] == 4)
    clients[0].shutdown(nosave=True)
    assert server.wait() == 0
    for thread in waiting:
        thread.join()
