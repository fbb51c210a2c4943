"""The commands of the memory store: checks and encodes their arguments, parses their replies. No I/O."""

from __future__ import annotations

import json
import operator
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modules_store import bindings, codec, errors, keys, scripts
from modules_store.bindings import Binding

Command = tuple[str | bytes | int, ...]
"""One Redis command and its arguments."""

MAX_TIMESTAMP = 2**53 - 1
"""The largest timestamp: sorted sets and Lua hold integers exactly up to here."""


MAX_BATCH = 16384
"""The most memories that one script call works on."""


@dataclass(frozen=True, eq=False, slots=True)
class Memory:
    """One recalled state of an agent."""

    agent_id: str
    timestamp: int
    """Milliseconds since 1970 where the server gave it, otherwise what the caller gave."""
    state: npt.NDArray[np.float32]
    """float32[D], as the codec reconstructs it."""
    metadata: dict[str, Any] | None


@dataclass(frozen=True)
class ReEncoded:
    """What re-encoding an agent's memories has done so far."""

    moved: int
    """Memories that now are of the new codec and version."""
    kept: int
    """Memories that were so before."""
    evicted: int
    """Memories without a value: Redis has evicted it, or it has expired."""

    def __add__(self, other: ReEncoded) -> ReEncoded:
        return ReEncoded(self.moved + other.moved, self.kept + other.kept, self.evicted + other.evicted)


@dataclass(frozen=True)
class ScriptCall:
    """A run of one script."""

    script: scripts.Script
    keys: Sequence[str]
    arguments: Sequence[str | bytes | int]

    def run(self) -> Command:
        """Return the command that runs a script the server knows; a NOSCRIPT error says that it does not."""
        name = "EVALSHA_RO" if self.script.read_only else "EVALSHA"
        return (name, self.script.sha1, len(self.keys), *self.keys, *self.arguments)

    def load(self) -> Command:
        """Return the command that makes the script known."""
        return ("SCRIPT LOAD", self.script.text)


def get_codec_document(name: str) -> Command:
    """Return the command whose reply `parse_codec_document` reads."""
    return ("JSON.GET", keys.codec(name))


def parse_codec_document(reply: bytes | None, name: str, version: int | None) -> codec.Codec:
    """Return one version of a codec; CodecNotFoundError where it is not published."""
    return codec.parse_codec_document(name, version, json.loads(reply) if reply else None)


def get_bindings() -> Command:
    """Return the command whose reply `parse_bindings` reads."""
    return ("JSON.GET", keys.bindings())


def parse_bindings(reply: bytes | None) -> list[Binding]:
    """Return the bindings, the one that decides first."""
    return bindings.parse_document(json.loads(reply) if reply else None)


def bind_agents(binding: Binding) -> ScriptCall:
    """Return the call that binds agents; its reply is whether there was a binding for the same text."""
    version = "" if binding.version is None else binding.version
    return ScriptCall(
        scripts.load("bind_agents"), [keys.bindings()], [binding.agents, binding.codec, version]
    )


def unbind_agents(agents: str) -> ScriptCall:
    """Return the call that unbinds agents; its reply is whether there was a binding for this text."""
    return ScriptCall(scripts.load("bind_agents"), [keys.bindings()], [agents, "", ""])


def get_agent_codec(agent_id: str) -> Command:
    """Return the command whose reply `parse_agent_codec` reads."""
    return ("JSON.GET", keys.agent_memory_system(agent_id))


def parse_agent_codec(reply: bytes | None, agent_id: str) -> tuple[str, int]:
    """Return name and input_dim of the agent's own codec; CodecNotFoundError where nothing says which."""
    document = json.loads(reply) if reply else None
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise errors.CodecNotFoundError(
            f"agent {agent_id} has stored nothing yet: there is no {keys.agent_memory_system(agent_id)}"
        )
    return str(document["name"]), int(document["input_dim"])


