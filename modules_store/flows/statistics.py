"""What there is of one agent, in numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from modules_store import checks, keys
from modules_store.commands import script
from modules_store.flows import Flow, run
from modules_store.policy import Policy
from modules_store.statistics import AgentStats

_FAMILIES = ("index", "documents", "stream", "tokens", "companions", "values", "metadata")
_COUNTERS = ("stored", "trimmed", "lost", "repaired")


def agent_stats(agent_id: str, sample: int) -> Flow[AgentStats]:
    """Return the statistics of an agent, reckoned from `sample` of its memories."""
    checks.agent_id(agent_id)
    checks.integer(sample, "sample", 1, checks.MAX_BATCH)
    agent_keys = [*keys.documents_of(agent_id), *keys.companions_of(agent_id)]
    reply = yield from run(script("agent_stats", agent_keys, sample))
    memories, oldest, newest, *documents, sizes, sampled, forms, layout = reply
    metadata, system = (json.loads(text) if text else {} for text in documents)
    share = memories / sampled if sampled else 0.0
    of_family = dict(zip(_FAMILIES, sizes, strict=True))
    for family in ("values", "metadata"):
        of_family[family] = round(of_family[family] * share)
    own = metadata.get("codec", {})
    counters = metadata.get("counters", {})
    return AgentStats(
        memories=memories,
        oldest=None if oldest is None else int(oldest),
        newest=None if newest is None else int(newest),
        bytes=of_family,
        raw_bytes=4 * system.get("input_dim", 0) * memories,
        stored_bytes=round(share * sum(size for _, _, size, _ in forms)),
        counters={name: counters.get(name, 0) for name in _COUNTERS},
        codec=own.get("name", system.get("name")),
        version=own.get("version", system.get("version")),
        policy=Policy.from_json(metadata["policy"]) if "policy" in metadata else None,
        versions={
            (_name(system, generation), version): round(share * count)
            for generation, version, _, count in forms
        },
        sampled=sampled,
        layout=layout.decode(),
    )


def _name(system: Mapping[str, Any], generation: int) -> str:
    """Return the name of the agent's codec of that generation, "?" where nothing says it."""
    names = {one["generation"]: one["name"] for one in system.get("earlier", ())}
    if "name" in system:
        names[system.get("generation", 0)] = system["name"]
    return str(names.get(generation, "?"))
