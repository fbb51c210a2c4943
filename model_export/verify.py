"""Holds one form of a codec against another: trained, TorchScript as saved and as optimised, ONNX, in Redis.

Codes are compared one by one. Two forms add up the same products in another order, so a value that lies next
to the middle between two codes may go to either; there, and nowhere else, codes may differ. Such a code costs
nothing: both are equally near. Restored states, and latents, must agree to float rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx
import onnxruntime
import redis
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from model_export.engine import connected, run_model
from model_export.errors import VerificationError
from model_export.export import ExportedCodec
from model_export.torchscript import optimised
from model_export.train import as_states
from model_export.vae import FeatureGroupedVAE
from modules_store import keys

# How much farther than the nearest code one may be, in distances between codes, to count as equally near.
BOUNDARY = 0.02
# Largest difference of restored states or latents, as a share of the feature's or latent's largest value.
STATE_TOLERANCE = 1e-5
# States that are also sent alone, one to a batch.
SINGLE_ROWS = 16

Model = Callable[[Tensor], Tensor]
Excess = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Verification:
    """What was compared, and how far apart the two forms were within what is allowed.

    Args:
        states: how many states were compared, edge cases among them.
        codes: how many codes were compared.
        codes_apart: how many differed, halfway between two codes.
        largest_difference: between restored states, as a share of the feature's largest restored value.
    """

    states: int
    codes: int
    codes_apart: int
    largest_difference: float


@dataclass(frozen=True)
class _Form:
    """One form of a codec.

    Args:
        encode, decode: FLOAT[B, D] to INT8[B, C], and back.
        excess: how much farther each code given for a state is than the nearest, see `quantizers`.
        refuses: whether it refuses NaN and infinity.
        latents: INT8[B, C] to FLOAT[B, Z], None where it has none.
    """

    encode: Model
    decode: Model
    excess: Excess | None = None
    refuses: bool = True
    latents: Model | None = None


def verify(vae: FeatureGroupedVAE, exported: ExportedCodec, states: ArrayLike) -> Verification:
    """Check that an export does what the trained model does: as saved, as the engine optimises it, as ONNX.

    Args:
        vae: the model, in evaluation mode.
        exported: its export.
        states: numbers[N, D], best held-out ones. Zeros and values of large magnitude are checked besides.

    Raises:
        VerificationError: they disagree, or the export takes NaN or infinity.
        ConfigError: the states do not fit the codec.
    """
    rows = _with_edges(as_states("states", states, vae.input_dim))
    trained = _Form(
        vae.encode,
        vae.decode,
        vae.excess,
        latents=vae.compared,
    )
    _compare(trained, _saved(exported), rows)
    if exported.onnx:
        _compare(trained, _onnx(exported), rows)
    return _compare(trained, _optimised(exported), rows)


def verify_exported(exported: ExportedCodec, states: ArrayLike) -> Verification:
    """Check that an export does the same as ONNX and once the engine has optimised it; needs no model.

    Arguments and errors as for `verify`.
    """
    rows = _with_edges(as_states("states", states, exported.config.input_dim))
    if exported.onnx:
        _compare(_saved(exported), _onnx(exported), rows)
    return _compare(_saved(exported), _optimised(exported), rows)


def verify_in_redis(
    connection: str | redis.Redis,
    exported: ExportedCodec,
    states: ArrayLike,
    version: int,
    name: str | None = None,
) -> Verification:
    """Check that a published version answers in Redis as the export does here.

    Args:
        connection: a Redis URL, or a client that does not decode responses.
        exported: what was published.
        states: as for `verify`.
        version: which `publish` returned.
        name: the codec's, where it was published under another than its configuration's.

    Raises:
        VerificationError, ConfigError: as for `verify`.
        MissingModuleError, ServerError, ConnectionLostError: the server cannot run the codec.
    """
    name = name or exported.config.name
    rows = _with_edges(as_states("states", states, exported.config.input_dim))
    with connected(connection) as client:
        in_redis = _Form(
            partial(run_model, client, keys.encoder(name, version)),
            partial(run_model, client, keys.decoder(name, version)),
            latents=partial(run_model, client, keys.latents(name, version)) if exported.latents else None,
        )
        return _compare(_saved(exported), in_redis, rows)


def restore(exported: ExportedCodec, states: ArrayLike) -> NDArray[np.float32]:
    """Return `states`, numbers[N, D], as they come back through encoder and decoder; float32[N, D]."""
    encoder, decoder = exported.modules()
    with torch.inference_mode():
        restored: Tensor = decoder(encoder(as_states("states", states, exported.config.input_dim)))
    return restored.numpy()


def _with_edges(states: Tensor) -> Tensor:
    """Append zeros, and rows of values far outside of any training data."""
    largest = torch.finfo(torch.float32).max
    edges = torch.tensor([0.0, 1.0, -1.0, 1e6, -1e6, largest, -largest])
    alternating = largest * (-1.0) ** torch.arange(states.shape[1])
    return torch.cat([states, edges[:, None].expand(-1, states.shape[1]), alternating[None]])


def _saved(exported: ExportedCodec) -> _Form:
    encoder, decoder = exported.modules()
    return _Form(encoder, decoder, encoder.excess, latents=exported.latents_module())


def _optimised(exported: ExportedCodec) -> _Form:
    encode, decode = map(optimised, exported.modules())
    latents = exported.latents_module()
    return _Form(encode, decode, latents=latents and optimised(latents))


def _onnx(exported: ExportedCodec) -> _Form:
    """Check the ONNX of an export for form, and load it."""
    models = {part: _onnx_model(blob) for part, blob in exported.onnx.items()}
    return _Form(models["encoder"], models["decoder"], refuses=False, latents=models.get("latents"))


def _onnx_model(blob: bytes) -> Model:
    try:
        onnx.checker.check_model(onnx.load_from_string(blob), full_check=True)
    except onnx.checker.ValidationError as error:
        raise VerificationError(f"not valid ONNX: {error}") from error
    session = onnxruntime.InferenceSession(blob, providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()

    def run(rows: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {taken.name: rows.numpy()})[0])

    return run


@torch.inference_mode()
def _compare(expected: _Form, given: _Form, states: Tensor) -> Verification:
    codes = given.encode(states)
    apart = _check_codes(expected, states, codes)
    for row in range(min(len(states), SINGLE_ROWS)):
        one = states[row : row + 1]
        apart += _check_codes(expected, one, given.encode(one))
    difference = _difference(expected.decode(codes), given.decode(codes))
    if not difference <= STATE_TOLERANCE:
        raise VerificationError(f"restored states differ by {difference:.2g} of the feature's largest value")
    if expected.latents and given.latents:
        apart_by = _difference(expected.latents(codes), given.latents(codes))
        if not apart_by <= STATE_TOLERANCE:
            raise VerificationError(f"latents differ by {apart_by:.2g} of the latent's largest value")
    if given.refuses:
        _check_refusals(given.encode, states.shape[1])
    return Verification(len(states), codes.numel(), apart, difference)


def _difference(wanted: Tensor, given: Tensor) -> float:
    """Return the largest difference, as a share of the column's largest value."""
    if given.shape != wanted.shape:
        return float("inf")
    largest = wanted.abs().amax(dim=0).clamp(min=torch.finfo(torch.float32).tiny)
    return ((wanted - given).abs() / largest).max().item()


def _check_codes(expected: _Form, states: Tensor, codes: Tensor) -> int:
    """Compare codes with those of the form expected; return how many differ where two are equally near."""
    assert expected.excess is not None
    wanted = expected.encode(states)
    if codes.dtype != torch.int8 or codes.shape != wanted.shape:
        raise VerificationError(f"codes are {codes.dtype}{list(codes.shape)}, not int8{list(wanted.shape)}")
    if not (expected.excess(states, codes) <= BOUNDARY).all():
        wrong = codes != wanted
        row, column = wrong.nonzero()[0].tolist()
        raise VerificationError(
            f"{int(wrong.sum())} of {codes.numel()} codes differ; the first is code {column} of state {row}: "
            f"{codes[row, column].item()} instead of {wanted[row, column].item()}"
        )
    return int((codes != wanted).sum())


def _check_refusals(encode: Model, input_dim: int) -> None:
    for bad in (float("nan"), float("inf"), float("-inf")):
        state = torch.zeros(1, input_dim)
        state[0, -1] = bad
        try:
            encode(state)
        except (torch.jit.Error, redis.ResponseError) as error:
            if "not finite" in str(error):
                continue
            raise
        raise VerificationError(f"the encoder took a state that holds {bad}")
