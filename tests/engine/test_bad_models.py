"""Archives that are hostile or of another PyTorch: AI.MODELSTORE refuses each, with the reason."""

from __future__ import annotations

import struct
import zipfile

import pytest
import redis
import torch

from tests.engine import models

BLOB = models.blob(models.Weights())
NESTED = 1_000_000


def rewritten(part: str, change, compression=zipfile.ZIP_STORED) -> bytes:
    return models.rewritten(BLOB, part, change, compression)


def with_pickle_begun_by(operations: bytes) -> bytes:
    return rewritten("data.pkl", lambda pickle: pickle[:2] + operations + pickle[2:])


def with_pickle_changed(old: bytes, new: bytes) -> bytes:
    def change(pickle: bytes) -> bytes:
        assert pickle.count(old) == 1
        return pickle.replace(old, new)

    return rewritten("data.pkl", change)


def with_size_of_first_record(size: int) -> bytes:
    """The size as the zip's table of contents has it, compressed and not."""
    data = bytearray(BLOB)
    struct.pack_into("<II", data, data.find(b"PK\x01\x02") + 20, size, size)
    return bytes(data)


def with_code(old: bytes, new: bytes) -> bytes:
    return rewritten(".py", lambda source: source.replace(old, new))


# In the pickle of models.Weights: 65,536 elements, on the CPU; rows 256 apart.
ELEMENTS = b"J\x00\x00\x01\x00t"
STRIDES = b"(M\x00\x01K\x01t"
SHORT = "data.pkl: the data of tensor 0 is shorter than it is said to be"
DEEP = "values are nested too deeply"

