"""Every kind of codec, exported: TorchScript and ONNX do what the model does, for discrete features too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model_export.config import CodecConfig
from model_export.errors import ConfigError, VerificationError
from model_export.export import ExportedCodec, export
from model_export.train import TrainedCodec, TrainingOptions, train
from model_export.verify import restore, verify, verify_exported
from tests.export.states import CONSTANT, correlated_states

BOTTLENECKS = ("rounding", "scalar", "codebook")
PARTS = {"encoder", "decoder", "latents"}
each_bottleneck = pytest.mark.parametrize("bottleneck", BOTTLENECKS)
anything_finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
SHORT = TrainingOptions(steps=40, hidden_dim=32, evaluations=4)


def config(bottleneck: str) -> CodecConfig:
    """12 features in two groups: one binary, four one-hot."""
    groups = {"moving": (0, 4), "fixed": (4, 12)}
    total_bytes = None if bottleneck == "rounding" else 9
    return CodecConfig("kinds", 12, 8, groups, 1.0, bottleneck, total_bytes, binary=(1,), one_hot=((8, 12),))


@pytest.fixture(scope="module")
def mixed_states() -> np.ndarray:
    """float32[2000, 12]: feature 1 is 0 or 1, feature 7 constant, features 8 to 12 one-hot."""
    made = correlated_states(2000, features=12, factors=4)
    made[:, 1] = made[:, 1] > np.median(made[:, 1])
    made[:, 7] = CONSTANT
    made[:, 8:12] = np.eye(4)[made[:, 8:12].argmax(axis=1)]
    return made


@pytest.fixture(scope="module")
def codecs(mixed_states) -> dict[str, tuple[TrainedCodec, ExportedCodec]]:
    """A shortly trained codec of each kind, and its export with ONNX."""
    made = {}
    for bottleneck in BOTTLENECKS:
        trained = train(config(bottleneck), mixed_states[:1500], mixed_states[1500:], SHORT, progress=False)
        made[bottleneck] = trained, export(trained, "kinds", onnx=True, details={"training": {"seed": 0}})
    return made


@each_bottleneck
def test_agrees_with_the_model_on_held_out_states(codecs, bottleneck, mixed_states):
    trained, exported = codecs[bottleneck]
    result = verify(trained.vae, exported, mixed_states[1500:])
    assert result.states > 500
    assert result.codes == result.states * trained.vae.codes
    assert result.codes_apart <= result.codes / 1000
    assert verify_exported(exported, mixed_states[1500:]).states == result.states


@each_bottleneck
@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 4).flatmap(lambda b: arrays(np.float32, (b, 12), elements=anything_finite)))
def test_agrees_with_the_model_on_anything_finite(codecs, bottleneck, rows):
    trained, exported = codecs[bottleneck]
    verify(trained.vae, replace(exported, onnx={}), np.clip(rows, -1e18, 1e18))


@each_bottleneck
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_bytes_decode_as_in_the_model(codecs, bottleneck, data):
    trained, exported = codecs[bottleneck]
    codes = torch.from_numpy(data.draw(arrays(np.int8, (3, trained.vae.codes))))
    with torch.no_grad():
        given, expected = exported.modules()[1](codes), trained.vae.decode(codes)
    discrete = [1, *range(8, 12)]
    assert torch.equal(given[:, discrete], expected[:, discrete])
    scale = trained.vae.normalizer.std + trained.vae.normalizer.mean.abs()
    assert ((given - expected).abs() <= 1e-4 * scale).all()


@each_bottleneck
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_latents_of_any_bytes_are_what_the_model_decodes(codecs, bottleneck, data):
    trained, exported = codecs[bottleneck]
    codes = torch.from_numpy(data.draw(arrays(np.int8, (3, trained.vae.codes))))
    with torch.no_grad():
        given, expected = exported.latents_module()(codes), trained.vae.compared(codes)
    torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-5)


@each_bottleneck
@pytest.mark.parametrize("rows", [1, 500])
def test_restored_states_are_of_the_kinds_declared(codecs, bottleneck, mixed_states, rows):
    restored = restore(codecs[bottleneck][1], mixed_states[1500 : 1500 + rows])
    assert restored.shape == (rows, 12)
    assert set(np.unique(restored[:, 1])) <= {0.0, 1.0}
    assert (restored[:, 7] == CONSTANT).all()
    assert (np.sort(restored[:, 8:12], axis=1) == [0, 0, 0, 1]).all()


@each_bottleneck
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_states_are_refused_in_the_graph(codecs, bottleneck, mixed_states, bad):
    encoder, _ = codecs[bottleneck][1].modules()
    for row, feature in ((0, 0), (2, 7), (2, 11)):
        states = mixed_states[:3].copy()
        states[row, feature] = bad
        with pytest.raises(torch.jit.Error, match="not finite"):
            encoder(torch.from_numpy(states))


@each_bottleneck
def test_another_shape_is_refused_in_the_graph(codecs, bottleneck):
    trained, exported = codecs[bottleneck]
    encoder, decoder = exported.modules()
    with pytest.raises(torch.jit.Error, match=r"shape \[B, 12\]"):
        encoder(torch.zeros(1, 11))
    with pytest.raises(torch.jit.Error, match=rf"shape \[B, {trained.vae.codes}\]"):
        decoder(torch.zeros(1, trained.vae.codes + 1, dtype=torch.int8))
    with pytest.raises(torch.jit.Error, match=rf"shape \[B, {trained.vae.codes}\]"):
        exported.latents_module()(torch.zeros(1, trained.vae.codes + 1, dtype=torch.int8))


@each_bottleneck
def test_a_state_of_350_features(bottleneck):
    states = correlated_states(600, features=350, factors=10)
    groups = {"body": (0, 200, 1.0, 2.0), "other": (200, 350)}
    total_bytes = None if bottleneck == "rounding" else 20
    wide = CodecConfig("wide", 350, 30, groups, 1.0, bottleneck, total_bytes)
    options = TrainingOptions(steps=4, batch_size=32, hidden_dim=32, evaluations=2)
    trained = train(wide, states[:500], states[500:], options, progress=False)
    exported = export(trained, "wide", onnx=True)
    assert trained.vae.codes == (30 if bottleneck == "rounding" else 20)
    assert verify(trained.vae, exported, states[500:]).codes_apart <= 5
    assert trained.metrics["nrmse"] < 0.5


@each_bottleneck
def test_an_export_does_not_change_with_the_model(mixed_states, bottleneck):
    options = replace(SHORT, steps=0)
    vae = train(config(bottleneck), mixed_states[:300], mixed_states[:300], options, progress=False).vae
    exported = export(vae, "copy")
    before = restore(exported, mixed_states[:50])
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.mul_(1.5)
    assert np.array_equal(restore(exported, mixed_states[:50]), before)


@each_bottleneck
@pytest.mark.parametrize("part", sorted(PARTS))
def test_verification_notices_other_onnx(codecs, bottleneck, mixed_states, part):
    trained, exported = codecs[bottleneck]
    options = replace(SHORT, steps=0, seed=1)
    own = config(bottleneck)
    other = export(
        train(own, mixed_states[:700] * 2, mixed_states[:9], options, progress=False), "o", onnx=True
    )
    mixed = replace(exported, onnx={**exported.onnx, part: other.onnx[part]})
    with pytest.raises(VerificationError, match="differ"):
        verify(trained.vae, mixed, mixed_states[1500:])
    with pytest.raises(VerificationError, match="differ"):
        verify_exported(mixed, mixed_states[1500:])


def test_without_onnx_none_is_made(codecs):
    plain = export(codecs["scalar"][0], "kinds")
    assert (plain.onnx, sorted(plain.files)) == ({}, ["decoder.pt", "encoder.pt", "latents.pt"])


@each_bottleneck
def test_folder_round_trip_with_onnx_and_history(codecs, bottleneck, tmp_path):
    exported = codecs[bottleneck][1]
    exported.save(tmp_path)
    names = {f"{part}.{form}" for part in PARTS for form in ("pt", "onnx")} | {"manifest.json"}
    assert {path.name for path in tmp_path.iterdir()} == names
    loaded = ExportedCodec.load(tmp_path)
    assert loaded == exported
    assert len(loaded.history) == 4
    assert loaded.onnx.keys() == PARTS


def test_the_manifest_says_what_the_codec_is(codecs):
    trained, exported = codecs["codebook"]
    manifest = exported.manifest
    # A byte holds the exact features, a flag and four classes.
    assert manifest["config"]["total_bytes"] == sum(manifest["config"]["group_bytes"].values()) + 1 == 9
    assert manifest["normalization"]["mean"] == trained.vae.normalizer.mean.tolist()
    assert manifest["normalization"].keys() == {"mean", "std", "low", "high"}
    assert all(len(values) == 12 for values in manifest["normalization"].values())
    assert manifest["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert manifest["training"] == {"seed": 0}
    assert manifest["metrics"] == trained.metrics
    assert manifest["files"].keys() == {f"{part}.{form}" for part in PARTS for form in ("pt", "onnx")}
    assert {f"{part}.pt": digest for part, digest in exported.sha256.items()}.items() <= manifest[
        "files"
    ].items()


@pytest.mark.parametrize("name", ["encoder.onnx", "decoder.onnx"])
def test_a_folder_with_changed_onnx_is_refused(codecs, tmp_path, name):
    codecs["scalar"][1].save(tmp_path)
    blob = bytearray((tmp_path / name).read_bytes())
    blob[len(blob) // 2] ^= 1
    (tmp_path / name).write_bytes(blob)
    with pytest.raises(ConfigError, match="hashes differ"):
        ExportedCodec.load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ConfigError, match="no exported codec"):
        ExportedCodec.load(tmp_path)
