"""Gathers single stores and stores them together, by size or age.

What a flush could not store stays: it was checked when it came, so the server's refusal of one agent's
memories, or a lost connection, are the reasons left.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modules_store import checks, codec, errors
from modules_store.codec import Codec
from modules_store.commands import Token
from modules_store.flows import Flow, RedisError
from modules_store.flows.batching import Batch, store_batches
from modules_store.flows.systems import MemorySystems
from modules_store.policy import Policy


@dataclass(frozen=True, slots=True)
class _Waiting:
    """One state that waits to be stored."""

    codec: Codec
    policy: Policy
    row: bytes
    timestamp: int | None
    metadata: bytes

    def goes_with(self, other: _Waiting) -> bool:
        """Whether both may be in one batch."""
        has_same_codec = self.codec == other.codec and self.policy == other.policy
        return has_same_codec and (self.timestamp is None) == (other.timestamp is None)


@dataclass(slots=True)
class _Call:
    """Batches that are stored together. Until it is answered it is sent again as it was, with its token."""

    batches: list[Batch]
    token: Token


class Buffer:
    """States that wait to be stored, by agent, each agent's in their order."""

    def __init__(self, systems: MemorySystems, size: int, age_s: float) -> None:
        """Flush once `size` states wait, or the first of them for `age_s`."""
        self._systems = systems
        self._size = checks.integer(size, "size", 1, checks.MAX_BATCH)
        if isinstance(age_s, bool) or not isinstance(age_s, int | float) or not age_s >= 0:
            raise errors.InvalidInputError(f"age_s is {age_s!r}, not a number of seconds from 0")
        self._age_s = age_s
        self._waiting: dict[str, list[_Waiting]] = {}
        self._unanswered: list[_Call] = []
        """Of states that wait those that may be stored."""
        self._given: set[tuple[str, int]] = set()
        self._count = 0
        self._began_s = 0.0

    def __len__(self) -> int:
        return self._count

    def add(
        self, agent_id: str, agent_state: Any, metadata: Mapping[str, Any] | None, timestamp: int | None
    ) -> Flow[None]:
        """Check a state and let it wait; flush where that is due."""
        entry = yield from self._check(agent_id, agent_state, metadata, timestamp)
        if not self._count:
            self._began_s = time.monotonic()
        self._take({agent_id: [entry]})
        if self._count >= self._size or time.monotonic() - self._began_s >= self._age_s:
            yield from self.flush()

    def flush(self) -> Flow[None]:
        """Store what waits; raise FlushError where some of it was not stored, which goes on waiting.

        All is sent together first. Where the server refuses that, each agent is sent alone, so that one whose
        memories are refused holds up no other.
        """
        # Taken out first: what comes meanwhile, from another task, waits for the next flush.
        left, self._waiting, self._given, self._count = self._waiting, {}, set(), 0
        unanswered, self._unanswered = self._unanswered, []
        for call in unanswered:
            call.token.may_be_done = True
        refused: dict[str, list[_Waiting]] = {}
        problem: errors.MemoryStoreError | None = None
        agents_a_call = len(left)
        try:
            while left:
                if not unanswered:
                    unanswered.append(_Call(_first_batches(left, agents_a_call), Token()))
                batches = unanswered[0].batches
                found, is_answered = yield from self._store(unanswered[0], left)
                if is_answered:
                    del unanswered[0]
                if isinstance(found, errors.ConnectionLostError | errors.OutOfMemoryError):
                    problem = found  # that is not about one agent
                    break
                if found is not None and len(batches) == 1:
                    problem = problem or found
                    refused[batches[0].agent_id] = left.pop(batches[0].agent_id)
                elif found is not None:
                    agents_a_call = 1
        finally:
            self._unanswered = unanswered + self._unanswered
            came_meanwhile, self._waiting, self._given, self._count = self._waiting, {}, set(), 0
            for entries in (refused, left, came_meanwhile):
                self._take(entries)
        if problem is not None:
            raise errors.FlushError(
                f"states that are not stored yet: {self._count}; {problem}", self._count
            ) from problem

    def _store(
        self, call: _Call, left: dict[str, list[_Waiting]]
    ) -> Flow[tuple[errors.MemoryStoreError | None, bool]]:
        """Store a call's batches and take what was stored out of `left` and the call.

        Returns the error where not all was stored, and whether an answer says what was.
        """
        firsts: dict[str, int] = {}
        problem, is_unsure = None, False
        try:
            yield from store_batches(self._systems, call.batches, firsts, call.token)
        except errors.MemoryStoreError as error:
            problem = error
        except RedisError as error:
            problem = errors.from_redis_error(error)
            is_unsure = "MEMERR UNSURE" in str(error)  # which it will be each time
        for batch in call.batches:
            if batch.agent_id in firsts:
                rows = set(map(id, batch.rows))
                kept = [entry for entry in left.pop(batch.agent_id) if id(entry.row) not in rows]
                if kept:
                    left[batch.agent_id] = kept
        call.batches = [batch for batch in call.batches if batch.agent_id not in firsts]
        return problem, is_unsure or not isinstance(problem, errors.ConnectionLostError)

    def _take(self, waiting: Mapping[str, Sequence[_Waiting]]) -> None:
        for agent_id, entries in waiting.items():
            self._waiting.setdefault(agent_id, []).extend(entries)
            self._count += len(entries)
            self._given |= {(agent_id, entry.timestamp) for entry in entries if entry.timestamp is not None}

    def _check(
        self, agent_id: str, agent_state: Any, metadata: Mapping[str, Any] | None, timestamp: int | None
    ) -> Flow[_Waiting]:
        checks.agent_id(agent_id)
        document = checks.metadata(metadata, "metadata")
        if timestamp is not None:
            timestamp = checks.timestamp(timestamp, "timestamp")
            if (agent_id, timestamp) in self._given:
                raise errors.InvalidTimestampError(
                    f"timestamp {timestamp} is given twice for agent {agent_id}"
                )
        used_codec = yield from self._systems.codec(agent_id)
        policy = yield from self._systems.policy(agent_id)
        row = codec.to_row(agent_state, used_codec, "agent_state")
        used_codec = codec.of_length(used_codec, row.shape[1])
        entry = _Waiting(used_codec, policy, row.tobytes(), timestamp, document)
        if agent_id in self._waiting:
            _must_follow(self._waiting[agent_id][-1], entry, agent_id)
        return entry


