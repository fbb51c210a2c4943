"""Tensors, models and scripts through RDB, AOF, DUMP and RESTORE, COPY, and to replicas; forged payloads."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import redis

from tests.engine import models, payloads, scripts

MODEL_OPTIONS = ["TORCH", "CPU", "TAG", "v1", "BATCHSIZE", 4, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", 9]


def fill(client: redis.Redis) -> None:
    """Every shape and type once, two models, a script, and tensors that they made."""
    execute = client.execute_command
    execute("AI.MODELSTORE", "m", *MODEL_OPTIONS, "BLOB", models.blob(models.Weights(4)))
    execute("AI.MODELSTORE", "scalar", "TORCH", "CPU", "BLOB", models.blob(models.Scalar()))
    execute("AI.SCRIPTSTORE", "script", "CPU:1", "TAG", "v2", *scripts.arguments())
    for dtype in ("FLOAT", "DOUBLE", "INT8", "INT64", "UINT16", "BOOL", "HALF", "BFLOAT16"):
        execute("AI.TENSORSET", f"t:{dtype}", dtype, 2, 2, "VALUES", 1, 0, 1, 1)
    execute("AI.TENSORSET", "empty", "FLOAT", 0, 25)
    execute("AI.TENSORSET", "strings", "STRING", 2, 1, "VALUES", "a longer text", "")
    execute("AI.TENSORSET", "x", "FLOAT", 1, 4, "VALUES", 1, 2, 3, 4)
    execute("AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
    execute("AI.MODELEXECUTE", "scalar", "INPUTS", 1, "x", "OUTPUTS", 1, "no dimensions")
    execute("AI.SCRIPTEXECUTE", "script", "add", "INPUTS", 2, "x", "x", "OUTPUTS", 1, "sum")


def everything(client: redis.Redis) -> dict:
    return {
        "digest": client.execute_command("DEBUG", "DIGEST"),
        "meta": client.execute_command("AI.MODELGET", "m"),
        "script": client.execute_command("AI.SCRIPTGET", "script"),
        "tensors": {
            key: client.execute_command("AI.TENSORGET", key)
            for key in sorted(client.keys())
            if client.type(key) == b"AI_TENSOR"
        },
    }


def runs(client: redis.Redis) -> bool:
    before = client.execute_command("AI.TENSORGET", "y")
    client.execute_command("AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
    script = client.execute_command(
        "AI.SCRIPTEXECUTE", "script", "add", "INPUTS", 2, "x", "x", "OUTPUTS", 1, "sum"
    )
    return script == b"OK" and client.execute_command("AI.TENSORGET", "y") == before


DEBUG = {"enable-debug-command": "yes"}


@pytest.mark.parametrize(
    ("appendonly", "rewrite"),
    [(False, False), (True, False), (True, True)],
    ids=["rdb", "aof", "aof rewritten"],
)
def test_a_restart(start_server, tmp_path, wait_until, appendonly, rewrite):
    # Without the preamble a rewritten AOF holds commands, so that our rewrite callbacks are what is tested.
    config = {**DEBUG, "aof-use-rdb-preamble": "no"}
    options = {"data_dir": tmp_path, "appendonly": appendonly, "config": config}
    server = start_server(**options)
    with redis.Redis.from_url(server.url) as client:
        fill(client)
        before = everything(client)
        if rewrite:
            client.bgrewriteaof()
            wait_until(lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0)
            assert client.info("persistence")["aof_last_bgrewrite_status"] == "ok"
        elif not appendonly:
            client.save()
    server.restart()
    with redis.Redis.from_url(server.url) as client:
        assert everything(client) == before
        assert runs(client)


def send(client: redis.Redis, line: str):
    return client.execute_command(*line.split())


def early(source: str, target: str) -> str:
    return f"AI.MODELEXECUTE early INPUTS 1 {source} OUTPUTS 1 {target}"


def test_a_replica_gets_results_and_never_runs_a_model(start_server, wait_until):
    master = start_server(config=DEBUG)
    with redis.Redis.from_url(master.url) as client:
        client.execute_command("AI.MODELSTORE", "early", "TORCH", "CPU", "BLOB", models.blob(models.Double()))
        replica_server = start_server(config={**DEBUG, "replicaof": f"127.0.0.1 {master.port}"})
        with redis.Redis.from_url(replica_server.url) as replica:
            wait_until(lambda: replica.info("replication")["master_link_status"] == "up", 30)
            fill(client)
            client.eval("return redis.call('AI.MODELEXECUTE', 'm', 'INPUTS', 1, 'x', 'OUTPUTS', 1, 'z')", 0)
            send(
                client,
                "AI.DAGEXECUTE LOAD 1 x PERSIST 2 p q |> " + early("x", "p") + " |> " + early("p", "q"),
            )
            blob = models.blob(models.Double())
            client.execute_command("AI.MODELSET", "old", "TORCH", "CPU", "TAG", "v0", "BLOB", blob)
            send(client, "AI.MODELRUN old INPUTS x OUTPUTS r")
            send(client, "AI.DAGRUN LOAD 1 x PERSIST 1 s |> AI.MODELRUN old INPUTS x OUTPUTS s")
            client.execute_command("AI.MODELDEL", "scalar")
            client.execute_command("AI.SCRIPTSTORE", "calls", "CPU", *scripts.REDIS_ARGUMENTS)
            for count in (2, 3):  # on a worker, then in a script
                increment = ["AI.SCRIPTEXECUTE", "calls", "increment", "KEYS", 1, "n", "ARGS", 1, count]
                client.execute_command(*increment)
            names = ", ".join(f"'{argument}'" for argument in increment)
            client.eval(f"redis.call('SET', 'n2', 1) return redis.call({names})", 0)
            client.execute_command("AI.SCRIPTSTORE", "gone", "CPU", *scripts.arguments())
            client.execute_command("AI.SCRIPTDEL", "gone")
            assert client.wait(1, 10_000) == 1
            assert everything(replica) == everything(client)
            assert replica.execute_command("AI.INFO", "m")[15] == 0  # calls
            assert replica.get("n") == b"8"
            statistics = replica.info("commandstats")
            runs_models = ("modelexecute", "modelrun", "dagexecute", "dagrun", "scriptexecute")
            assert not any(word in name for name in statistics for word in runs_models)
            # A replica serves what only reads.
            read = "AI.DAGEXECUTE_RO LOAD 1 x |> " + early("x", "o") + " |> AI.TENSORGET o VALUES"
            assert send(replica, read) == [b"OK", [b"2", b"4", b"6", b"8"]]


def test_dump_restore_and_copy(redis_client):
    fill(redis_client)
    tensors = ("y", "empty", "strings", "no dimensions")
    for key in ("m", "script", *tensors):
        redis_client.restore(f"{key}:restored", 0, redis_client.dump(key))
        redis_client.copy(key, f"{key}:copied")
    for key in tensors:
        tensor = redis_client.execute_command("AI.TENSORGET", key)
        assert redis_client.execute_command("AI.TENSORGET", f"{key}:restored") == tensor
        assert redis_client.execute_command("AI.TENSORGET", f"{key}:copied") == tensor
    model = redis_client.execute_command("AI.MODELGET", "m")
    assert redis_client.execute_command("AI.MODELGET", "m:restored") == model
    assert redis_client.execute_command("AI.MODELGET", "m:copied") == model
    script = redis_client.execute_command("AI.SCRIPTGET", "script")
    assert redis_client.execute_command("AI.SCRIPTGET", "script:restored") == script
    assert redis_client.execute_command("AI.SCRIPTGET", "script:copied") == script
    for key in ("script:restored", "script:copied"):
        redis_client.execute_command("AI.SCRIPTEXECUTE", key, "add", "INPUTS", 2, "x", "x", "OUTPUTS", 1, "y")
        assert redis_client.execute_command("AI.INFO", key)[15] == 1
    redis_client.delete("m", "m:restored")
    redis_client.execute_command("AI.MODELEXECUTE", "m:copied", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
    assert redis_client.execute_command("AI.INFO", "m:copied")[15] == 1  # a copy counts its own runs


@pytest.fixture(scope="module")
def lenient_server(start_shared_server):
    """A server that does not look at the checksums of payloads."""
    server = start_shared_server(config=DEBUG)
    with redis.Redis.from_url(server.url) as client:
        client.execute_command(*payloads.SKIP_CHECKSUMS)
    return server


@pytest.fixture
def debug_client(lenient_server):
    """A client of the lenient server, which holds what `fill` stores."""
    with redis.Redis.from_url(lenient_server.url) as client:
        client.flushall()
        fill(client)
        yield client


def test_forged_payloads_fail_cleanly(start_server):
    server = start_server(config=DEBUG)
    with redis.Redis.from_url(server.url) as client:
        client.execute_command(*payloads.SKIP_CHECKSUMS)
        client.execute_command("AI.TENSORSET", "t", "FLOAT", 2, 3, "VALUES", *range(6))
        client.execute_command("AI.TENSORSET", "s", "STRING", 3, "VALUES", "a", "longer", "text")
        client.execute_command("AI.MODELSTORE", "m", "TORCH", "CPU", "BLOB", models.blob(models.Double()))
        client.execute_command("AI.SCRIPTSTORE", "script", "CPU", *scripts.arguments())
        refused = 0
        for key in ("t", "s", "m", "script"):
            payload = client.dump(key)
            positions = range(payloads.TYPE_BYTES, min(len(payload) - payloads.FOOTER_BYTES, 80))
            for position in positions:
                for value in (0, 1, 0x7F, 0x80, 0x81, 0xFF):
                    forged = payload[:position] + bytes([value]) + payload[position + 1 :]
                    refused += not _restores(client, forged)
            if key == "s":  # a number for its data's size is nowhere: what is there is counted
                forged = payload.replace(b"a\0longer\0text\0", b"a\0longer\0text.")
                assert not _restores(client, forged)
            content = payloads.content(payload)
            cut = [payloads.with_content(payload, content[:size]) for size in range(min(len(content), 70))]
            refused += sum(not _restores(client, each) for each in cut)
        assert refused > 100
        assert client.ping()


def _restores(client: redis.Redis, payload: bytes) -> bool:
    try:
        client.restore("forged", 0, payload, replace=True)
    except redis.ResponseError as error:
        assert "\n" not in str(error)
        return False
    return True


def test_a_script_that_does_not_compile_any_more_is_kept_and_says_why(start_server):
    server = start_server(config=DEBUG)
    with redis.Redis.from_url(server.url) as client:
        client.execute_command(*payloads.SKIP_CHECKSUMS)
        client.execute_command(
            "AI.SCRIPTSTORE", "script", "CPU", *scripts.arguments("def f(x):\n    return x\n", [])
        )
        client.restore("script", 0, client.dump("script").replace(b"return x", b"return y"), replace=True)
        assert client.execute_command("AI.SCRIPTGET", "script", "SOURCE") == b"def f(x):\n    return y\n"
        with pytest.raises(redis.ResponseError, match="^ ?undefined value y.*the script cannot be compiled"):
            client.execute_command("AI.SCRIPTEXECUTE", "script", "f", "KEYS", 0)
        assert client.memory_usage("script") > 100


def _commands_of_aof(folder: Path) -> list[list[bytes]]:
    """The commands since the last rewrite, which the file holds as a client would send them."""
    data = next(folder.glob("appendonlydir/*.incr.aof")).read_bytes()
    commands = []
    while data:
        line, data = data.split(b"\r\n", 1)
        words = []
        for _ in range(int(line[1:])):
            size, data = data.split(b"\r\n", 1)
            words.append(data[: int(size[1:])])
            data = data[int(size[1:]) + 2 :]
        commands.append(words)
    return commands


def test_executions_are_logged_as_their_results(start_server, tmp_path):
    server = start_server(data_dir=tmp_path, appendonly=True, config={"appendfsync": "always"})
    with redis.Redis.from_url(server.url) as client:
        client.execute_command(
            *("AI.MODELSTORE", "m", "TORCH", "CPU", "BLOB"), models.blob(models.AddAndMultiply())
        )
        client.execute_command("AI.SCRIPTSTORE", "s", "CPU", *scripts.arguments())
        client.execute_command("AI.TENSORSET", "x", "FLOAT", 1, "VALUES", 3)
        stored = len(_commands_of_aof(tmp_path))
        send(client, "AI.SCRIPTEXECUTE s add INPUTS 2 x x OUTPUTS 1 one")
        send(client, "AI.MODELEXECUTE m INPUTS 2 x x OUTPUTS 2 sum product")
        dag = "|> AI.TENSORSET a FLOAT 1 VALUES 3 |> AI.MODELEXECUTE m INPUTS 2 a a OUTPUTS 2 b c"
        send(client, f"AI.DAGEXECUTE PERSIST 2 a c {dag}")
        send(client, f"AI.DAGEXECUTE_RO ROUTING x {dag}")
        three, six, nine = (struct.pack("<f", value) for value in (3, 6, 9))

        def tensorset(key: bytes, data: bytes) -> list[bytes]:
            return [b"AI.TENSORSET", key, b"FLOAT", b"1", b"BLOB", data]

        assert _commands_of_aof(tmp_path)[stored:] == [
            tensorset(b"one", six),
            *([b"MULTI"], tensorset(b"sum", six), tensorset(b"product", nine), [b"EXEC"]),
            *([b"MULTI"], tensorset(b"a", three), tensorset(b"c", nine), [b"EXEC"]),
        ]


@pytest.mark.parametrize("key", ["x", "strings", "m", "script"])
def test_a_payload_of_a_newer_encoding_is_refused(debug_client, key):
    payload = debug_client.dump(key)
    # The type's name and, in the last ten bits, its encoding's version are the eight bytes after two.
    version = struct.unpack(">H", payload[8:10])[0] & 0x3FF
    assert version == 100
    forged = payload[:8] + struct.pack(">H", struct.unpack(">H", payload[8:10])[0] + 1) + payload[10:]
    with pytest.raises(redis.ResponseError, match="Bad data format"):
        debug_client.restore("forged", 0, forged)


def test_a_restored_model_is_not_believed_more_than_a_stored_one(debug_client):
    """It is kept, as one whose device is missing, and answers each run with the reason."""
    blob = models.rewritten(models.blob(models.Weights(4)), "data.pkl", bytes)
    elements, more = b"K\x10t", b"K\xfft"  # of the 4 x 4 parameters
    assert blob.count(elements) == 1
    hostile = models.rewritten(blob, "data.pkl", lambda pickle: pickle.replace(elements, more))
    debug_client.config_set("rdbcompression", "no")
    debug_client.execute_command("AI.MODELSTORE", "m", "TORCH", "CPU", "BLOB", blob)
    debug_client.restore("forged", 0, debug_client.dump("m").replace(blob, hostile))
    assert debug_client.execute_command("AI.MODELGET", "forged", "BLOB") == hostile
    with pytest.raises(redis.ResponseError, match="shorter than it is said to be"):
        send(debug_client, "AI.MODELEXECUTE forged INPUTS 1 x OUTPUTS 1 y")
