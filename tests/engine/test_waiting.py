"""What may happen while requests wait in a queue: clients leave, keys vanish or change, all is flushed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tests.engine import models, scripts
from tests.helpers import wait_until

BUSY = ["AI.MODELEXECUTE", "slow", "INPUTS", 1, "rounds", "OUTPUTS", 1, "z"]
RUN = ["AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y"]
CALL = ["AI.SCRIPTEXECUTE", "s", "add", "INPUTS", 2, "x", "x", "OUTPUTS", 1, "y"]
GRAPH = [
    *("AI.DAGEXECUTE", "LOAD", 1, "x", "PERSIST", 1, "y"),
    *("|>", "AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "w"),
    *("|>", "AI.SCRIPTEXECUTE", "s", "add", "INPUTS", 2, "x", "x", "OUTPUTS", 1, "y"),
]
STORE = ["AI.MODELSTORE", "y", "TORCH", "CPU", "BLOB", models.blob(models.Double())]
REQUESTS = {"model": RUN, "script": CALL, "dag": GRAPH}


class Waiting:
    """Requests of clients of their own, behind one that keeps the only worker busy."""

    def __init__(self, url: str, client: redis.Redis, pool: ThreadPoolExecutor) -> None:
        self._url, self._client, self._pool = url, client, pool
        self._count = 0
        self.busy = self.send(BUSY)

    def _is_blocked(self) -> bool:
        return self._client.info("clients")["blocked_clients"] == self._count

    def send(self, command: list):
        """Return the future of the reply, an error like any other."""

        def run():
            with redis.Redis.from_url(self._url) as client:
                try:
                    return client.execute_command(*command)
                except redis.ResponseError as error:
                    return str(error)

        self._count += 1
        future = self._pool.submit(run)
        wait_until(self._is_blocked)
        return future

    def send_and_leave(self, command: list) -> None:
        connection = redis.Redis.from_url(self._url).connection_pool.get_connection("_")
        connection.send_command(*command)
        self._count += 1
        wait_until(self._is_blocked)
        connection.disconnect()
        self._count -= 1
        wait_until(self._is_blocked)


@pytest.fixture
def waiting(server, redis_client, ai, store, store_script):
    store("slow", models.Slow())
    ai("TENSORSET", "rounds", "INT64", 1, "VALUES", 500)  # all requests are sent meanwhile
    store("m", models.Double())
    store_script("s")
    ai("TENSORSET", "x", "FLOAT", 1, "VALUES", 4)
    with ThreadPoolExecutor(16) as pool:
        yield Waiting(server.url, redis_client, pool)
    wait_until(lambda: redis_client.info("clients")["blocked_clients"] == 0)
    wait_until(lambda: redis_client.info("ai_queues")["ai_queue_CPU_waiting"] == 0)


@pytest.mark.parametrize("request_", [*REQUESTS.values(), STORE], ids=[*REQUESTS, "store"])
def test_a_client_that_leaves_writes_nothing_and_holds_up_nobody(waiting, redis_client, request_):
    waiting.send_and_leave(request_)
    after = waiting.send([*RUN[:-1], "other"])
    assert waiting.busy.result() == after.result() == b"OK"
    assert not redis_client.exists("y")


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("change", ["delete", "replace", "set text", "rename", "flush"])
def test_a_request_runs_what_it_was_sent_to(waiting, ai, redis_client, request_, change):
    reply = waiting.send(request_)
    if change == "delete":
        redis_client.delete("m", "s", "x")
    elif change == "replace":
        with redis_client.pipeline(transaction=True) as pipeline:  # the worker is busy
            pipeline.execute_command(*STORE[:1], "m", *STORE[2:-1], models.blob(models.Identity()))
            pipeline.execute_command("AI.SCRIPTSTORE", "s", "CPU", *scripts.REDIS_ARGUMENTS)
            pipeline.execute_command("AI.TENSORSET", "x", "FLOAT", 1, "VALUES", 100)
            pipeline.execute()
    elif change == "set text":
        redis_client.mset({"m": "text", "s": "text", "x": "text"})
    elif change == "rename":
        for key in ("m", "s", "x"):
            redis_client.rename(key, "renamed")
    else:
        redis_client.flushall()
    assert reply.result() in (b"OK", [b"OK", b"OK"])
    assert ai("TENSORGET", "y", "VALUES") == [b"8"]


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_an_output_key_of_another_type_by_the_time_is_an_error(waiting, redis_client, request_):
    reply = waiting.send(request_)
    redis_client.set("y", "text")
    assert reply.result() == "WRONGTYPE Operation against a key holding the wrong kind of value"
    assert redis_client.get("y") == b"text"


def test_a_model_of_another_type_by_the_time_is_not_stored(waiting, redis_client):
    reply = waiting.send(STORE)
    redis_client.set("y", "text")
    assert reply.result() == "WRONGTYPE Operation against a key holding the wrong kind of value"
    assert redis_client.get("y") == b"text"


def test_a_flush_with_a_full_queue_leaves_nothing(waiting, redis_client):
    replies = [waiting.send([*RUN[:-1], f"y{i}"]) for i in range(8)]
    redis_client.flushall(asynchronous=True)
    assert [reply.result() for reply in [waiting.busy, *replies]] == [b"OK"] * 9
    # What was on its way is written, as by a client that came later.
    assert redis_client.dbsize() == 9
    redis_client.flushall()
    wait_until(lambda: set(redis_client.info("ai_models").values()) == {0})


def test_a_server_that_becomes_a_replica_writes_nothing_that_was_on_its_way(waiting, redis_client):
    reply = waiting.send(RUN)
    redis_client.replicaof("127.0.0.1", 1)
    try:
        assert "UNBLOCKED" in reply.result()
        assert not redis_client.exists("y")
    finally:
        redis_client.replicaof("NO", "ONE")
