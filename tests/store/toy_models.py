"""The toy codec's TorchScript: `toy_models.py STEP D CODE_DTYPE WORK`, for the Python that has torch.

It imports nothing of this project, and writes encoder and decoder to its output: a pickled pair of bytes.
"""

from __future__ import annotations

import io
import pickle
import sys

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """FLOAT[B, D] -> codes[B, D]."""

    def __init__(self, step: float, input_dim: int, half: bool, work: int) -> None:
        super().__init__()
        self.step, self.input_dim, self.half_codes, self.work = step, input_dim, half, work

    def forward(self, states: Tensor) -> Tensor:
        for _ in range(self.work):  # half a millisecond or more each, for nothing
            wide = torch.ones(256, 256) * states.mean()
            states = states + 0.0 * torch.mm(wide, wide).mean()
        if states.size(1) != self.input_dim:
            raise RuntimeError("wrong number of features")
        if not bool(torch.isfinite(states).all()):
            raise RuntimeError("states are not finite")
        if self.half_codes:
            return states.to(torch.float16)
        return torch.clamp(torch.round(states / self.step), -128, 127).to(torch.int8)


class Decoder(nn.Module):
    """codes[B, D] -> FLOAT[B, D]."""

    def __init__(self, step: float, input_dim: int, half: bool) -> None:
        super().__init__()
        self.step, self.input_dim, self.half_codes = step, input_dim, half

    def forward(self, codes: Tensor) -> Tensor:
        if codes.size(1) != self.input_dim:
            raise RuntimeError("wrong number of codes")
        return codes.to(torch.float32) * (1.0 if self.half_codes else self.step)


def torchscript(module: nn.Module) -> bytes:
    """Return the scripted module as AI.MODELSTORE takes it."""
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module), buffer)
    return buffer.getvalue()


if __name__ == "__main__":
    options = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "HALF"
    pickle.dump(
        (torchscript(Encoder(*options, int(sys.argv[4]))), torchscript(Decoder(*options))), sys.stdout.buffer
    )
