"""Values that RedisAI saved: its payloads by RESTORE, in a dump.rdb and, as commands, in an AOF.

The payloads are made from a description of the layouts; none was written by RedisAI.
"""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path

import pytest
import redis

from modules_store.errors import ServerStartError

VECTORS = json.loads((Path(__file__).parent / "redisai_rdb_vectors.json").read_text())
BLOBS = {name: base64.b64decode(blob) for name, blob in VECTORS["blobs"].items()}
BY_NAME = {vector["name"]: vector for vector in VECTORS["vectors"]}
LOADED = [vector for vector in VECTORS["vectors"] if vector["expect"]["load"] == "yes"]
REFUSED = [vector for vector in VECTORS["vectors"] if vector["expect"]["load"] == "no"]

FOREIGN_RUN = "^this model is of the backend {}, and this engine runs TORCH only$"


def payload(vector: dict) -> bytes:
    return base64.b64decode(vector["payload"])


def fields(reply: list) -> dict:
    return dict(zip(reply[::2], reply[1::2], strict=True))


def check(client: redis.Redis, key: str, vector: dict) -> None:
    """What commands answer of the value under `key`."""
    check_one = {"AI_TENSOR": check_tensor, "AI__MODEL": check_model, "AI_SCRIPT": check_script}
    assert client.type(key) == vector["type"].encode()
    check_one[vector["type"]](client, key, vector["expect"])


def check_tensor(client: redis.Redis, key: str, expect: dict) -> None:
    answer = fields(client.execute_command("AI.TENSORGET", key, "META", "VALUES"))
    assert answer[b"dtype"] == expect["dtype"].encode()
    assert answer[b"shape"] == expect["shape"]
    values = answer[b"values"]
    if expect["dtype"] in ("FLOAT", "DOUBLE", "HALF"):
        values = [float(value) for value in values]
    elif expect["dtype"] == "STRING":
        values = [value.decode() for value in values]
    assert values == expect["values"]


def check_model(client: redis.Redis, key: str, expect: dict) -> None:
    answer = fields(client.execute_command("AI.MODELGET", key))
    assert answer[b"blob"] == BLOBS[expect["blob"]]
    assert answer[b"device"].upper() == expect["device"].encode()  # the spelling is the client's
    for name in ("backend", "tag"):
        assert answer[name.encode()] == expect[name].encode()
    for name in ("batchsize", "minbatchsize", "minbatchtimeout"):
        assert answer[name.encode()] == expect[name]
    assert fields(client.execute_command("AI.INFO", key))[b"backend"] == expect["backend"].encode()
    on_gpu = expect["device"].startswith("GPU")
    if not on_gpu:  # elsewhere the archive was not read
        for name in ("inputs", "outputs"):
            assert answer[name.encode()] == [each.encode() for each in expect[name]]
    run = ("AI.MODELEXECUTE", key, "INPUTS", 1, "in", "OUTPUTS", 1, "out", "TIMEOUT", 60_000)
    if on_gpu:
        return
    if not expect["runs"]:
        with pytest.raises(redis.ResponseError, match=FOREIGN_RUN.format(expect["backend"])):
            client.execute_command(*run)
    elif expect["minbatchsize"] == 0:  # the others wait for company
        assert client.execute_command(*run) == b"OK"
        assert client.execute_command("AI.TENSORGET", "out", "VALUES") == [b"1", b"2"]


def check_script(client: redis.Redis, key: str, expect: dict) -> None:
    answer = fields(client.execute_command("AI.SCRIPTGET", key))
    assert answer[b"device"] == expect["device"].encode()
    assert answer[b"tag"] == expect["tag"].encode()
    assert answer[b"Entry Points"] == [each.encode() for each in expect["entry_points"]]
    assert answer[b"source"] == expect["source"].encode()
    call = ("AI.SCRIPTEXECUTE", key, "double", "INPUTS", 1, "in", "OUTPUTS", 1, "out")
    assert client.execute_command(*call) == b"OK"
    assert client.execute_command("AI.TENSORGET", "out", "VALUES") == [b"2", b"4"]


@pytest.fixture
def client(redis_client):
    redis_client.execute_command("AI.TENSORSET", "in", "FLOAT", 1, 2, "VALUES", 1, 2)
    return redis_client


def test_there_are_vectors_of_every_version():
    for kind in ("AI_TENSOR", "AI__MODEL", "AI_SCRIPT"):
        assert {vector["version"] for vector in LOADED if vector["type"] == kind} == {0, 1, 2, 3, 4}
    assert len(LOADED) > 60
    assert len(REFUSED) > 20


@pytest.mark.parametrize("vector", LOADED, ids=lambda vector: vector["name"])
def test_a_payload_is_restored_and_saved_again(client, vector):
    client.restore("restored", 0, payload(vector))
    check(client, "restored", vector)
    client.restore("again", 0, client.dump("restored"))
    check(client, "again", vector)
    client.copy("restored", "copied")
    check(client, "copied", vector)
    assert client.memory_usage("restored") > 0


