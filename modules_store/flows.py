"""What each operation does: generators that yield commands, are sent the replies and return a result.

They do no I/O, so that any client, blocking or not, can drive them. A driver sends the reply of each
command, or throws the error that redis-py raised for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeVar

from redis.exceptions import NoScriptError

from modules_store import bindings, builtin, codec, commands, errors
from modules_store.bindings import Binding
from modules_store.commands import Command, Memory, ReEncoded

T = TypeVar("T")
Flow = Generator[Command, Any, T]


class CodecSource:
    """The codecs that a client stores with, and the bindings: fetched when first needed, then kept."""

    def __init__(self, name: str | None, version: int | None) -> None:
        """Take the codec's name and its version, None for the latest at the time of fetching.

        Where `name` is None, an agent's binding says both; an agent without one has the default codec.
        """
        self._name = name
        self._version = version
        self._bindings: list[Binding] | None = None
        self._codecs: dict[tuple[str, int | None], codec.Codec] = {}

    def get(self, agent_id: str) -> Flow[codec.Codec]:
        """Return the codec of an agent, fetching what was not fetched yet."""
        name, version = (yield from self.choose(agent_id)) or (codec.DEFAULT_CODEC, None)
        return self._codecs.get((name, version)) or (yield from self.fetch(name, version))

    def choose(self, agent_id: str) -> Flow[tuple[str, int | None] | None]:
        """Return name and version that the client, or else a binding, says for an agent; None if neither."""
        if self._name is not None:
            return self._name, self._version
        known = self._bindings
        if known is None:
            known = self._bindings = yield from get_bindings()
        binding = bindings.resolve(known, agent_id)
        return None if binding is None else (binding.codec, binding.version)

    def fetch(self, name: str, version: int | None) -> Flow[codec.Codec]:
        """Fetch a codec's document and return the codec; CodecNotFoundError where it is not published.

        A built-in codec that is not published yet is published first.
        """
        reply = yield commands.get_codec_document(name)
        if reply is None and name in builtin.NAMES:
            for command in [*builtin.publication(name), commands.get_codec_document(name)]:
                reply = yield command
        fetched = self._codecs[name, version] = commands.parse_codec_document(reply, name, version)
        return fetched

    def refresh(self) -> Flow[None]:
        """Fetch again the client's own codec, or the bindings, and forget the rest; errors are of `fetch`."""
        if self._name is None:
            self._bindings, self._codecs = (yield from get_bindings()), {}
        else:
            own = yield from self.fetch(self._name, self._version)
            self._codecs = {(self._name, self._version): own}

    def forget_bindings(self) -> None:
        """Fetch the bindings again when they are next needed."""
        self._bindings = None


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
    used_codec = yield from source.get(agent_id)
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
    used_codec = yield from source.get(agent_id)
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


def re_encode(
    source: CodecSource,
    agent_id: str,
    name: str | None,
    version: int | None,
    *,
    step: int,
    on_progress: Callable[[ReEncoded], None] | None = None,
) -> Flow[ReEncoded]:
    """Make a codec the agent's own, then move its memories to it, `step` of them a command."""
    commands.check_agent_id(agent_id)
    commands.check_step(step)
    if version is not None:
        commands.check_positive(version, "version")
    if name is not None:
        commands.check_codec_name(name, "codec")
    own_name, input_dim = commands.parse_agent_codec((yield commands.get_agent_codec(agent_id)), agent_id)
    if name is None:
        chosen = (yield from source.choose(agent_id)) or (own_name, None)
        name, version = chosen[0], version or chosen[1]
    target = codec.of_length((yield from source.fetch(name, version)), input_dim)
    yield from _run(commands.switch_codec(agent_id, target))
    done = ReEncoded(0, 0, 0)
    cursor: str | bytes | None = ""
    while cursor is not None:
        call = commands.re_encode_memories(agent_id, target, cursor, step)
        cursor, now_done = commands.parse_re_encoded((yield from _run(call)))
        done += now_done
        if on_progress is not None:
            on_progress(done)
    return done


def bind(source: CodecSource, agents: str, name: str, version: int | None) -> Flow[None]:
    """Bind agents to a codec, which must be published."""
    binding = Binding(
        commands.check_agent_id(agents, "agents"), commands.check_codec_name(name, "codec"), version
    )
    if version is not None:
        commands.check_positive(version, "version")
    yield from source.fetch(name, version)
    yield from _run(commands.bind_agents(binding))
    source.forget_bindings()


def unbind(source: CodecSource, agents: str) -> Flow[bool]:
    """Remove the binding for this very text; return whether there was one."""
    found = yield from _run(commands.unbind_agents(commands.check_agent_id(agents, "agents")))
    source.forget_bindings()
    return bool(found)


def get_bindings() -> Flow[list[Binding]]:
    """Return the bindings, the one that decides first."""
    return commands.parse_bindings((yield commands.get_bindings()))


def _run(call: commands.ScriptCall) -> Flow[Any]:
    """Run a script; a server that does not know it yet is told it once."""
    with contextlib.suppress(NoScriptError):
        return (yield call.run())
    yield call.load()
    return (yield call.run())
