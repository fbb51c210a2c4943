"""Makes another codec, or version, an agent's own and moves the memories it has."""

from __future__ import annotations

import json
from collections.abc import Callable

from modules_store import checks, codec, errors, keys
from modules_store.commands import command, script
from modules_store.flows import Flow, run
from modules_store.flows.systems import MemorySystems
from modules_store.memories import ReEncoded


def re_encode(
    systems: MemorySystems,
    agent_id: str,
    name: str | None,
    version: int | None,
    *,
    step: int,
    on_progress: Callable[[ReEncoded], None] | None = None,
) -> Flow[ReEncoded]:
    """Make a codec the agent's own, then move its memories to it, `step` of them a command."""
    checks.agent_id(agent_id)
    checks.integer(step, "step", 1, checks.MAX_BATCH)
    if version is not None:
        checks.integer(version, "version")
    if name is not None:
        checks.codec_name(name, "codec")
    own_name, input_dim = yield from _get_own_codec(agent_id)
    if name is None:
        chosen = (yield from systems.choose(agent_id)) or (own_name, None)
        name, version = chosen[0], version or chosen[1]
    target = codec.of_length((yield from systems.fetch(name, version)), input_dim)
    documents = keys.documents_of(agent_id)
    yield from run(script("switch_codec", documents, target.configuration, target.feature_groups))
    index, _, codec_key = documents
    done = ReEncoded(0, 0, 0)
    cursor: str | bytes | None = ""
    while cursor is not None:
        call = script("re_encode_memories", [index, codec_key], target.configuration, cursor, step)
        cursor, *counts = yield from run(call)
        done += ReEncoded(*counts)
        if on_progress is not None:
            on_progress(done)
    return done


def _get_own_codec(agent_id: str) -> Flow[tuple[str, int]]:
    """Return name and input_dim of the agent's own codec; CodecNotFoundError where nothing says which."""
    key = keys.agent_memory_system(agent_id)
    reply = yield command("JSON.GET", key)
    document = json.loads(reply) if reply else None
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise errors.CodecNotFoundError(f"agent {agent_id} has stored nothing yet: there is no {key}")
    return str(document["name"]), int(document["input_dim"])
