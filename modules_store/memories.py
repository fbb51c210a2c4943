"""What operations return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False, slots=True)
class Memory:
    """One recalled state of an agent."""

    agent_id: str
    timestamp: int
    """Milliseconds since 1970 where the server gave it, otherwise what the caller gave."""
    state: npt.NDArray[np.float32]
    """float32[D], as the codec reconstructs it."""
    metadata: dict[str, Any] | None


@dataclass(frozen=True, eq=False, slots=True)
class Similar:
    """A memory that is near to a state."""

    memory: Memory
    distance: float
    """Euclidean, between that state and the memory's: in the units of the states, of the weighted states or,
    in the space "codec", of the latents."""


@dataclass(frozen=True, eq=False, slots=True)
class Found:
    """A page of what a query found."""

    total: int
    """Memories that match, on all pages."""
    memories: list[Memory]
    gone: int
    """Memories of this page that are left out, as they have no value: evicted, or expired."""


@dataclass(frozen=True)
class Trimmed:
    """What a call of `trim_agent` has done."""

    dropped: int
    """Memories that were dropped."""
    left: int
    """Memories that still have to go, or to be looked at to know; 0 when nothing is left to do."""


@dataclass(frozen=True)
class ReEncoded:
    """What re-encoding an agent's memories has done so far."""

    moved: int
    """Memories that now are of the new codec and version."""
    kept: int
    """Memories that were so before."""
    evicted: int
    """Memories without a value: Redis has evicted it, or it has expired."""

    def __add__(self, other: ReEncoded) -> ReEncoded:
        return ReEncoded(self.moved + other.moved, self.kept + other.kept, self.evicted + other.evicted)
