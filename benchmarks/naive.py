"""The blueprint to beat: the client runs the VAE and pickles its codes; SET, ZADD and HSET, one call each."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import redis
import torch
from numpy.typing import NDArray

from model_export.vae import FeatureGroupedVAE


class NaiveAgentMemory:
    """Stores codes as `torch.save` writes them: two round trips a memory, three with metadata."""

    def __init__(self, client: redis.Redis, vae: FeatureGroupedVAE) -> None:
        self._redis = client
        self._vae = vae.eval()

    def store(
        self,
        agent_id: str,
        timestamp: int,
        state: NDArray[np.float32],
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Store one state, float32[D]."""
        key = f"agent:{agent_id}:memory:{timestamp}"
        self._redis.set(key, pickled(self.encode(state[np.newaxis])[0]))
        self._redis.zadd(f"agent:{agent_id}:memories", {str(timestamp): timestamp})
        if metadata is not None:
            self._redis.hset(f"{key}:meta", mapping=metadata)

    def store_all(self, agent_id: str, states: Sequence[NDArray[np.float32]]) -> None:
        """Store states one by one, with timestamps as long as those of today's clock."""
        for offset, state in enumerate(states):
            self.store(agent_id, 1_700_000_000_000 + offset, state)

    def recent(self, agent_id: str, count: int) -> torch.Tensor:
        """Return the states of the newest memories, FLOAT[count, D], newest first."""
        return self._recall(agent_id, self._redis.zrevrange(f"agent:{agent_id}:memories", 0, count - 1))

    def sample(self, agent_id: str, count: int) -> torch.Tensor:
        """Return the states of memories drawn with replacement, FLOAT[count, D]."""
        return self._recall(agent_id, self._redis.zrandmember(f"agent:{agent_id}:memories", -count))

    @torch.inference_mode()
    def encode(self, states: NDArray[np.float32]) -> torch.Tensor:
        """Return the codes of float32[B, D], INT8[B, C]."""
        return self._vae.encode(torch.from_numpy(states))

    @torch.inference_mode()
    def _recall(self, agent_id: str, timestamps: Sequence[bytes]) -> torch.Tensor:
        values = self._redis.mget([f"agent:{agent_id}:memory:{at.decode()}" for at in timestamps])
        codes = [torch.load(io.BytesIO(value)) for value in values]
        return self._vae.decode(torch.stack(codes))


def pickled(codes: torch.Tensor) -> bytes:
    """Return one memory's codes as the blueprint stores them."""
    buffer = io.BytesIO()
    torch.save(codes.clone(), buffer)  # of a view, torch.save would write the whole batch
    return buffer.getvalue()
