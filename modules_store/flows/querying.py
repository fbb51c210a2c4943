"""Queries over metadata by RediSearch: the index, and what it finds, decoded in the same script."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from modules_store import checks, codec, errors
from modules_store.commands import command, script
from modules_store.flows import Flow, ResponseError, run
from modules_store.flows.repairing import drop_lost_of
from modules_store.memories import Found, Memory

_TYPES = ("numeric", "tag", "text")
_FIELD = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_PUNCTUATION = re.compile(r"[ -/:-@\[-`{-~]")
_OWN = {"agent": "TAG", "timestamp": "NUMERIC"}
_ONLY_MEMORIES = "@timestamp:[-inf +inf]"
"""The agents' own documents have the same prefix, but no timestamp."""


def create_index(fields: Mapping[str, str], name: str, replace: bool) -> Flow[float]:
    """Create an index; return which share of the documents it has."""
    wanted = _check_fields(fields)
    found = yield from _index_info(_name(name, "name"))
    if found is not None and replace:
        yield command("FT.DROPINDEX", name)
    elif found is not None:
        if _schema(found) != wanted:
            raise errors.SearchIndexError(
                f"there is a search index {name!r} of other fields: drop it, or pass replace=True"
            )
        return float(found[b"percent_indexed"])
    schema = ["$.agent", "AS", "agent", "TAG", "SEPARATOR", "\x01", "CASESENSITIVE"]
    schema += ["$.timestamp", "AS", "timestamp", "NUMERIC", "SORTABLE"]
    for field, kind in fields.items():
        schema += [f"$.metadata.{field}", "AS", field, kind.upper()]
    yield command("FT.CREATE", name, "ON", "JSON", "PREFIX", 1, "agent:{", "SCHEMA", *schema)
    return float(((yield from _index_info(name)) or {}).get(b"percent_indexed", 0))


def drop_index(name: str) -> Flow[bool]:
    """Drop an index; return whether there was one."""
    if (yield from _index_info(_name(name, "name"))) is None:
        return False
    yield command("FT.DROPINDEX", name)
    return True


def find_memories(
    query: str,
    *,
    index: str,
    agents: str | Sequence[str] | None,
    sort_by: str | None,
    descending: bool,
    offset: int,
    limit: int,
    fields: str,
) -> Flow[Found]:
    """Find memories by a query."""
    if not isinstance(query, str) or not query.strip():
        raise errors.InvalidInputError(f"query is {query!r}, not the text of a query")
    if fields not in ("both", "states", "metadata"):
        raise errors.InvalidInputError(f"fields is {fields!r}, not 'both', 'states' or 'metadata'")
    checks.integer(offset, "offset", 0, 2**31 - 1)
    checks.integer(limit, "limit", 1, checks.MAX_BATCH)
    parts = [_ONLY_MEMORIES, *_agent_filter(agents)]
    if query.strip() != "*":
        parts.append(f"({query})")
    order = "DESC" if descending else "ASC"
    arguments = (" ".join(parts), offset, limit, sort_by or "", order, fields)
    try:
        total, entries, gone = yield from run(script("find_memories", [_name(index, "index")], *arguments))
    except ResponseError as error:
        if "same slot" in str(error) or "CROSSSLOT" in str(error):
            raise errors.UnsupportedServerError("queries need a server without cluster mode") from error
        raise
    yield from drop_lost_of(gone)
    return Found(total, [_memory(entry, fields) for entry in entries], len(gone))


def _memory(entry: Sequence[Any], fields: str) -> Memory:
    agent, timestamp, blob, text = entry
    state = np.frombuffer(blob, codec.STATE_DTYPE).astype(np.float32)
    metadata = json.loads(text) if text is not None and fields != "states" else None
    return Memory(agent.decode(), int(timestamp), state, metadata)


def _agent_filter(agents: str | Sequence[str] | None) -> list[str]:
    if agents is None:
        return []
    wanted = [agents] if isinstance(agents, str) else list(agents)
    if not wanted:
        raise errors.InvalidInputError("agents is empty; None is for all agents")
    escaped = [_PUNCTUATION.sub(r"\\\g<0>", checks.agent_id(one, "agents")) for one in wanted]
    return [f"@agent:{{{'|'.join(escaped)}}}"]


def _check_fields(fields: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(fields, Mapping) or not fields:
        raise errors.InvalidInputError("fields is not a mapping of at least one field to its type")
    for field, kind in fields.items():
        if not isinstance(field, str) or not _FIELD.fullmatch(field) or field in _OWN:
            raise errors.InvalidInputError(f"fields: {field!r} cannot be the name of a field")
        if kind not in _TYPES:
            raise errors.InvalidInputError(f"fields[{field!r}] is {kind!r}, not one of {', '.join(_TYPES)}")
    return {**_OWN, **{field: kind.upper() for field, kind in fields.items()}}


def _name(name: str, argument: str) -> str:
    if not isinstance(name, str) or not name:
        raise errors.InvalidInputError(f"{argument} is {name!r}, not the name of an index")
    return name


def _index_info(name: str) -> Flow[dict[bytes, Any] | None]:
    """Return what the server says about an index, None where there is none."""
    try:
        reply = yield command("FT.INFO", name)
    except ResponseError as error:
        if "no such index" in str(error).lower() or "unknown index name" in str(error).lower():
            return None
        raise
    return _mapping(reply)


def _schema(info: Mapping[bytes, Any]) -> dict[str, str]:
    found = {}
    for attribute in info[b"attributes"]:
        said = _mapping(attribute if isinstance(attribute, dict) else attribute[:6])
        found[said[b"attribute"].decode()] = said[b"type"].decode()
    return found


def _mapping(reply: Any) -> dict[bytes, Any]:
    """Return a reply of pairs, which protocol 2 gives as a flat list and protocol 3 as a map."""
    pairs = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
    return cast("dict[bytes, Any]", pairs)
