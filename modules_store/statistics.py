"""What `agent_stats` and `agent_summaries` return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modules_store.policy import Policy


@dataclass(frozen=True)
class AgentSummary:
    """What the index of an agent says."""

    agent_id: str
    memories: int
    """Entries of the index."""
    oldest: int | None
    """The first timestamp, None where there are no memories."""
    newest: int | None
    layout: str
    """How Redis keeps the memories: "keys", "packed", or "mixed" while the agent is converted."""


@dataclass(frozen=True)
class AgentStats:
    """What there is of an agent, and what it takes."""

    memories: int
    """Entries of the index."""
    oldest: int | None
    """The first timestamp, None where there are no memories."""
    newest: int | None
    bytes: Mapping[str, int]
    """Of the server's memory, by family of keys: values, metadata, index, companions, stream, tokens,
    documents (the state among them). Those of values and metadata are reckoned from the sample."""
    raw_bytes: int
    """What the states would take as float32."""
    stored_bytes: int
    """What the values take by themselves, headers included, without what Redis adds; from the sample."""
    counters: Mapping[str, int]
    """`stored` and `trimmed` since the agent began, `lost` and `repaired`."""
    codec: str | None
    """The agent's own, None where nothing says it."""
    version: int | None
    policy: Policy | None
    """That of the last store."""
    versions: Mapping[tuple[str, int], int]
    """How many memories are of each codec and version, from the sample."""
    sampled: int
    """Memories that were looked at; where that is all of them, nothing is reckoned."""
    layout: str
    """How Redis keeps the memories: "keys", "packed", or "mixed" while the agent is converted."""

    @property
    def compression_ratio(self) -> float | None:
        """Bytes of the states for each byte of a value; None where there are no memories."""
        return self.raw_bytes / self.stored_bytes if self.stored_bytes else None