BAD = {
    "newer": (rewritten("/version", lambda _: b"99\n"), "PyTorch file with version 99, but the maximum"),
    "version out of range": (rewritten("/version", lambda _: b"9" * 30), "stoull"),
    "no version": (rewritten("/version", lambda _: None), "version"),
    "no code": (rewritten("/code/", lambda _: None), "Unknown type name"),
    "no data": (rewritten("/data/0", lambda _: None), "data/0: file not found"),
    "no pickle": (rewritten("data.pkl", lambda _: None), "data.pkl: file not found"),
    "data cut": (rewritten("/data/0", lambda data: data[:10]), SHORT),
    "no bytes of data": (rewritten("/data/0", lambda _: b""), SHORT),
    "more elements": (with_pickle_changed(ELEMENTS, b"J\xff\xff\xff\x7ft"), SHORT),
    "elements overflow": (with_pickle_changed(ELEMENTS, b"\x8a\x08" + b"\xff" * 7 + b"\x7ft"), SHORT),
    "negative elements": (with_pickle_changed(ELEMENTS, b"J\xff\xff\xff\xfft"), "negative"),
    "strides": (with_pickle_changed(STRIDES, b"(J\x00\x00\x01\x00K\x01t"), "require a storage of at least"),
    "negative strides": (with_pickle_changed(STRIDES, b"(M\x00\x01J\xff\xff\xff\xfft"), "negative stride"),
    "size of a record": (with_size_of_first_record(0xFFFFFFFF), "data/0: it is larger than the archive"),
    "size beyond the end": (with_size_of_first_record(0x7FFFFFFF), "invalid header or archive is corrupted"),
    "size too small": (with_size_of_first_record(1), SHORT),
    "compressed": (
        rewritten("/data/0", lambda _: bytes(8_000_000), zipfile.ZIP_DEFLATED),
        "data/0: it is larger than the archive",
    ),
    "nested lists": (with_pickle_begun_by(b"]" * NESTED + b"a" * (NESTED - 1)), DEEP),
    "nested tuples": (with_pickle_begun_by(b")" + b"\x85" * NESTED), DEEP),
    "lists that grow inside": (with_pickle_begun_by(b"]q\x00\x85h\x00]a"), "after it was put into another"),
    "a list in itself": (with_pickle_begun_by(b"]q\x00h\x00a"), "a value holds itself"),
    "a text of 2 GiB": (with_pickle_begun_by(b"X\xff\xff\xff\x7f"), "the pickle ends too early"),
    "a memo of 2**31": (with_pickle_begun_by(b"Nr\xff\xff\xff\x7f"), "under too large a number"),
    "an operation of Python": (with_pickle_begun_by(b"]2"), "an operation that TorchScript does not write"),
    "brackets": (with_code(b"return", b"return " + b"(" * NESTED), "a statement of the script is too long"),
    "unary": (with_code(b"return", b"return " + b"not " * NESTED), "a statement of the script is too long"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_archive_that_lies_is_refused(ai, redis_client, name):
    blob, reason = BAD[name]
    with pytest.raises(redis.ResponseError) as error:
        ai("MODELSTORE", "m", "TORCH", "CPU", "BLOB", blob)
    assert "the model cannot be loaded" in str(error.value)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)
    assert redis_client.dbsize() == 0


def test_as_deep_as_it_may_be_is_no_danger(ai, redis_client):
    """What the limit lets through, libtorch reads, finds superfluous and frees."""
    with pytest.raises(redis.ResponseError, match="the model cannot be loaded"):
        ai("MODELSTORE", "m", "TORCH", "CPU", "BLOB", with_pickle_begun_by(b"]" * 1000 + b"a" * 999))
    assert redis_client.ping()


def test_a_blob_cut_anywhere_is_refused(ai, redis_client):
    for length in [*range(0, len(BLOB), len(BLOB) // 60), len(BLOB) - 22, len(BLOB) - 1]:
        with pytest.raises(redis.ResponseError, match="the model cannot be loaded"):
            ai("MODELSTORE", "m", "TORCH", "CPU", "BLOB", BLOB[:length])
    assert redis_client.dbsize() == 0


class _Attributes(torch.nn.Module):
    """Attributes of all kinds, each of which an archive writes in its own way."""

    def __init__(self):
        super().__init__()
        self.table: list[int] = list(range(10_000))
        self.nested: list[list[int]] = [[1, 2], [3]]
        self.names: dict[str, int] = {"0": 1, "cpu": 2}
        self.pair: tuple[int, float] = (2**40, 0.5)
        self.tensors: list[torch.Tensor] = [torch.ones(2), torch.ones(3)[1:]]
        self.none: str | None = None
        self.device = torch.device("cpu")
        self.quantized = torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.quint8)
        for dtype in (torch.float16, torch.bfloat16, torch.bool, torch.int8, torch.complex64):
            self.register_buffer(f"buffer_{str(dtype)[6:]}", torch.ones(2, dtype=dtype))
        self.register_buffer("nothing", torch.ones(0))
        self.layers = torch.nn.ModuleList([torch.nn.Linear(2, 2) for _ in range(30)])

    def forward(self, x):
        constant = torch.tensor([1.0, 2.0])
        for layer in self.layers:
            x = layer(x)
        offset = self.names["cpu"] + self.pair[1]
        return x + constant + self.tensors[1] + self.quantized.dequantize()[0] + offset


class _OwnState(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = torch.ones(2)

    @torch.jit.export
    def __getstate__(self):
        return (self.weights, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]):
        self.weights = state[0]
        self.training = state[1]

    def forward(self, x):
        return x + self.weights


@pytest.mark.parametrize(
    "module",
    [
        _Attributes(),
        _OwnState(),
        torch.nn.TransformerEncoder(torch.nn.TransformerEncoderLayer(16, 2, 32), 2),
        torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3), torch.nn.BatchNorm2d(3)),
        torch.jit.trace(torch.nn.Linear(4, 4), torch.ones(1, 4)),
        torch.jit.freeze(torch.jit.script(torch.nn.Linear(4, 4).eval())),
    ],
    ids=["attributes", "own state", "transformer", "convolution", "traced", "frozen"],
)
def test_what_torch_writes_is_taken(ai, module):
    assert ai("MODELSTORE", "m", "TORCH", "CPU", "BLOB", models.blob(module)) == b"OK"
