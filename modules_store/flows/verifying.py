"""Finds disagreements between an agent's index, values, metadata and what is kept beside them; mends them.

Both go through the index a page at a time, then through all keys and companions of the agent for what the
index does not have. A script judges each page; another mends what it finds itself, so that what has changed
since is not held against a memory.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from modules_store import checks, keys
from modules_store.commands import command, script
from modules_store.flows import Flow, ResponseError, run
from modules_store.flows.deleting import (
    SCAN_COUNT,
    SEGMENTS_AT_ONCE,
    glob_escaped,
    in_steps,
    segments_of,
    timestamps_of,
)
from modules_store.flows.restoring import restore_documents
from modules_store.flows.systems import MemorySystems
from modules_store.integrity import Finding, Repaired, Verification

Found = Mapping[str, Sequence[Any]]
Visit = Callable[[Found], Flow[None]]
VisitSegments = Callable[[list[int]], Flow[None]]

_STEP = 4096
"""Memories that one script looks at."""

_TYPES = (
    (keys.importance, "zset"),
    (keys.sizes, "hash"),
    (keys.priorities, "zset"),
    (keys.stream, "stream"),
    (keys.tokens, "list"),
    (keys.state, "hash"),
)


def verify_agent(agent_id: str) -> Flow[Verification]:
    """Return what is wrong with an agent's memories; nothing is written."""
    checks.agent_id(agent_id)
    findings: dict[str, Finding] = {}

    def note(found: Found) -> Flow[None]:
        for kind, timestamps in found.items():
            findings[kind] = findings.get(kind, Finding()) + [int(one) for one in timestamps]
        yield from ()

    stray_columns: list[str] = []

    def note_segments(numbers: list[int]) -> Flow[None]:
        reply = yield from run(script("verify_segments", [keys.index(agent_id)], json.dumps(numbers)))
        stray_columns.extend(name.decode() for name in reply[1])
        yield from note({"not_indexed": reply[0]})

    memories, lost, wrong = yield from _survey(agent_id, note, note_segments)
    without_value = findings.get("without_value", Finding())
    findings["without_value"] = dataclasses.replace(without_value, count=lost)
    wrong += sorted(set(stray_columns))
    if (yield from _total_is_wrong(agent_id)):
        wrong.append(keys.sizes(agent_id))
    return Verification(memories, **findings, keys=tuple(wrong))


def repair_agent(systems: MemorySystems, agent_id: str) -> Flow[Repaired]:
    """Mend what is wrong with an agent's memories, page by page; return what was done."""
    checks.agent_id(agent_id)
    done = Repaired(documents=(yield from _restore(systems, agent_id)))

    undecodable = False

    def mend(found: Found) -> Flow[None]:
        nonlocal done, undecodable
        undecodable = undecodable or bool(found.get("undecodable"))
        done += yield from _mend(agent_id, found)

    def mend_segments(numbers: list[int]) -> Flow[None]:
        nonlocal done
        call = script("adopt_segments", keys.documents_of(agent_id)[:2], json.dumps(numbers), repeatable=True)
        entered, removed = yield from run(call)
        done += Repaired(indexed=entered, removed=removed)

    yield from _survey(agent_id, mend, mend_segments)
    restored = yield from _restore(systems, agent_id)
    done += Repaired(documents=restored)
    if restored or undecodable:  # there is an index again, that was lost; or a decoder
        yield from _survey(agent_id, mend, mend_segments)
    if (yield from _total_is_wrong(agent_id)):
        yield from _repair(agent_id, [], "anew")
        yield from _visit_index(agent_id, mend)
    return done


def _restore(systems: MemorySystems, agent_id: str) -> Flow[int]:
    """Write documents that are missing; return how many were."""
    wrong, _ = yield from _judge_keys(agent_id)
    if not {keys.agent_metadata(agent_id), keys.agent_memory_system(agent_id)} & set(wrong):
        return 0
    try:
        return (yield from restore_documents(systems, agent_id)) or 0
    except ResponseError:
        return 0  # another type, or another codec's memories: a verification still says so


def _mend(agent_id: str, found: Found) -> Flow[Repaired]:
    if undecodable := found.get("undecodable"):
        yield from _try_to_decode(agent_id, undecodable)
    wanted = [int(one) for kind, some in found.items() if kind != "undecodable" for one in some]
    done = Repaired()
    for start in range(0, len(wanted), checks.MAX_BATCH):
        done += yield from _repair(agent_id, wanted[start : start + checks.MAX_BATCH], "keep")
    return done


def _try_to_decode(agent_id: str, timestamps: Sequence[Any]) -> Flow[None]:
    """Recall memories, so that a decoder that is missing is published again where that can be done."""
    agent_keys = [keys.index(agent_id), keys.agent_memory_system(agent_id)]
    wanted = json.dumps([int(one) for one in timestamps])
    try:
        yield from run(script("recall_memories", agent_keys, wanted, "states", "skip"))
    except ResponseError as error:
        if "MEMERR" not in str(error):
            raise


def _repair(agent_id: str, timestamps: Sequence[int], companions: str) -> Flow[Repaired]:
    agent_keys = keys.documents_of(agent_id)
    call = script("repair_memories", agent_keys, json.dumps(timestamps), companions, repeatable=True)
    return Repaired(*(yield from run(call)))


