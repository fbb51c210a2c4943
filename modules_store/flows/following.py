"""Follows the streams of agents: reads entries as they come, decodes them, acknowledges them.

A page is two commands: a read, which waits where there is nothing yet, and a run of a script that decodes
what was read, one for each agent that has entries on the page. Each page is a flow of its own, so that no
flow waits for longer than one read does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modules_store import checks, codec, errors, keys
from modules_store.commands import Argument, ScriptCall, command, script
from modules_store.flows import Flow, ResponseError, queued
from modules_store.flows.systems import MemorySystems
from modules_store.memories import Memory

_SERVER_TICK_MS = 100
"""How much later than asked an idle server may end a read: it looks ten times a second."""

Entry = tuple[bytes, Mapping[bytes, bytes]]
"""Id and fields of an entry; it has no fields where it is gone and only pending."""
Found = dict[bytes, list[Entry]]
"""Entries by the key of their stream, of which there is at least one each."""


@dataclass(frozen=True)
class Reading:
    """How a follower reads: arguments of `follow`."""

    after: str | int
    block_ms: int
    count: int
    stop_after_ms: int | None

    def __post_init__(self) -> None:
        if self.after not in ("new", "beginning"):
            if isinstance(self.after, str):
                raise errors.InvalidInputError(
                    f"after is {self.after!r}, neither 'new' nor 'beginning' nor a timestamp"
                )
            checks.timestamp(self.after, "after")
        checks.integer(self.block_ms, "block_ms", 1, checks.MAX_TIMESTAMP)
        checks.integer(self.count, "count", 1, checks.MAX_BATCH)
        if self.stop_after_ms is not None:
            checks.integer(self.stop_after_ms, "stop_after_ms", 0, checks.MAX_TIMESTAMP)

    def first_id(self) -> str:
        """Return the id that entries must be above, `$` for the newest that there is."""
        if self.after == "new":
            return "$"
        return "0" if self.after == "beginning" else f"{self.after}-0"


class Follower:
    """Where one who follows some agents, alone, is in their streams."""

    def __init__(
        self,
        systems: MemorySystems,
        agents: str | Sequence[str],
        reading: Reading,
        socket_timeout_s: float | None,
    ) -> None:
        """Follow `agents`, an id or several, over connections that give up after `socket_timeout_s`."""
        self._systems = systems
        self._agent_of = {keys.stream(agent).encode(): agent for agent in _agent_ids(agents)}
        self._reading = reading
        self._block_ms = reading.block_ms
        if socket_timeout_s is not None:
            longest_ms = int(socket_timeout_s * 1000 / 2) - _SERVER_TICK_MS
            self._block_ms = max(1, min(reading.block_ms, longest_ms))
        self._last_ids: dict[bytes, bytes | str] = dict.fromkeys(self._agent_of, reading.first_id())
        self._idle_since_s: float | None = None
        self.has_ended = False
        """Whether nothing came for `stop_after_ms`."""

    def begin(self) -> Flow[None]:
        """Find where to start."""
        for key, last_id in self._last_ids.items():
            if last_id == "$":
                # Asked once: "$" again in a later read would pass over what came between the two.
                newest = yield command("XREVRANGE", key, "+", "-", "COUNT", 1)
                self._last_ids[key] = newest[0][0] if newest else "0"

    def page(self) -> Flow[list[Memory]]:
        """Return the next memories, none where there are none yet."""
        found = yield from self._find()
        memories: list[Memory] = []
        for key, entries in found.items():
            memories += yield from self._decode(key, entries)
        if memories:
            self._idle_since_s = None
        return memories

    def acknowledge(self, memory: Memory) -> Flow[None]:
        """Note that a memory was handled, where anyone asks."""
        return
        yield

    def _find(self) -> Flow[Found]:
        return (yield from self._read_new())

    def _read_new(self) -> Flow[Found]:
        """Read what is new, waiting for it; note when nothing came for too long."""
        now_s = time.monotonic()
        idle_since_s = self._idle_since_s = self._idle_since_s or now_s
        stop_after_ms, wait_ms = self._reading.stop_after_ms, self._block_ms
        if stop_after_ms is not None:
            wait_ms = min(wait_ms, max(0, stop_after_ms - int((now_s - idle_since_s) * 1000)))
        found = yield from self._read(["BLOCK", wait_ms] if wait_ms else [])
        if not found and stop_after_ms is not None:
            self.has_ended = (time.monotonic() - idle_since_s) * 1000 >= stop_after_ms
        return found

    def _read(self, blocking: Sequence[Argument]) -> Flow[Found]:
        count = self._reading.count
        reply = yield command(
            "XREAD", "COUNT", count, *blocking, "STREAMS", *self._agent_of, *self._last_ids.values()
        )
        return self._pass_by(_by_key(reply))

    def _pass_by(self, found: Found) -> Found:
        self._last_ids |= {key: entries[-1][0] for key, entries in found.items()}
        return found

    def _decode(self, key: bytes, entries: Sequence[Entry]) -> Flow[list[Memory]]:
        """Return the memories of entries that are there."""
        there = [(int(entry_id.partition(b"-")[0]), fields) for entry_id, fields in entries if fields]
        if not there:
            return []
        agent_id = self._agent_of[key]
        timestamps = [timestamp for timestamp, _ in there]
        names = [fields.get(b"codec", b"").decode() for _, fields in there]
        values = [fields.get(b"value", b"") for _, fields in there]
        codec_key = keys.agent_memory_system(agent_id)
        called = [json.dumps(timestamps), json.dumps(names, ensure_ascii=False)]

        def call(queued_from: int | None) -> ScriptCall:
            form = "states" if queued_from is None or len(there) < queued_from else "encoded"
            return script("decode_values", [codec_key], *called, form, *values)

        states = yield from queued.run_script(self._systems, [agent_id], call)
        if isinstance(states, list):
            states = yield from queued.decode(codec_key, states, len(there))
        texts = [fields.get(b"metadata") for _, fields in there]
        return [
            Memory(agent_id, timestamp, state, None if text is None else json.loads(text))
            for timestamp, state, text in zip(
                timestamps, codec.from_rows(states, len(there)), texts, strict=True
            )
        ]


class GroupFollower(Follower):
    """Where one consumer of a group is: a memory goes to one consumer at a time, until it is acknowledged."""

    def __init__(
        self,
        systems: MemorySystems,
        agents: str | Sequence[str],
        reading: Reading,
        socket_timeout_s: float | None,
        *,
        group: str,
        consumer: str,
        claim_after_ms: int,
    ) -> None:
        """Follow as `consumer` of `group`; take over what nobody acknowledges for `claim_after_ms`."""
        super().__init__(systems, agents, reading, socket_timeout_s)
        self._group = _name(group, "group")
        self._consumer = _name(consumer, "consumer")
        self._claim_after_ms = checks.integer(claim_after_ms, "claim_after_ms", 1, checks.MAX_TIMESTAMP)
        self._claim_cursors: dict[bytes, bytes | str] = {}
        self._next_claim_s = 0.0
        self._last_ids = dict.fromkeys(self._agent_of, "0")
        self._reads_own = True
        """Whether this consumer still reads what it got before and did not acknowledge."""

    def begin(self) -> Flow[None]:
        """Create the groups that are missing."""
        for key in self._agent_of:
            yield from self._create_group(key, self._reading.first_id())

    def acknowledge(self, memory: Memory) -> Flow[None]:
        """Acknowledge a memory that was handled."""
        yield command("XACK", keys.stream(memory.agent_id), self._group, f"{memory.timestamp}-0")

    def _create_group(self, key: bytes, first_id: str) -> Flow[None]:
        try:
            yield command("XGROUP CREATE", key, self._group, first_id, "MKSTREAM")
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def _find(self) -> Flow[Found]:
        if self._reads_own:
            found = yield from self._read([])
            self._reads_own = bool(found)
        elif self._claim_cursors or self._next_claim_s <= time.monotonic():
            found = yield from self._claim_some()
        else:
            found = yield from self._read_new()
        yield from self._acknowledge_gone(found)
        return found

    def _read(self, blocking: Sequence[Argument]) -> Flow[Found]:
        last_ids = self._last_ids.values() if self._reads_own else [">"] * len(self._agent_of)
        of_whom = ("GROUP", self._group, self._consumer, "COUNT", self._reading.count)
        try:
            reply = yield command("XREADGROUP", *of_whom, *blocking, "STREAMS", *self._agent_of, *last_ids)
        except ResponseError as error:
            if "NOGROUP" not in str(error) and "UNBLOCKED" not in str(error):
                raise
            for key in self._agent_of:  # a stream was deleted, or evicted: all that it has is new
                yield from self._create_group(key, "0")
            return {}
        return self._pass_by(_by_key(reply))

    def _claim_some(self) -> Flow[Found]:
        """Take over a page of abandoned entries of one stream; all streams in turn, then none for a while."""
        if not self._claim_cursors:
            self._claim_cursors = dict.fromkeys(self._agent_of, "0-0")
        key, cursor = next(iter(self._claim_cursors.items()))
        of_whom = (self._group, self._consumer, self._claim_after_ms)
        reply = yield command("XAUTOCLAIM", key, *of_whom, cursor, "COUNT", self._reading.count)
        if bytes(reply[0]) == b"0-0":
            del self._claim_cursors[key]
        else:
            self._claim_cursors[key] = reply[0]
        if not self._claim_cursors:
            self._next_claim_s = time.monotonic() + self._claim_after_ms / 1000
        # Redis before 7 answers nil for an entry that is gone.
        entries = [(entry_id, fields) for entry_id, fields in reply[1] if entry_id is not None]
        return {key: entries} if entries else {}

    def _acknowledge_gone(self, found: Found) -> Flow[None]:
        """Acknowledge pending entries that were trimmed meanwhile."""
        for key, entries in found.items():
            gone = [entry_id for entry_id, fields in entries if not fields]
            if gone:
                yield command("XACK", key, self._group, *gone)


def follower(
    systems: MemorySystems,
    agents: str | Sequence[str],
    reading: Reading,
    *,
    group: str | None,
    consumer: str | None,
    claim_after_ms: int,
    socket_timeout_s: float | None,
) -> Follower:
    """Return who follows, alone or as a consumer of a group."""
    if group is None and consumer is None:
        return Follower(systems, agents, reading, socket_timeout_s)
    if group is None or consumer is None:
        raise errors.InvalidInputError("group and consumer are given together or not at all")
    return GroupFollower(
        systems,
        agents,
        reading,
        socket_timeout_s,
        group=group,
        consumer=consumer,
        claim_after_ms=claim_after_ms,
    )


def _agent_ids(agents: str | Sequence[str]) -> list[str]:
    if isinstance(agents, str):
        return [checks.agent_id(agents)]
    if not isinstance(agents, Iterable):
        raise errors.InvalidInputError(f"agent_id is of type {type(agents).__name__}, not an id or several")
    checked = [checks.agent_id(agent_id) for agent_id in agents]
    if not checked:
        raise errors.InvalidInputError("agent_id is empty: there is nobody to follow")
    return checked


def _name(value: str, argument: str) -> str:
    if not isinstance(value, str) or not value:
        raise errors.InvalidInputError(f"{argument} is {value!r}, not a name")
    return value


def _by_key(reply: Any) -> Found:
    """Return what a read gave, as redis-py parses it for either version of the protocol."""
    if isinstance(reply, Mapping):  # RESP3: the entries of a stream are in a list of their own
        return {key: entries for key, (entries,) in reply.items() if entries}
    return {key: entries for key, entries in reply or [] if entries}
