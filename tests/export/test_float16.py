"""The built-in codec's files do what its sources say, which is what NumPy's float16 does."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from model_export import float16

PARTS = ("encoder", "decoder")
MANIFEST = json.loads((float16.SHIPPED / "manifest.json").read_text())
LARGEST_THAT_FITS = np.nextafter(np.float32(65520), np.float32(0))
EDGES = [0.0, -0.0, 1.0, 65504.0, LARGEST_THAT_FITS, 2049.0, 2051.0, 6.1e-5, 6e-8, 2.9e-8, 1e-45]

in_range = st.floats(-float(LARGEST_THAT_FITS), float(LARGEST_THAT_FITS), width=32)


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    """A folder that the program wrote."""
    folder = tmp_path_factory.mktemp("rebuilt")
    subprocess.run([sys.executable, "-m", "model_export.float16", folder], check=True, timeout=120)
    return folder


@pytest.fixture(scope="module", params=["shipped", "rebuilt", "as the engine runs it"])
def models(request):
    """Encoder and decoder, loaded."""
    folder = request.getfixturevalue("rebuilt") if request.param == "rebuilt" else float16.SHIPPED
    loaded = [torch.jit.load(io.BytesIO((folder / f"{part}.pt").read_bytes())).eval() for part in PARTS]
    if request.param == "as the engine runs it":
        return [torch.jit.optimize_for_inference(torch.jit.freeze(model)) for model in loaded]
    return loaded


def check(models, states: np.ndarray) -> None:
    """Compare both models with NumPy, bit for bit."""
    encoder, decoder = models
    codes = encoder(torch.from_numpy(states))
    assert codes.dtype == torch.float16
    np.testing.assert_array_equal(codes.numpy().view(np.uint16), states.astype(np.float16).view(np.uint16))
    restored = decoder(codes)
    assert restored.dtype == torch.float32
    np.testing.assert_array_equal(restored.numpy(), states.astype(np.float16).astype(np.float32))


def test_the_manifest_names_the_shipped_files():
    for part in PARTS:
        blob = (float16.SHIPPED / f"{part}.pt").read_bytes()
        assert hashlib.sha256(blob).hexdigest() == MANIFEST["sha256"][part]
    assert (MANIFEST["name"], MANIFEST["version"], MANIFEST["code_dtype"]) == ("float16", 1, "HALF")


def test_a_rebuild_with_the_same_torch_is_the_same_to_the_byte(rebuilt):
    manifest = json.loads((rebuilt / "manifest.json").read_text())
    if manifest["torch"] != MANIFEST["torch"]:
        pytest.skip(f"written with torch {MANIFEST['torch']}, here is {manifest['torch']}")
    assert manifest == MANIFEST
    for part in PARTS:
        assert (rebuilt / f"{part}.pt").read_bytes() == (float16.SHIPPED / f"{part}.pt").read_bytes()


@pytest.mark.parametrize("features", [1, 7, 350])
@pytest.mark.parametrize("rows", [1, 2, 100])
def test_states_of_any_length(models, rows, features):
    states = np.random.default_rng(0).normal(0, 1000, (rows, features))
    check(models, np.clip(states, -60000, 60000).astype(np.float32))


def test_edge_values(models):
    edges = np.array(EDGES, np.float32)
    check(models, np.stack([edges, -edges]))
    check(models, np.concatenate([edges, -edges])[:, None])


@settings(max_examples=100, deadline=None)
@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=in_range))
def test_any_states_in_range(models, states):
    check(models, states)


@pytest.mark.parametrize("features", [1, 7, 350])
@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (np.nan, "a state is not finite"),
        (np.inf, "a state is not finite"),
        (-np.inf, "a state is not finite"),
        (65520.0, "a state is out of range: .* from -65504 to 65504, not 65520"),
        (-65520.0, "a state is out of range: .* from -65504 to 65504, not -65520"),
        (3e38, r"a state is out of range: .* not 3\.0"),
        (-3e38, r"a state is out of range: .* not -3\.0"),
    ],
)
def test_what_float16_cannot_hold_is_refused_in_the_graph(models, features, bad, says):
    for row, column in ((0, 0), (2, features - 1), (1, features // 2)):
        states = np.ones((3, features), np.float32)
        states[row, column] = bad
        with pytest.raises(torch.jit.Error, match=says):
            models[0](torch.from_numpy(states))


def test_not_finite_comes_before_out_of_range(models):
    with pytest.raises(torch.jit.Error, match="a state is not finite"):
        models[0](torch.tensor([[1e6, float("nan")], [-1e6, 0.0]]))


@pytest.mark.parametrize("shape", [(3,), (1, 1, 3)])
def test_another_shape_is_refused_in_the_graph(models, shape):
    encoder, decoder = models
    with pytest.raises(torch.jit.Error, match=r"states of shape \[B, D\]"):
        encoder(torch.zeros(shape))
    with pytest.raises(torch.jit.Error, match=r"codes of shape \[B, D\]"):
        decoder(torch.zeros(shape, dtype=torch.float16))


def test_the_files_do_not_say_where_they_were_made():
    for part in PARTS:
        with zipfile.ZipFile(float16.SHIPPED / f"{part}.pt") as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
        assert names == {"data.pkl", "__torch__.py", "constants.pkl", "version", "byteorder"}
