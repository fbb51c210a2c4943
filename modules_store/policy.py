"""What is kept of an agent's memories: the policy that goes with each store and stands in its document."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from typing import Any

from modules_store import checks


@dataclass(frozen=True)
class Oldest:
    """Past `threshold` memories an agent loses the oldest fifth of its hundred oldest."""

    threshold: int = 1000
    """Memories that an agent may have, from 1."""

    def __post_init__(self) -> None:
        checks.integer(self.threshold, "threshold", 1, checks.MAX_TIMESTAMP)

    def to_json(self) -> dict[str, str | int | float]:
        """Return what the scripts read."""
        return {"policy": "oldest", "threshold": self.threshold, "sample": 100, "fraction": 0.2}


@dataclass(frozen=True)
class Policy:
    """What is kept of an agent's memories."""

    retention: Oldest = field(default_factory=Oldest)
    """Which memories go, and when."""
    stream_entries: int | None = None
    """About how many memories the agent's stream keeps for followers; None for no stream."""

    def __post_init__(self) -> None:
        if self.stream_entries is not None:
            checks.integer(self.stream_entries, "stream_entries", 1, checks.MAX_TIMESTAMP)

    def to_json(self) -> str:
        """Return the policy as the scripts read it and RedisJSON prints it, so that texts can be compared."""
        return _text(self)


@functools.lru_cache(maxsize=256)
def _text(policy: Policy) -> str:
    document: dict[str, Any] = {"retention": policy.retention.to_json()}
    if policy.stream_entries is not None:
        document["stream_entries"] = policy.stream_entries
    return json.dumps(document, separators=(",", ":"))
