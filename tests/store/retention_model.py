"""What each retention keeps, in plain Python: one store after the other, without bounds or companions."""

from __future__ import annotations

import json
from collections.abc import Mapping

from modules_store import ByteBudget, Importance, MaxAge, MaxCount, Oldest, Thinning
from tests.store import toy_codec

VALUE_BYTES = 3 + toy_codec.INPUT_DIM


class Model:
    """The memories of one agent: timestamp to metadata or None."""

    def __init__(self, rule) -> None:
        self.rule = rule
        self.memories: dict[int, dict | None] = {}
        self.stored = 0
        self._after: int | None = None

    def store(self, timestamp: int, metadata: dict | None) -> None:
        self.memories[timestamp] = metadata
        self.stored += 1
        for gone in self._gone():
            del self.memories[gone]

    @property
    def kept(self) -> list[int]:
        return sorted(self.memories)

    def importance(self, timestamp: int) -> float:
        value = self.memories[timestamp]
        for name in self.rule.field.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return value if isinstance(value, int | float) and not isinstance(value, bool) else 0

    def size(self, timestamp: int) -> int:
        metadata = self.memories[timestamp]
        return VALUE_BYTES + (0 if metadata is None else len(json.dumps(metadata, separators=(",", ":"))))

    def _gone(self) -> list[int]:
        kept, gone = self.kept, []
        match self.rule:
            case Oldest(threshold):
                left = len(kept)
                while left > threshold:
                    left -= max(1, int(0.2 * min(100, left)))
                gone = kept[: len(kept) - left]
            case MaxCount(count):
                gone = kept[:-count]
            case MaxAge(age_ms):
                gone = [t for t in kept if t < kept[-1] - age_ms]
            case Importance(count, _):
                gone = sorted(kept, key=lambda t: (self.importance(t), t))[: max(0, len(kept) - count)]
            case ByteBudget(size_bytes):
                while len(gone) < len(kept) - 1 and sum(map(self.size, kept[len(gone) :])) > size_bytes:
                    gone = kept[: len(gone) + 1]
            case Thinning(recent):
                gone = self._thin(kept, recent) if self.stored % 16 == 0 else []
        return gone

    def _thin(self, kept: list[int], recent: int) -> list[int]:
        """Look at 128 memories after those that the last call came to, but not at the newest `recent`."""
        after = [t for t in kept if self._after is None or t >= self._after]
        candidates = [t for t in after[1:129] if t in kept[:-recent]]
        left, gone = after[0] if after else None, []
        for t in candidates:
            right = after[after.index(t) + 1]
            if right - left <= (kept[-1] - t) / recent:
                gone.append(t)
            else:
                left = t
        more = len(candidates) == 128 and len(after) > 129
        self._after = left if more else None
        return gone
