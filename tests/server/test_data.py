"""What an embedded server keeps: over a restart, over its end, in RDB and in AOF."""

from __future__ import annotations

import os
import signal

import pytest
import redis

from modules_store.errors import InvalidInputError, ServerStartError

LIGHT = {"modules": ("json", "search")}


@pytest.fixture
def start(start_server):
    """Start a server and return it with a client of it."""

    def start(**options):
        server = start_server(**LIGHT, **options)
        return server, redis.Redis.from_url(server.url)

    return start


def kill(server):
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    server.stop()


@pytest.mark.parametrize("appendonly", [False, True])
def test_restart_keeps_data_and_address(start, appendonly):
    server, client = start(appendonly=appendonly)
    client.json().set("document", "$", {"step": 1})
    pid, url = server.pid, server.url
    server.restart()
    assert client.json().get("document") == {"step": 1}
    assert server.pid != pid
    assert server.url == url


def test_restart_after_stop_is_refused(start):
    server, _ = start()
    server.stop()
    with pytest.raises(ServerStartError, match="was stopped"):
        server.restart()


def test_given_folder_is_made_and_kept_with_its_data_and_log(start, tmp_path):
    folder = tmp_path / "not" / "there"
    server, client = start(data_dir=folder)
    client.set("kept", "yes")
    server.stop()
    assert {path.name for path in folder.iterdir()} == {"dump.rdb", "redis.log"}
    server, client = start(data_dir=folder)
    assert client.get("kept") == b"yes"
    assert server.log_tail().count("Ready to accept connections") == 1  # of this start alone


def test_aof_keeps_what_a_killed_server_had_written(start, tmp_path):
    server, client = start(data_dir=tmp_path, appendonly=True, config={"appendfsync": "always"})
    client.set("kept", "yes")
    kill(server)
    _, client = start(data_dir=tmp_path)  # appendonly is not given: the folder's AOF counts
    assert client.get("kept") == b"yes"
    assert client.config_get("appendonly") == {"appendonly": "yes"}


def test_folder_with_an_rdb_file_is_converted_to_aof(start, tmp_path):
    server, client = start(data_dir=tmp_path)
    client.set("old", "yes")
    server.stop()
    server, client = start(data_dir=tmp_path, appendonly=True, config={"appendfsync": "always"})
    assert client.get("old") == b"yes"
    client.set("new", "yes")
    kill(server)
    (tmp_path / "dump.rdb").unlink()
    _, client = start(data_dir=tmp_path)
    assert client.mget("old", "new") == [b"yes", b"yes"]


def test_second_server_in_the_same_folder_is_refused(start, tmp_path):
    _, client = start(data_dir=tmp_path)
    with pytest.raises(ServerStartError, match="data_dir: another server runs in"):
        start(data_dir=tmp_path)
    assert client.ping()


def test_config_is_passed_on(start):
    _, client = start(
        config={"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru", "save": "3600 1 60 10"}
    )
    assert client.config_get("maxmemory") == {"maxmemory": str(100 * 1024 * 1024)}
    assert client.config_get("save") == {"save": "3600 1 60 10"}


def test_config_that_is_the_servers_own_is_refused(start):
    with pytest.raises(InvalidInputError, match="config: dir, port cannot be set here"):
        start(config={"port": 1, "dir": "/tmp"})


def test_replica_follows(start, wait_until):
    server, client = start()
    _, replica = start(config={"replicaof": f"127.0.0.1 {server.port}"})
    client.set("copied", "yes")
    wait_until(lambda: replica.get("copied") == b"yes")


def test_cluster_of_one_node_serves_all_slots(start):
    _, client = start(cluster_enabled=True)
    assert client.set("agent:{a}:memories", 1)
    assert client.set("agent:{b}:memories", 1)
    with pytest.raises(redis.ResponseError, match="same slot"):
        client.mget("agent:{a}:memories", "agent:{b}:memories")