def switch_codec(agent_id: str, target: codec.Codec) -> ScriptCall:
    """Return the call that makes a codec the agent's own."""
    return ScriptCall(
        scripts.load("switch_codec"),
        [keys.index(agent_id), keys.agent_metadata(agent_id), keys.agent_memory_system(agent_id)],
        [target.configuration, target.feature_groups],
    )


def re_encode_memories(agent_id: str, target: codec.Codec, cursor: str | bytes, step: int) -> ScriptCall:
    """Return the call that makes one step of re-encoding; `cursor` is empty for the first."""
    return ScriptCall(
        scripts.load("re_encode_memories"),
        [keys.index(agent_id), keys.agent_memory_system(agent_id)],
        [target.configuration, cursor, step],
    )


def parse_re_encoded(reply: Sequence[Any]) -> tuple[bytes | None, ReEncoded]:
    """Return the cursor for the next step, None after the last one, and what this step did."""
    cursor, *counts = reply
    return cursor, ReEncoded(*counts)


def store_memories(
    agent_id: str,
    used_codec: codec.Codec,
    rows: npt.NDArray[np.float32],
    timestamps: Sequence[int] | None,
    metadata: Iterable[bytes],
    *,
    compression_threshold: int,
) -> ScriptCall:
    """Return the call that stores B states; its reply is the first timestamp.

    `rows` is float32[B, D]; `timestamps` has B entries, or is None for the server to give them; `metadata`
    has B entries of `encode_metadata`, or none.
    """
    used_codec = codec.of_length(used_codec, rows.shape[1])
    return ScriptCall(
        scripts.load("store_memories"),
        [keys.index(agent_id), keys.agent_metadata(agent_id), keys.agent_memory_system(agent_id)],
        [
            used_codec.configuration,
            used_codec.feature_groups,
            compression_threshold,
            rows.tobytes(),
            "" if timestamps is None else json.dumps(timestamps),
            *metadata,
        ],
    )


def recall_memories(agent_id: str, timestamps: Sequence[int]) -> ScriptCall:
    """Return the call that recalls memories by timestamp; `parse_memories` reads its reply."""
    return _recall("recall_memories", agent_id, json.dumps(timestamps))


def recall_recent(agent_id: str, count: int) -> ScriptCall:
    """Return the call that recalls the newest memories, newest first; `parse_memories` reads its reply."""
    return _recall("recall_recent", agent_id, check_positive(count, "count"))


def parse_memories(agent_id: str, reply: Sequence[Any]) -> list[Memory]:
    """Return the memories in the reply of a recall."""
    timestamps, blob, metadata = reply
    if not timestamps:
        return []
    return [
        Memory(agent_id, int(timestamp), state, None if text is None else json.loads(text))
        for timestamp, state, text in zip(
            timestamps, codec.from_rows(blob, len(timestamps)), metadata, strict=True
        )
    ]


def check_agent_id(agent_id: str, argument: str = "agent_id") -> str:
    """Return `agent_id` if it is text of 1 to 256 UTF-8 bytes without braces or control characters.

    A pattern for ids is such a text, too. `argument` is what errors call it.
    """
    if not isinstance(agent_id, str):
        raise errors.InvalidAgentIdError(f"{argument} is of type {type(agent_id).__name__}, not text")
    try:
        size_bytes = len(agent_id.encode())
    except UnicodeEncodeError as problem:
        raise errors.InvalidAgentIdError(f"{argument} {agent_id!r} is not valid Unicode") from problem
    if not 1 <= size_bytes <= 256:
        raise errors.InvalidAgentIdError(f"{argument} has {size_bytes} bytes, not 1 to 256")
    illegal = next((c for c in agent_id if c in "{}" or ord(c) < 32 or 127 <= ord(c) < 160), None)
    if illegal is not None:
        raise errors.InvalidAgentIdError(
            f"{argument} {agent_id!r} holds {illegal!r}; braces and control characters are illegal"
        )
    return agent_id


