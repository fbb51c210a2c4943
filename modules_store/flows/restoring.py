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
from modules_store.commands import Command, ScriptCall, command, script
from modules_store.copies import CodecCopy
from modules_store.flows import Flow, ResponseError, T, run
from modules_store.flows.systems import MemorySystems

_MODEL = re.compile(
    r"MEMERR NOCODEC there is no model at memory_system:(.+):v(\d+):(encoder|decoder|latents) on"
)
_NEWEST = 100  # memories that are asked for the length of states
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
            refusal = _refusal(error, wanted)
            missing = _missing(refusal)
            if missing is None or missing in tried:
                return functools.partial(flow.throw, error)
            tried.add(missing)
            problem = yield from _restore(systems, missing)
            if problem is not None:
                return functools.partial(flow.throw, ResponseError(f"{refusal}: {problem}"))
        except Exception as error:
            return functools.partial(flow.throw, error)
        else:
            return functools.partial(flow.send, reply)


def _refusal(error: ResponseError, refused: Command | ScriptCall) -> str:
    """Return why a command was refused; the engine's own words for a missing model become a script's."""
    if "model key is empty" in str(error) and isinstance(refused, Command):
        return f"MEMERR NOCODEC there is no model at {refused.model()} on this server"
    return str(error)


def _missing(refusal: str) -> tuple[str, ...] | None:
    """Return name, version and part of a codec's lost model, or the id of an agent without memory_system."""
    found = _MODEL.search(refusal) or _AGENT.search(refusal)
    return found.groups() if found else None


def _restore(systems: MemorySystems, missing: tuple[str, ...]) -> Flow[str | None]:
    """Restore what is missing; return None, or why that cannot be and what to do."""
    hint = ""
    try:
        if len(missing) == 3:
            name, version, part = missing
            return (yield from _restore_models(systems, name, int(version), part))
        hint = f"; bind agent {missing[0]} to its codec, or store another state"
        restored = yield from restore_documents(systems, missing[0])
    except (ResponseError, errors.CodecNotFoundError) as error:
        return f"it cannot be restored: {error}{hint}"
    return None if restored is not None else f"it cannot be restored{hint}"


def _restore_models(systems: MemorySystems, name: str, version: int, part: str) -> Flow[str | None]:
    """Store the models of a codec's version from the copy that has the hashes of the published ones."""
    known = yield from _published_hashes(name, version)
    copy = next((one for one in _copies(systems, name) if one.sha256 == known), None)
    if part == "latents" and (copy is None or copy.latents is None):
        return None  # there may never have been one: what was refused says so again
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
        hashes = json.loads(document or "{}")["versions"][str(version)]["sha256"]
        return {part: str(hashes[part]) for part in copies.PARTS}
    except (KeyError, TypeError, ValueError):
        manifest = yield command("JSON.GET", keys.manifest(name, version))
    try:
        return copies.hashes(json.loads(manifest or "{}"))
    except (KeyError, TypeError, ValueError):
        return None


def restore_documents(systems: MemorySystems, agent_id: str) -> Flow[int | None]:
    """Write those of an agent's documents again that are missing; return how many, None where none says how.

    The other document says which codec the agent has, or else what the client or a binding says, or else it
    is the one of agents that nobody bound; the server refuses that where the newest memory is not of it.
    """
    system = yield from _get_object(keys.agent_memory_system(agent_id))
    metadata = yield from _get_object(keys.agent_metadata(agent_id))
    stated = system if "name" in system else metadata.get("codec", {})
    if "name" in stated:
        name, version = str(stated["name"]), stated.get("version")
    elif chosen := (yield from systems.choose(agent_id)):
        name, version = chosen
    else:
        name, version = codec.DEFAULT_CODEC, None
    own = yield from systems.fetch(name, version)
    raw_bytes = metadata.get("compression", {}).get("total", {}).get("raw_bytes", 0)
    input_dim = own.input_dim or system.get("input_dim") or raw_bytes // 4
    if not input_dim:
        input_dim = int((yield from run(script("count_codes", [keys.index(agent_id)], _NEWEST))))
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
