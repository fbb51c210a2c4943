"""RedisAgentMemory, the blocking client: owns the connections and drives the flows over them."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from modules_store import checks, errors, flows
from modules_store.flows.systems import MemorySystems
from modules_store.operations.buffering import Buffering
from modules_store.operations.encoding import Encoding
from modules_store.operations.following import Following
from modules_store.operations.recalling import Recalling
from modules_store.operations.storing import Storing
from modules_store.policy import Oldest, Policy


class RedisAgentMemory(Storing, Buffering, Recalling, Following, Encoding):
    """Numeric states of agents, kept compressed inside Redis by a codec.

    States go to the server and come back as they are; the codec runs there, inside the same script that
    stores or recalls, so each call is one round trip. Instances may be shared between threads, and several
    clients may store to one agent at once. A context manager: leaving it closes the connections.

    >>> with RedisAgentMemory("redis://127.0.0.1:6379") as memory:
    ...     memory.store_agent_memory("drone-7", state, {"step": 1})
    ...     recent = memory.get_recent_memories("drone-7", 10)

    Every error is a `modules_store.MemoryStoreError`. A call that raises has stored nothing, with one
    exception that no client can rule out: where ConnectionLostError says that the answer did not come, the
    server may have done the work. Such a call is not repeated here, lest a state be stored twice.
    """

    def __init__(
        self,
        redis_url: str | redis.Redis = "redis://127.0.0.1:6379",
        *,
        codec: str | None = None,
        codec_version: int | None = None,
        compression_threshold: int | None = None,
        policy: Policy | None = None,
    ) -> None:
        """Prepare a client; nothing is sent before the first operation.

        `redis_url` is a URL as redis-py reads it (`redis://`, `rediss://`, `unix://`), or a `redis.Redis`
        with `decode_responses` off, whose connections are used and left open. Its `retry` counts, too: that
        of `redis.Redis()` in redis-py 6 and later sends a command again whose answer was lost, and a state
        may then be stored twice; `retry=Retry(NoBackoff(), 0)` does not.
        `codec` names a published codec and `codec_version` one of its versions, None the latest at the first
        store. Without `codec` each agent stores with the one that it is bound to (see `bind`), and with
        "float16" where it is not. That one is built in, and the first store that misses it publishes it: it
        takes states of any length, the same for all of one agent, with values from -65504 to 65504, and keeps
        two bytes a feature. Recalls find the codec by the memories.
        `policy` says which memories are kept; `compression_threshold` is short for
        `Policy(retention=Oldest(compression_threshold))`: past so many memories an agent loses the oldest
        fifth of its hundred oldest. Without either the threshold is 1000.
        Raises InvalidInputError.
        """
        self._redis = connect(redis_url)
        self._systems = memory_systems(codec, codec_version, compression_threshold, policy)

    def close(self) -> None:
        """Close the connections, unless they are those of a `redis.Redis` that was given."""
        self._redis.close()

    def __enter__(self) -> RedisAgentMemory:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _socket_timeout_s(self) -> float | None:
        """Return how long connections wait for an answer, None for ever."""
        return socket_timeout_s(self._redis.connection_pool)

    def _drive(self, flow: flows.Flow[flows.T]) -> flows.T:
        """Send what a flow yields and return its result; errors of redis-py become this package's."""
        try:
            command = next(flow)
            while True:
                try:
                    reply = self._redis.execute_command(*command.arguments)
                except redis.RedisError as error:
                    command = flow.throw(error)
                else:
                    command = flow.send(reply)
        except StopIteration as end:
            result: flows.T = end.value
            return result
        except redis.RedisError as error:
            raise errors.from_redis_error(error) from error


def memory_systems(
    codec: str | None, codec_version: int | None, compression_threshold: int | None, policy: Policy | None
) -> MemorySystems:
    """Return what a client's arguments say about codecs and policies; raise InvalidInputError."""
    if codec is not None:
        checks.codec_name(codec, "codec")
    elif codec_version is not None:
        raise errors.InvalidInputError(f"codec_version is {codec_version!r}, but no codec is given")
    if codec_version is not None:
        checks.integer(codec_version, "codec_version")
    if compression_threshold is not None:
        if policy is not None:
            raise errors.InvalidInputError("compression_threshold and policy are given; the policy says both")
        checks.integer(compression_threshold, "compression_threshold")
        policy = Policy(retention=Oldest(compression_threshold))
    if policy is not None and not isinstance(policy, Policy):
        raise errors.InvalidInputError(f"policy is of type {type(policy).__name__}, not a Policy")
    return MemorySystems(codec, codec_version, policy)


def connect(redis_url: str | redis.Redis) -> redis.Redis:
    """Return a client that does not repeat commands by itself; raise InvalidInputError."""
    if isinstance(redis_url, redis.Redis):
        refuse_decoding(redis_url.connection_pool.connection_kwargs)
        # A client of our own on the same connections: the other's response callbacks stay out of our replies.
        return redis.Redis(connection_pool=redis_url.connection_pool)
    try:
        # A store whose answer was lost must not be sent again, as newer versions of redis-py would by
        # default.
        return redis.Redis.from_url(redis_url, retry=Retry(NoBackoff(), 0))
    except ValueError as problem:
        raise errors.InvalidInputError(f"redis_url {redis_url!r}: {problem}") from problem


def refuse_decoding(connection_kwargs: Mapping[str, Any]) -> None:
    """Raise InvalidInputError where connections make text of what the server sends."""
    if connection_kwargs.get("decode_responses"):
        raise errors.InvalidInputError(
            "redis_url is a client with decode_responses=True, but memories are bytes"
        )


def socket_timeout_s(pool: Any) -> float | None:
    """Return how long the connections of a pool wait for an answer, None for ever."""
    timeout_s: float | None = pool.connection_class(**pool.connection_kwargs).socket_timeout
    return timeout_s  # where the user said nothing, redis-py may have a default
