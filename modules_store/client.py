"""RedisAgentMemory, the blocking client: owns the connections and drives the flows over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from modules_store import commands, errors, flows
from modules_store.bindings import Binding
from modules_store.commands import Memory, ReEncoded


class RedisAgentMemory:
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
        compression_threshold: int = 1000,
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
        Past `compression_threshold` memories an agent loses the oldest fifth of its hundred oldest.
        Raises InvalidInputError.
        """
        commands.check_positive(compression_threshold, "compression_threshold")
        if codec is not None:
            commands.check_codec_name(codec, "codec")
        elif codec_version is not None:
            raise errors.InvalidInputError(f"codec_version is {codec_version!r}, but no codec is given")
        if codec_version is not None:
            commands.check_positive(codec_version, "codec_version")
        self._redis = _connect(redis_url)
        self._compression_threshold = compression_threshold
        self._codec = flows.CodecSource(codec, codec_version)

    def store_agent_memory(
        self,
        agent_id: str,
        agent_state: Any,
        metadata: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
    ) -> int:
        """Store one state and return its timestamp.

        `agent_id` is text of 1 to 256 UTF-8 bytes without braces or control characters. `agent_state` has
        shape [D] and any real dtype: an array, a torch tensor or a sequence; it is rounded to float32.
        `metadata` is a mapping with text keys that JSON can express. `timestamp` is an integer from 0 to
        2**53 - 1, new for the agent; by default the server gives the time in milliseconds, or one more
        than the agent's newest timestamp if that is later. Raises InvalidInputError (its subclasses say
        which argument), TimestampExistsError, CodecNotFoundError, CodecMismatchError, OutOfMemoryError,
        ConnectionLostError, ServerError.
        """
        return self._drive(
            flows.store_memory(
                self._codec,
                agent_id,
                agent_state,
                metadata,
                timestamp,
                compression_threshold=self._compression_threshold,
            )
        )

    def store_agent_memories(
        self,
        agent_id: str,
        agent_states: Any,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        timestamps: Sequence[int] | None = None,
    ) -> list[int]:
        """Store up to 16,384 states of one agent in one round trip, all or none; return their timestamps.

        `agent_states` has shape [B, D]. `metadata` and `timestamps`, where given, have B entries; an entry
        of `metadata` may be None. Timestamps that the server gives are consecutive. Arguments and errors
        are otherwise those of `store_agent_memory`, and the agent ends up with the same memories as by B
        such calls.
        """
        return self._drive(
            flows.store_memories(
                self._codec,
                agent_id,
                agent_states,
                metadata,
                timestamps,
                compression_threshold=self._compression_threshold,
            )
        )

    def retrieve_agent_memory(self, agent_id: str, timestamp: int) -> Memory:
        """Return the memory that an agent has at `timestamp`.

        Raises InvalidInputError, MemoryNotFoundError, CodecNotFoundError where its decoder is gone,
        CorruptMemoryError, ConnectionLostError, ServerError.
        """
        return self._drive(flows.recall_memory(agent_id, timestamp))

    def get_recent_memories(self, agent_id: str, count: int = 10) -> list[Memory]:
        """Return up to `count` memories of an agent, newest first, at most 16,384; none for an unknown agent.

        Memories that Redis has evicted are passed over. Raises as `retrieve_agent_memory`, save
        MemoryNotFoundError.
        """
        return self._drive(flows.recall_recent(agent_id, count))

    def refresh_codec(self) -> None:
        """Fetch bindings and codecs again, so that later stores follow what was bound or published since.

        A built-in codec of the client's own that is not published yet is published.
        Raises CodecNotFoundError, ConnectionLostError, ServerError.
        """
        self._drive(self._codec.refresh())

    def re_encode(
        self,
        agent_id: str,
        codec: str | None = None,
        version: int | None = None,
        *,
        step: int = 1024,
        on_progress: Callable[[ReEncoded], None] | None = None,
    ) -> ReEncoded:
        """Make a codec the agent's own and move the memories it has to that codec, inside the server.

        From the beginning new memories must be of that codec; old ones are recalled as before, beside them.
        They are moved in steps of up to `step` memories, 1 to 16,384, each done as a whole or not at all;
        after each `on_progress` is called with what was done so far. Whatever interrupts this, no memory
        is lost, and calling it again goes on. Timestamps, metadata and expiry stay; a state changes by what
        the codec loses.

        `codec` is by default that of this client, or of the agent's binding, or else the one that the agent
        has; `version` is by default the one said there, or the latest. Raises InvalidInputError,
        CodecNotFoundError where the agent has stored nothing or a model is missing, CodecMismatchError where
        the codec takes states of another length or another client switched the agent's codec meanwhile,
        NonFiniteStateError or StateRangeError where the codec cannot take a state that another brought back,
        CorruptMemoryError, OutOfMemoryError, ConnectionLostError, ServerError.
        """
        return self._drive(
            flows.re_encode(self._codec, agent_id, codec, version, step=step, on_progress=on_progress)
        )

    def bind(self, agents: str, codec: str, version: int | None = None) -> None:
        """Bind an agent, or a kind of agent, to a codec: clients that are given none store with this one.

        `agents` is an id or a pattern of `*`, `?`, `[abc]` and `[!abc]`, in the place of an earlier binding
        for the same text. An id decides before patterns, a longer pattern before a shorter one, of equally
        long ones the first in alphabetical order. `version` is None for the latest. Clients follow when they
        start or call `refresh_codec`; an agent that has memories of another codec needs `re_encode`, too.
        Raises InvalidInputError, CodecNotFoundError, ConnectionLostError, ServerError.
        """
        self._drive(flows.bind(self._codec, agents, codec, version))

    def unbind(self, agents: str) -> bool:
        """Remove the binding for this very text; return whether there was one.

        Raises InvalidInputError, ConnectionLostError, ServerError.
        """
        return self._drive(flows.unbind(self._codec, agents))

    def bindings(self) -> list[Binding]:
        """Return the bindings on the server, in the order in which they decide among patterns.

        Raises ConnectionLostError, ServerError.
        """
        return self._drive(flows.get_bindings())

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

    def _drive(self, flow: flows.Flow[flows.T]) -> flows.T:
        """Send what a flow yields and return its result; errors of redis-py become this package's."""
        try:
            command = next(flow)
            while True:
                try:
                    reply = self._redis.execute_command(*command)
                except redis.RedisError as error:
                    command = flow.throw(error)
                else:
                    command = flow.send(reply)
        except StopIteration as end:
            result: flows.T = end.value
            return result
        except redis.RedisError as error:
            raise errors.from_redis_error(error) from error


def _connect(redis_url: str | redis.Redis) -> redis.Redis:
    if isinstance(redis_url, redis.Redis):
        pool = redis_url.connection_pool
        if pool.connection_kwargs.get("decode_responses"):
            raise errors.InvalidInputError(
                "redis_url is a client with decode_responses=True, but memories are bytes"
            )
        # A client of our own on the same connections: the other's response callbacks stay out of our replies.
        return redis.Redis(connection_pool=pool)
    try:
        # A store whose answer was lost must not be sent again, as newer versions of redis-py would by
        # default.
        return redis.Redis.from_url(redis_url, retry=Retry(NoBackoff(), 0))
    except ValueError as problem:
        raise errors.InvalidInputError(f"redis_url {redis_url!r}: {problem}") from problem
