"""Torch tensors as states and metadata. The store takes them; it never imports torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import modules_store
from modules_store import keys
from tests.store import toy_codec


@pytest.mark.parametrize(
    "convert",
    [
        torch.tensor,
        lambda row: torch.tensor(row, requires_grad=True),
        lambda row: torch.tensor(row, dtype=torch.float16),
    ],
)
def test_a_state(store, convert):
    row = toy_codec.states(1)[0]
    timestamp = store.store_agent_memory("a", convert(row))
    np.testing.assert_array_equal(store.retrieve_agent_memory("a", timestamp).state, row)


@pytest.mark.parametrize("convert", [torch.tensor, lambda rows: [torch.tensor(row) for row in rows]])
def test_a_batch(store, convert):
    rows = toy_codec.states(3)
    store.store_agent_memories("a", convert(rows))
    np.testing.assert_array_equal([memory.state for memory in store.get_recent_memories("a")], rows[::-1])


def test_metadata(store):
    timestamp = store.store_agent_memory("a", toy_codec.states(1)[0], {"loss": torch.tensor(0.25)})
    assert store.retrieve_agent_memory("a", timestamp).metadata == {"loss": 0.25}


@pytest.mark.parametrize(
    ("state", "error", "says"),
    [
        (torch.tensor([0, 0, 0, 0, 0, -torch.inf]), modules_store.NonFiniteStateError, r"\[5\] is -inf"),
        (torch.zeros(6, dtype=torch.bfloat16), modules_store.StateTypeError, "cannot be made an array"),
    ],
)
def test_what_is_refused(store, toy, state, error, says):
    with pytest.raises(error, match=says):
        store.store_agent_memory("a", state)
    assert toy.keys("agent:*") == []


def test_priorities(store, toy):
    store.store_agent_memories("a", toy_codec.states(2), timestamps=[1, 2])
    errors = torch.tensor([0.5, 2.0], requires_grad=True)
    assert store.update_priorities("a", torch.tensor([1, 2]), errors) == 2
    assert toy.zrange(keys.priorities("a"), 0, -1, withscores=True) == [(b"1", 0.5), (b"2", 2.0)]
