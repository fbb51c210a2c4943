"""ai.model-allow-list: which models and scripts may be stored, and what becomes of others that arrive."""

from __future__ import annotations

import hashlib
import re

import pytest
import redis

from tests.engine import models, scripts

NAME = "ai.model-allow-list"
REFUSAL = r"the (model|script) is not on the server's allow-list; its SHA-256 is ([0-9a-f]{64})$"
SOURCE = "def double(x):\n    return x * 2\n"

DOUBLE = models.blob(models.Double())
IDENTITY = models.blob(models.Identity())


def digest(data: bytes | str) -> str:
    return hashlib.sha256(data if isinstance(data, bytes) else data.encode()).hexdigest()


def store(client: redis.Redis, key: str, blob: bytes, command: str = "AI.MODELSTORE"):
    return client.execute_command(command, key, "TORCH", "CPU", "BLOB", blob)


def store_script(client: redis.Redis, key: str, source: str | bytes = SOURCE):
    return client.execute_command("AI.SCRIPTSTORE", key, "CPU", *scripts.arguments(source, []))


def run(client: redis.Redis, model: str) -> list:
    """Return twice three, or the text of the model's error."""
    dag = f"AI.DAGEXECUTE_RO ROUTING tag |> AI.TENSORSET x FLOAT 1 VALUES 3 |> AI.MODELEXECUTE {model} "
    dag += "INPUTS 1 x OUTPUTS 1 y |> AI.TENSORGET y VALUES"
    _, ran, values = client.execute_command(*dag.split())
    return [str(ran)] if isinstance(ran, redis.ResponseError) else values


