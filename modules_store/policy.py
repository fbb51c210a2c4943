"""What is kept of an agent's memories, and how: the policy that goes with each store."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modules_store import checks, errors, retention
from modules_store.retention import Oldest, Retention

LAYOUTS = ("keys", "packed")


@dataclass(frozen=True)
class Policy:
    """What is kept of an agent's memories, and how."""

    retention: Retention = field(default_factory=Oldest)
    """Which memories go, and when."""
    ttl_ms: int | None = None
    """Milliseconds after which a memory expires that is stored with this policy; None for never."""
    stream_entries: int | None = None
    """About how many memories the agent's stream keeps for followers; None for no stream."""
    priorities: bool = False
    """Whether memories enter with the largest priority as they are stored, ready to be sampled by it."""
    layout: str = "keys"
    """How Redis keeps the memories of an agent that has none yet: "keys", each by itself, or "packed", in
    segments of up to a thousand. An agent that has memories goes on as it is; `convert_agent` changes it."""
    documents: bool = False
    """Whether the metadata of packed memories are RedisJSON documents, one each, for `find_memories`; with
    the layout "keys" they always are."""

    def __post_init__(self) -> None:
        if not retention.is_retention(self.retention):
            raise errors.InvalidInputError(
                f"retention is of type {type(self.retention).__name__}, not a rule such as Oldest or MaxCount"
            )
        for name in ("ttl_ms", "stream_entries"):
            if getattr(self, name) is not None:
                checks.integer(getattr(self, name), name, 1, checks.MAX_TIMESTAMP)
        if not isinstance(self.priorities, bool):
            raise errors.InvalidInputError(f"priorities is {self.priorities!r}, not True or False")
        if not isinstance(self.documents, bool):
            raise errors.InvalidInputError(f"documents is {self.documents!r}, not True or False")
        checks.choice(self.layout, "layout", LAYOUTS)

    def to_json(self) -> str:
        """Return the policy as the scripts read it and RedisJSON prints it, so that texts can be compared."""
        return self._text

    @functools.cached_property
    def _text(self) -> str:
        document: dict[str, Any] = {"retention": retention.to_json(self.retention)}
        for name in ("ttl_ms", "stream_entries"):
            if getattr(self, name) is not None:
                document[name] = getattr(self, name)
        if self.priorities:
            document["priorities"] = True
        if self.layout != "keys":
            document["layout"] = self.layout
        if self.documents:
            document["documents"] = True
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, document: Any) -> Policy:
        """Return the policy whose JSON, decoded, is `document`; ServerError where it says what is unknown."""
        if not isinstance(document, Mapping) or "retention" not in document:
            raise errors.ServerError(f"policy {document!r} has no retention")
        others = {key: value for key, value in document.items() if key != "retention"}
        try:
            return cls(retention.from_json(document["retention"]), **others)
        except (TypeError, errors.InvalidInputError) as problem:
            raise errors.ServerError(f"policy {document!r}: {problem}") from problem


@functools.lru_cache(maxsize=256)
def with_layout(policy: Policy, layout: str | None) -> Policy:
    """Return a policy with another layout, None for its own."""
    return policy if layout is None else dataclasses.replace(policy, layout=layout)
