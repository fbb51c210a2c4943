"""The engine commands that publishing and verification send; the only file that uses the client redisai."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import redis
import torch
from torch import Tensor

from model_export.errors import ConfigError
from modules_store import urls
from modules_store.errors import from_redis_error

with warnings.catch_warnings():
    # redisai imports pkg_resources, and setuptools warns whoever does.
    warnings.simplefilter("ignore")
    import redisai.command_builder as build
    from redisai.postprocessor import Processor


@contextlib.contextmanager
def connected(connection: str | redis.Redis) -> Iterator[redis.Redis]:
    """Yield the client given, or one for the URL given, closed afterwards; errors become modules_store's."""
    if isinstance(connection, str):
        try:
            client = redis.Redis.from_url(connection)
        except ValueError as error:
            raise ConfigError(f"connection: {urls.why_unusable(connection, error)}") from None
        closing: contextlib.AbstractContextManager[redis.Redis] = client
    else:
        closing = contextlib.nullcontext(connection)
    try:
        with closing as client:
            yield client
    except redis.RedisError as error:
        raise from_redis_error(error) from error


def store_model(client: redis.Redis, key: str, blob: bytes, tag: str) -> None:
    """Store TorchScript bytes as a model on the CPU."""
    # redisai builds the command but does not send it: its client asks for MODEL_CHUNK_SIZE each time.
    client.execute_command(*build.modelstore(key, "TORCH", "CPU", blob, None, None, None, tag, None, None))


def run_model(client: redis.Redis, key: str, batch: Tensor) -> Tensor:
    """Run a stored model on one tensor and return its output; nothing is stored.

    Raises:
        redis.ResponseError: the server, or the model itself, refused.
    """
    dag: list[Any] = ["AI.DAGEXECUTE_RO", "ROUTING", key]
    dag += ["|>", *build.tensorset("in", batch.numpy())]
    dag += ["|>", *build.modelexecute(key, ["in"], ["out"], None)]
    dag += ["|>", *build.tensorget("out")]
    replies = client.execute_command(*dag)
    for reply in replies:
        if isinstance(reply, redis.RedisError):
            raise reply
    return torch.from_numpy(Processor.tensorget(replies[-1], True, False, False).copy())
