"""Raw float32 through redis-py's pipelines: what a careful user of a plain Redis writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import redis

from benchmarks.material import FEATURES, Material
from benchmarks.peers.system import Client, Clock, System


@dataclass(frozen=True)
class Pipelines(System):
    """SET of each state's bytes, one ZADD, and JSON.SET of the metadata, in one pipeline a call."""

    notes: ClassVar[str] = (
        "float32 as it is: a pipeline of SET for each state, one ZADD and, with metadata, JSON.SET for each; "
        "recalls are ZREVRANGE or ZRANDMEMBER, then MGET: two round trips"
    )

    def connect(self, url: str, material: Material) -> Client:
        return PipelineClient(redis.Redis.from_url(url), material)


class PipelineClient(Client):
    """A client of values that it keeps as they are, each under a key of its own."""

    def __init__(self, client: redis.Redis, material: Material) -> None:
        self._redis = client
        self.material = material
        self._clock = Clock()

    def values(self, rows: slice) -> Sequence[bytes]:
        """Return what to store of each state."""
        return [state.tobytes() for state in self.material.states[rows]]

    def states(self, values: Sequence[bytes]) -> Any:
        """Return what recalls make of the values."""
        return np.frombuffer(b"".join(values), np.float32).reshape(-1, FEATURES)

    def store(self, agent: str, rows: slice, described: bool) -> None:
        values, metadata = self.values(rows), self.material.metadata[rows]
        timestamps = self._clock.take(len(values))
        pipe = self._redis.pipeline(transaction=False)
        for timestamp, value, fields in zip(timestamps, values, metadata, strict=True):
            key = f"agent:{{{agent}}}:memory:{timestamp}"
            pipe.set(key, value)
            if described:
                pipe.execute_command("JSON.SET", f"{key}:meta", "$", json.dumps(fields))
        pipe.zadd(f"agent:{{{agent}}}:memories", {str(at): at for at in timestamps})
        pipe.execute()

    def recent(self, agent: str, count: int) -> Any:
        return self._recall(agent, self._redis.zrevrange(f"agent:{{{agent}}}:memories", 0, count - 1))

    def sample(self, agent: str, count: int) -> Any:
        return self._recall(agent, self._redis.zrandmember(f"agent:{{{agent}}}:memories", -count))

    def _recall(self, agent: str, timestamps: Sequence[bytes]) -> Any:
        return self.states(self._redis.mget([f"agent:{{{agent}}}:memory:{at.decode()}" for at in timestamps]))

    def close(self) -> None:
        self._redis.close()
