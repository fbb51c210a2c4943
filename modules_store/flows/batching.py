"""Stores batches of many agents, in one script call wherever the server allows it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from modules_store import keys
from modules_store.codec import Codec
from modules_store.commands import ScriptCall, Token, script
from modules_store.flows import ClusterCrossSlotError, Flow, ResponseError, key_slot, queued, run
from modules_store.flows.systems import MemorySystems
from modules_store.policy import Policy


@dataclass(frozen=True, slots=True)
class Batch:
    """States of one agent, from one on, as the script takes them."""

    agent_id: str
    codec: Codec
    """As `codec.of_length` gives it."""
    policy: Policy
    rows: Sequence[bytes]
    """Each one state, float32[D]."""
    timestamps: Sequence[int] | None
    """One for each state, or None for the server to give them."""
    metadata: Sequence[bytes]
    """Of `checks.metadata`, one for each state."""


def store_batches(
    systems: MemorySystems, batches: Sequence[Batch], firsts: dict[str, int], token: Token
) -> Flow[None]:
    """Store the batches of different agents, together all or none; in a cluster those of each slot.

    The first timestamp of each goes to `firsts` as soon as it is stored: where this fails, `firsts` says
    which batches were stored before. `token` is the mark of this store, in each slot.
    """
    if systems.may_mix_slots:
        try:
            yield from _store_together(systems, batches, firsts, token)
            return
        except ResponseError as error:
            if not isinstance(error, ClusterCrossSlotError) and "CROSSSLOT" not in str(error):
                raise
        systems.may_mix_slots = False
    for of_slot in _by_slot(batches):
        yield from _store_together(systems, of_slot, firsts, token)


def _by_slot(batches: Iterable[Batch]) -> Iterator[list[Batch]]:
    slots: dict[int, list[Batch]] = {}
    for batch in batches:
        slots.setdefault(key_slot(keys.index(batch.agent_id).encode()), []).append(batch)
    yield from slots.values()


def _store_together(
    systems: MemorySystems, batches: Sequence[Batch], firsts: dict[str, int], token: Token
) -> Flow[None]:
    """Store batches with one call, those of one codec, and of one policy, next to each other."""
    by_system: dict[Codec, dict[Policy, list[Batch]]] = {}
    for batch in batches:
        by_system.setdefault(batch.codec, {}).setdefault(batch.policy, []).append(batch)
    ordered = [batch for policies in by_system.values() for some in policies.values() for batch in some]
    forms = []
    for codec, policies in by_system.items():
        rows = [row for some in policies.values() for batch in some for row in batch.rows]
        routing = keys.index(ordered[0].agent_id)
        forms.append((yield from queued.prepare(systems, routing, codec, b"".join(rows), len(rows))))
    reply = yield from run(_call(by_system, ordered, forms, token))
    firsts.update(zip((batch.agent_id for batch in ordered), map(int, reply), strict=True))


def _call(
    by_system: dict[Codec, dict[Policy, list[Batch]]],
    ordered: Sequence[Batch],
    forms: Sequence[tuple[bytes, str]],
    token: Token,
) -> ScriptCall:
    memory_systems = [
        [
            codec.configuration,
            codec.feature_groups,
            form,
            [[policy.to_json(), len(some)] for policy, some in policies.items()],
        ]
        for (codec, policies), (_, form) in zip(by_system.items(), forms, strict=True)
    ]
    given = [len(batch.rows) if batch.timestamps is None else list(batch.timestamps) for batch in ordered]
    metadata = [text for batch in ordered for text in batch.metadata]
    return script(
        "store_batches",
        [key for batch in ordered for key in keys.documents_of(batch.agent_id)],
        json.dumps(memory_systems, ensure_ascii=False),
        json.dumps(given),
        b"".join(states for states, _ in forms),
        token,
        *(metadata if any(metadata) else ()),
    )
