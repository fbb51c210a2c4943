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

from modules_store import codec, errors, keys, scripts

Command = tuple[str | bytes | int, ...]
"""One Redis command and its arguments."""

MAX_TIMESTAMP = 2**53 - 1
"""The largest timestamp: sorted sets and Lua hold integers exactly up to here."""


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


def check_agent_id(agent_id: str) -> str:
    """Return `agent_id` if it is text of 1 to 256 UTF-8 bytes without braces or control characters."""
    if not isinstance(agent_id, str):
        raise errors.InvalidAgentIdError(f"agent_id is of type {type(agent_id).__name__}, not text")
    try:
        size_bytes = len(agent_id.encode())
    except UnicodeEncodeError as problem:
        raise errors.InvalidAgentIdError(f"agent_id {agent_id!r} is not valid Unicode") from problem
    if not 1 <= size_bytes <= 256:
        raise errors.InvalidAgentIdError(f"agent_id has {size_bytes} bytes, not 1 to 256")
    illegal = next((c for c in agent_id if c in "{}" or ord(c) < 32 or 127 <= ord(c) < 160), None)
    if illegal is not None:
        raise errors.InvalidAgentIdError(
            f"agent_id {agent_id!r} holds {illegal!r}; braces and control characters are illegal"
        )
    return agent_id


def check_positive(number: int, argument: str) -> int:
    """Return `number` if it is an integer from 1."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise errors.InvalidInputError(f"{argument} is {number!r}, not an integer from 1")
    return number


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
