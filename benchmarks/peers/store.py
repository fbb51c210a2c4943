"""This package's store: each layout of memories, with models run inside the scripts or on the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.material import CODEC, Material
from benchmarks.peers.system import Client, System
from model_export.publish import publish
from modules_store import KeepAll, Policy, RedisAgentMemory


@dataclass(frozen=True)
class Store(System):
    """`RedisAgentMemory` with a codec of 32 bytes; nothing is trimmed, as the others keep everything."""

    layout: str = "keys"
    mode: str = "inline"
    notes: ClassVar[str] = (
        "`RedisAgentMemory` with the policy `KeepAll`: `store_agent_memory` for 1 state, "
        "`store_agent_memories` for more, `get_recent_memories` and `sample_memories` with "
        '`fields="states"`; models inside the scripts, or on the worker queue with `mode="queued"`. Metadata '
        "are RedisJSON documents in the layout *keys*, JSON text in the segments of *packed*"
    )

    @property
    def is_weighed(self) -> bool:  # type: ignore[override]
        """Where the codec ran, memories do not show."""
        return self.mode == "inline"

    def prepare(self, url: str, material: Material) -> None:
        publish(material.codec, url)

    def connect(self, url: str, material: Material) -> StoreClient:
        policy = Policy(KeepAll(), layout=self.layout)
        return StoreClient(RedisAgentMemory(url, codec=CODEC, policy=policy, mode=self.mode), material)


class StoreClient(Client):
    """Calls a `RedisAgentMemory`."""

    def __init__(self, memory: RedisAgentMemory, material: Material) -> None:
        self.memory = memory
        self._material = material

    def store(self, agent: str, rows: slice, described: bool) -> None:
        states = self._material.states[rows]
        metadata = self._material.metadata[rows] if described else None
        if len(states) == 1:
            self.memory.store_agent_memory(agent, states[0], metadata[0] if metadata else None)
        else:
            self.memory.store_agent_memories(agent, states, metadata)

    def recent(self, agent: str, count: int) -> Any:
        return self.memory.get_recent_memories(agent, count, fields="states")

    def sample(self, agent: str, count: int) -> Any:
        return self.memory.sample_memories(agent, count, fields="states")

    def array(self, recalled: Any) -> NDArray[np.float32]:
        return np.stack([one.state for one in recalled]) if isinstance(recalled, list) else recalled.states

    def close(self) -> None:
        self.memory.close()
