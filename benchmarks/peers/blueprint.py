"""The naive blueprint: the VAE in the client, `torch.save`, and one call a command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import redis
from numpy.typing import NDArray

from benchmarks.material import Material
from benchmarks.naive import NaiveAgentMemory, pickled
from benchmarks.peers.system import Client, Clock, Metadata, System


@dataclass(frozen=True)
class Blueprint(System):
    """SET of `torch.save` of the codes, ZADD, and HSET of the metadata; each waits for its answer."""

    most_memories: ClassVar[int | None] = 100_000
    notes: ClassVar[str] = (
        "the client runs the VAE, `torch.save`s the codes of a state, then SET, ZADD and, with metadata, HSET, "
        "one call each; recalls are ZREVRANGE or ZRANDMEMBER, MGET, `torch.load` each, one run of the decoder. "
        "The model is kept between calls. For figures of many memories the same bytes are written by pipelines, "
        "and at most 100,000 of them"
    )

    def connect(self, url: str, material: Material) -> Client:
        return _Client(redis.Redis.from_url(url), material)


class _Client(Client):
    def __init__(self, client: redis.Redis, material: Material) -> None:
        self._redis = client
        self._memory = NaiveAgentMemory(client, material.vae)
        self._clock = Clock()

    def store(self, agent: str, states: NDArray[np.float32], metadata: Metadata | None) -> None:
        for row, state in enumerate(states):
            (timestamp,) = self._clock.take(1)
            self._memory.store(agent, timestamp, state, metadata[row] if metadata else None)

    def fill(self, agent: str, states: NDArray[np.float32], metadata: Metadata | None) -> None:
        timestamps = self._clock.take(len(states))
        pipe = self._redis.pipeline(transaction=False)
        for row, codes in enumerate(self._memory.encode(states)):
            key = f"agent:{agent}:memory:{timestamps[row]}"
            pipe.set(key, pickled(codes))
            if metadata:
                pipe.hset(f"{key}:meta", mapping=dict(metadata[row]))
        pipe.zadd(f"agent:{agent}:memories", {str(at): at for at in timestamps})
        pipe.execute()

    def recent(self, agent: str, count: int) -> Any:
        return self._memory.recent(agent, count)

    def sample(self, agent: str, count: int) -> Any:
        return self._memory.sample(agent, count)

    def close(self) -> None:
        self._redis.close()
