"""The exported modules do what the model does, and refuse what it cannot take."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model_export.errors import ConfigError, VerificationError
from model_export.export import ExportedCodec, export
from model_export.train import TrainingOptions, train
from model_export.verify import restore, verify, verify_exported
from tests.export.conftest import CONFIG
from tests.export.states import CONSTANT

anything_finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@pytest.fixture(scope="module")
def encoder(exported):
    return exported.modules()[0]


@pytest.fixture(scope="module")
def decoder(exported):
    return exported.modules()[1]


def test_agrees_with_the_model_on_held_out_states(trained, exported, held_out):
    result = verify(trained.vae, exported, held_out)
    assert result.states > len(held_out)
    assert result.codes == result.states * CONFIG.codes
    # Free rounding is for values next to a boundary, so it must be rare.
    assert result.codes_apart <= result.codes / 1000


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5).flatmap(lambda b: arrays(np.float32, (b, 12), elements=anything_finite)))
def test_agrees_with_the_model_on_anything_finite(trained, exported, states):
    batch = torch.from_numpy(np.clip(states, -1e18, 1e18))
    verify(trained.vae, exported, batch)


@settings(max_examples=50, deadline=None)
@given(codes=arrays(np.int8, (3, CONFIG.codes)))
def test_any_codes_decode_as_in_the_model(trained, decoder, codes):
    with torch.no_grad():
        given, expected = decoder(torch.from_numpy(codes)), trained.vae.decode(torch.from_numpy(codes))
    scale = trained.vae.normalizer.std + trained.vae.normalizer.mean.abs()
    assert ((given - expected).abs() <= 1e-4 * scale).all()


def test_shapes_and_dtypes(encoder, decoder, held_out):
    for rows in (1, 2, 1000):
        codes = encoder(torch.from_numpy(held_out[:rows]))
        assert (codes.dtype, tuple(codes.shape)) == (torch.int8, (rows, CONFIG.codes))
        states = decoder(codes)
        assert (states.dtype, tuple(states.shape)) == (torch.float32, (rows, 12))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 2])
def test_non_finite_states_are_refused_in_the_graph(encoder, held_out, bad, row):
    states = held_out[:3].copy()
    states[row, 7] = bad
    with pytest.raises(torch.jit.Error, match="not finite"):
        encoder(torch.from_numpy(states))


@pytest.mark.parametrize("shape", [(1, 5), (12,), (1, 1, 12)])
def test_another_shape_is_refused_in_the_graph(encoder, decoder, shape):
    with pytest.raises(torch.jit.Error, match=r"shape \[B, 12\]"):
        encoder(torch.zeros(shape))
    with pytest.raises(torch.jit.Error, match=rf"shape \[B, {CONFIG.codes}\]"):
        decoder(torch.zeros(shape, dtype=torch.int8))


def test_constant_feature_comes_back_exactly(exported, held_out):
    assert (restore(exported, held_out)[:, 7] == CONSTANT).all()


def test_an_absurd_feature_leaves_other_groups_alone(exported, held_out):
    expected = restore(exported, held_out[:50])
    states = held_out[:50].copy()
    states[:, 11] = 3e17
    given = restore(exported, states)
    spread = held_out.std(axis=0)[:4]
    assert np.isfinite(given).all()
    assert (np.abs(given[:, :4] - expected[:, :4]) < 3 * spread).all()


def test_export_does_not_change_with_the_model(trained, held_out):
    copied = train(CONFIG, held_out, held_out, TrainingOptions(steps=1), progress=False).vae
    copied.load_state_dict(trained.vae.state_dict())
    exported = export(copied, "copy")
    before = restore(exported, held_out)
    with torch.no_grad():
        copied.decoder_linear.weight.mul_(2)
        copied.normalizer.mean.add_(1)
    assert np.array_equal(restore(exported, held_out), before)


def test_folder_round_trip(exported, tmp_path):
    exported.save(tmp_path / "new" / "codec")
    assert sorted(path.name for path in (tmp_path / "new" / "codec").iterdir()) == [
        "decoder.pt",
        "encoder.pt",
        "latents.pt",
        "manifest.json",
    ]
    assert ExportedCodec.load(tmp_path / "new" / "codec") == exported


def test_an_earlier_export_has_no_latents(trained, exported, held_out, tmp_path):
    earlier = replace(exported, latents=None)
    earlier.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["decoder.pt", "encoder.pt", "manifest.json"]
    loaded = ExportedCodec.load(tmp_path)
    assert (loaded, list(loaded.sha256)) == (earlier, ["encoder", "decoder"])
    assert verify(trained.vae, loaded, held_out).states > len(held_out)


def test_a_changed_folder_is_refused(exported, tmp_path):
    with pytest.raises(ConfigError, match="no exported codec"):
        ExportedCodec.load(tmp_path)
    exported.save(tmp_path)
    (tmp_path / "decoder.pt").write_bytes(exported.encoder)
    with pytest.raises(ConfigError, match="hashes differ"):
        ExportedCodec.load(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(ConfigError, match="format"):
        ExportedCodec.load(tmp_path)


def test_verification_notices_another_model(trained, states, held_out):
    other = train(CONFIG, states[:4000], held_out, TrainingOptions(steps=5), progress=False).vae
    with pytest.raises(VerificationError, match="codes differ"):
        verify(trained.vae, export(other, "other"), held_out)


def test_verification_notices_another_decoder(trained, exported, states, held_out):
    other = train(CONFIG, states[:4000], held_out, TrainingOptions(steps=5), progress=False).vae
    mixed = ExportedCodec(exported.config, exported.encoder, export(other, "other").decoder)
    with pytest.raises(VerificationError, match="restored states differ"):
        verify(trained.vae, mixed, held_out)
    mixed = replace(exported, latents=export(other, "other").latents)
    with pytest.raises(VerificationError, match="latents differ"):
        verify(trained.vae, mixed, held_out)


def test_verification_without_the_model(exported, held_out):
    assert verify_exported(exported, held_out).states > len(held_out)


EMPTY = hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[]",
        '{"format": 2}',
        '{"format": 2, "files": ["encoder.pt", "decoder.pt"]}',
        '{"format": 2, "files": {"encoder.pt": "", "decoder.pt": "", "../x": ""}}',
        json.dumps({"format": 2, "files": dict.fromkeys(["encoder.pt", "decoder.pt"], EMPTY)}),
    ],
    ids=range(6),
)
def test_forged_manifests_are_one_error(tmp_path, text):
    for name in ("encoder.pt", "decoder.pt"):
        (tmp_path / name).touch()
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ConfigError):
        ExportedCodec.load(tmp_path)
