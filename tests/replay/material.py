"""What the two agents of these tests remember."""

from __future__ import annotations

from tests.store import toy_codec

N = 30
ROWS = {"a": toy_codec.states(N, seed=1), "b": toy_codec.states(N, seed=2)}
TIMES = {"a": list(range(100, 100 + N)), "b": list(range(500, 500 + N))}


def metadata(timestamp: int) -> dict:
    """What a memory has besides its state."""
    return {"action": timestamp % 4, "reward": timestamp / 8, "pose": {"xy": [timestamp, 0.5]}}
