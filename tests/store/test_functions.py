"""The library of functions: who loads it, who has it after a restart or as a replica, what goes without."""

from __future__ import annotations

import threading

import pytest
import redis

from modules_store import OutOfMemoryError, RedisAgentMemory, ServerError, scripts
from tests.store import rights, toy_codec
from tests.store.monitoring import commands_of

ROWS = toy_codec.states(5)


def loaded(client: redis.Redis) -> bool:
    """Whether a server has the library of this version."""
    return len(client.function_list(scripts.library().name)) == 1


def loads(client: redis.Redis) -> int:
    """How often a server was sent a library."""
    return client.info("commandstats").get("cmdstat_function|load", {"calls": 0})["calls"]


@pytest.fixture
def pair(start_server, wait_until):
    """Clients of a primary that has memories and the library, and of its replica, which was told nothing."""
    primary = start_server()
    replica = start_server(config={"replicaof": f"127.0.0.1 {primary.port}"})
    with redis.Redis.from_url(primary.url) as a, redis.Redis.from_url(replica.url) as b:
        toy_codec.publish(a)
        with RedisAgentMemory(primary.url, codec="toy") as store:
            store.store_agent_memories("a", ROWS)
        wait_until(lambda: b.info("replication")["master_link_status"] == "up")
        assert a.wait(1, 10_000) == 1
        yield a, b


def test_a_replica_has_what_its_master_was_told(pair):
    _, replica = pair
    with RedisAgentMemory(replica) as reader:
        sent = commands_of(replica, lambda: reader.get_recent_memories("a"))
        assert sent.count("FCALL_RO") == 1
        assert not {"EVALSHA", "SCRIPT", "FUNCTION"} & set(sent)
        assert len(reader.get_recent_memories("a", 9)) == 5
    assert loads(replica) == 1, "by its master or with its data"


def test_a_replica_of_a_master_without_it_reads_by_scripts(pair):
    primary, replica = pair
    primary.function_flush()
    assert primary.wait(1, 10_000) == 1
    with RedisAgentMemory(replica, codec="toy") as reader:
        assert len(reader.get_recent_memories("a", 9)) == 5
        sent = commands_of(replica, lambda: reader.count_memories("a"))
        # It connects again after READONLY, in case the address has another primary by now; newer versions of
        # redis-py then introduce themselves.
        sent = [name for name in sent if name not in ("CLIENT", "HELLO")]
        assert sent[-4:] == ["FCALL_RO", "EVALSHA", "SCRIPT", "EVALSHA"]
        with pytest.raises(ServerError, match="read only replica"):
            reader.store_agent_memory("a", ROWS[0])
        assert not loaded(replica)
        with RedisAgentMemory(primary, codec="toy") as other:
            assert other.count_memories("a") == 5
        assert primary.wait(1, 10_000) == 1
        assert commands_of(replica, lambda: reader.count_memories("a")) == ["FCALL_RO"]


def test_a_replica_that_becomes_master_has_it(pair):
    _, replica = pair
    replica.execute_command("REPLICAOF NO ONE")
    before = loads(replica)
    with RedisAgentMemory(replica, codec="toy") as store:
        store.store_agent_memory("a", ROWS[0])
        assert store.count_memories("a") == 6
    assert loads(replica) == before


@pytest.mark.parametrize("appendonly", [False, True], ids=["RDB", "AOF"])
def test_a_restart_keeps_it(start_server, tmp_path, appendonly):
    server = start_server(data_dir=tmp_path, appendonly=appendonly)
    with redis.Redis.from_url(server.url) as client:
        toy_codec.publish(client)
        with RedisAgentMemory(server.url, codec="toy") as store:
            store.store_agent_memories("a", ROWS)
            server.restart()
            assert loaded(client)
            assert commands_of(client, lambda: store.count_memories("a"))[-1:] == ["FCALL_RO"]
        client.config_resetstat()
        with RedisAgentMemory(server.url, codec="toy") as store:
            assert store.store_agent_memory("a", ROWS[0])
        assert loads(client) == 0


def test_a_full_server_takes_none_and_still_deletes(server, toy, open_store):
    store = open_store(codec="toy")
    store.store_agent_memories("a", ROWS, timestamps=[1, 2, 3, 4, 5])
    toy.function_flush()
    toy.config_set("maxmemory", 1)
    try:
        with pytest.raises(OutOfMemoryError):
            store.store_agent_memory("a", ROWS[0])
        assert [one.timestamp for one in store.get_recent_memories("a", 2)] == [5, 4]
        assert store.delete_agent("a") == 5
        assert not loaded(toy)
    finally:
        toy.config_set("maxmemory", 0)
    store.store_agent_memory("a", ROWS[0])
    assert loaded(toy)


@pytest.fixture
def drone(server, toy):
    """A store whose user has the documented rights, which load neither functions nor scripts."""
    toy.function_flush()
    toy.execute_command("ACL", "SETUSER", "drone", "reset", "on", ">secret", *rights.documented("drone")[0])
    try:
        yield RedisAgentMemory(server.url.replace("unix://", "unix://drone:secret@"), codec="toy")
    finally:
        toy.acl_deluser("drone")


def test_who_may_not_load_it_is_told_so_until_another_has(drone, toy, open_store):
    message = f"lacks functions of {scripts.library().name}, which this user may not load.*function|load"
    with drone:
        for operation in (
            lambda: drone.store_agent_memory("drone7", ROWS[0]),
            lambda: drone.count_memories("drone7"),
        ):
            with pytest.raises(ServerError, match=message):
                operation()
        assert open_store(codec="toy").count_memories("drone7") == 0
        drone.store_agent_memory("drone7", ROWS[0])
        assert drone.count_memories("drone7") == 1


def test_clients_that_find_it_missing_at_once(server, toy, open_store):
    toy.function_flush()
    stores = [open_store(codec="toy") for _ in range(6)]
    start = threading.Barrier(len(stores))
    problems: list[BaseException] = []

    def store(n: int) -> None:
        start.wait()
        try:
            for row in ROWS:
                stores[n].store_agent_memory(f"a{n}", row)
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=store, args=(n,)) for n in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert [stores[0].count_memories(f"a{n}") for n in range(len(stores))] == [len(ROWS)] * len(stores)
