"""`modules-store doctor`: its judgement of facts, and those it gathers from real servers."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from typer.testing import CliRunner

from modules_store import MaxCount, Policy, RedisAgentMemory, keys, scripts
from modules_store.cli import app, facts
from modules_store.doctor import OK, PROBLEM, UNKNOWN, WARN, Codec, Facts, diagnose
from tests.store import rights, toy_codec

GIB = 2**30
GOOD = Facts(
    info={
        "redis_version": "8.2.3",
        "used_memory": GIB,
        "maxmemory": 4 * GIB,
        "total_system_memory": 8 * GIB,
        "maxmemory_policy": "noeviction",
        "evicted_keys": 0,
        "aof_enabled": 1,
        "role": "master",
        "connected_slaves": 1,
        "connected_clients": 10,
        "maxclients": 10_000,
    },
    config={"save": "", "appendfsync": "everysec"},
    modules={"ai": 100, "ReJSON": 20803, "search": 21005},
    devices=["CPU"],
    cluster_state=None,
    slowest=("", 0),
    user="default",
    refused=[],
    codecs=[Codec("drone", [1, 2], [])],
    unpublished={},
    library="modules_store_1",
    libraries=["modules_store_1"],
    packages={"modules-store": "0.1.0", "redis": "6.4.0", "hiredis": "3.2.1"},
)


def told(**info):
    return replace(GOOD, info={**GOOD.info, **info})


def without(*names):
    return replace(GOOD, info={name: value for name, value in GOOD.info.items() if name not in names})


def test_a_good_server():
    diagnoses = diagnose(GOOD)
    assert {diagnosis.state for diagnosis in diagnoses} == {OK}
    assert {diagnosis.advice for diagnosis in diagnoses} == {""}


@pytest.mark.parametrize(
    ("given", "subject", "state", "says"),
    [
        (told(redis_version="7.2.0"), "server", OK, "Redis 7.2.0"),
        (told(redis_version="7.1.9"), "server", WARN, "too old for all to work"),
        (told(redis_version="6.2.14"), "server", WARN, "too old for all to work"),
        (told(redis_version="6.0.1"), "server", PROBLEM, "too old"),
        (told(redis_version="7.2.4", valkey_version="8.1.0"), "server", OK, "Valkey 8.1.0"),
        (told(redis_version="7.2.4", valkey_version="7.2.5"), "server", WARN, "Valkey 7.2.5"),
        (told(loading=1), "server", PROBLEM, "loading"),
        (replace(GOOD, modules={"ReJSON": 20803, "search": 21005}), "engine", PROBLEM, "not loaded"),
        (replace(GOOD, modules={"ai": 100, "search": 21005}), "RedisJSON", PROBLEM, "not loaded"),
        (replace(GOOD, modules={"ai": 100, "ReJSON": 20803}), "RediSearch", WARN, "not loaded"),
        (replace(GOOD, devices=["CPU", "GPU:0"]), "engine", OK, "0.1.0, has run models on CPU, GPU:0"),
        (told(maxmemory=0), "memory", WARN, "1 GiB used, no limit, the machine has 8 GiB"),
        (told(used_memory=int(3.3 * GIB)), "memory", WARN, "(82%)"),
        (told(used_memory=int(3.9 * GIB)), "memory", PROBLEM, "(97%)"),
        (told(maxmemory=7 * GIB), "memory", WARN, "1 GiB of 7 GiB used"),
        (
            told(mem_fragmentation_ratio=2.5, mem_fragmentation_bytes=GIB),
            "fragmentation",
            WARN,
            "1 GiB lost to it (ratio 2.50)",
        ),
        (told(maxmemory_policy="allkeys-lru"), "eviction", WARN, "allkeys-lru"),
        (told(maxmemory_policy="volatile-ttl"), "eviction", OK, "volatile-ttl"),
        (told(evicted_keys=1200), "eviction", WARN, "1,200 keys evicted"),
        (replace(GOOD, config={"appendfsync": "always"}), "persistence", OK, "before it is given"),
        (replace(GOOD, config={"appendfsync": "no"}), "persistence", WARN, "the system decides"),
        (replace(GOOD, config=None), "persistence", OK, "is unknown"),
        (told(aof_enabled=0), "persistence", WARN, "none: a restart loses all"),
        (
            replace(told(aof_enabled=0), config={"save": "60 1"}),
            "persistence",
            WARN,
            "snapshots alone (save 60 1)",
        ),
        (replace(told(aof_enabled=0), config=None), "persistence", UNKNOWN, "CONFIG is not allowed"),
        (told(rdb_last_bgsave_status="err"), "persistence", PROBLEM, "the last snapshot failed"),
        (told(aof_last_write_status="err"), "persistence", PROBLEM, "the last write"),
        (told(role="slave", master_link_status="up"), "replication", WARN, "refuses stores"),
        (told(role="slave", master_link_status="down"), "replication", PROBLEM, "lost its master"),
        (replace(told(cluster_enabled=1), cluster_state="ok"), "cluster", OK, "on"),
        (replace(told(cluster_enabled=1), cluster_state="fail"), "cluster", PROBLEM, "fail"),
        (told(cluster_enabled=1), "cluster", UNKNOWN, "unknown"),
        (told(connected_clients=9500), "connections", WARN, "9,500 of 10,000"),
        (told(rejected_connections=3), "connections", OK, "3 were refused"),
        (replace(GOOD, slowest=("FCALL", 250_000)), "latency", WARN, "FCALL took 250 ms"),
        (replace(GOOD, slowest=("FCALL", 20_000)), "latency", OK, "FCALL, 20 ms"),
        (replace(GOOD, refused=["ZADD", "SET"]), "rights", PROBLEM, "user default may not run ZADD, SET"),
        (replace(GOOD, refused=None, user=None), "rights", UNKNOWN, "what this user may run"),
        (
            replace(GOOD, codecs=[Codec("drone", [1], ["v1 decoder"])]),
            "codec",
            PROBLEM,
            "drone lacks v1 decoder",
        ),
        (replace(GOOD, codecs=[]), "codecs", OK, "none is published yet"),
        (replace(GOOD, unpublished={"rover-*": "rover"}), "binding", PROBLEM, "rover-* is bound to rover"),
        (replace(GOOD, packages={**GOOD.packages, "hiredis": None}), "client", OK, "no hiredis"),
    ],
)
def test_what_is_said_of_a_fact(given, subject, state, says):
    diagnoses = [diagnosis for diagnosis in diagnose(given) if diagnosis.subject == subject]
    (diagnosis,) = [diagnosis for diagnosis in diagnoses if says in diagnosis.found]
    assert diagnosis.state == state
    assert state == OK or diagnosis.advice
    others = [one.state for one in diagnose(given) if one.subject != subject]
    assert set(others) == {OK}


def test_a_server_that_tells_nothing():
    nothing = Facts(
        **{name: None for name in Facts.__dataclass_fields__ if name != "packages"}, packages=GOOD.packages
    )
    diagnoses = diagnose(nothing)
    assert {diagnosis.state for diagnosis in diagnoses if diagnosis.subject != "client"} == {UNKNOWN}
    assert all(diagnosis.advice for diagnosis in diagnoses if diagnosis.state == UNKNOWN)


def test_commands_that_scripts_run_are_asked_for():
    lua = Path(__file__).parents[2] / "lua"
    program = "".join(path.read_text() for path in lua.rglob("*.lua"))
    run_by_scripts = set(re.findall(r"redis\.p?call\('([A-Z._]+)'", program))
    assert len(run_by_scripts) > 25
    # Queries, streams, statistics, bindings.
    optional = {"FT.SEARCH", "CLUSTER", "XINFO", "MEMORY", "JSON.ARRAPPEND"}
    assert run_by_scripts - optional - {command[0] for command in facts.NEEDED} == set()


def examine(url, code, *arguments):
    result = CliRunner().invoke(app, ["doctor", "--redis-url", url, "--json", *arguments])
    assert result.exit_code == code, result.output
    diagnoses = json.loads(result.stdout)
    return {diagnosis["subject"]: (diagnosis["state"], diagnosis["found"]) for diagnosis in diagnoses}


def test_the_runs_server(run, filled, server):
    found = examine(server.url, 0)
    for subject in ("server", "engine", "RedisJSON", "eviction", "replication", "rights", "codec", "client"):
        assert found[subject][0] == OK, found[subject]
    assert found["codec"] == (OK, "toy v1, all models are there")
    assert "has run models on CPU" in found["engine"][1]
    assert found["memory"][0] == found["persistence"][0] == WARN
    printed = run("doctor").splitlines()
    assert printed[0].split() == ["state", "subject", "found", "what", "to", "do"]
    assert any(
        re.match(r"warn +persistence +none: a restart loses all +CONFIG SET", line) for line in printed
    )


def test_a_codec_that_lost_a_model_and_a_binding_without_codec(filled, redis_client, server):
    redis_client.delete(keys.decoder("toy", 1))
    filled.bind("rover*", "toy")
    assert examine(server.url, 1)["codec"] == (
        PROBLEM,
        "toy lacks v1 decoder: its memories cannot be decoded",
    )
    redis_client.delete(keys.codec("toy"))
    found = examine(server.url, 1)
    assert found["codecs"] == (OK, "none is published yet; the first store publishes float16")
    assert found["binding"] == (PROBLEM, "rover* is bound to toy, which is not published")


def test_a_server_without_modules(start_server):
    found = examine(start_server(modules=()).url, 1)
    assert found["engine"] == found["RedisJSON"] == (PROBLEM, "not loaded")
    assert found["RediSearch"] == (WARN, "not loaded")
    assert found["rights"][0] == PROBLEM
    assert found["codecs"][0] in (OK, UNKNOWN)


def test_a_cluster_and_settings(start_server):
    config = {"maxmemory": "1gb", "maxmemory-policy": "allkeys-lru", "appendfsync": "always"}
    server = start_server(cluster_enabled=True, appendonly=True, config=config)
    RedisAgentMemory(server.url).store_agent_memory("a", [1.0])
    found = examine(server.url, 0)
    assert found["cluster"][0] == OK
    assert found["eviction"] == (WARN, "allkeys-lru")
    assert found["memory"] == (OK, found["memory"][1])
    assert "of 1 GiB used" in found["memory"][1]
    assert found["persistence"] == (OK, "append-only file: each answer is on disk before it is given")
    assert found["codec"] == (OK, "float16 v1, all models are there")


@pytest.fixture
def as_user(server, redis_client):
    """`as_user(*rules)`: a URL of the server for a user with these rights."""

    def make(*rules):
        redis_client.execute_command("ACL", "SETUSER", "guest", "reset", "on", ">secret", *rules)
        return server.url.replace("unix://", "unix://guest:secret@")

    yield make
    redis_client.execute_command("ACL", "DELUSER", "guest")


def test_managed_servers_tell_less(filled, as_user):
    url = as_user("~*", "+@all", "-info", "-config", "-slowlog", "-module", "-acl")
    found = examine(url, 0)
    for subject in ("server", "modules", "memory", "eviction", "persistence", "replication", "latency"):
        assert found[subject][0] == UNKNOWN
    assert found["rights"] == (OK, "this user may run all that is needed")
    assert found["codec"][0] == OK


def test_rights_that_are_missing(filled, as_user, redis_client):
    url = as_user("~agent:*", "~memory_system*", "+@all", "-zadd", "-json.set")
    assert examine(url, 1)["rights"] == (PROBLEM, "user guest may not run JSON.SET, ZADD")
    url = as_user("~other:*", "~memory_system*", "+@all")
    assert examine(url, 1)["rights"] == (PROBLEM, "user guest may not run FCALL_RO with an agent's keys")
    url = as_user("~*", "+@all", "-fcall")
    assert examine(url, 1)["rights"] == (PROBLEM, "user guest may not run FCALL")
    redis_client.function_flush()
    url = as_user("~*", "+@all", "-function|load")
    assert examine(url, 1)["rights"] == (PROBLEM, "user guest may not run FUNCTION LOAD")


def test_libraries_of_other_versions_are_named(filled, server, redis_client):
    redis_client.function_flush()
    own = scripts.library().name
    assert examine(server.url, 0)["functions"] == (OK, f"{own} is there")  # doctor's question loaded it
    other = scripts.library_of(["count_memories"])
    redis_client.function_load(other.text)
    redis_client.function_load("#!lua name=theirs\nredis.register_function('theirs', function() end)")
    assert examine(server.url, 0)["functions"] == (OK, f"{own} is there; of other versions {other.name}")
    redis_client.function_delete(other.name)
    redis_client.function_delete("theirs")


def test_libraries_as_told():
    told = {"library": "modules_store_2", "libraries": ["modules_store_1"]}
    (found,) = (one for one in diagnose(replace(GOOD, **told)) if one.subject == "functions")
    assert (
        found.found
        == "modules_store_2 is not loaded yet: a client does that; of other versions modules_store_1"
    )
    assert "FUNCTION DELETE" in found.advice
    (found,) = (one for one in diagnose(replace(GOOD, libraries=None)) if one.subject == "functions")
    assert (found.state, found.found) == (UNKNOWN, "FUNCTION LIST is not allowed")


def test_the_documented_rights_suffice(filled, as_user):
    assert examine(as_user(*rights.documented("trainer")[0]), 0)["rights"][0] == OK
    url = as_user(*rights.documented("drone")[0])
    assert examine(url, 1)["rights"][0] == PROBLEM
    assert examine(url, 0, "--agent", "drone")["rights"] == (OK, "this user may run all that is needed")
    with RedisAgentMemory(url, codec="toy", policy=Policy(MaxCount(3))) as memory:
        memory.store_agent_memories("drone7", toy_codec.states(5), [{"n": 1}] * 5)
        assert len(memory.get_recent_memories("drone7", 5)) == 3
        assert memory.delete_agent("drone7") == 3


def test_no_server(tmp_path):
    result = CliRunner().invoke(app, ["doctor", "--redis-url", f"unix://{tmp_path}/none.sock"])
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    with pytest.raises(redis.ConnectionError):
        redis.Redis(unix_socket_path=f"{tmp_path}/none.sock").ping()
