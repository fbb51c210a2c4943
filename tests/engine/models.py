"""Small TorchScript modules, each for one behaviour of the engine, as the bytes AI.MODELSTORE takes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import torch


class AddAndMultiply(torch.nn.Module):
    def forward(self, left, right):
        return left + right, left * right


class Double(torch.nn.Module):
    def forward(self, x):
        return x * 2


class Identity(torch.nn.Module):
    def forward(self, x):
        return x


class Transposes(torch.nn.Module):
    """Returns views that do not lie in memory as they read; the sign of the second is yet to be changed."""

    def forward(self, x):
        return x.t(), torch.view_as_complex(x).conj().imag


class WritesItsInput(torch.nn.Module):
    def forward(self, x):
        return x.add_(1)


class RefusesNan(torch.nn.Module):
    def forward(self, x):
        assert not bool(torch.isnan(x).any()), "the input is not finite"
        return x


class ToHalf(torch.nn.Module):
    def forward(self, x):
        return x.to(torch.float16)


class Scalar(torch.nn.Module):
    def forward(self, x):
        return x.sum()


class Empty(torch.nn.Module):
    def forward(self, x):
        return x[:0]


class OptionalInput(torch.nn.Module):
    def forward(self, x, y: torch.Tensor | None = None):
        return x if y is None else x + y


class ReturnsText(torch.nn.Module):
    def forward(self, x):
        return "text"


class RowsSeen(torch.nn.Module):
    """Adds to each row 1000 times the number of rows that came with it."""

    def forward(self, x):
        return x + 1000 * x.size(0)


class Slow(torch.nn.Module):
    """Takes about a second on one core: `rounds` products of two 300 x 300 matrices."""

    def forward(self, rounds):
        x = torch.ones(300, 300)
        for _ in range(int(rounds)):
            x = torch.mm(x, x).clamp(0, 1)
        return x[0, :1]


class Dropout(torch.nn.Module):
    """Random in training mode, the identity in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, x):
        return self.dropout(x)


class Weights(torch.nn.Module):
    def __init__(self, size: int = 256):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weights = torch.nn.Parameter(torch.rand(size, size, generator=generator))

    def forward(self, x):
        return x @ self.weights


def blob(module: torch.nn.Module) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module), buffer)
    return buffer.getvalue()


def rewritten(blob: bytes, part: str, change: Callable, compression=zipfile.ZIP_STORED) -> bytes:
    """The archive with `change` applied to the records whose name contains `part`; None leaves one out."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(blob)) as source,
        zipfile.ZipFile(target, "w", compression) as archive,
    ):
        for name in source.namelist():
            data = source.read(name)
            data = change(data) if part in name else data
            if data is not None:
                archive.writestr(name, data)
    return target.getvalue()
