"""Values become the nearest code there is, in exactly the bytes given; in TorchScript and ONNX alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn

from model_export.quantizers import CodebookIndexer, LevelPacker, Rounder
from model_export.torchscript import to_onnx

# Two words; the first is full to the last number, 256 ** 2, one value has a single level.
WORD_BYTES, WORD_OF, LEVELS = [2, 1], [0, 0, 1, 1, 1, 0], [256, 256, 3, 5, 17, 1]
DRAWN = {"width": 32, "allow_nan": False, "allow_infinity": False}


def codebooks(codes: int = 3, code_dim: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(codes, 256, code_dim, generator=torch.Generator().manual_seed(seed))


QUANTIZERS: dict[str, Callable[[], Any]] = {
    "rounder": Rounder,
    "packer": lambda: LevelPacker(WORD_BYTES, WORD_OF, LEVELS),
    "indexer": lambda: CodebookIndexer(codebooks()),
}
each_quantizer = pytest.mark.parametrize("make", QUANTIZERS.values(), ids=QUANTIZERS)


def some_values(rows: int = 200) -> Tensor:
    """FLOAT[rows, 6] that go beyond what the quantizers hold."""
    return torch.randn(rows, 6, generator=torch.Generator().manual_seed(1)) * 60


class Encoder(nn.Module):
    def __init__(self, quantizer: nn.Module) -> None:
        super().__init__()
        self.quantizer = quantizer

    def forward(self, values: Tensor) -> Tensor:
        return self.quantizer.encode(values)


class Decoder(Encoder):
    def forward(self, codes: Tensor) -> Tensor:
        return self.quantizer.decode(codes)


@st.composite
def packers(draw: st.DrawFn) -> LevelPacker:
    """Packers whose words are filled as far as drawn levels go, often to the last number."""
    word_bytes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    word_of, levels = [], []
    for word, size in enumerate(word_bytes):
        room = 256**size
        for _ in range(draw(st.integers(0 if word else 1, 8))):
            most = min(room, 2**20)
            own = draw(st.one_of(st.integers(1, most), st.sampled_from([1, most])))
            word_of.append(word)
            levels.append(own)
            room //= own
    order = draw(st.permutations(range(len(levels))))
    return LevelPacker(word_bytes, [word_of[i] for i in order], [levels[i] for i in order])


@settings(deadline=None)
@given(packers(), st.data())
def test_any_digits_survive_packing(packer: LevelPacker, data: st.DataObject):
    rows = [[data.draw(st.integers(0, most - 1)) for most in packer.levels.tolist()] for _ in range(3)]
    rows += [(packer.levels - 1).tolist(), [0] * len(packer.levels)]
    codes = packer.encode(torch.tensor(rows, dtype=torch.float32))
    assert codes.dtype == torch.int8
    assert codes.shape == (5, len(packer.byte_word))
    assert packer.digits(codes).tolist() == rows
    assert packer.decode(codes).tolist() == rows


@settings(deadline=None)
@given(packers(), st.data())
def test_any_bytes_give_digits_within_the_levels(packer: LevelPacker, data: st.DataObject):
    codes = data.draw(arrays(np.int8, (4, len(packer.byte_word))))
    digits = packer.digits(torch.from_numpy(codes))
    assert bool(((digits >= 0) & (digits < packer.levels)).all())


def test_every_number_of_a_full_word_has_its_own_bytes():
    packer = LevelPacker([2], [0, 0, 0], [16, 256, 16])
    digits = torch.cartesian_prod(*(torch.arange(count) for count in (16, 256, 16)))
    codes = packer.encode(digits.float())
    assert len(codes.unique(dim=0)) == 65536
    assert torch.equal(packer.digits(codes), digits)


@pytest.mark.parametrize(
    ("word_bytes", "word_of", "levels"),
    [
        ([1], [0], [257]),
        ([1, 1], [0, 0, 1], [16, 17, 1]),
        ([6], [0, 0, 0], [2**20, 2**20, 2**8 + 1]),
        ([7], [0], [2]),
        ([0], [0], [1]),
    ],
)
def test_levels_that_do_not_fit_are_refused(word_bytes, word_of, levels):
    with pytest.raises(ValueError, match="do not fit"):
        LevelPacker(word_bytes, word_of, levels)


@given(arrays(np.float32, (3, 4), elements=st.floats(**DRAWN)))
def test_rounding_is_to_the_nearest_code(values):
    rounder = Rounder()
    codes = rounder.encode(torch.from_numpy(values))
    within = np.clip(values, -128, 127)
    assert codes.dtype == torch.int8
    assert (np.abs(rounder.decode(codes).numpy() - within) <= 0.5).all()


@settings(deadline=None)
@given(packers(), st.data())
def test_packing_is_of_the_nearest_level(packer: LevelPacker, data: st.DataObject):
    values = data.draw(arrays(np.float32, (3, len(packer.levels)), elements=st.floats(**DRAWN)))
    restored = packer.decode(packer.encode(torch.from_numpy(values)))
    within = np.clip(values, 0, (packer.levels - 1).numpy())
    assert (np.abs(restored.numpy() - within) <= 0.5).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 1000))
def test_indexing_is_of_the_nearest_vector(codes: int, code_dim: int, seed: int):
    tables = codebooks(codes, code_dim, seed)
    indexer = CodebookIndexer(tables)
    values = 2 * torch.randn(20, codes * code_dim, generator=torch.Generator().manual_seed(seed))
    parts = values.reshape(20, codes, 1, code_dim)
    distances = (parts.double() - tables.double()).norm(dim=3)
    restored = indexer.decode(indexer.encode(values)).reshape(20, codes, code_dim)
    given_distance = (parts[:, :, 0].double() - restored.double()).norm(dim=2)
    assert torch.allclose(given_distance, distances.min(dim=2).values, atol=1e-5)


def test_every_vector_is_its_own_nearest():
    tables = codebooks()
    indexer = CodebookIndexer(tables)
    vectors = tables.transpose(0, 1).reshape(256, 6)
    codes = indexer.encode(vectors)
    assert torch.equal(codes.int() + 128, torch.arange(256)[:, None].expand(256, 3).int())
    assert torch.equal(indexer.decode(codes), vectors)


@each_quantizer
def test_a_code_is_stable_once_decoded(make):
    quantizer = make()
    codes = quantizer.encode(some_values())
    assert torch.equal(quantizer.encode(quantizer.decode(codes)), codes)


@each_quantizer
def test_own_codes_have_no_excess_and_others_have(make):
    quantizer, values = make(), some_values()
    codes = quantizer.encode(values)
    assert quantizer.excess(values, codes).abs().max() < 1e-6
    # Another state's codes are wrong somewhere in each row that they differ in.
    others = codes.roll(1, dims=0)
    differ = (others != codes).any(dim=1)
    assert differ.any()
    assert bool((quantizer.excess(values, others)[differ] > 0).any(dim=1).all())


def test_excess_counts_in_distances_between_codes():
    values = torch.tensor([[2.4]])
    assert Rounder().excess(values, torch.tensor([[3]], dtype=torch.int8)).item() == pytest.approx(0.2)
    packer = LevelPacker([1], [0], [5])
    codes = packer.encode(torch.tensor([[4.0]]))
    assert packer.excess(values, codes).item() == pytest.approx(1.2, abs=1e-4)


@each_quantizer
@pytest.mark.parametrize("rows", [1, 200])
def test_torchscript_gives_the_same_codes(make, rows):
    quantizer, values = make(), some_values(rows)
    encoder, decoder = torch.jit.script(Encoder(quantizer)), torch.jit.script(Decoder(quantizer))
    codes = encoder(values)
    assert torch.equal(codes, quantizer.encode(values))
    assert torch.equal(decoder(codes), quantizer.decode(codes))


@each_quantizer
def test_onnx_gives_the_same_codes(make):
    quantizer, values = make(), some_values()
    codes = quantizer.encode(values)
    assert torch.equal(run_onnx(Encoder(quantizer), values), codes)
    assert torch.equal(run_onnx(Decoder(quantizer), codes), quantizer.decode(codes))
    assert torch.equal(run_onnx(Encoder(quantizer), values, rows=1), codes[:1])


def test_onnx_packs_a_full_word_of_six_bytes():
    levels = [2**16, 3, 5, 17, 2**8, 257, 2, 128]
    assert 0 <= 256**6 - math.prod(levels) < 2**33
    packer = LevelPacker([6], [0] * len(levels), levels)
    values = torch.rand(300, len(levels), generator=torch.Generator().manual_seed(2)) * torch.tensor(levels)
    values[0] = packer.levels - 1
    codes = run_onnx(Encoder(packer), values)
    assert torch.equal(codes, packer.encode(values))
    assert torch.equal(run_onnx(Decoder(packer), codes), packer.decode(codes))


def run_onnx(module: nn.Module, inputs: Tensor, rows: int | None = None) -> Tensor:
    blob = to_onnx(module, inputs[:2], "rows", "result")
    session = onnxruntime.InferenceSession(blob, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"rows": inputs[:rows].numpy()})[0])
