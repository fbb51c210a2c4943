"""The naive blueprint: the VAE in the client, `torch.save`, and one call a command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import redis

from benchmarks.material import Material
from benchmarks.naive import NaiveAgentMemory, pickled
from benchmarks.peers.system import Client, Clock, System


@dataclass(frozen=True)
class Blueprint(System):
    """SET of `torch.save` of the codes, ZADD, and HSET of the metadata; each waits for its answer."""

    most_memories: ClassVar[int | None] = 100_000
    notes: ClassVar[str] = (
        "the client runs the VAE, `torch.save`s the codes of a state, then SET, ZADD and, with metadata, "
        "HSET, one call each; recalls are ZREVRANGE or ZRANDMEMBER, MGET, `torch.load` each, one run of the "
        "decoder. The model is kept between calls. Where memories are only there to be recalled or weighed, "
        "the same bytes are written by pipelines, and at most 100,000 of them"
    )

    def connect(self, url: str, material: Material) -> Client:
        return _Client(redis.Redis.from_url(url), material)


class _Client(Client):
    def __init__(self, client: redis.Redis, material: Material) -> None:
        self._redis = client
        self._material = material
        self._memory = NaiveAgentMemory(client, material.vae)
        self._clock = Clock()

    def store(self, agent: str, rows: slice, described: bool) -> None:
        for state, metadata in zip(self._material.states[rows], self._material.metadata[rows], strict=True):
            (timestamp,) = self._clock.take(1)
            self._memory.store(agent, timestamp, state, metadata if described else None)

    def fill(self, agent: str, rows: slice, described: bool) -> None:
        encoded, metadata = self._memory.encode(self._material.states[rows]), self._material.metadata[rows]
        timestamps = self._clock.take(len(metadata))
        pipe = self._redis.pipeline(transaction=False)
        for timestamp, codes, fields in zip(timestamps, encoded, metadata, strict=True):
            key = f"agent:{agent}:memory:{timestamp}"
            pipe.set(key, pickled(codes))
            if described:
                pipe.hset(f"{key}:meta", mapping=fields)
        pipe.zadd(f"agent:{agent}:memories", {str(at): at for at in timestamps})
        pipe.execute()

    def recent(self, agent: str, count: int) -> Any:
        return self._memory.recent(agent, count)

    def sample(self, agent: str, count: int) -> Any:
        return self._memory.sample(agent, count)

    def close(self) -> None:
        self._redis.close()
