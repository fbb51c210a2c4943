"""Encoder, decoder and latents as they are exported: the model folded, with its checks in the graph.

Scales, masks and maps that follow one another without a bend are multiplied together once, in float64, so
that a call runs few operations. A layer is a product, a sum and a bend, each in the place of the one before:
for one state they take 0.7 of the time of linear layers, for a thousand 0.95, and give the same bits.
`verify.py` holds them against the model; `torchscript.py` makes bytes of it.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_export.vae import FeatureGroupedVAE

# No `from __future__ import annotations` here: TorchScript's compiler wants the annotations themselves.


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

    def __init__(self, vae: FeatureGroupedVAE) -> None:
        super().__init__()
        self.input_dim = vae.input_dim
        self.quantizer = _own_quantizer(vae)
        self.exact = copy.deepcopy(vae.exact).cpu()
        self.learned = vae.codes - vae.exact.codes
        scales = vae.normalizer
        inverse_std = scales.inverse_std.double()
        to_values, value_bias = (part.double() for part in vae.bottleneck.to_values())
        latent_bias = vae.encoder_mu.bias.double() + vae.encoder_linear.bias.double()
        # The mean is subtracted in the graph, not folded: beside a large one, products lose the state.
        _add_buffers(
            self,
            low=scales.low,
            high=scales.high,
            mean=scales.mean,
            in_weight=(vae.encoder_in.weight.double() * inverse_std).t(),
            in_bias=vae.encoder_in.bias,
            hidden_weight=vae.encoder_hidden.weight.t(),
            hidden_bias=vae.encoder_hidden.bias,
            out_weight=(to_values @ vae.encoder_mu.weight.double()).t(),
            out_bias=to_values @ latent_bias + value_bias,
            linear_weight=(to_values @ vae.encoder_linear.weight.double() * inverse_std).t(),
        )

    def values(self, states: Tensor) -> Tensor:
        """Return what the quantizer makes codes of, FLOAT[B, V], without the checks."""
        x = torch.clamp(states, self.low, self.high).sub_(self.mean)
        hidden = torch.mm(x, self.in_weight).add_(self.in_bias).relu_()
        hidden = torch.mm(hidden, self.hidden_weight).add_(self.hidden_bias).relu_()
        return torch.mm(x, self.linear_weight).addmm_(hidden, self.out_weight).add_(self.out_bias)

    @torch.jit.export
    def excess(self, states: Tensor, codes: Tensor) -> Tensor:
        """Return how far each of `codes` is from what it must be, see `quantizers`; for verification."""
        excess: Tensor = self.quantizer.excess(self.values(states), codes[:, : self.learned])
        if self.exact.codes == 0:
            return excess
        apart = self.exact.encode(states) != codes[:, self.learned :]
        return torch.cat([excess, apart.to(excess.dtype)], dim=1)

    def encode(self, states: Tensor) -> Tensor:
        """Return the codes, INT8[B, C], without the checks."""
        learned: Tensor = self.quantizer.encode(self.values(states))
        if self.exact.codes == 0:
            return learned
        if self.learned == 0:
            return self.exact.encode(states)
        return torch.cat([learned, self.exact.encode(states)], dim=1)

    def forward(self, states: Tensor) -> Tensor:
        if states.dim() != 2 or states.size(1) != self.input_dim:
            raise ValueError(f"the encoder takes states of shape [B, {self.input_dim}], not {states.size()}")
        # The cheapest test found for NaN and infinity: one pass over the states, and no mask of their size.
        lowest, highest = torch.aminmax(states)
        if not float(highest) - float(lowest) < float("inf"):
            raise ValueError("a state is not finite: it holds NaN or infinity")
        return self.encode(states)


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
        self.quantizer = _own_quantizer(vae)
        self.exact = copy.deepcopy(vae.exact).cpu()
        self.learned = vae.codes - vae.exact.codes
        to_latents, latent_bias = (part.double() for part in vae.bottleneck.from_values())
        scale, offset = vae.normalizer.std.double(), vae.normalizer.mean.double()
        linear, enter = vae.decoder_linear.weight.double(), vae.decoder_in.weight.double()
        bias = vae.decoder_out.bias.double() + vae.decoder_linear.bias.double() + linear @ latent_bias
        _add_buffers(
            self,
            in_weight=(enter @ to_latents).t(),
            in_bias=vae.decoder_in.bias.double() + enter @ latent_bias,
            hidden_weight=vae.decoder_hidden.weight.t(),
            hidden_bias=vae.decoder_hidden.bias,
            out_weight=(vae.decoder_out.weight.double() * scale[:, None]).t(),
            out_bias=bias * scale + offset,
            linear_weight=(linear @ to_latents * scale[:, None]).t(),
        )

    def restore(self, codes: Tensor) -> Tensor:
        """Return the states, FLOAT[B, D], without the check."""
        if self.learned == 0:
            return self.exact.decode(self.out_bias.unsqueeze(0).expand(codes.size(0), -1), codes)
        values = self.quantizer.decode(codes[:, : self.learned])
        hidden = torch.mm(values, self.in_weight).add_(self.in_bias).relu_()
        hidden = torch.mm(hidden, self.hidden_weight).add_(self.hidden_bias).relu_()
        outputs = torch.mm(values, self.linear_weight).addmm_(hidden, self.out_weight).add_(self.out_bias)
        if self.exact.codes == 0:
            return outputs
        return self.exact.decode(outputs, codes[:, self.learned :])

    def forward(self, codes: Tensor) -> Tensor:
        if codes.dim() != 2 or codes.size(1) != self.codes:
            raise ValueError(f"the decoder takes codes of shape [B, {self.codes}], not {codes.size()}")
        return self.restore(codes)


class CodecLatents(nn.Module):
    """The codec's own space as it runs in Redis: codes INT8[B, C] to FLOAT[B, Z], any B >= 1.

    Latents are what the decoder begins with, and exact features as 0 or 1; states that are alike to the codec
    are near to each other there.
    Raises, in the graph: the codes have another shape than [B, C].
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, vae: FeatureGroupedVAE) -> None:
        super().__init__()
        self.codes = vae.codes
        self.quantizer = _own_quantizer(vae)
        self.exact = copy.deepcopy(vae.exact).cpu()
        self.learned = vae.codes - vae.exact.codes
        weight, bias = vae.bottleneck.from_values()
        _add_buffers(self, weight=weight, bias=bias)

    def restore(self, codes: Tensor) -> Tensor:
        """Return the latents, FLOAT[B, Z], without the check."""
        if self.learned == 0:
            return self.exact.are_high(codes).to(torch.float32)
        values = self.quantizer.decode(codes[:, : self.learned])
        latents = functional.linear(values, self.weight, self.bias)
        if self.exact.codes == 0:
            return latents
        exact = self.exact.are_high(codes[:, self.learned :]).to(latents.dtype)
        return torch.cat([latents, exact], dim=1)

    def forward(self, codes: Tensor) -> Tensor:
        if codes.dim() != 2 or codes.size(1) != self.codes:
            raise ValueError(f"latents are made of codes of shape [B, {self.codes}], not {codes.size()}")
        return self.restore(codes)


class Unchecked(nn.Module):
    """An encoder, a decoder or latents without the checks in their graph: ONNX has no way to refuse."""

    def __init__(self, module: CodecEncoder | CodecDecoder | CodecLatents) -> None:
        super().__init__()
        self.module = module

    def forward(self, rows: Tensor) -> Tensor:
        if isinstance(self.module, CodecEncoder):
            return self.module.encode(rows)
        return self.module.restore(rows)


def _own_quantizer(vae: FeatureGroupedVAE) -> Any:
    """Return a copy, so that the export does not change with the model when that is trained on."""
    with torch.no_grad():
        quantizer = vae.bottleneck.quantizer
        tables = {name: tensor.detach().cpu().clone() for name, tensor in quantizer.named_buffers()}
    own = copy.copy(quantizer)
    own._buffers = tables
    return own


def _add_buffers(module: nn.Module, **tensors: Tensor) -> None:
    for name, tensor in tensors.items():
        module.register_buffer(name, tensor.detach().to("cpu", torch.float32).clone().contiguous())