@pytest.mark.parametrize("vector", REFUSED, ids=lambda vector: vector["name"])
def test_damage_is_refused(client, vector):
    with pytest.raises(redis.ResponseError, match="Bad data format"):
        client.restore("refused", 0, payload(vector))
    assert client.ping()


def test_a_device_comes_back_as_it_was_written(client):
    client.restore("m", 0, payload(BY_NAME["model-4-torch-lower-case"]))
    assert fields(client.execute_command("AI.MODELGET", "m", "META"))[b"device"] == b"cpu"


def rdb_file(vectors: list[dict]) -> bytes:
    """A dump.rdb with the values under their vectors' names."""
    parts = [b"REDIS0009", b"\xfe\x00"]
    for vector in vectors:
        name = vector["name"].encode()
        # The type, which a payload begins with, stands before the key; versions and checksum are the file's.
        parts += [payload(vector)[:1], bytes([len(name)]), name, payload(vector)[1:-10]]
    return b"".join(parts) + b"\xff" + struct.pack("<Q", 0)  # no checksum


def test_a_dump_file_of_redisai_is_loaded_and_saved_as_ours(start_server, tmp_path):
    (tmp_path / "dump.rdb").write_bytes(rdb_file(LOADED))
    server = start_server(data_dir=tmp_path)
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("AI.TENSORSET", "in", "FLOAT", 1, 2, "VALUES", 1, 2)
        for vector in LOADED:
            check(client, vector["name"], vector)
        client.save()
    server.restart()
    with redis.Redis.from_url(server.url) as client:
        for vector in LOADED:
            check(client, vector["name"], vector)
        models = dict(client.execute_command("AI._MODELSCAN"))
        assert models[b"model-4-onnx"] == b"tag"
        client.rename("model-4-onnx", "renamed")
        assert client.execute_command("AI.MODELDEL", "renamed") == b"OK"


def test_a_foreign_model_in_a_dag_says_why(client):
    client.restore("m", 0, payload(BY_NAME["model-4-onnx"]))
    run = ("|>", "AI.MODELEXECUTE", "m", "INPUTS", 1, "in", "OUTPUTS", 1, "y")
    answer = client.execute_command("AI.DAGEXECUTE", "LOAD", 1, "in", *run)
    assert "runs TORCH only" in str(answer[0])


def test_a_server_that_cannot_start_says_why(start_server, tmp_path):
    damaged = BY_NAME["refused-tensor-4-short-data"]
    (tmp_path / "dump.rdb").write_bytes(rdb_file([BY_NAME["tensor-4-float"], damaged]))
    reason = "cannot load the tensor under the key 'refused-tensor-4-short-data', encoding version 4: "
    with pytest.raises(ServerStartError, match=reason):
        start_server(data_dir=tmp_path)


def test_an_aof_keeps_models_of_other_backends(start_server, tmp_path, wait_until):
    config = {"aof-use-rdb-preamble": "no"}
    server = start_server(data_dir=tmp_path, appendonly=True, config=config)
    vectors = [BY_NAME[name] for name in ("model-4-onnx", "model-4-tf", "model-4-tflite", "script-4")]
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("AI.TENSORSET", "in", "FLOAT", 1, 2, "VALUES", 1, 2)
        for vector in vectors:
            client.restore(vector["name"], 0, payload(vector))
        client.bgrewriteaof()
        wait_until(lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0)
        with pytest.raises(redis.ResponseError, match="^unsupported backend$"):
            client.execute_command("AI.MODELSTORE", "mine", "ONNX", "CPU", "BLOB", b"x")
    # As a RedisAI master or its AOF has it, of both commands.
    lists = [b"INPUTS", b"2", b"a", b"b", b"OUTPUTS", b"1", b"mul"]
    stores = [
        [b"AI.MODELSTORE", b"stored", b"TF", b"cpu", *lists, b"BLOB", b"x"],
        [b"AI.MODELSET", b"set", b"TF", b"CPU2", *(w for w in lists if not w.isdigit()), b"BLOB", b"x"],
    ]
    words = [b"*%d\r\n" % len(c) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in c) for c in stores]
    server.stop()
    with next(tmp_path.glob("appendonlydir/*.incr.aof")).open("ab") as file:
        file.write(b"".join(words))
    server = start_server(data_dir=tmp_path, appendonly=True, config=config)
    with redis.Redis.from_url(server.url) as client:
        for vector in vectors:
            check(client, vector["name"], vector)
        for key, device in ((b"stored", b"cpu"), (b"set", b"CPU")):
            answer = fields(client.execute_command("AI.MODELGET", key))
            assert answer[b"backend"] == b"TF"
            assert answer[b"device"] == device
            assert answer[b"inputs"] == [b"a", b"b"]
            assert answer[b"outputs"] == [b"mul"]
            assert answer[b"blob"] == b"x"