def _must_follow(last: _Waiting, entry: _Waiting, agent_id: str) -> None:
    """Raise InvalidInputError where the server would refuse an entry because of the agent's last one."""
    if len(entry.row) != len(last.row):
        raise errors.StateShapeError(
            f"agent_state has {len(entry.row) // 4} features, but agent {agent_id} has {len(last.row) // 4}"
        )
    if entry.policy.stream_entries is None or entry.timestamp is None or last.timestamp is None:
        return
    if entry.timestamp <= last.timestamp:
        raise errors.InvalidTimestampError(
            f"timestamp {entry.timestamp} is not above {last.timestamp}: those of agent {agent_id} must "
            "increase, since it has a stream"
        )


def _first_batches(waiting: Mapping[str, Sequence[_Waiting]], agents: int) -> list[Batch]:
    """Return what one call stores: of up to `agents` agents those entries that are first and go together."""
    batches: list[Batch] = []
    room = checks.MAX_BATCH
    for agent_id, entries in itertools.islice(waiting.items(), agents):
        first = entries[0]
        together = list(itertools.islice(itertools.takewhile(first.goes_with, entries), room))
        room -= len(together)
        batches.append(
            Batch(
                agent_id,
                first.codec,
                first.policy,
                [entry.row for entry in together],
                None
                if first.timestamp is None
                else [entry.timestamp for entry in together if entry.timestamp is not None],
                [entry.metadata for entry in together],
            )
        )
        if not room:
            break
    return batches
