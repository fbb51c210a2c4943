"""Memories for training with PyTorch: batches of tensors that the server draws.

The only part of the package that imports torch, so no other part imports it. `modules_store.replay.torchrl`
needs TorchRL besides; the extra `replay` installs both.
"""

from modules_store.replay.datasets import HistoryDataset, ReplayDataset

__all__ = ["HistoryDataset", "ReplayDataset"]
