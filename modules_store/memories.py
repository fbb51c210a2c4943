"""What operations return."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

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


_SET_FIELDS = tuple(getattr(Memory, name).__set__ for name in Memory.__slots__)


class Memories(Sequence[Memory]):
    """B memories of an agent, in the order in which they were asked for, also as arrays.

    A `Memory` is made of each when the sequence is first looked into; who takes the arrays does without.
    """

    def __init__(
        self,
        agent_id: str,
        timestamps: npt.NDArray[np.int64],
        states: npt.NDArray[np.float32],
        metadata: list[dict[str, Any] | None],
    ) -> None:
        self.agent_id = agent_id
        self.timestamps = timestamps
        """int64[B]."""
        self.states = states
        """float32[B, D], as the codec reconstructs them; float32[B, 0] where no states were asked for, or
        there are no memories."""
        self.metadata = metadata
        self._made: list[Memory] | None = None

    def __len__(self) -> int:
        return len(self.timestamps)

    @overload
    def __getitem__(self, index: int) -> Memory: ...

    @overload
    def __getitem__(self, index: slice) -> Memories: ...

    def __getitem__(self, index: int | slice) -> Memory | Memories:
        if not isinstance(index, slice):
            return self._each()[index]
        # Contiguous, since torch takes no arrays that run backwards.
        states = np.ascontiguousarray(self.states[index])
        return Memories(self.agent_id, self.timestamps[index].copy(), states, self.metadata[index])

    def __iter__(self) -> Iterator[Memory]:
        return iter(self._each())

    def __eq__(self, other: object) -> bool:
        """Compare as lists do; a `Memory` is equal to itself alone."""
        return self._each() == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self)} memories of {self.agent_id!r}>"

    def _each(self) -> list[Memory]:
        if self._made is None:
            self._made = _made_of(self.agent_id, self.timestamps.tolist(), self.states, self.metadata)
        return self._made


def joined(parts: Sequence[Memories]) -> Memories:
    """Return the memories of one agent, and of the same fields, as one; there is one part at least."""
    filled = [part for part in parts if len(part)] or [parts[0]]
    if len(filled) == 1:
        return filled[0]
    return Memories(
        filled[0].agent_id,
        np.concatenate([part.timestamps for part in filled]),
        np.concatenate([part.states for part in filled]),
        [document for part in filled for document in part.metadata],
    )


def _made_of(
    agent_id: str,
    timestamps: Iterable[int],
    states: npt.NDArray[np.float32],
    metadata: Iterable[dict[str, Any] | None],
) -> list[Memory]:
    """Make a memory of each row without `Memory.__init__`, which sets the fields of a frozen class by name.

    For a thousand memories that takes longer than receiving them.
    """
    set_agent, set_timestamp, set_state, set_metadata = _SET_FIELDS
    make = object.__new__
    made = []
    for timestamp, state, document in zip(timestamps, states, metadata, strict=True):
        memory = make(Memory)
        set_agent(memory, agent_id)
        set_timestamp(memory, timestamp)
        set_state(memory, state)
        set_metadata(memory, document)
        made.append(memory)
    return made


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


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """B memories that were drawn at random."""

    agent_ids: list[str]
    """Whose memory each is."""
    timestamps: npt.NDArray[np.int64]
    """int64[B]."""
    states: npt.NDArray[np.float32]
    """float32[B, D], as the codec reconstructs them; float32[B, 0] where no states were asked for."""
    metadata: list[dict[str, Any] | None]
    weights: npt.NDArray[np.float32]
    """float32[B], above 0 and up to 1: what prioritised experience replay scales losses by; otherwise 1."""


@dataclass(frozen=True, eq=False, slots=True)
class Sequences:
    """B sequences of L memories that follow each other, oldest first, that were drawn at random."""

    agent_ids: list[str]
    """Whose memories each sequence has, B."""
    timestamps: npt.NDArray[np.int64]
    """int64[B, L]."""
    states: npt.NDArray[np.float32]
    """float32[B, L, D], as the codec reconstructs them; float32[B, L, 0] where none were asked for."""
    metadata: list[list[dict[str, Any] | None]]
    """B lists of L."""


@dataclass(frozen=True)
class Trimmed:
    """What a call of `trim_agent` has done."""

    dropped: int
    """Memories that were dropped."""
    left: int
    """Memories that still have to go, or to be looked at to know; 0 when nothing is left to do."""


@dataclass(frozen=True)
class Converted:
    """What converting an agent to another layout has done so far."""

    moved: int
    """Memories that were moved."""
    lost: int
    """Memories that were dropped since their value was gone: Redis had evicted it, or it had expired."""

    def __add__(self, other: Converted) -> Converted:
        return Converted(self.moved + other.moved, self.lost + other.lost)


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
