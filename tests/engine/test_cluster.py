"""A cluster of one node: models are found from every slot of the shard, whatever becomes of their keys."""

from __future__ import annotations

import pytest
import redis

from tests.engine import models, scripts


@pytest.fixture(scope="module")
def cluster(start_shared_server):
    return start_shared_server(cluster_enabled=True)


@pytest.fixture
def client(cluster):
    with redis.Redis.from_url(cluster.url) as connected:
        connected.flushall()
        yield connected


def store(client: redis.Redis, key: str, module=None) -> None:
    blob = models.blob(module or models.Double())
    client.execute_command("AI.MODELSTORE", key, "TORCH", "CPU", "BLOB", blob)


def run(client: redis.Redis, model: str):
    """Run `model` in a DAG whose own key is in another slot than most."""
    dag = "AI.DAGEXECUTE_RO ROUTING {a} |> AI.TENSORSET x FLOAT 1 VALUES 3 |> AI.MODELEXECUTE"
    rest = "INPUTS 1 x OUTPUTS 1 y |> AI.TENSORGET y VALUES"
    return client.execute_command(*dag.split(), model, *rest.split())[2]


def slots(client: redis.Redis, *keys: str) -> set[int]:
    return {client.execute_command("CLUSTER KEYSLOT", key) for key in keys}


def test_a_model_of_another_slot_is_found(client):
    store(client, "{b}model")
    assert len(slots(client, "{a}", "{b}model")) == 2
    assert run(client, "{b}model") == [b"6"]
    store(client, "{b}model", models.Identity())  # replaced
    assert run(client, "{b}model") == [b"3"]


def test_in_a_script_that_declares_its_keys(client):
    store(client, "{b}model")
    script = """#!lua flags=no-writes
        return redis.call('AI.DAGEXECUTE_RO', 'ROUTING', KEYS[1], '|>', 'AI.TENSORSET', 'x', 'FLOAT', 1,
          'VALUES', 3, '|>', 'AI.MODELEXECUTE', ARGV[1], 'INPUTS', 1, 'x', 'OUTPUTS', 1, 'y',
          '|>', 'AI.TENSORGET', 'y', 'VALUES')[3]"""
    assert client.eval_ro(script, 1, "{a}", "{b}model") == [b"6"]


@pytest.mark.parametrize("leave", ["delete", "unlink", "flushall", "set", "expire", "evict", "rename"])
def test_a_model_that_left_its_key_is_not_found(client, wait_until, leave):
    store(client, "{b}model")
    if leave == "flushall":
        client.flushall()
    elif leave == "set":
        client.set("{b}model", "text")
    elif leave == "expire":
        client.pexpire("{b}model", 1)
        wait_until(lambda: not client.exists("{b}model"))
    elif leave == "evict":
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", 1)
        wait_until(lambda: not client.exists("{b}model"))
        client.config_set("maxmemory", 0)
    elif leave == "rename":
        client.rename("{b}model", "{b}other")
        assert run(client, "{b}other") == [b"6"]
    else:
        getattr(client, leave)("{b}model")
    with pytest.raises(redis.ResponseError, match="^model key is empty$"):
        run(client, "{b}model")


