"""BATCHSIZE, MINBATCHSIZE and MINBATCHTIMEOUT: requests of several clients run as one."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import redis

from tests.engine import models

LONG_MS = 30_000


@pytest.fixture
def store(ai):
    def store(key, module, *options):
        ai("MODELSTORE", key, "TORCH", "CPU", *options, "BLOB", models.blob(module))

    return store


@pytest.fixture
def submit(server):
    """`submit(model, rows)` starts a DAG of a client of its own; a future of the model's output."""
    with ThreadPoolExecutor(32) as pool:

        def run(model, rows, options):
            data = np.asarray(rows, np.float32)
            with redis.Redis.from_url(server.url) as client:
                reply = client.execute_command(
                    *("AI.DAGEXECUTE_RO", "ROUTING", "tag", *options),
                    *("|>", "AI.TENSORSET", "x", "FLOAT", *data.shape, "BLOB", data.tobytes()),
                    *("|>", "AI.MODELEXECUTE", model, "INPUTS", 1, "x", "OUTPUTS", 1, "y"),
                    *("|>", "AI.TENSORGET", "y", "BLOB"),
                )
            if isinstance(reply, bytes):
                return reply  # TIMEDOUT
            if isinstance(reply[1], redis.ResponseError):
                raise reply[1]
            return np.frombuffer(reply[2], np.float32).reshape(data.shape).tolist()

        yield lambda model, rows, *options: pool.submit(run, model, rows, options)


def waiting(client, count):
    return lambda: client.info("clients")["blocked_clients"] == count


def test_requests_of_several_clients_run_as_one(store, submit, ai):
    store("m", models.RowsSeen(), "BATCHSIZE", 6, "MINBATCHSIZE", 6, "MINBATCHTIMEOUT", LONG_MS)
    requests = [
        submit("m", [[1.0, 2.0]]),
        submit("m", [[3.0, 4.0], [5.0, 6.0]]),
        submit("m", [[7.0, 8.0]] * 3),
    ]
    assert requests[0].result() == [[6001, 6002]]
    assert requests[1].result() == [[6003, 6004], [6005, 6006]]
    assert requests[2].result() == [[6007, 6008]] * 3
    info = ai("INFO", "m")
    counters = dict(zip(info[::2], info[1::2], strict=True))
    assert (counters[b"calls"], counters[b"samples"], counters[b"errors"]) == (3, 6, 0)


