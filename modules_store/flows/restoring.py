"""Publishes again what Redis has evicted of a codec, or of an agent's documents, and then goes on.

Every operation is driven through `restoring`: a command that the server refuses since a model or a
`memory_system` is missing is sent once more after that was restored. What cannot be is named in the error.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from typing import Any

from modules_store import builtin, codec, copies, errors, keys
from modules_store.commands import command, script
from modules_store.copies import CodecCopy
from modules_store.flows import Flow, ResponseError, T, run
from modules_store.flows.systems import MemorySystems

_MODEL = re.compile(r"MEMERR NOCODEC there is no model at memory_system:(.+):v(\d+):(?:en|de)coder on")
_AGENT = re.compile(r"MEMERR NOCODEC there is no agent:\{(.*)\}:memory_system to say")


def restoring(systems: MemorySystems, flow: Flow[T]) -> Flow[T]:
    """Do what `flow` does, restoring what it misses, each thing once."""
    tried: set[tuple[str, ...]] = set()
    advance: Callable[[], Any] = functools.partial(next, flow)
    while True:
        try:
            wanted = advance()
        except StopIteration as end:
            result: T = end.value
            return result
        advance = yield from _send(systems, flow, wanted, tried)


def _send(
    systems: MemorySystems, flow: Flow[T], wanted: Any, tried: set[tuple[str, ...]]
) -> Flow[Callable[[], Any]]:
    """Send a command until nothing more can be restored; return how the flow goes on."""
    while True:
        try:
            reply = yield wanted
        except ResponseError as error:
            missing = _missing(error)
            if missing is None or missing in tried:
                return functools.partial(flow.throw, error)
            tried.add(missing)
            problem = yield from _restore(systems, missing)
            if problem is not None:
                return functools.partial(flow.throw, ResponseError(f"{error}: {problem}"))
        except Exception as error:
            return functools.partial(flow.throw, error)
        else:
            return functools.partial(flow.send, reply)


def _missing(error: ResponseError) -> tuple[str, ...] | None:
    """Return name and version of a codec without models, or the id of an agent without memory_system."""
    found = _MODEL.search(str(error)) or _AGENT.search(str(error))
    return found.groups() if found else None


def _restore(systems: MemorySystems, missing: tuple[str, ...]) -> Flow[str | None]:
    """Restore what is missing; return None, or why that cannot be and what to do."""
    try:
        if len(missing) == 2:
            return (yield from _restore_models(systems, missing[0], int(missing[1])))
        restored = yield from restore_documents(systems, missing[0])
    except (ResponseError, errors.CodecNotFoundError) as error:
        return f"it cannot be restored: {error}"
    if restored is not None:
        return None
    return f"nothing says which codec it was; bind agent {missing[0]} to it, or store another state"


def _restore_models(systems: MemorySystems, name: str, version: int) -> Flow[str | None]:
    """Store the models of a codec's version from the copy that has the hashes of the published ones."""
    known = yield from _published_hashes(name, version)
    copy = next((one for one in _copies(systems, name) if one.sha256 == known), None)
    if copy is None:
        why = "no document has its hashes" if known is None else "codec_files has no copy of it"
        return f"version {version} of codec {name} is lost here and {why}; publish this version again"
    for step in copies.publication(copy, name, version):
        _ = yield step
    return None


def _copies(systems: MemorySystems, name: str) -> list[CodecCopy]:
    return [*systems.copies, *([builtin.copy(name)] if name in builtin.NAMES else [])]


def _published_hashes(name: str, version: int) -> Flow[dict[str, str] | None]:
    """Return the hashes of a published version: its registry document has them, and its manifest."""
    if name in builtin.NAMES:
        return builtin.hashes(name, version)
    document = yield command("JSON.GET", keys.codec(name))
    try:
        return dict(json.loads(document or "{}")["versions"][str(version)]["sha256"])
    except (KeyError, TypeError, ValueError):
        manifest = yield command("JSON.GET", keys.manifest(name, version))
    try:
        return copies.hashes(json.loads(manifest or "{}"))
    except (KeyError, TypeError, ValueError):
        return None


def restore_documents(systems: MemorySystems, agent_id: str) -> Flow[int | None]:
    """Write those of an agent's documents again that are missing; return how many, None where none says how.

    The other document says which codec the agent has, or else what the client or a binding says; the server
    refuses that where the newest memory is not of it.
    """
    system = yield from _get_object(keys.agent_memory_system(agent_id))
    metadata = yield from _get_object(keys.agent_metadata(agent_id))
    stated = system if "name" in system else metadata.get("codec", {})
    if "name" in stated:
        name, version = str(stated["name"]), stated.get("version")
    elif chosen := (yield from systems.choose(agent_id)):
        name, version = chosen
    else:
        return None
    own = yield from systems.fetch(name, version)
    raw_bytes = metadata.get("compression", {}).get("total", {}).get("raw_bytes", 0)
    input_dim = own.input_dim or system.get("input_dim") or raw_bytes // 4
    if not input_dim:
        return None
    own = codec.of_length(own, input_dim)
    policy = yield from systems.policy(agent_id)
    arguments = own.configuration, own.feature_groups, policy.to_json()
    call = script("restore_documents", keys.documents_of(agent_id), *arguments, repeatable=True)
    return int((yield from run(call)))


def _get_object(key: str) -> Flow[dict[str, Any]]:
    """Return a JSON object, empty where there is none."""
    try:
        document = json.loads((yield command("JSON.GET", key)) or "{}")
    except ResponseError:  # another type
        return {}
    return document if isinstance(document, dict) else {}
