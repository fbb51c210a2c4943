"""What is kept of an agent's memories: the policy that goes with each store and stands in its document."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field

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

    def to_json(self) -> str:
        """Return the policy as the scripts read it and RedisJSON prints it, so that texts can be compared."""
        return _text(self)


@functools.lru_cache(maxsize=256)
def _text(policy: Policy) -> str:
    return json.dumps({"retention": policy.retention.to_json()}, separators=(",", ":"))
