"""Everything that is specific to TorchScript, which PyTorch deprecates and which runs without Python.

Modules to bytes and back, the form that the engine optimises them to, and ONNX by the exporter that reads
TorchScript: PyTorch's newer one passes integer divisions through float32, and packed codes come out wrong.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from typing import Any

import torch
from torch import Tensor, nn

ONNX_OPSET = 17


def to_bytes(module: nn.Module) -> bytes:
    """Return a module as TorchScript, without the record of where on this machine its source code was.

    The archive's own id goes, too: it is a hash that covers the record.
    """
    saved, stripped = io.BytesIO(), io.BytesIO()
    torch.jit.save(torch.jit.script(module.eval()), saved)
    with zipfile.ZipFile(saved) as archive, zipfile.ZipFile(stripped, "w") as rest:
        for name in archive.namelist():
            if not name.endswith((".debug_pkl", "/serialization_id")):
                rest.writestr(zipfile.ZipInfo(name), archive.read(name))
    return stripped.getvalue()


def from_bytes(blob: bytes) -> Any:
    """Load what `to_bytes` made, on the CPU."""
    return torch.jit.load(io.BytesIO(blob), map_location="cpu")  # type: ignore[no-untyped-call]


def optimised(module: Any) -> Any:
    """Return a loaded module as the engine runs it: frozen, its constants folded."""
    return torch.jit.freeze(module.eval())


def to_onnx(module: nn.Module, example: Tensor, input_name: str, output_name: str) -> bytes:
    """Return a module as ONNX with a batch of any size.

    Args:
        example: a tensor[B, …] that the module takes.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # They are of interest to who writes the exporter; verify.py holds what comes out against the model.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (example,),
            buffer,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=ONNX_OPSET,
            input_names=[input_name],
            output_names=[output_name],
            dynamic_axes={input_name: {0: "batch"}, output_name: {0: "batch"}},
        )
    return buffer.getvalue()
