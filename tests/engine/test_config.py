"""AI.CONFIG, the server's configuration `ai.*`, and the arguments of the module."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
import redis

from modules_store.errors import ServerStartError
from tests.engine import models

DEFAULT_CHUNK = 511 * 1024 * 1024


@pytest.fixture
def fresh_ai(start_server):
    """`ai` on a server of its own: what AI.CONFIG sets lasts as long as the server."""
    server = start_server()
    with redis.Redis.from_url(server.url) as client:
        yield lambda command, *arguments: client.execute_command(f"AI.{command}", *arguments)


def test_settings_are_read_back(fresh_ai):
    assert fresh_ai("CONFIG", "GET", "MODEL_CHUNK_SIZE") == DEFAULT_CHUNK
    assert fresh_ai("CONFIG", "GET", "BACKENDSPATH").endswith(b"/backends")  # beside the module
    assert fresh_ai("CONFIG", "GET", "NOTHING") is None
    assert fresh_ai("CONFIG", "MODEL_CHUNK_SIZE", 1000) == b"OK"
    assert fresh_ai("config", "backendspath", "/some/where") == b"OK"
    assert fresh_ai("CONFIG", "get", "model_chunk_size") == 1000
    assert fresh_ai("CONFIG", "GET", "BACKENDSPATH") == b"/some/where"


def test_a_model_is_read_in_chunks_and_stored_from_them(fresh_ai):
    blob = models.blob(models.Double())
    fresh_ai("MODELSTORE", "m", "TORCH", "CPU", "BLOB", blob)
    fresh_ai("CONFIG", "MODEL_CHUNK_SIZE", 1000)
    chunks = fresh_ai("MODELGET", "m", "BLOB")
    assert chunks == [blob[at : at + 1000] for at in range(0, len(blob), 1000)]
    assert fresh_ai("MODELGET", "m")[17] == chunks
    fresh_ai("MODELSTORE", "again", "TORCH", "CPU", "BLOB", *chunks)
    fresh_ai("CONFIG", "MODEL_CHUNK_SIZE", len(blob))
    assert fresh_ai("MODELGET", "again", "BLOB") == blob


def test_the_backend_is_built_in(ai):
    assert ai("CONFIG", "LOADBACKEND", "TORCH", "redisai_torch/redisai_torch.so") == b"OK"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["NOTHING"], "unsupported subcommand"),
        (["BACKENDSPATH"], "BACKENDSPATH: missing path argument"),
        (["MODEL_CHUNK_SIZE"], "MODEL_CHUNK_SIZE: missing chunk size"),
        (["MODEL_CHUNK_SIZE", 0], "MODEL_CHUNK_SIZE: invalid chunk size"),
        (["MODEL_CHUNK_SIZE", -5], "MODEL_CHUNK_SIZE: invalid chunk size"),
        (["MODEL_CHUNK_SIZE", "1k"], "MODEL_CHUNK_SIZE: invalid chunk size"),
        (["MODEL_CHUNK_SIZE", 2**63], "MODEL_CHUNK_SIZE: invalid chunk size"),
        (["LOADBACKEND", "TORCH", "."], "error loading backend"),
        (["LOADBACKEND", "TORCH", "/a/folder"], "error loading backend"),
        (["LOADBACKEND", "TF", "redisai_tensorflow.so"], "unsupported backend"),
        *(
            (arguments, "wrong number of arguments for 'AI.CONFIG' command")
            for arguments in [
                [],
                ["GET"],
                ["GET", "MODEL_CHUNK_SIZE", "x"],
                ["MODEL_CHUNK_SIZE", 1, 2],
                ["LOADBACKEND", "TORCH"],
            ]
        ),
    ],
)
def test_bad_arguments(ai, arguments, message):
    with pytest.raises(redis.ResponseError) as error:
        ai("CONFIG", *arguments)
    assert str(error.value).lower() == message.lower()
    assert ai("CONFIG", "GET", "MODEL_CHUNK_SIZE") == DEFAULT_CHUNK


DOCS = Path(__file__).parents[2] / "docs" / "engine.md"
ROW = re.compile(r"^\| `(ai\.[a-z-]+)` \| (?:`([A-Z_]+)`)? ?\| (\S+) \| (yes|no) \| .* \|$", re.MULTILINE)

MODULE_ARGUMENTS = {
    "THREADS_PER_QUEUE": "2",
    "INTRA_OP_PARALLELISM": "3",
    "INTER_OP_PARALLELISM": "4",
    "MODEL_EXECUTION_TIMEOUT": "1000",
    "BACKEND_MEMORY_LIMIT": "0",
    "TORCH": "redisai_torch.so",
}


def test_the_documented_settings_are_the_servers(redis_client):
    rows = ROW.findall(DOCS.read_text())
    defaults = {name: "" if default == "none" else default for name, _, default, _ in rows}
    assert redis_client.config_get("ai.*") == defaults
    assert {argument for _, argument, _, _ in rows if argument} == MODULE_ARGUMENTS.keys() - {"TORCH"}
    for name, _, _, can_change in rows:
        if can_change == "yes":
            assert redis_client.config_set(name, defaults[name])
        else:
            with pytest.raises(redis.ResponseError, match="can't set immutable config"):
                redis_client.config_set(name, defaults[name])


def test_arguments_of_the_module_are_accepted(start_server):
    server = start_server(engine_args=[word for pair in MODULE_ARGUMENTS.items() for word in pair])
    with redis.Redis.from_url(server.url) as client:
        blob = models.blob(models.Double())
        assert client.execute_command("AI.MODELSTORE", "m", "TORCH", "CPU", "BLOB", blob) == b"OK"
        arguments = {f"ai.{name.lower().replace('_', '-')}": n for name, n in MODULE_ARGUMENTS.items()}
        del arguments["ai.torch"]
        assert client.config_get("ai.*").items() >= arguments.items()
        loaded = client.info("everything")
        assert loaded["ai_intra_op_parallelism"] == 3
        assert "ai_queue_CPU_bthread_n2_used_cpu_total" in loaded  # two workers


def test_what_redis_conf_says_wins_over_arguments(start_server):
    server = start_server(
        engine_args=["THREADS_PER_QUEUE", "2", "INTRA_OP_PARALLELISM", "2"],
        config={"ai.threads-per-queue": 3, "ai.max-batch-wait-ms": 70, "ai.model-chunk-size": "1mb"},
    )
    with redis.Redis.from_url(server.url) as client:
        settings = client.config_get("ai.*")
        assert settings["ai.threads-per-queue"] == "3"
        assert settings["ai.intra-op-parallelism"] == "2"
        assert settings["ai.max-batch-wait-ms"] == "70"
        assert client.execute_command("AI.CONFIG", "GET", "MODEL_CHUNK_SIZE") == 1 << 20


@pytest.mark.parametrize("value", ["0", "1025", "many"])
def test_what_redis_conf_may_not_say(start_server, value):
    with pytest.raises(ServerStartError, match="ai.threads-per-queue"):
        start_server(config={"ai.threads-per-queue": value})


def test_the_chunk_size_is_one_value(redis_client, ai):
    try:
        ai("CONFIG", "MODEL_CHUNK_SIZE", 1000)
        assert redis_client.config_get("ai.model-chunk-size") == {"ai.model-chunk-size": "1000"}
        redis_client.config_set("ai.model-chunk-size", "2kb")
        assert ai("CONFIG", "GET", "MODEL_CHUNK_SIZE") == 2048
        with pytest.raises(redis.ResponseError, match="argument must be between 1 and"):
            redis_client.config_set("ai.model-chunk-size", 0)
    finally:
        redis_client.config_set("ai.model-chunk-size", DEFAULT_CHUNK)


def test_how_long_a_request_waits_for_company(redis_client, ai):
    options = ["TORCH", "CPU", "BATCHSIZE", 2, "MINBATCHSIZE", 2]
    ai("MODELSTORE", "m", *options, "BLOB", models.blob(models.Double()))
    ai("TENSORSET", "x", "FLOAT", 1, 1)
    redis_client.config_set("ai.max-batch-wait-ms", 150)
    try:
        began = time.monotonic()
        ai("MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
        assert 0.15 <= time.monotonic() - began < 0.9
    finally:
        redis_client.config_set("ai.max-batch-wait-ms", 1000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["THREADS_PER_QUEUE", "0"], "THREADS_PER_QUEUE takes a number from 1 to 1024"),
        (["BACKEND_MEMORY_LIMIT"], "BACKEND_MEMORY_LIMIT takes a number from 0 to"),
        (["TORCH"], "TORCH takes a path"),
        (["COLOUR", "red"], "unknown module argument: COLOUR"),
    ],
)
def test_bad_arguments_of_the_module_are_named_in_the_log(start_server, arguments, message):
    with pytest.raises(ServerStartError, match=message):
        start_server(engine_args=arguments)