def test_a_copy_a_restored_model_and_a_reloaded_one_are_found(cluster, client, wait_until):
    store(client, "{b}model")
    client.copy("{b}model", "{b}copy")
    client.restore("{c}restored", 0, client.dump("{b}model"))
    client.delete("{b}model")
    assert run(client, "{b}copy") == run(client, "{c}restored") == [b"6"]
    cluster.restart()
    with redis.Redis.from_url(cluster.url) as again:
        # The node counts its cluster's slots anew before it serves them.
        wait_until(lambda: again.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        assert run(again, "{b}copy") == run(again, "{c}restored") == [b"6"]


def test_scripts_are_found_and_forgotten_like_models(client):
    client.execute_command("AI.SCRIPTSTORE", "{b}script", "CPU", *scripts.arguments())
    dag = "AI.DAGEXECUTE ROUTING {a} |> AI.TENSORSET x FLOAT 1 VALUES 3 |> AI.SCRIPTEXECUTE"
    rest = "add INPUTS 2 x x OUTPUTS 1 y |> AI.TENSORGET y VALUES"

    def run(key):
        return client.execute_command(*dag.split(), key, *rest.split())[2]

    assert run("{b}script") == [b"6"]
    client.rename("{b}script", "{b}other")
    client.copy("{b}other", "{b}copy")
    assert run("{b}other") == run("{b}copy") == [b"6"]
    client.delete("{b}other")
    for gone in ("{b}script", "{b}other"):
        with pytest.raises(redis.ResponseError, match="^script key is empty$"):
            run(gone)


def test_what_a_script_may_reach_by_slot(client):
    client.execute_command("AI.SCRIPTSTORE", "{b}s", "CPU", *scripts.REDIS_ARGUMENTS)
    store(client, "{c}model")
    client.set("{a}k", 1)
    call = ["AI.SCRIPTEXECUTE", "{b}s", "call", "KEYS", 0, "ARGS", 2, "INCR"]
    assert client.execute_command(*call, "{a}k") == b"OK"  # on a worker: every slot of this shard
    assert client.get("{a}k") == b"2"
    with client.pipeline(transaction=True) as pipeline:
        pipeline.execute_command(*call, "{b}k")
        pipeline.execute_command(*call, "{a}k")  # in the slot of {b} the server would look for it in vain
        pipeline.execute_command(*call, "{a}new")
        replies = pipeline.execute(raise_on_error=False)
    assert replies[0] == b"OK"
    assert all("CROSSSLOT" in str(reply) for reply in replies[1:])
    assert sorted(client.keys()) == [b"{a}k", b"{b}k", b"{b}s", b"{c}model"]
    assert client.get("{a}k") == b"2"
    client.execute_command("AI.TENSORSET", "{b}x", "FLOAT", 1, "VALUES", 4)
    run_model = ["run_model", "INPUTS", 1, "{b}x", "ARGS", 2, "{c}model", 1, "OUTPUTS", 1, "{b}y"]
    with client.pipeline(transaction=True) as pipeline:
        pipeline.execute_command("AI.SCRIPTEXECUTE", "{b}s", *run_model)
        pipeline.execute_command("AI.TENSORGET", "{b}y", "VALUES")
        assert pipeline.execute() == [b"OK", [b"8"]]


def test_commands_that_are_too_short_are_an_error(client):
    """A cluster asks each command for its keys before it looks at their number."""
    for name in ("AI.MODELEXECUTE", "AI.MODELRUN", "AI.SCRIPTEXECUTE"):
        with pytest.raises(redis.ResponseError, match=f"wrong number of arguments for '{name.lower()}'"):
            client.execute_command(name)
    assert client.ping()


def test_a_replica_gets_results_and_serves_what_reads(client, start_shared_server, wait_until):
    replica_server = start_shared_server(cluster_enabled=True, slots=False)
    store(client, "{b}model")
    client.execute_command("AI.TENSORSET", "{b}x", "FLOAT", 1, "VALUES", 4)
    with redis.Redis.from_url(replica_server.url) as replica:
        kwargs = client.connection_pool.connection_kwargs
        bus_port = client.config_get("cluster-port")["cluster-port"]
        replica.execute_command("CLUSTER MEET", "127.0.0.1", kwargs["port"], bus_port)
        wait_until(lambda: replica.execute_command("CLUSTER INFO")["cluster_slots_assigned"] == "16384")
        replica.execute_command("CLUSTER REPLICATE", client.execute_command("CLUSTER MYID"))
        wait_until(lambda: replica.info("replication")["master_link_status"] == "up", 30)
        store(client, "{c}model")
        client.execute_command("AI.MODELEXECUTE", "{b}model", "INPUTS", 1, "{b}x", "OUTPUTS", 1, "{b}y")
        assert client.wait(1, 10_000) == 1
        replica.execute_command("READONLY")
        assert sorted(replica.keys()) == [b"{b}model", b"{b}x", b"{b}y", b"{c}model"]
        for model in ("{b}model", "{c}model"):
            assert run(replica, model) == [b"6"]
        with pytest.raises(redis.ResponseError, match="^MOVED "):
            replica.execute_command("AI.TENSORSET", "{b}x", "FLOAT", 1)
