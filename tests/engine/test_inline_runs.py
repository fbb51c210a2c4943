"""Models expected to be quick run at once, on the main thread, while nobody waits for their device."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tests.engine import models

EVERYTHING_US = 60_000_000


@pytest.fixture
def limit_us(redis_client):
    """`limit_us(n)` sets the limit for this test."""
    (before,) = redis_client.config_get("ai.inline-run-limit-us").values()
    yield lambda limit: redis_client.config_set("ai.inline-run-limit-us", limit)
    redis_client.config_set("ai.inline-run-limit-us", before)


@pytest.fixture
def inline_calls(redis_client):
    """`inline_calls()` is the number of runs on the main thread since the last call of it, or the start."""

    def total():
        return redis_client.info("ai_runs")["ai_model_inline_calls"]

    seen = [total()]

    def since():
        seen.append(total())
        return seen[-1] - seen[-2]

    return since


@pytest.fixture
def run(ai):
    def run(key, size=1):
        return ai(
            *("DAGEXECUTE_RO", "ROUTING", "t", "|>", "AI.TENSORSET", "x", "FLOAT", size, 1),
            *("|>", "AI.MODELEXECUTE", key, "INPUTS", 1, "x", "OUTPUTS", 1, "y"),
            *("|>", "AI.TENSORGET", "y", "META"),
        )

    return run


def test_a_model_runs_inline_once_its_time_is_known_for_that_size(store, run, limit_us, inline_calls):
    limit_us(EVERYTHING_US)
    store("m", models.Double())
    expected = [b"OK", b"OK", [b"dtype", b"FLOAT", b"shape", [1, 1]]]
    assert run("m") == expected
    assert inline_calls() == 0
    assert [run("m"), run("m")] == [expected] * 2
    assert inline_calls() == 2
    run("m", size=100)
    assert inline_calls() == 0
    run("m", size=100)
    assert inline_calls() == 1


@pytest.mark.parametrize("limit", [0, 1])
def test_a_slower_model_waits_its_turn(store, run, limit_us, inline_calls, limit):
    limit_us(limit)
    store("m", models.Slow())
    for _ in range(3):
        run("m")
    assert inline_calls() == 0


def test_a_model_that_asks_for_company_is_not_run_without(ai, run, limit_us, inline_calls):
    limit_us(EVERYTHING_US)
    ai("MODELSTORE", "m", "TORCH", "CPU", "BATCHSIZE", 2, "BLOB", models.blob(models.Double()))
    for _ in range(3):
        run("m")
    assert inline_calls() == 0


def test_what_comes_after_a_quick_model_may_go_to_a_worker(ai, store, limit_us, inline_calls):
    limit_us(EVERYTHING_US)
    store("known", models.Double())
    store("new", models.Double())
    ai("TENSORSET", "x", "FLOAT", 1, "VALUES", 1)
    ai("MODELEXECUTE", "known", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
    reply = ai(
        *("DAGEXECUTE", "LOAD", 1, "x"),
        *("|>", "AI.MODELEXECUTE", "known", "INPUTS", 1, "x", "OUTPUTS", 1, "y"),
        *("|>", "AI.MODELEXECUTE", "new", "INPUTS", 1, "y", "OUTPUTS", 1, "z"),
        *("|>", "AI.MODELEXECUTE", "known", "INPUTS", 1, "z", "OUTPUTS", 1, "z"),
        *("|>", "AI.TENSORGET", "z", "VALUES"),
    )
    assert reply == [b"OK", b"OK", b"OK", [b"8"]]
    assert inline_calls() == 1


def test_an_error_of_a_quick_model(ai, store, limit_us, redis_client):
    limit_us(EVERYTHING_US)
    store("m", models.RefusesNan())
    for value, expected in ((1, b"OK"), ("nan", "the input is not finite"), (2, b"OK")):
        dag = ["|>", "AI.TENSORSET", "x", "FLOAT", 1, "VALUES", value]
        reply = ai(
            *("DAGEXECUTE_RO", "ROUTING", "t", *dag),
            *("|>", "AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y"),
        )
        assert reply[1] == expected or expected in str(reply[1])


@pytest.fixture
def one_runs_and_one_waits(ai, store, redis_client, wait_until):
    """Futures of two requests for the processor, which has one worker; each takes half a second."""
    store("slow", models.Slow())
    ai("TENSORSET", "rounds", "INT64", 1, "VALUES", 100)
    slow = ["MODELEXECUTE", "slow", "INPUTS", 1, "rounds", "OUTPUTS", 1, "y"]
    with ThreadPoolExecutor() as pool:
        requests = [pool.submit(ai, *slow) for _ in range(2)]
        wait_until(lambda: redis_client.info("ai_queues")["ai_queue_CPU_waiting"] == 1)
        yield requests


def test_no_one_who_waits_is_overtaken(store, run, limit_us, inline_calls, request):
    limit_us(EVERYTHING_US)
    store("m", models.Double())
    run("m")
    requests = request.getfixturevalue("one_runs_and_one_waits")
    run("m")
    assert inline_calls() == 0
    assert [each.result() for each in requests] == [b"OK"] * 2
    run("m")
    assert inline_calls() == 1


BUSY_FOR_A_WHILE = "local stop = os.clock() + 0.2 while os.clock() < stop do end"


@pytest.fixture
def patient_server(server, redis_client):
    """The server, which leaves those waiting who send something while a script runs."""
    (before,) = redis_client.config_get("busy-reply-threshold").values()
    redis_client.config_set("busy-reply-threshold", 10_000)
    yield server
    redis_client.config_set("busy-reply-threshold", before)


def test_of_clients_that_come_at_once_only_the_first_is_served_inline(
    patient_server, store, run, limit_us, inline_calls
):
    limit_us(EVERYTHING_US)
    store("m", models.Double())
    run("m")
    request = ["AI.DAGEXECUTE_RO", "ROUTING", "t", "|>", "AI.TENSORSET", "x", "FLOAT", 1, 1]
    request += ["|>", "AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y"]
    holder, *clients = (
        redis.Redis.from_url(patient_server.url).connection_pool.get_connection("_") for _ in range(4)
    )
    inline_calls()
    holder.send_command("EVAL", BUSY_FOR_A_WHILE, 0)
    for client in clients:
        client.send_command(*request)
    for client in clients:
        assert client.read_response() == [b"OK", b"OK"]
    assert inline_calls() == 1
    for connection in (holder, *clients):
        connection.disconnect()


def test_requests_of_one_client_follow_one_another_inline(store, run, limit_us, inline_calls, redis_client):
    limit_us(EVERYTHING_US)
    store("m", models.Double())
    run("m")
    with redis_client.pipeline(transaction=False) as pipeline:
        for _ in range(5):
            pipeline.execute_command(
                *("AI.DAGEXECUTE_RO", "ROUTING", "t", "|>", "AI.TENSORSET", "x", "FLOAT", 1, 1),
                *("|>", "AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y"),
            )
        assert pipeline.execute() == [[b"OK", b"OK"]] * 5
    assert inline_calls() == 5
