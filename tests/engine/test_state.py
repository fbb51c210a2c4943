"""Models that change their own parameters, buffers or attributes: refused, since runs share them."""

from __future__ import annotations

import pytest
import redis
import torch

from tests.engine import models


class CountsInBuffer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x):
        self.count += 1
        return x + self.count


class SetsAttribute(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.count = 0

    def forward(self, x):
        self.count = self.count + 1
        return x + self.count


class WritesView(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2, 2), requires_grad=False)

    def forward(self, x):
        self.weight[0].add_(x)
        return self.weight.sum(0)


class Inner(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = CountsInBuffer()

    def forward(self, x):
        return self.layer(x)


class AppendsToList(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.seen: list[int] = [0]

    def forward(self, x):
        self.seen.append(1)
        return x + len(self.seen)


class SetsItem(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.seen: dict[str, torch.Tensor] = {"a": torch.zeros(1)}

    def forward(self, x):
        self.seen["a"] = self.seen["a"] + 1
        return x + self.seen["a"]


class WritesTensorInList(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.tensors: list[torch.Tensor] = [torch.zeros(1), torch.zeros(1)]

    def forward(self, x):
        for tensor in self.tensors:
            tensor.add_(1)
        return x + self.tensors[0]


class WritesWhatItMade(torch.nn.Module):
    """Writes, but to what the run itself made."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))
        self.layers = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(inplace=True))
        self.norm = torch.nn.BatchNorm1d(2)

    def forward(self, x):
        y = torch.zeros_like(x)
        y += self.weight
        seen: list[int] = []
        seen.append(1)
        rows = torch.zeros(2, 2)
        rows[0] = self.weight
        return y + self.norm(self.layers(x)) * 0 + len(seen)


WRITERS = [
    CountsInBuffer,
    SetsAttribute,
    WritesView,
    Inner,
    AppendsToList,
    SetsItem,
    WritesTensorInList,
]


@pytest.mark.parametrize("module", WRITERS)
@pytest.mark.parametrize("command", ["MODELSTORE", "MODELSET"])
def test_a_model_that_changes_itself_is_refused(ai, redis_client, command, module):
    blob = models.blob(module())
    with pytest.raises(redis.ResponseError, match="may change its own parameters, buffers or attributes"):
        ai(command, "m", "TORCH", "CPU", "BLOB", blob)
    assert redis_client.dbsize() == 0


def test_a_model_that_changes_what_it_made_itself(ai, store):
    store("m", WritesWhatItMade())
    ai("TENSORSET", "x", "FLOAT", 2, 2, "VALUES", 1, 2, 3, 4)
    for _ in range(3):
        assert ai("MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y") == b"OK"
        assert ai("TENSORGET", "y", "VALUES") == [b"2"] * 4


def test_a_script_has_no_state(ai):
    source = "count = 0\ndef f(x):\n    return x\n"
    with pytest.raises(redis.ResponseError, match="cannot be compiled"):
        ai("SCRIPTSTORE", "s", "CPU", "ENTRY_POINTS", 0, "SOURCE", source)
