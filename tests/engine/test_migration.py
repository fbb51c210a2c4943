"""MIGRATE of tensors, models and scripts: between servers, and with their slots between nodes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tests.engine import models, scripts
from tests.helpers import wait_until

DEBUG = {"enable-debug-command": "yes"}


# Of three slots, as `{}` is the test's own tag: the nodes of the cluster are shared.
MODEL, SCRIPT, FLOATS, STRINGS = "{{{}m}}model", "{{{}s}}script", "{{{}x}}floats", "{{{}x}}strings"


class Values:
    """One value of each type, under keys of a test's own."""

    def __init__(self, tag: str) -> None:
        self.keys = [name.format(tag) for name in (MODEL, SCRIPT, FLOATS, STRINGS)]
        self.model, self.script, self.floats, self.strings = self.keys

    def store(self, client: redis.Redis) -> None:
        options = ["TAG", "v1", "BATCHSIZE", 8, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", 5]
        blob = models.blob(models.Double())
        client.execute_command("AI.MODELSTORE", self.model, "TORCH", "CPU", *options, "BLOB", blob)
        client.execute_command("AI.SCRIPTSTORE", self.script, "CPU", "TAG", "v2", *scripts.arguments())
        client.execute_command("AI.TENSORSET", self.floats, "FLOAT", 2, "VALUES", 1, 2)
        client.execute_command("AI.TENSORSET", self.strings, "STRING", 2, "VALUES", "one", "")

    def get(self, client: redis.Redis) -> list:
        getters = ["MODELGET", "SCRIPTGET", "TENSORGET", "TENSORGET"]
        return [client.execute_command(f"AI.{get}", key) for get, key in zip(getters, self.keys, strict=True)]

    def run(self, client: redis.Redis) -> list:
        """Load the tensor of one slot, and run the model and the script of two others."""
        return client.execute_command(
            *("AI.DAGEXECUTE", "LOAD", 1, self.floats),
            *("|>", "AI.MODELEXECUTE", self.model, "INPUTS", 1, self.floats, "OUTPUTS", 1, "y"),
            *("|>", "AI.SCRIPTEXECUTE", self.script, "add", "INPUTS", 2, "y", "y", "OUTPUTS", 1, "z"),
            *("|>", "AI.TENSORGET", "z", "VALUES"),
        )


RAN = [b"OK", b"OK", [b"4", b"8"]]


def test_between_two_servers(start_server):
    source, target = (start_server(config=DEBUG) for _ in range(2))
    values = Values("")
    with redis.Redis.from_url(source.url) as client, redis.Redis.from_url(target.url) as other:
        values.store(client)
        before = values.get(client)
        digests = client.execute_command("DEBUG DIGEST-VALUE", *values.keys)
        client.migrate("127.0.0.1", target.port, values.keys, 0, 10_000)
        assert client.keys() == []
        assert values.get(other) == before
        assert other.execute_command("DEBUG DIGEST-VALUE", *values.keys) == digests
        assert values.run(other) == RAN


@pytest.fixture(scope="module")
def nodes(start_shared_server):
    """Clients of two nodes of a cluster, of which the first serves all slots."""
    servers = [start_shared_server(cluster_enabled=True, slots=False) for _ in range(2)]
    first, second = (redis.Redis.from_url(server.url) for server in servers)
    bus_port = second.config_get("cluster-port")["cluster-port"]
    first.execute_command("CLUSTER MEET", "127.0.0.1", servers[1].port, bus_port)
    first.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)

    def are_joined() -> bool:
        states = [node.execute_command("CLUSTER INFO") for node in (first, second)]
        return all(s["cluster_state"] == "ok" and s["cluster_known_nodes"] == "2" for s in states)

    wait_until(are_joined)
    yield first, second
    first.close()
    second.close()


def move_slot(first: redis.Redis, second: redis.Redis, key: str, half_way=lambda: None) -> None:
    slot = first.execute_command("CLUSTER KEYSLOT", key)
    ids = [node.execute_command("CLUSTER MYID").decode() for node in (first, second)]
    second.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[0])
    first.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[1])
    keys = first.execute_command("CLUSTER GETKEYSINSLOT", slot, 100)
    first.migrate("127.0.0.1", second.connection_pool.connection_kwargs["port"], keys, 0, 10_000)
    half_way()
    for node in (second, first):
        node.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[1])


