"""What goes with a value that any command writes or deletes: events, WATCH, TTL, statistics."""

from __future__ import annotations

import pytest
import redis

from tests.engine import models, scripts

# Commands that write the tensor `y`.
OUTPUTS = [
    "AI.TENSORSET y FLOAT 1",
    "AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y",
    "AI.MODELRUN m INPUTS x OUTPUTS y",
    "AI.SCRIPTEXECUTE s add INPUTS 2 x x OUTPUTS 1 y",
    "AI.DAGEXECUTE PERSIST 1 y |> AI.TENSORSET y FLOAT 1",
    "AI.DAGEXECUTE LOAD 1 x PERSIST 1 y |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y",
    "AI.DAGRUN LOAD 1 x PERSIST 1 y |> AI.MODELRUN m INPUTS x OUTPUTS y",
]


@pytest.fixture
def send(ai, store, store_script, redis_client):
    """`send(line)` sends one command; there are a model `m`, a script `s` and tensors `x` and `y`."""
    store("m", models.Double())
    store_script("s")
    ai("TENSORSET", "x", "FLOAT", 1)
    ai("TENSORSET", "y", "FLOAT", 1)
    return lambda line: redis_client.execute_command(*line.split())


@pytest.fixture
def events(server, redis_client):
    """`events(key)` returns the next event of the key."""
    redis_client.config_set("notify-keyspace-events", "Kdg")
    pubsub = redis.Redis.from_url(server.url).pubsub(ignore_subscribe_messages=True)
    pubsub.psubscribe("__keyspace@0__:*")
    pubsub.get_message(timeout=10)

    def next_event(key: str) -> bytes:
        while message := pubsub.get_message(timeout=10):
            if message["channel"] == f"__keyspace@0__:{key}".encode():
                return message["data"]
        raise AssertionError(f"no event of {key}")

    yield next_event
    pubsub.close()
    redis_client.config_set("notify-keyspace-events", "")


@pytest.mark.parametrize("line", OUTPUTS)
def test_an_output_replaces_the_ttl(send, redis_client, line):
    redis_client.expire("y", 1000)
    send(line)
    assert redis_client.ttl("y") == -1


@pytest.mark.parametrize("line", OUTPUTS)
def test_an_output_stops_who_watches_the_key(send, redis_client, line):
    with redis_client.pipeline() as pipeline:
        pipeline.watch("y")
        send(line)
        pipeline.multi()
        pipeline.get("other")
        with pytest.raises(redis.WatchError):
            pipeline.execute()


@pytest.mark.parametrize("line", OUTPUTS)
def test_an_output_is_an_event(send, events, line):
    send(line)
    assert events("y") == b"ai.tensorset"


def test_stores_and_deletes_are_events(send, events, redis_client):
    blob = models.blob(models.Double())
    redis_client.execute_command("AI.MODELSTORE", "n", "TORCH", "CPU", "BLOB", blob)
    assert events("n") == b"ai.modelstore"
    redis_client.execute_command("AI.SCRIPTSTORE", "r", "CPU", *scripts.arguments())
    assert events("r") == b"ai.scriptstore"
    send("AI.MODELDEL n")
    assert events("n") == b"ai.modeldel"
    send("AI.SCRIPTDEL r")
    assert events("r") == b"ai.scriptdel"


@pytest.mark.parametrize(
    ("key", "run"),
    [
        ("m", "AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y"),
        ("s", "AI.SCRIPTEXECUTE s add INPUTS 2 x x OUTPUTS 1 y"),
    ],
)
def test_statistics_go_with_a_renamed_key(send, redis_client, key, run):
    send(run)
    redis_client.rename(key, "renamed")
    assert send("AI.INFO renamed")[:2] + send("AI.INFO renamed")[14:16] == [b"key", b"renamed", b"calls", 1]
    with pytest.raises(redis.ResponseError, match="^cannot find run info for key$"):
        send(f"AI.INFO {key}")