def check_codec_name(name: str, argument: str) -> str:
    """Return `name` if it is text that is not empty."""
    if not isinstance(name, str) or not name:
        raise errors.InvalidInputError(f"{argument} is {name!r}, not the name of a codec")
    return name


def check_positive(number: int, argument: str) -> int:
    """Return `number` if it is an integer from 1."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise errors.InvalidInputError(f"{argument} is {number!r}, not an integer from 1")
    return number


def check_step(step: int) -> int:
    """Return `step` if it is an integer from 1 to MAX_BATCH."""
    if check_positive(step, "step") > MAX_BATCH:
        raise errors.InvalidInputError(f"step is {step}, not an integer from 1 to {MAX_BATCH}")
    return step


def check_timestamp(timestamp: Any, argument: str) -> int:
    """Return `timestamp` as an int if it is an integer, NumPy's included, from 0 to MAX_TIMESTAMP."""
    try:
        number = operator.index(timestamp)
    except TypeError:
        number = -1
    if isinstance(timestamp, bool) or not 0 <= number <= MAX_TIMESTAMP:
        raise errors.InvalidTimestampError(f"{argument} is {timestamp!r}, not an integer from 0 to 2**53 - 1")
    return number


def check_timestamps(timestamps: Iterable[Any]) -> list[int]:
    """Return the timestamps of a batch as ints, of which none repeats."""
    checked = [check_timestamp(timestamp, f"timestamps[{i}]") for i, timestamp in enumerate(timestamps)]
    if len(set(checked)) < len(checked):
        repeated = next(t for t, times in Counter(checked).items() if times > 1)
        raise errors.InvalidTimestampError(f"timestamps gives {repeated} more than once")
    return checked


def encode_metadata(metadata: Mapping[str, Any] | None, argument: str) -> bytes:
    """Return `metadata` as JSON, empty for None.

    Besides what the module json takes, values may be whatever has `tolist()`, as NumPy's scalars and
    arrays do. NaN and infinity are refused. RedisJSON keeps integers beyond 64 bits as floats.
    """
    if metadata is None:
        return b""
    if not isinstance(metadata, Mapping):
        raise errors.InvalidMetadataError(f"{argument} is of type {type(metadata).__name__}, not a mapping")
    for key in metadata:
        if not isinstance(key, str):
            raise errors.InvalidMetadataError(f"{argument} has the key {key!r}, which is not text")
    try:
        return _to_json(dict(metadata))
    except (TypeError, ValueError, RecursionError):
        for key, value in metadata.items():
            try:
                _to_json({key: value})
            except (TypeError, ValueError, RecursionError) as problem:
                raise errors.InvalidMetadataError(f"{argument}[{key!r}]: {problem}") from problem
        raise


def encode_all_metadata(metadata: Iterable[Mapping[str, Any] | None]) -> list[bytes]:
    """Return the metadata of a batch as JSON: one mapping or None for each state."""
    if isinstance(metadata, Mapping | str):
        raise errors.InvalidMetadataError(
            "metadata of a batch is a sequence with one mapping or None for each state, not a single one"
        )
    return [encode_metadata(entry, f"metadata[{i}]") for i, entry in enumerate(metadata)]


def _to_json(metadata: Mapping[str, Any]) -> bytes:
    text = json.dumps(
        metadata, allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_to_builtin
    )
    return text.encode()


def _to_builtin(value: Any) -> Any:
    if not hasattr(value, "tolist"):
        raise TypeError(f"a value of type {type(value).__name__} cannot be expressed in JSON")
    return value.tolist()


def _recall(name: str, agent_id: str, argument: str | int) -> ScriptCall:
    agent_keys = [keys.index(agent_id), keys.agent_memory_system(agent_id)]
    return ScriptCall(scripts.load(name), agent_keys, [argument])
