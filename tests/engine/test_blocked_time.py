"""The time on workers is the command's: commandstats and SLOWLOG show it."""

from __future__ import annotations

import pytest

from tests.engine import models


@pytest.fixture
def slowlog(redis_client):
    """A function that gives the names of slow commands and empties the log; slow is 100 ms."""
    before = redis_client.config_get("slowlog-log-slower-than")
    redis_client.config_set("slowlog-log-slower-than", 100_000)
    redis_client.slowlog_reset()
    redis_client.config_resetstat()
    yield lambda: [entry["command"].split()[0] for entry in redis_client.slowlog_get()]
    redis_client.config_set("slowlog-log-slower-than", before["slowlog-log-slower-than"])


def microseconds(redis_client, command: str) -> int:
    return redis_client.info("commandstats")[f"cmdstat_{command}"]["usec"]


def test_a_script(ai, store_script, redis_client, slowlog):
    store_script("s")
    ai("SCRIPTEXECUTE", "s", "slow", "KEYS", 0, "ARGS", 1, 1000)
    assert microseconds(redis_client, "ai.scriptexecute") > 100_000
    assert b"AI.SCRIPTEXECUTE" in slowlog()


def test_a_model_in_a_graph(ai, store, redis_client, slowlog):
    store("m", models.Slow())
    ai("TENSORSET", "x", "INT64", 1, "VALUES", 1000)
    run = ["AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y"]
    ai("DAGEXECUTE", "LOAD", 1, "x", "|>", *run, "|>", *run)
    assert microseconds(redis_client, "ai.dagexecute") > 100_000
    assert b"AI.DAGEXECUTE" in slowlog()


def test_storing_a_model(store, redis_client, slowlog):
    store("m", models.Weights())
    assert microseconds(redis_client, "ai.modelstore") > 500
