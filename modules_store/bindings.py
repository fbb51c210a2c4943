"""Which codec and policy an agent has where its client does not say: by its id, or by a pattern of ids.

The bindings are one document, `memory_systems`, that clients read as a whole. The most exact one that says a
codec decides the codec, and the most exact one that says a policy the policy.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from modules_store import errors, keys
from modules_store.policy import Policy


@dataclass(frozen=True)
class Binding:
    """Agents, and the codec that their memories are stored with, what is kept of them, or both."""

    agents: str
    """The id of an agent, or a pattern of `*`, `?`, `[abc]` and `[!abc]`, upper and lower case apart."""
    codec: str | None
    """None where another binding, or the default, says the codec."""
    version: int | None
    """None for the latest when a client fetches the codec."""
    policy: Policy | None = None
    """None where another binding, or the default, says the policy."""

    def decides(self, agent_id: str) -> bool:
        """Whether this binding is for that agent."""
        return self.agents == agent_id or fnmatch.fnmatchcase(agent_id, self.agents)


def parse_document(document: Mapping[str, Any] | None) -> list[Binding]:
    """Return the bindings of `memory_systems`, the longer text first; ServerError where it holds none."""
    if document is None:
        return []
    try:
        found = [_parse_binding(entry) for entry in document["bindings"]]
    except (KeyError, TypeError) as problem:
        raise errors.ServerError(f"{keys.bindings()} does not hold bindings: {problem!r}") from problem
    return sorted(found, key=lambda binding: (-len(binding.agents), binding.agents))


def _parse_binding(entry: Mapping[str, Any]) -> Binding:
    codec, policy = entry["codec"], entry.get("policy")
    return Binding(
        str(entry["agents"]),
        None if codec is None else str(codec),
        entry["version"],
        None if policy is None else Policy.from_json(policy),
    )


def resolve(bindings: Iterable[Binding], agent_id: str) -> Binding | None:
    """Return the binding of that very id, otherwise the first that matches it, or None."""
    matching = [binding for binding in bindings if binding.decides(agent_id)]
    exact = (binding for binding in matching if binding.agents == agent_id)
    return next(exact, matching[0] if matching else None)
