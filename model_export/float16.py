"""The built-in codec `float16`: each value of a state as a float16, states of any length, nothing to train.

Its files are part of the sources, in `modules_store/codecs/float16/`, so that clients publish it without
torch. Run as a program, this writes them anew: `python -m model_export.float16 [FOLDER]`.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from model_export.torchscript import to_bytes
from modules_store import files

# No `from __future__ import annotations` here: TorchScript's compiler wants the annotations themselves.

SHIPPED = Path(__file__).parents[1] / "modules_store" / "codecs" / "float16"
NAME = "float16"
VERSION = 1
"""Raised with every change of what the models do: memories name the version that decodes them."""


class Float16Encoder(nn.Module):
    """Encoder as it runs in Redis: FLOAT[B, D] to HALF[B, D], any B and D >= 1.

    Raises, in the graph: the states have another shape than [B, D]; a state is "not finite"; a state is "out
    of range", which is what would become infinite. Float16 ends at 65504, and what is nearer to that than to
    65536 is rounded to it.
    """

    too_large: Final[float] = 65520.0

    def forward(self, states: Tensor) -> Tensor:
        if states.dim() != 2:
            raise ValueError(f"the encoder takes states of shape [B, D], not {states.size()}")
        # One pass over the states, as in CodecEncoder; NaN makes either comparison false.
        lowest, highest = torch.aminmax(states)
        low, high = float(lowest), float(highest)
        if not (-self.too_large < low and high < self.too_large):
            if not high - low < float("inf"):
                raise ValueError("a state is not finite: it holds NaN or infinity")
            value = high if high >= self.too_large else low
            raise ValueError(
                f"a state is out of range: float16 takes values from -65504 to 65504, not {value}"
            )
        return states.to(torch.float16)


class Float16Decoder(nn.Module):
    """Decoder as it runs in Redis: HALF[B, D] to FLOAT[B, D], any B and D >= 1; exact."""

    def forward(self, codes: Tensor) -> Tensor:
        if codes.dim() != 2:
            raise ValueError(f"the decoder takes codes of shape [B, D], not {codes.size()}")
        return codes.to(torch.float32)


def build(folder: Path) -> None:
    """Write `encoder.pt`, `decoder.pt` and `manifest.json` into `folder`, which is made if needed."""
    blobs = {"encoder": to_bytes(Float16Encoder()), "decoder": to_bytes(Float16Decoder())}
    manifest = {
        "name": NAME,
        "version": VERSION,
        "code_dtype": "HALF",
        "torch": str(torch.__version__),
        "sha256": {part: hashlib.sha256(blob).hexdigest() for part, blob in blobs.items()},
    }
    files.make_folder(folder)
    for part, blob in blobs.items():
        files.write(folder / f"{part}.pt", blob)
    files.write(folder / "manifest.json", json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED)
