"""Keys whose time has passed but which the server still holds: to each command they do not exist."""

from __future__ import annotations

import pytest
import redis

from tests.engine import models, scripts
from tests.helpers import wait_until

SET_X = "|> AI.TENSORSET x FLOAT 1"
NO_TENSOR = "tensor key is empty or in a different shard"
NO_MODEL = "model key is empty"
NO_SCRIPT = "script key is empty"

# What each line says when the key that is named has expired.
READS = [
    ("tensor", "AI.TENSORGET tensor", NO_TENSOR),
    ("tensor", "AI.MODELEXECUTE model INPUTS 1 tensor OUTPUTS 1 y", NO_TENSOR),
    ("tensor", "AI.MODELRUN model INPUTS tensor OUTPUTS y", NO_TENSOR),
    ("tensor", "AI.SCRIPTEXECUTE script add INPUTS 2 tensor tensor OUTPUTS 1 y", NO_TENSOR),
    ("tensor", "AI.DAGEXECUTE LOAD 1 tensor |> AI.TENSORGET tensor", NO_TENSOR),
    ("tensor", "AI.DAGEXECUTE_RO LOAD 1 tensor |> AI.TENSORGET tensor", NO_TENSOR),
    ("model", "AI.MODELGET model", NO_MODEL),
    ("model", "AI.MODELDEL model", NO_MODEL),
    ("model", "AI.MODELEXECUTE model INPUTS 1 tensor OUTPUTS 1 y", NO_MODEL),
    ("model", "AI.MODELRUN model INPUTS tensor OUTPUTS y", NO_MODEL),
    (
        "model",
        f"AI.DAGEXECUTE_RO ROUTING t {SET_X} |> AI.MODELEXECUTE model INPUTS 1 x OUTPUTS 1 y",
        NO_MODEL,
    ),
    ("model", f"AI.DAGRUN_RO {SET_X} |> AI.MODELRUN model INPUTS x OUTPUTS y", NO_MODEL),
    ("model", "AI.INFO model", "cannot find run info for key"),
    ("script", "AI.SCRIPTGET script", NO_SCRIPT),
    ("script", "AI.SCRIPTDEL script", NO_SCRIPT),
    ("script", "AI.SCRIPTEXECUTE script add INPUTS 2 tensor tensor OUTPUTS 1 y", NO_SCRIPT),
    ("script", f"AI.DAGEXECUTE ROUTING t {SET_X} |> AI.SCRIPTEXECUTE script add INPUTS 2 x x", NO_SCRIPT),
    ("script", "AI.INFO script RESETSTAT", "cannot find run info for key"),
]

# A key that held text may be written once it has expired.
WRITES = [
    "AI.TENSORSET text FLOAT 1",
    "AI.MODELEXECUTE model INPUTS 1 tensor OUTPUTS 1 text",
    "AI.SCRIPTEXECUTE script add INPUTS 2 tensor tensor OUTPUTS 1 text",
    "AI.DAGEXECUTE PERSIST 1 text |> AI.TENSORSET text FLOAT 1",
]


@pytest.fixture(scope="module")
def lazy_server(start_shared_server):
    """A server that finds expired keys only when somebody asks for them."""
    server = start_shared_server(config={"enable-debug-command": "yes"}, port=0)
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("DEBUG SET-ACTIVE-EXPIRE", 0)
        yield client


@pytest.fixture
def client(lazy_server):
    lazy_server.flushall()
    lazy_server.set("text", "text")
    lazy_server.execute_command("AI.TENSORSET", "tensor", "FLOAT", 1, "VALUES", 1)
    lazy_server.execute_command(
        "AI.MODELSTORE", "model", "TORCH", "CPU", "BLOB", models.blob(models.Double())
    )
    lazy_server.execute_command("AI.SCRIPTSTORE", "script", "CPU", *scripts.arguments())
    return lazy_server


def now_ms(client: redis.Redis) -> int:
    seconds, microseconds = client.time()
    return seconds * 1000 + microseconds // 1000


def expire(client: redis.Redis, *keys: str) -> None:
    end_ms = now_ms(client) + 50
    for key in keys:
        client.pexpireat(key, end_ms)
    wait_until(lambda: now_ms(client) > end_ms)
    assert client.dbsize() == 4  # the server still holds them


def send(client: redis.Redis, line: str):
    return client.execute_command(*line.split())


def send_in_lua(client: redis.Redis, line: str):
    return client.eval("return redis.pcall(unpack(ARGV))", 0, *line.split())


@pytest.mark.parametrize("send", [send, send_in_lua])
@pytest.mark.parametrize(("key", "line", "message"), READS)
def test_an_expired_key_is_missing(client, key, line, message, send):
    expire(client, key)
    with pytest.raises(redis.ResponseError) as error:
        send(client, line)
    assert str(error.value) == message


@pytest.mark.parametrize("line", WRITES)
def test_an_expired_key_of_another_type_is_in_nobodys_way(client, line):
    expire(client, "text")
    assert send(client, line) in (b"OK", [b"OK"])
    assert client.execute_command("AI.TENSORGET", "text", "META")[1] == b"FLOAT"


def test_a_model_and_a_script_may_take_the_place_of_what_expired(client):
    expire(client, "text", "tensor")
    blob = models.blob(models.Double())
    assert client.execute_command("AI.MODELSTORE", "text", "TORCH", "CPU", "BLOB", blob) == b"OK"
    assert client.execute_command("AI.SCRIPTSTORE", "tensor", "CPU", *scripts.arguments()) == b"OK"


def test_scans_do_not_list_what_has_expired(client):
    expire(client, "model", "script")
    assert client.execute_command("AI._MODELSCAN") == client.execute_command("AI._SCRIPTSCAN") == []
