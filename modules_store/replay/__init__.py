"""Memories for training with PyTorch: batches of tensors that the server draws.

Needs torch, so `modules_store` does not import it; `modules_store.replay.torchrl` needs torchrl besides. The
extra `replay` installs both.
"""

from modules_store.replay.datasets import HistoryDataset, ReplayDataset

__all__ = ["HistoryDataset", "ReplayDataset"]
