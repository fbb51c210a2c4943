"""RedisAgentMemory, the blocking client: owns the connections and drives the flows over them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import redis

from modules_store import checks, copies, errors, flows
from modules_store.attempts import Attempts, Patience
from modules_store.commands import Command
from modules_store.connections import Connections
from modules_store.copies import Folder
from modules_store.flows.modes import Modes
from modules_store.flows.restoring import restoring
from modules_store.flows.sending import Sender
from modules_store.flows.systems import MemorySystems
from modules_store.operations.buffering import Buffering
from modules_store.operations.converting import Converting
from modules_store.operations.counting import Counting
from modules_store.operations.deleting import Deleting
from modules_store.operations.encoding import Encoding
from modules_store.operations.following import Following
from modules_store.operations.integrity import Integrity
from modules_store.operations.keeping import Keeping
from modules_store.operations.querying import Querying
from modules_store.operations.recalling import Recalling
from modules_store.operations.sampling import Sampling
from modules_store.operations.searching import Searching
from modules_store.operations.storing import Storing
from modules_store.policy import LAYOUTS, Policy
from modules_store.retention import Oldest


class RedisAgentMemory(
    Storing,
    Buffering,
    Recalling,
    Sampling,
    Following,
    Searching,
    Querying,
    Deleting,
    Integrity,
    Counting,
    Keeping,
    Encoding,
    Converting,
):
    """Numeric states of agents, kept compressed inside Redis by a codec.

    States go to the server and come back as they are; the codec runs there, inside the same script that
    stores or recalls, so each call is one round trip (two where `mode` says so). Instances may be shared
    between threads, and several clients may store to one agent at once. A context manager: leaving it closes
    the connections.

    >>> with RedisAgentMemory("redis://127.0.0.1:6379") as memory:
    ...     memory.store_agent_memory("drone-7", state, {"step": 1})
    ...     recent = memory.get_recent_memories("drone-7", 10)

    Every error is a `modules_store.MemoryStoreError`. A call that raises has stored nothing, with one
    exception that no client can rule out: where ConnectionLostError says that the answer did not come, the
    server may have done the work. Before that the call was repeated; what is stored is stored once.
    """

    def __init__(
        self,
        redis_url: str | redis.Redis = "redis://127.0.0.1:6379",
        *,
        codec: str | None = None,
        codec_version: int | None = None,
        compression_threshold: int | None = None,
        policy: Policy | None = None,
        layout: str | None = None,
        unbound: str = "float16",
        codec_files: Folder | Iterable[Folder] | None = None,
        mode: str = "auto",
        retries: int = 3,
        timeout_s: float | None = None,
        **connection_options: Any,
    ) -> None:
        """Prepare a client; nothing is sent before the first operation.

        `redis_url` is a URL as redis-py reads it (`redis://`, `rediss://`, `unix://`), or a `redis.Redis`
        with `decode_responses` off, whose connections are used and left open; its `retry` counts for making
        connections alone. `connection_options` are those of `redis.Redis.from_url`, such as `username`,
        `password`, `ssl_ca_certs`, `max_connections` or `health_check_interval`. Where all `max_connections`
        are in use, a call waits for one.
        `codec` names a published codec and `codec_version` one of its versions, None the latest at the first
        store. Without `codec` each agent stores with the one that it is bound to (see `bind`), and with
        "float16" where it is not. That one is built in, and the first store that misses it publishes it: it
        takes states of any length, the same for all of one agent, with values from -65504 to 65504, and keeps
        two bytes a feature. Recalls find the codec by the memories.
        `policy` says which memories are kept; `compression_threshold` is short for
        `Policy(retention=Oldest(compression_threshold))`: past so many memories an agent loses the oldest
        fifth of its hundred oldest. Without either an agent has the policy that it is bound to, and where
        it is not, a threshold of 1000.
        `layout` says how agents that have no memories yet get theirs, "keys" or "packed", in the place of the
        layout that the policy says; None leaves it to that.
        `unbound="error"` refuses stores of an agent that nobody bound, instead of taking "float16".
        `codec_files` names a folder, or several, that `model_export` wrote: where Redis has evicted models of
        a codec, they are published again from the files that have their SHA-256.
        `mode` says where the codec's models run: "inline" inside the scripts, one round trip an operation;
        "queued" on the server's worker queue, two round trips; "auto" queued for 1,000 states or more, where
        encoding a state takes a millisecond or longer, or the server runs no models inside scripts.
        `retries` is how often a command is sent again, after a pause that grows, whose answer was lost or
        which the server was too busy to begin; a store that was done is not done again. `timeout_s` is how
        many seconds an operation may take, repetitions and pauses included; None for ever.
        Raises InvalidInputError.
        """
        self._patience = Patience(retries, timeout_s)
        self._sender = Sender()
        self._connections = Connections(redis_url, connection_options, timeout_s)
        self._systems = memory_systems(
            codec,
            codec_version,
            compression_threshold,
            policy,
            layout=layout,
            unbound=unbound,
            codec_files=codec_files,
            mode=mode,
        )

    def close(self) -> None:
        """Close the connections, unless they are those of a `redis.Redis` that was given."""
        self._connections.close()

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
        return self._connections.socket_timeout_s()

    def _pause(self, pause_s: float) -> None:
        time.sleep(pause_s)

    def _drive(self, flow: flows.Flow[flows.T]) -> flows.T:
        """Send what a flow yields and return its result; errors of redis-py become this package's."""
        attempts = Attempts(self._patience)
        commands = self._sender.commands(restoring(self._systems, flow))
        try:
            command = next(commands)
            while True:
                try:
                    reply = self._answer(command, attempts)
                except (redis.RedisError, errors.DeadlineExceededError) as error:
                    command = commands.throw(error)
                else:
                    command = commands.send(reply)
        except StopIteration as end:
            result: flows.T = end.value
            return result
        except redis.RedisError as error:
            raise errors.from_redis_error(error) from error

    def _answer(self, command: Command, attempts: Attempts) -> Any:
        """Return the answer to a command, sent as often as `attempts` allows."""
        arguments = attempts.begin(command)
        while True:
            try:
                return self._connections.send(arguments, attempts.left_s())
            except redis.RedisError as error:
                pause_s, arguments = attempts.after(error, command)
                self._pause(pause_s)


def memory_systems(
    codec: str | None,
    codec_version: int | None,
    compression_threshold: int | None,
    policy: Policy | None,
    *,
    layout: str | None,
    unbound: str,
    codec_files: Folder | Iterable[Folder] | None,
    mode: str,
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
            raise errors.InvalidInputError("compression_threshold is given beside policy, which says it")
        checks.integer(compression_threshold, "compression_threshold")
        policy = Policy(retention=Oldest(compression_threshold))
    if policy is not None and not isinstance(policy, Policy):
        raise errors.InvalidInputError(f"policy is of type {type(policy).__name__}, not a Policy")
    if layout is not None:
        checks.choice(layout, "layout", LAYOUTS)
    checks.choice(unbound, "unbound", ("float16", "error"))
    made = copies.load_all(codec_files)
    return MemorySystems(codec, codec_version, policy, unbound, Modes(mode), layout=layout, copies=made)
