"""What a system under test is: how it is named, set up on a server of its own, and driven by one client.

A `System` travels to client processes, so it holds plain values alone; what is open belongs to its `Client`.
"""

from __future__ import annotations

import functools
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.material import Material

CAPACITY = 65_536
"""Of an agent whose memories are fixed in number: it is a ring, so its length does not change what a store
costs."""
ALL_WORKS = frozenset({"store", "recent", "sample"})


class Client(ABC):
    """One connection to a system's server; its calls are what is measured."""

    def open(  # noqa: B027  most systems need nothing
        self, agent: str, *, holds: int = 0, capacity: int = CAPACITY
    ) -> None:
        """Make an agent known to this client before it is measured; it has `holds` memories already.

        `capacity` is how many it can have at most, where a system must know it.
        """

    @abstractmethod
    def store(self, agent: str, rows: slice, described: bool) -> None:
        """Store rows of the material for one agent, with metadata where `described`, in one go.

        A client takes them from its material in the form that its system likes best.
        """

    def fill(self, agent: str, rows: slice, described: bool) -> None:
        """Leave in Redis the same bytes as `store`, as fast as can be; not measured."""
        self.store(agent, rows, described)

    @abstractmethod
    def recent(self, agent: str, count: int) -> Any:
        """Return the newest memories' states in the system's own form and order."""

    @abstractmethod
    def sample(self, agent: str, count: int) -> Any:
        """Return the states of memories drawn uniformly with replacement, in the system's own form."""

    def array(self, recalled: Any) -> NDArray[np.float32]:
        """Return what `recent` or `sample` returned as float32[B, D]; not measured."""
        return np.asarray(recalled)

    @abstractmethod
    def close(self) -> None:
        """Close the connections."""


@dataclass(frozen=True)
class System(ABC):
    """A way of keeping memories in Redis."""

    name: str
    is_floor: ClassVar[bool] = False
    """Whether it only shows the least that the work can cost, and keeps nothing that could be used."""
    works: ClassVar[frozenset[str]] = ALL_WORKS
    agents_a_client: ClassVar[int] = 100
    """How many agents a client's stores go to in turn."""
    most_agents: ClassVar[int | None] = None
    most_memories: ClassVar[int | None] = None
    """Where to stop as they grow, so that a slow or large system does not hold up the others."""
    is_weighed: ClassVar[bool] = True
    """Whether it leaves memories in Redis that no other system of the list leaves byte for byte."""
    is_bounded: ClassVar[bool] = False
    """Whether memory is taken once, for all that is stored later."""
    notes: ClassVar[str] = ""
    """What the report says about it: how it is used, what it cannot do."""

    def missing(self) -> str | None:
        """Say why it cannot run here; None where it can."""
        return None

    def prepare(self, url: str, material: Material) -> None:  # noqa: B027  most systems need nothing
        """Put on the server what clients expect there."""

    @abstractmethod
    def connect(self, url: str, material: Material) -> Client:
        """Return a client of the server."""


class Clock:
    """Timestamps in milliseconds as clients of a plain Redis give them: today's, each used once."""

    def __init__(self) -> None:
        self._last = 0

    def take(self, count: int) -> list[int]:
        """Return `count` timestamps, increasing."""
        first = max(time.time_ns() // 1_000_000, self._last + 1)
        self._last = first + count - 1
        return list(range(first, first + count))


@functools.cache
def generator() -> np.random.Generator:
    """Return this process's random numbers, where a system draws in the client."""
    return np.random.default_rng()
