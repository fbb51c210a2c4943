"""The blueprint to beat: the client runs the VAE and pickles the latent; SET and ZADD."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import redis
import torch
from numpy.typing import NDArray

from model_export.vae import FeatureGroupedVAE


class NaiveAgentMemory:
    """Stores latents as `torch.save` writes them, two round trips a memory."""

    def __init__(self, client: redis.Redis, vae: FeatureGroupedVAE) -> None:
        self._redis = client
        self._vae = vae.eval()

    @torch.inference_mode()
    def store(self, agent_id: str, timestamp: int, state: NDArray[np.float32]) -> None:
        """Store one state, float32[D]."""
        latent = self._vae(torch.from_numpy(state).unsqueeze(0)).mu[0]
        buffer = io.BytesIO()
        torch.save(latent.clone(), buffer)
        self._redis.set(f"agent:{agent_id}:memory:{timestamp}", buffer.getvalue())
        self._redis.zadd(f"agent:{agent_id}:memories", {str(timestamp): timestamp})

    def store_all(self, agent_id: str, states: Sequence[NDArray[np.float32]]) -> None:
        """Store states one by one, with timestamps as long as those of today's clock."""
        for offset, state in enumerate(states):
            self.store(agent_id, 1_700_000_000_000 + offset, state)