def test_with_their_slots(nodes):
    first, second = nodes
    values = Values("all")
    values.store(first)
    before = values.get(first)
    assert values.run(first) == RAN
    for key in (values.model, values.script, values.floats):
        move_slot(first, second, key)
    assert values.get(second) == before
    # The three are in three slots of the second node, and found from each.
    assert values.run(second) == RAN
    assert second.execute_command("AI._MODELSCAN") == [[values.model.encode(), b"v1"]]
    assert second.execute_command("AI._SCRIPTSCAN") == [[values.script.encode(), b"v2"]]
    assert first.execute_command("AI._MODELSCAN") == first.execute_command("AI._SCRIPTSCAN") == []


def test_a_node_forgets_what_has_left_it(nodes):
    first, second = nodes
    values = Values("some")
    values.store(first)
    move_slot(first, second, values.model)
    with pytest.raises(redis.ResponseError, match="^model key is empty$"):
        values.run(first)
    values.model = "{x}model"
    store = ["AI.MODELSTORE", values.model, "TORCH", "CPU", "BLOB", models.blob(models.Double())]
    first.execute_command(*store)
    assert values.run(first) == RAN
    move_slot(first, second, values.script)
    with pytest.raises(redis.ResponseError, match="^script key is empty$"):
        values.run(first)


def test_while_a_slot_is_on_its_way_the_client_is_sent_after_its_keys(nodes):
    first, second = nodes
    values = Values("half")
    values.store(first)
    script = f"{values.floats}:script"
    first.execute_command("AI.SCRIPTSTORE", script, "CPU", *scripts.arguments())
    read = ["AI.TENSORGET", values.floats, "VALUES"]
    run = ["AI.SCRIPTEXECUTE", script, "add", "INPUTS", 2, *[values.floats] * 2, "OUTPUTS", 1, values.floats]
    replies = []

    def half_way():
        for command in (read, run):
            with pytest.raises(redis.ResponseError, match="^ASK "):
                first.execute_command(*command)
            # ASKING holds for one command of one connection.
            with second.pipeline(transaction=False) as pipeline:
                pipeline.execute_command("ASKING")
                pipeline.execute_command(*command)
                replies.append(pipeline.execute()[1])

    move_slot(first, second, values.floats, half_way)
    assert replies == [[b"1", b"2"], b"OK"]
    assert second.execute_command(*read) == [b"2", b"4"]
    with pytest.raises(redis.ResponseError, match="^MOVED "):
        first.execute_command(*run)


@pytest.mark.parametrize("request_", ["model", "script", "dag", "store"])
def test_what_is_ready_after_its_slot_has_moved_is_an_error(nodes, request_):
    """It would lie on a node where nobody looks for it."""
    first, second = nodes
    values = Values(f"late {request_}")
    values.store(first)
    output = values.floats + ":output"
    local = f"{values.floats}:model"
    first.execute_command("AI.MODELSTORE", local, "TORCH", "CPU", "BLOB", models.blob(models.Double()))
    first.execute_command("AI.SCRIPTSTORE", f"{local}:script", "CPU", *scripts.arguments())
    ways = ["INPUTS", 1, values.floats, "OUTPUTS", 1, output]
    request = {
        "model": ["AI.MODELEXECUTE", local, *ways],
        "script": [
            "AI.SCRIPTEXECUTE",
            f"{local}:script",
            "add",
            "INPUTS",
            2,
            *[values.floats] * 2,
            *ways[3:],
        ],
        "dag": [
            *("AI.DAGEXECUTE", "LOAD", 1, values.floats, "PERSIST", 1, output),
            *("|>", "AI.MODELEXECUTE", local, *ways),
        ],
        "store": ["AI.MODELSTORE", output, "TORCH", "CPU", "BLOB", models.blob(models.Double())],
    }[request_]
    first.execute_command("AI.MODELSTORE", "{slow}m", "TORCH", "CPU", "BLOB", models.blob(models.Slow()))
    first.execute_command("AI.TENSORSET", "{slow}x", "INT64", 1, "VALUES", 300)
    clients = [redis.Redis(**first.connection_pool.connection_kwargs) for _ in range(2)]
    busy = ["AI.MODELEXECUTE", "{slow}m", "INPUTS", 1, "{slow}x", "OUTPUTS", 1, "{slow}y"]
    with ThreadPoolExecutor(2) as pool:
        pool.submit(clients[0].execute_command, *busy)
        wait_until(lambda: first.info("clients")["blocked_clients"] == 1)
        waiting = pool.submit(clients[1].execute_command, *request)
        wait_until(lambda: first.info("clients")["blocked_clients"] == 2)
        move_slot(first, second, values.floats)
        with pytest.raises(redis.ResponseError, match="^the key's slot has moved to another shard$"):
            waiting.result()
    slot = first.execute_command("CLUSTER KEYSLOT", output)
    assert first.execute_command("CLUSTER COUNTKEYSINSLOT", slot) == 0
