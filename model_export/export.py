"""Everything TorchScript: a trained model becomes two small scripted modules, then bytes and files.

The scripted modules are the model folded: scales, masks and maps that follow one another without a bend are
multiplied together once, in float64, so that a call runs few operations. `verify.py` holds them against the
model.
"""

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_export.config import CodecConfig
from model_export.errors import ConfigError
from model_export.vae import CODE_MAX, CODE_MIN, FeatureGroupedVAE

# No `from __future__ import annotations` here: TorchScript's compiler wants the annotations themselves.

MANIFEST_FORMAT = 1


class CodecEncoder(nn.Module):
    """Encoder as it runs in Redis: FLOAT[B, D] to codes INT8[B, C], any B >= 1.

    Raises, in the graph: the states have another shape than [B, D]; a state is "not finite".
    """

    low: Tensor
    high: Tensor
    mean: Tensor
    in_weight: Tensor
    in_bias: Tensor
    hidden_weight: Tensor
    hidden_bias: Tensor
    out_weight: Tensor
    out_bias: Tensor
    linear_weight: Tensor
    code_min: Final[int] = CODE_MIN
    code_max: Final[int] = CODE_MAX

    def __init__(self, vae: FeatureGroupedVAE) -> None:
        super().__init__()
        self.input_dim = vae.input_dim
        scales = vae.normalizer
        inverse_std = scales.inverse_std.double()
        to_codes = vae.code_scale.double()[:, None] * vae.compress.weight.double()
        latent_bias = vae.encoder_mu.bias.double() + vae.encoder_linear.bias.double()
        # The mean is subtracted in the graph, not folded: beside a large one, products lose the state.
        _add_buffers(
            self,
            low=scales.low,
            high=scales.high,
            mean=scales.mean,
            in_weight=vae.encoder_in.weight.double() * inverse_std,
            in_bias=vae.encoder_in.bias,
            hidden_weight=vae.encoder_hidden.weight,
            hidden_bias=vae.encoder_hidden.bias,
            out_weight=to_codes @ vae.encoder_mu.weight.double(),
            out_bias=to_codes @ latent_bias + vae.code_scale.double() * vae.compress.bias.double(),
            linear_weight=to_codes @ vae.encoder_linear.weight.double() * inverse_std,
        )

    @torch.jit.export
    def code_values(self, states: Tensor) -> Tensor:
        """Return the codes before rounding, FLOAT[B, C]; verification needs them."""
        if states.dim() != 2 or states.size(1) != self.input_dim:
            raise ValueError(f"the encoder takes states of shape [B, {self.input_dim}], not {states.size()}")
        # The cheapest test found for NaN and infinity: one pass over the states, and no mask of their size.
        lowest, highest = torch.aminmax(states)
        if not float(highest) - float(lowest) < float("inf"):
            raise ValueError("a state is not finite: it holds NaN or infinity")
        x = torch.clamp(states, self.low, self.high) - self.mean
        hidden = functional.linear(x, self.in_weight, self.in_bias).relu()
        hidden = functional.linear(hidden, self.hidden_weight, self.hidden_bias).relu()
        return functional.linear(hidden, self.out_weight, self.out_bias) + functional.linear(
            x, self.linear_weight
        )

    def forward(self, states: Tensor) -> Tensor:
        return self.code_values(states).round().clamp(self.code_min, self.code_max).to(torch.int8)