def _survey(agent_id: str, visit: Visit, visit_segments: VisitSegments) -> Flow[tuple[int, int, list[str]]]:
    """Visit all that is wrong; return how many memories there are, how many without a value, names of keys.

    Segments that there are come first: a repair enters those that the index does not have.
    """
    wrong, _ = yield from _judge_keys(agent_id)
    if keys.index(agent_id) in wrong:
        return 0, 0, wrong
    seen: set[int] = set()

    def visit_strangers(found: Iterable[int]) -> Flow[None]:
        new = sorted(set(found) - seen)
        for start in range(0, len(new), _STEP):
            some = json.dumps(new[start : start + _STEP])
            reply = yield from run(script("verify_found", [keys.index(agent_id)], some))
            strangers = dict(zip(("not_indexed", "remnants"), reply, strict=True))
            seen.update(int(one) for some in strangers.values() for one in some)
            yield from visit(strangers)

    yield from _visit_keys(agent_id, visit_strangers, visit_segments)
    memories, lost = yield from _visit_index(agent_id, visit)
    for key in (keys.importance(agent_id), keys.priorities(agent_id)):
        if key not in wrong:
            yield from _visit_members(key, visit_strangers)
    if keys.stream(agent_id) not in wrong:
        yield from _visit_stream(keys.stream(agent_id), visit_strangers)
    if keys.sizes(agent_id) not in wrong:
        sizes = yield from _get_sizes(keys.sizes(agent_id))
        yield from visit_strangers(_timestamps(sizes))
    return memories, lost, wrong


def _total_is_wrong(agent_id: str) -> Flow[bool]:
    """Whether the sizes have another total than their sum, and nobody has stored meanwhile."""
    wrong, total = yield from _judge_keys(agent_id)
    if {keys.index(agent_id), keys.sizes(agent_id)} & set(wrong):
        return False
    sizes = yield from _get_sizes(keys.sizes(agent_id))
    _, total_now = yield from _judge_keys(agent_id)
    return total == total_now and sum(sizes.values()) != _number(total)


def _judge_keys(agent_id: str) -> Flow[tuple[list[str], bytes | None]]:
    """Return the names of wrong keys, and the total that the sizes state."""
    others = json.dumps([[key(agent_id), kind] for key, kind in _TYPES], ensure_ascii=False)
    wrong, total = yield from run(script("verify_agent", keys.documents_of(agent_id), others))
    return [name.decode() for name in wrong], total


def _visit_index(agent_id: str, visit: Visit) -> Flow[tuple[int, int]]:
    """Visit what is wrong with memories of the index; return how many there are, how many without a value."""
    kinds = ("without_value", "corrupt", "undecodable", "lacking")
    cursor: str | bytes | None = ""
    memories = lost = 0
    while cursor is not None:
        call = script("verify_memories", keys.documents_of(agent_id), cursor, _STEP)
        cursor, looked, *lists, without_value = yield from run(call)
        memories += looked
        lost += without_value
        yield from visit(dict(zip(kinds, lists, strict=True)))
    return memories, lost


def _visit_keys(
    agent_id: str, visit: Callable[[Iterable[int]], Flow[None]], visit_segments: VisitSegments
) -> Flow[None]:
    """Visit the timestamps of all values and metadata, and all segments, by a SCAN of the whole keyspace."""
    pattern = glob_escaped(keys.agent_prefix(agent_id)) + "*"
    seen: set[int] = set()
    cursor = None
    while cursor != 0:
        reply = yield command("SCAN", cursor or 0, "MATCH", pattern, "COUNT", SCAN_COUNT)
        cursor = int(reply[0])
        yield from visit(timestamps_of(agent_id, reply[1]))
        new = sorted(set(segments_of(agent_id, reply[1])) - seen)
        seen.update(new)
        for some in in_steps(new, SEGMENTS_AT_ONCE):
            yield from visit_segments(some)


def _visit_members(key: str, visit: Callable[[Iterable[int]], Flow[None]]) -> Flow[None]:
    """Visit the timestamps that are members of a sorted set."""
    cursor = None
    while cursor != 0:
        reply = yield command("ZSCAN", key, cursor or 0, "COUNT", SCAN_COUNT)
        cursor = int(reply[0])
        yield from visit(_timestamps(_pairs(reply[1])))


def _visit_stream(key: str, visit: Callable[[Iterable[int]], Flow[None]]) -> Flow[None]:
    """Visit the timestamps of a stream's entries."""
    after = "-"
    while entries := (yield command("XRANGE", key, after, "+", "COUNT", SCAN_COUNT)):
        yield from visit(_timestamps(entry[0].removesuffix(b"-0") for entry in entries))
        milliseconds, _, number = entries[-1][0].decode().partition("-")
        after = f"{milliseconds}-{int(number) + 1}"


def _get_sizes(key: str) -> Flow[dict[bytes, int]]:
    """Return the sizes of all memories, by timestamp."""
    sizes: dict[bytes, int] = {}
    cursor = None
    while cursor != 0:
        reply = yield command("HSCAN", key, cursor or 0, "COUNT", SCAN_COUNT)
        cursor = int(reply[0])
        sizes |= {name: _number(size) for name, size in _pairs(reply[1]).items() if name != b"total"}
    return sizes


def _pairs(reply: Any) -> dict[bytes, Any]:
    """Return what a scan gave, names and numbers, as redis-py parses it or not."""
    if isinstance(reply, Mapping):
        return dict(reply)
    if reply and isinstance(reply[0], tuple | list):
        return dict(reply)
    return dict(zip(reply[::2], reply[1::2], strict=True))


def _number(text: bytes | None) -> int:
    return int(text) if text and re.fullmatch(rb"-?\d+", text) else 0


def _timestamps(texts: Iterable[bytes]) -> list[int]:
    numbers = [int(text) for text in texts if re.fullmatch(rb"\d{1,16}", text)]
    return [number for number in numbers if number <= checks.MAX_TIMESTAMP]
