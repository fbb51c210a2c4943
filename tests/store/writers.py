"""Work for processes of their own, in a module that does not import torch."""

from __future__ import annotations

import os
import signal

import numpy as np

from modules_store import RedisAgentMemory


def store_some(url: str, writer: int, results, layout: str = "keys") -> None:
    """Store 60 states singly and 100 in 4 batches for one agent; each state says whose and which it is."""
    own = np.zeros((160, 6), np.float32)
    own[:, 0], own[:, 1], own[:, 2] = writer, np.arange(160) // 100, np.arange(160) % 100 / 16
    with RedisAgentMemory(url, codec="toy", compression_threshold=100_000, layout=layout) as store:
        timestamps = [store.store_agent_memory("shared", row) for row in own[:60]]
        for start in range(60, 160, 25):
            timestamps += store.store_agent_memories("shared", own[start : start + 25])
    results.put((own, timestamps))


def follow_and_die(url: str, seen) -> None:
    """Follow agent "shared" as a consumer and report its memories; end without notice at the fifth."""
    with RedisAgentMemory(url, codec="toy") as store:
        follower = store.follow("shared", after="beginning", group="g", consumer="dead", count=20)
        for n, memory in enumerate(follower, 1):
            seen.send(memory.timestamp)
            if n == 5:
                os.kill(os.getpid(), signal.SIGKILL)