class CodecDecoder(nn.Module):
    """Decoder as it runs in Redis: codes INT8[B, C] to FLOAT[B, D], any B >= 1.

    Raises, in the graph: the codes have another shape than [B, C].
    """

    in_weight: Tensor
    in_bias: Tensor
    hidden_weight: Tensor
    hidden_bias: Tensor
    out_weight: Tensor
    out_bias: Tensor
    linear_weight: Tensor

    def __init__(self, vae: FeatureGroupedVAE) -> None:
        super().__init__()
        self.codes = vae.codes
        std = vae.normalizer.std.double()[:, None]
        to_latents = vae.expand.weight.double() / vae.code_scale.double()
        latent_bias = vae.expand.bias.double()
        linear, enter = vae.decoder_linear.weight.double(), vae.decoder_in.weight.double()
        bias = vae.decoder_out.bias.double() + vae.decoder_linear.bias.double() + linear @ latent_bias
        _add_buffers(
            self,
            in_weight=enter @ to_latents,
            in_bias=vae.decoder_in.bias.double() + enter @ latent_bias,
            hidden_weight=vae.decoder_hidden.weight,
            hidden_bias=vae.decoder_hidden.bias,
            out_weight=vae.decoder_out.weight.double() * std,
            out_bias=bias * std[:, 0] + vae.normalizer.mean.double(),
            linear_weight=linear @ to_latents * std,
        )

    def forward(self, codes: Tensor) -> Tensor:
        if codes.dim() != 2 or codes.size(1) != self.codes:
            raise ValueError(f"the decoder takes codes of shape [B, {self.codes}], not {codes.size()}")
        values = codes.to(torch.float32)
        hidden = functional.linear(values, self.in_weight, self.in_bias).relu()
        hidden = functional.linear(hidden, self.hidden_weight, self.hidden_bias).relu()
        return functional.linear(values, self.linear_weight) + functional.linear(
            hidden, self.out_weight, self.out_bias
        )


@dataclass(frozen=True)
class ExportedCodec:
    """A codec ready to be published: two TorchScript blobs and what is known about them.

    Args:
        config: the codec's shape.
        encoder: TorchScript bytes, FLOAT[B, D] to INT8[B, C].
        decoder: TorchScript bytes, INT8[B, C] to FLOAT[B, D].
        metrics: numbers from training, free form.
    """

    config: CodecConfig
    encoder: bytes = field(repr=False)
    decoder: bytes = field(repr=False)
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def sha256(self) -> dict[str, str]:
        """Content hashes as hex, `{"encoder": …, "decoder": …}`."""
        blobs = {"encoder": self.encoder, "decoder": self.decoder}
        return {part: hashlib.sha256(blob).hexdigest() for part, blob in blobs.items()}

    def save(self, folder: str | Path) -> None:
        """Write `encoder.pt`, `decoder.pt` and `manifest.json` into `folder`, which is made if needed."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "encoder.pt").write_bytes(self.encoder)
        (folder / "decoder.pt").write_bytes(self.decoder)
        manifest = {
            "format": MANIFEST_FORMAT,
            "config": self.config.to_dict(),
            "metrics": self.metrics,
            "sha256": self.sha256,
        }
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> "ExportedCodec":
        """Read what `save` wrote.

        Raises:
            ConfigError: the folder holds no codec, or not the one that its manifest names.
        """
        folder = Path(folder)
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            encoder, decoder = ((folder / f"{part}.pt").read_bytes() for part in ("encoder", "decoder"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{folder} holds no exported codec: {error}") from error
        if not isinstance(manifest, dict) or manifest.get("format") != MANIFEST_FORMAT:
            raise ConfigError(f"{folder}/manifest.json is not of format {MANIFEST_FORMAT}")
        codec = cls(CodecConfig.from_dict(manifest["config"]), encoder, decoder, manifest["metrics"])
        if codec.sha256 != manifest["sha256"]:
            raise ConfigError(
                f"the files in {folder} are not those that its manifest names: content hashes differ"
            )
        return codec

    def modules(self) -> tuple[torch.jit.ScriptModule, torch.jit.ScriptModule]:
        """Load encoder and decoder for use in this process, on the CPU."""
        return _from_bytes(self.encoder), _from_bytes(self.decoder)


def export(vae: FeatureGroupedVAE, name: str, metrics: dict[str, float] | None = None) -> ExportedCodec:
    """Turn a trained model into a codec called `name` that Redis can run.

    Raises:
        ConfigError: `name` cannot name a codec.
    """
    config = CodecConfig.from_dict({**vae.config.to_dict(), "name": name})
    with torch.no_grad():
        encoder, decoder = to_bytes(CodecEncoder(vae)), to_bytes(CodecDecoder(vae))
    return ExportedCodec(config, encoder, decoder, dict(metrics or {}))


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


def _add_buffers(module: nn.Module, **tensors: Tensor) -> None:
    for name, tensor in tensors.items():
        # A copy, so that the export does not change with the model when that is trained on.
        module.register_buffer(name, tensor.detach().to("cpu", torch.float32).clone().contiguous())


def _from_bytes(blob: bytes) -> Any:
    return torch.jit.load(io.BytesIO(blob), map_location="cpu")  # type: ignore[no-untyped-call]