def run_script(client: redis.Redis, script: str) -> list:
    client.execute_command("AI.TENSORSET", "x", "FLOAT", 1, "VALUES", 3)
    client.execute_command("AI.SCRIPTEXECUTE", script, "double", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
    return client.execute_command("AI.TENSORGET", "y", "VALUES")


def refuses(data: bytes | str):
    """Expect the refusal that names the digest of `data`."""
    return pytest.raises(redis.ResponseError, match=f"allow-list; its SHA-256 is {digest(data)}$")


@pytest.fixture
def allow(redis_client):
    """`allow(data, …)` sets the run's server's list to the digests of these; without any there is none."""
    yield lambda *allowed: redis_client.config_set(NAME, ",".join(map(digest, allowed)))
    redis_client.config_set(NAME, "")


def test_only_what_is_on_the_list_is_stored(redis_client, allow):
    store(redis_client, "m", DOUBLE)
    allow(IDENTITY, SOURCE)
    for command in ("AI.MODELSTORE", "AI.MODELSET"):
        for key in ("m", "new"):
            with refuses(DOUBLE):
                store(redis_client, key, DOUBLE, command)
            with refuses(b"what libtorch would not read"):
                store(redis_client, key, b"what libtorch would not read", command)
    assert redis_client.keys() == [b"m"]
    assert run(redis_client, "m") == [b"6"]  # what was there stays as it is
    assert store(redis_client, "m", IDENTITY) == b"OK"
    assert store(redis_client, "old", IDENTITY, "AI.MODELSET") == b"OK"
    assert run(redis_client, "m") == run(redis_client, "old") == [b"3"]
    allow()
    assert store(redis_client, "m", DOUBLE) == b"OK"


def test_scripts_are_on_the_list_too(redis_client, allow):
    allow(SOURCE)
    with refuses(SOURCE + "\n"):
        store_script(redis_client, "s", SOURCE + "\n")
    assert not redis_client.exists("s")
    assert store_script(redis_client, "s") == b"OK"
    assert run_script(redis_client, "s") == [b"6"]


def test_chunks_count_as_the_whole(redis_client, allow):
    allow(DOUBLE)
    chunks = [DOUBLE[at : at + 1000] for at in range(0, len(DOUBLE), 1000)]
    assert redis_client.execute_command("AI.MODELSTORE", "m", "TORCH", "CPU", "BLOB", *chunks) == b"OK"
    with refuses(chunks[0]):
        store(redis_client, "m", chunks[0])


def test_where_a_client_cannot_wait(redis_client, allow):
    allow(IDENTITY)
    with redis_client.pipeline(transaction=True) as pipeline:
        pipeline.execute_command("AI.MODELSTORE", "m", "TORCH", "CPU", "BLOB", DOUBLE)
        pipeline.execute_command("AI.MODELSTORE", "n", "TORCH", "CPU", "BLOB", IDENTITY)
        refused, stored = pipeline.execute(raise_on_error=False)
    assert re.search(REFUSAL, str(refused))
    assert stored == b"OK"
    with pytest.raises(redis.ResponseError, match="is not on the server's allow-list"):
        redis_client.eval(
            "return redis.call('AI.MODELSTORE', KEYS[1], 'TORCH', 'CPU', 'BLOB', ARGV[1])", 1, "m", DOUBLE
        )
    assert redis_client.keys() == [b"n"]


def test_digests_are_those_of_sha256(redis_client, allow):
    allow("nothing that is stored below")
    texts = ["é" * (n // 2) + "x" * (n % 2) for n in range(200)]  # bytes above 127 in them
    texts += ["x" * n for n in (1000, 4096, 65535, 1 << 20, (1 << 20) + 55)]
    with redis_client.pipeline(transaction=False) as pipeline:
        for text in texts:
            store_script(pipeline, "s", text)
        replies = pipeline.execute(raise_on_error=False)
    assert [re.search(REFUSAL, str(reply))[2] for reply in replies] == [digest(text) for text in texts]


@pytest.mark.parametrize("form", ["{0} {1}", "{0},{1}", " ,{0} , {1}, ", "{2}\t{1}"])
def test_how_a_list_is_written(redis_client, allow, form):
    one, other = digest(IDENTITY), digest(DOUBLE)
    text = form.format(one, other, one.upper())
    if "\t" in text:
        with pytest.raises(redis.ResponseError, match="hexadecimal digits, not: "):
            redis_client.config_set(NAME, text)
        text = text.replace("\t", " ")
    redis_client.config_set(NAME, text)
    assert redis_client.config_get(NAME) == {NAME: text}
    assert store(redis_client, "m", DOUBLE) == store(redis_client, "n", IDENTITY) == b"OK"


@pytest.mark.parametrize("bad", ["x", "0" * 63, "0" * 65, "g" + "0" * 63, "0" * 64 + ";" + "0" * 64])
def test_a_list_that_cannot_be_read_changes_nothing(redis_client, allow, bad):
    allow(IDENTITY)
    reason = re.escape(f"a SHA-256 digest is 64 hexadecimal digits, not: {bad}")
    for text in (bad, f"{digest(DOUBLE)},{bad}"):
        with pytest.raises(redis.ResponseError, match=reason):
            redis_client.config_set(NAME, text)
    assert redis_client.config_get(NAME) == {NAME: digest(IDENTITY)}
    with refuses(DOUBLE):
        store(redis_client, "m", DOUBLE)


def test_restore_is_no_way_around(redis_client, allow):
    store(redis_client, "m", DOUBLE)
    store_script(redis_client, "s")
    payloads = {key: redis_client.dump(key) for key in ("m", "s")}
    redis_client.flushall()  # with the last model goes the loaded program
    allow(IDENTITY)
    for key, payload in payloads.items():
        redis_client.restore(key, 0, payload)
        redis_client.copy(key, f"{key}:copy")
        assert redis_client.dump(key) == payload  # nothing is lost
    for key in ("m", "m:copy"):
        assert run(redis_client, key) == [
            f"the model is not on the server's allow-list; its SHA-256 is {digest(DOUBLE)}"
        ]
        assert redis_client.execute_command("AI.MODELGET", key, "BLOB") == DOUBLE
    for key in ("s", "s:copy"):
        with refuses(SOURCE):
            run_script(redis_client, key)
    with refuses(DOUBLE):  # nor is MODELGET and MODELSTORE
        store(redis_client, "m", redis_client.execute_command("AI.MODELGET", "m", "BLOB"))
    allow(DOUBLE, SOURCE)
    redis_client.restore("m", 0, payloads["m"], replace=True)
    store_script(redis_client, "s")
    assert run(redis_client, "m") == run_script(redis_client, "s") == [b"6"]


def test_a_model_that_runs_does_not_lend_its_program(redis_client, allow):
    store(redis_client, "m", DOUBLE)
    payload = redis_client.dump("m")
    allow(IDENTITY)
    redis_client.restore("again", 0, payload)
    assert "allow-list" in run(redis_client, "again")[0]
    assert run(redis_client, "m") == [b"6"]


def expect_kept(client: redis.Redis) -> None:
    """Both values of `fill` are there, the model says why it does not run, and the script does."""
    assert client.execute_command("AI.MODELGET", "m", "BLOB") == DOUBLE
    assert re.search(REFUSAL, run(client, "m")[0])[2] == digest(DOUBLE)
    assert client.execute_command("AI.SCRIPTGET", "s", "SOURCE") == SOURCE.encode()


@pytest.mark.parametrize("appendonly", [False, True], ids=["rdb", "aof"])
def test_what_is_saved_is_kept_at_the_start(start_server, tmp_path, appendonly):
    options = {"data_dir": tmp_path, "appendonly": appendonly}
    with start_server(**options) as server, redis.Redis.from_url(server.url) as client:
        store(client, "m", DOUBLE)
        store_script(client, "s")
        if not appendonly:
            client.save()
    server = start_server(**options, config={NAME: digest(SOURCE)})
    with redis.Redis.from_url(server.url) as client:
        expect_kept(client)
        assert run_script(client, "s") == [b"6"]
        client.config_set(NAME, "")
        assert "allow-list" in run(client, "m")[0]  # the list is asked when a value is loaded
    server.restart()
    with redis.Redis.from_url(server.url) as client:
        expect_kept(client)


def test_a_replica_keeps_what_its_master_stores(start_server, wait_until):
    config = {"enable-debug-command": "yes"}
    master = start_server(config=config)
    with redis.Redis.from_url(master.url) as client:
        store(client, "m", DOUBLE)  # is copied
        replica_server = start_server(
            config={**config, NAME: digest(SOURCE), "replicaof": f"127.0.0.1 {master.port}"}
        )
        with redis.Redis.from_url(replica_server.url) as replica:
            wait_until(lambda: replica.info("replication")["master_link_status"] == "up", 30)
            store(client, "later", DOUBLE)  # is replicated
            store_script(client, "s")
            store_script(client, "other", SOURCE + "\n")
            client.restore("restored", 0, client.dump("m"))
            assert client.wait(1, 10_000) == 1
            digests = [each.execute_command("DEBUG", "DIGEST") for each in (client, replica)]
            assert digests[0] == digests[1]
            assert replica.info("stats")["total_error_replies"] == 0
            for key in ("m", "later", "restored"):
                assert run(client, key) == [b"6"]
                assert "allow-list" in run(replica, key)[0]
            expect_kept(replica)
            assert replica.execute_command("AI.SCRIPTGET", "other", "SOURCE").decode() == SOURCE + "\n"