def test_modelexecute_and_dag_join(store, submit, ai, redis_client, wait_until):
    store("m", models.RowsSeen(), "BATCHSIZE", 2, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", LONG_MS)
    ai("TENSORSET", "x", "FLOAT", 1, 1, "VALUES", 5)
    other = submit("m", [[1.0]])
    wait_until(waiting(redis_client, 1))
    ai("MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
    assert ai("TENSORGET", "y", "VALUES") == [b"2005"]
    assert other.result() == [[2001]]


def test_a_request_waits_for_company_only_so_long(store, submit):
    store("m", models.RowsSeen(), "BATCHSIZE", 8, "MINBATCHSIZE", 8, "MINBATCHTIMEOUT", 150)
    start = time.monotonic()
    assert submit("m", [[1.0]]).result() == [[1001]]
    assert 0.15 <= time.monotonic() - start < 5


def test_without_a_timeout_the_wait_is_bounded_all_the_same(store, submit):
    store("m", models.RowsSeen(), "BATCHSIZE", 8, "MINBATCHSIZE", 8)
    start = time.monotonic()
    assert submit("m", [[1.0]]).result() == [[1001]]
    assert 1.0 <= time.monotonic() - start < 5


def test_a_full_batch_does_not_wait(store, submit):
    store("m", models.RowsSeen(), "BATCHSIZE", 4, "MINBATCHSIZE", 4, "MINBATCHTIMEOUT", LONG_MS)
    assert submit("m", [[1.0]] * 4).result() == [[4001]] * 4
    assert submit("m", [[1.0]] * 9).result() == [[9001]] * 9  # more than a batch runs alone


def test_the_next_request_not_fitting_is_a_reason_to_run(store, submit, redis_client, wait_until):
    store("m", models.RowsSeen(), "BATCHSIZE", 4, "MINBATCHSIZE", 4, "MINBATCHTIMEOUT", LONG_MS)
    first = submit("m", [[1.0]] * 3)
    wait_until(waiting(redis_client, 1))
    second = submit("m", [[2.0]] * 3)
    assert first.result() == [[3001]] * 3
    third = submit("m", [[3.0]])
    assert second.result() == [[4002]] * 3
    assert third.result() == [[4003]]


def test_only_requests_of_one_shape_and_model_are_joined(store, submit, redis_client, wait_until):
    for key in ("m", "other"):
        store(key, models.RowsSeen(), "BATCHSIZE", 2, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", LONG_MS)
    narrow = submit("m", [[1.0]])
    wide = submit("m", [[1.0, 1.0]])
    another_model = submit("other", [[1.0]])
    wait_until(waiting(redis_client, 3))
    partners = [submit("m", [[2.0]]), submit("m", [[2.0, 2.0]]), submit("other", [[2.0]])]
    assert narrow.result() == [[2001]]
    assert wide.result() == [[2001, 2001]]
    assert another_model.result() == [[2001]]
    assert [partner.result() for partner in partners] == [[[2002]], [[2002, 2002]], [[2002]]]


def test_who_waits_for_company_does_not_hold_up_others(store, submit, ai, redis_client, wait_until):
    store("m", models.RowsSeen(), "BATCHSIZE", 2, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", LONG_MS)
    store("plain", models.Double())
    lonely = submit("m", [[1.0]])
    wait_until(waiting(redis_client, 1))
    assert submit("plain", [[1.0]]).result() == [[2]]
    assert not lonely.done()
    submit("m", [[1.0]])
    assert lonely.result() == [[2001]]


def test_without_a_least_size_nobody_waits(store, submit):
    store("m", models.RowsSeen(), "BATCHSIZE", 64)
    assert submit("m", [[1.0]]).result() == [[1001]]


def test_what_piles_up_behind_a_slow_run_is_joined(store, submit, ai, redis_client, wait_until):
    store("m", models.RowsSeen(), "BATCHSIZE", 64)
    store("slow", models.Slow())
    ai("TENSORSET", "rounds", "INT64", 1, "VALUES", 400)
    slow = threading.Thread(
        target=ai, args=("MODELEXECUTE", "slow", "INPUTS", 1, "rounds", "OUTPUTS", 1, "z")
    )
    slow.start()
    wait_until(waiting(redis_client, 1))
    piled = [submit("m", [[float(n)]]) for n in range(20)]
    wait_until(waiting(redis_client, 21))
    assert [request.result() for request in piled] == [[[20_000 + n]] for n in range(20)]
    slow.join()


def test_an_output_that_is_no_batch_is_everyones_error(store, submit):
    store("m", models.Scalar(), "BATCHSIZE", 2, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", LONG_MS)
    requests = [submit("m", [[1.0]]), submit("m", [[2.0]])]
    for request in requests:
        with pytest.raises(redis.ResponseError, match="^Model did not generate the expected batch size$"):
            request.result()


def test_an_exception_of_a_batch_is_everyones_error(store, submit, ai):
    store("m", models.RefusesNan(), "BATCHSIZE", 2, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", LONG_MS)
    requests = [submit("m", [[1.0]]), submit("m", [[float("nan")]])]
    for request in requests:
        with pytest.raises(redis.ResponseError, match="the input is not finite"):
            request.result()
    assert ai("INFO", "m")[-1] == 2  # errors


def test_strings_wait_for_nobody(store, ai):
    store("m", models.Identity(), "BATCHSIZE", 8, "MINBATCHSIZE", 8, "MINBATCHTIMEOUT", LONG_MS)
    ai("TENSORSET", "s", "STRING", 2, "VALUES", "of", "two sizes")
    with pytest.raises(redis.ResponseError, match="STRING tensors are not for models"):
        ai("MODELEXECUTE", "m", "INPUTS", 1, "s", "OUTPUTS", 1, "y")


def test_a_timeout_while_waiting_for_company(store, submit, redis_client, wait_until):
    store("m", models.RowsSeen(), "BATCHSIZE", 2, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", LONG_MS)
    assert submit("m", [[1.0]], "TIMEOUT", 50).result() == b"TIMEDOUT"
    wait_until(waiting(redis_client, 0))
    requests = [submit("m", [[1.0]], "TIMEOUT", LONG_MS), submit("m", [[2.0]])]
    assert [request.result() for request in requests] == [[[2001]], [[2002]]]


def test_a_client_that_leaves_does_not_spoil_the_batch(store, submit, server, redis_client, wait_until):
    store("m", models.RowsSeen(), "BATCHSIZE", 2, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", LONG_MS)
    leaving = redis.Redis.from_url(server.url).connection_pool.get_connection("_")
    dag = "AI.DAGEXECUTE_RO ROUTING t |> AI.TENSORSET x FLOAT 1 1 |> AI.MODELEXECUTE m"
    leaving.send_command(*dag.split(), *("INPUTS", 1, "x", "OUTPUTS", 1, "y"))
    wait_until(waiting(redis_client, 1))
    leaving.disconnect()
    wait_until(waiting(redis_client, 0))
    assert submit("m", [[1.0]]).result() == [[2001]]


def test_a_model_that_is_replaced_while_requests_wait(store, submit, redis_client, wait_until):
    options = ["BATCHSIZE", 2, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", 300]
    store("m", models.RowsSeen(), *options)
    old = submit("m", [[1.0]])
    wait_until(waiting(redis_client, 1))
    store("m", models.Double(), *options)
    new = submit("m", [[1.0]])
    assert old.result() == [[1001]]  # alone, by the model it was sent to
    assert new.result() == [[2]]


def test_two_batched_models_in_one_dag(store, ai, redis_client):
    store("m", models.RowsSeen(), "BATCHSIZE", 2)
    dag = "AI.DAGEXECUTE_RO ROUTING t |> AI.TENSORSET x FLOAT 1 1 |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y"
    reply = redis_client.execute_command(
        *dag.split(),
        *("|>", "AI.MODELEXECUTE", "m", "INPUTS", 1, "y", "OUTPUTS", 1, "z"),
        *("|>", "AI.TENSORGET", "z", "VALUES"),
    )
    assert reply == [b"OK", b"OK", b"OK", [b"2000"]]


def test_a_dag_across_two_devices(ai, redis_client):
    for key, device in (("a", "CPU:1"), ("b", "CPU:2")):
        ai("MODELSTORE", key, "TORCH", device, "BLOB", models.blob(models.Double()))
    dag = "AI.DAGEXECUTE_RO ROUTING t |> AI.TENSORSET x FLOAT 1 VALUES 3"
    there = "|> AI.MODELEXECUTE a INPUTS 1 x OUTPUTS 1 y"
    back = "|> AI.MODELEXECUTE b INPUTS 1 y OUTPUTS 1 z |> AI.TENSORGET z VALUES"
    reply = redis_client.execute_command(*dag.split(), *there.split(), *back.split())
    assert reply == [b"OK", b"OK", b"OK", [b"12"]]


def test_in_lua_nobody_waits_for_company(store, redis_client):
    store("m", models.RowsSeen(), "BATCHSIZE", 8, "MINBATCHSIZE", 8, "MINBATCHTIMEOUT", LONG_MS)
    script = """return redis.call('AI.DAGEXECUTE_RO', 'ROUTING', 't',
        '|>', 'AI.TENSORSET', 'x', 'FLOAT', 1, 1,
        '|>', 'AI.MODELEXECUTE', 'm', 'INPUTS', 1, 'x', 'OUTPUTS', 1, 'y',
        '|>', 'AI.TENSORGET', 'y', 'VALUES')"""
    assert redis_client.eval(script, 0)[2] == [b"1000"]


def test_many_clients_get_their_own_rows(store, server):
    store("m", models.RowsSeen(), "BATCHSIZE", 16, "MINBATCHSIZE", 3, "MINBATCHTIMEOUT", 5)
    wrong = []

    def work(number):
        generator = np.random.default_rng(number)
        with redis.Redis.from_url(server.url) as client:
            for _ in range(60):
                data = generator.integers(0, 900, (generator.integers(1, 6), 2)).astype(np.float32)
                reply = client.execute_command(
                    *("AI.DAGEXECUTE_RO", "ROUTING", "t"),
                    *("|>", "AI.TENSORSET", "x", "FLOAT", *data.shape, "BLOB", data.tobytes()),
                    *("|>", "AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y"),
                    *("|>", "AI.TENSORGET", "y", "BLOB"),
                )
                rows = np.frombuffer(reply[2], np.float32).reshape(data.shape)
                if not np.array_equal(rows % 1000, data):
                    wrong.append((number, data, rows))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_shutdown_while_requests_wait_for_company(start_server, wait_until):
    server = start_server()
    clients = [redis.Redis.from_url(server.url) for _ in range(3)]
    options = ["BATCHSIZE", 8, "MINBATCHSIZE", 8, "MINBATCHTIMEOUT", LONG_MS]
    clients[0].execute_command(
        "AI.MODELSTORE", "m", "TORCH", "CPU", *options, "BLOB", models.blob(models.Double())
    )
    clients[0].execute_command("AI.TENSORSET", "x", "FLOAT", 1, 1)

    def run(client):
        with pytest.raises(redis.RedisError):
            client.execute_command("AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y")

    threads = [threading.Thread(target=run, args=(client,)) for client in clients[1:]]
    for thread in threads:
        thread.start()
    wait_until(waiting(clients[0], 2))
    clients[0].shutdown(nosave=True)
    assert server.wait() == 0
    for thread in threads:
        thread.join()
