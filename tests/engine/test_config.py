"""AI.CONFIG, and the arguments of the module."""

from __future__ import annotations

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
    assert fresh_ai("CONFIG", "GET", "BACKENDSPATH") is None
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


MODULE_ARGUMENTS = {
    "THREADS_PER_QUEUE": "2",
    "INTRA_OP_PARALLELISM": "3",
    "INTER_OP_PARALLELISM": "4",
    "MODEL_EXECUTION_TIMEOUT": "1000",
    "BACKEND_MEMORY_LIMIT": "0",
    "TORCH": "redisai_torch.so",
}


def test_arguments_of_the_module_are_accepted(start_server):
    server = start_server(engine_args=[word for pair in MODULE_ARGUMENTS.items() for word in pair])
    with redis.Redis.from_url(server.url) as client:
        blob = models.blob(models.Double())
        assert client.execute_command("AI.MODELSTORE", "m", "TORCH", "CPU", "BLOB", blob) == b"OK"


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
