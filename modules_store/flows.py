"""What each operation does: generators that yield commands, are sent the replies and return a result.

They do no I/O, so that any client, blocking or not, can drive them. A driver sends the reply of each
command, or throws the error that redis-py raised for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeVar

from redis.exceptions import NoScriptError

from modules_store import builtin, codec, commands, errors
from modules_store.commands import Command, Memory

T = TypeVar("T")
Flow = Generator[Command, Any, T]


class CodecSource:
    """The codec that a client stores with: fetched when it is first needed, then kept."""

    def __init__(self, name: str, version: int | None) -> None:
        """Take the codec's name and its version, None for the latest at the time of fetching."""
        self._name = name
        self._version = version
        self._codec: codec.Codec | None = None

    def get(self) -> Flow[codec.Codec]:
        """Return the codec, fetching it where that was not done yet."""
        return self._codec or (yield from self.refresh())

    def refresh(self) -> Flow[codec.Codec]:
        """Fetch the codec's document and return the codec; CodecNotFoundError where it is not published.

        A built-in codec that is not published yet is published first.
        """
        reply = yield commands.get_codec_document(self._name)
        if reply is None and self._name in builtin.NAMES:
            for command in [*builtin.publication(self._name), commands.get_codec_document(self._name)]:
                reply = yield command
        self._codec = commands.parse_codec_document(reply, self._name, self._version)
        return self._codec


def store_memory(
    source: CodecSource,
    agent_id: str,
    agent_state: Any,
    metadata: Mapping[str, Any] | None,
    timestamp: int | None,
    *,
    compression_threshold: int,
) -> Flow[int]:
    """Store one state; return its timestamp."""
    commands.check_agent_id(agent_id)
    timestamps = None if timestamp is None else [commands.check_timestamp(timestamp, "timestamp")]
    documents = [] if metadata is None else [commands.encode_metadata(metadata, "metadata")]
    used_codec = yield from source.get()
    row = codec.to_row(agent_state, used_codec, "agent_state")
    call = commands.store_memories(
        agent_id, used_codec, row, timestamps, documents, compression_threshold=compression_threshold
    )
    return int((yield from _run(call)))


def store_memories(
    source: CodecSource,
    agent_id: str,
    agent_states: Any,
    metadata: Sequence[Mapping[str, Any] | None] | None,
    timestamps: Sequence[int] | None,
    *,
    compression_threshold: int,
) -> Flow[list[int]]:
    """Store a batch of states; return their timestamps."""
    commands.check_agent_id(agent_id)
    given = None if timestamps is None else commands.check_timestamps(timestamps)
    documents = [] if metadata is None else commands.encode_all_metadata(metadata)
    used_codec = yield from source.get()
    rows = codec.to_rows(agent_states, used_codec, "agent_states")
    if given is not None and len(given) != len(rows):
        raise errors.InvalidTimestampError(f"timestamps has {len(given)} entries for {len(rows)} states")
    if metadata is not None and len(documents) != len(rows):
        raise errors.InvalidMetadataError(f"metadata has {len(documents)} entries for {len(rows)} states")
    if not len(rows):
        return []
    call = commands.store_memories(
        agent_id, used_codec, rows, given, documents, compression_threshold=compression_threshold
    )
    first = int((yield from _run(call)))
    return given if given is not None else list(range(first, first + len(rows)))


def recall_memory(agent_id: str, timestamp: int) -> Flow[Memory]:
    """Recall the memory that an agent has at `timestamp`; MemoryNotFoundError where there is none."""
    commands.check_agent_id(agent_id)
    call = commands.recall_memories(agent_id, [commands.check_timestamp(timestamp, "timestamp")])
    return commands.parse_memories(agent_id, (yield from _run(call)))[0]


def recall_recent(agent_id: str, count: int) -> Flow[list[Memory]]:
    """Recall up to `count` memories of an agent, newest first."""
    call = commands.recall_recent(commands.check_agent_id(agent_id), count)
    return commands.parse_memories(agent_id, (yield from _run(call)))


def _run(call: commands.ScriptCall) -> Flow[Any]:
    """Run a script; a server that does not know it yet is told it once."""
    with contextlib.suppress(NoScriptError):
        return (yield call.run())
    yield call.load()
    return (yield call.run())
