"""What verifying and repairing an agent's memories say."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

FIRST = 10
"""How many timestamps of each kind a verification names."""


@dataclass(frozen=True)
class Finding:
    """What is wrong in one way: how many times, and where first."""

    count: int = 0
    first: tuple[int, ...] = ()
    """The timestamps that were found first, up to ten."""

    def __add__(self, timestamps: list[int]) -> Finding:
        return Finding(self.count + len(timestamps), (*self.first, *timestamps)[:FIRST])


@dataclass(frozen=True)
class Verification:
    """What `verify_agent` found; each kind is mended by `repair_agent`, but for what it says."""

    memories: int
    """Memories of the index that were looked at."""
    without_value: Finding = field(default_factory=Finding)
    """The index has them, their value is gone: Redis has evicted it, or it has expired."""
    corrupt: Finding = field(default_factory=Finding)
    """Their value is none that the agent's codecs made; they cannot be recalled, and a repair drops them."""
    undecodable: Finding = field(default_factory=Finding)
    """Their decoder is missing or fails, or nothing says which it is; they stay until it is there again."""
    not_indexed: Finding = field(default_factory=Finding)
    """They have a value, but no entry in the index; where the value is corrupt, a repair drops them."""
    remnants: Finding = field(default_factory=Finding)
    """Only metadata, numbers, a priority or a stream entry is left of them."""
    lacking: Finding = field(default_factory=Finding)
    """The companion of the agent's retention has no number for them, or another."""
    keys: tuple[str, ...] = ()
    """Keys of a wrong type, which stay; documents that are missing or unreadable; sizes of a wrong total;
    columns of segments of which the others are lost."""

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.keys and not any(
            finding.count for finding in (getattr(self, one.name) for one in fields(self)[1:-1])
        )


@dataclass(frozen=True)
class Repaired:
    """What `repair_agent` has done."""

    lost: int = 0
    """Memories without a value that were dropped from the index."""
    corrupt: int = 0
    """Memories with a corrupt value that were dropped."""
    indexed: int = 0
    """Memories that were entered in the index."""
    removed: int = 0
    """Remnants of memories that were removed."""
    entered: int = 0
    """Numbers of a companion that were entered."""
    documents: int = 0
    """Documents of the agent that were written again."""

    def __add__(self, other: Repaired) -> Repaired:
        sums = (getattr(self, one.name) + getattr(other, one.name) for one in fields(self))
        return Repaired(*sums)
