"""Torch tensors as states and metadata. The store takes them; it never imports torch."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import torch

import modules_store
from model_export.recording import Recording
from model_export.train import as_states
from modules_store import keys
from tests.store import toy_codec


@pytest.mark.parametrize(
    "convert",
    [
        torch.tensor,
        lambda row: torch.tensor(row, requires_grad=True),
        lambda row: torch.tensor(row, dtype=torch.float16),
        lambda row: torch.tensor(row, dtype=torch.bfloat16, requires_grad=True),
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


BITS = [True, False, True, True, False, False]


@pytest.mark.parametrize(
    "state",
    [
        BITS,
        np.array(BITS),
        torch.tensor(BITS),
        [torch.tensor(bit) for bit in BITS],
        np.array(BITS).astype(ml_dtypes.bfloat16),
        torch.tensor(BITS).bfloat16(),
    ],
)
def test_booleans_and_bfloat16_are_numbers_to_the_store_and_to_training(store, state):
    timestamp = store.store_agent_memory("a", state)
    expected = np.array(BITS, np.float32)
    np.testing.assert_array_equal(store.retrieve_agent_memory("a", timestamp).state, expected)
    np.testing.assert_array_equal(Recording([state, state]).states, [expected, expected])
    np.testing.assert_array_equal(as_states("states", [state], 6), [expected])


FAR = 1e9 + np.arange(3000)[:, None] / 100 * np.ones(6)
"""3,000 different states in float64; in float32 there is one number in 64."""


@pytest.mark.parametrize("rows", [FAR, FAR.astype(np.int64), FAR.tolist()])
def test_states_that_are_equal_in_float32_are_warned_of(store, rows):
    small = [row[:1] for row in rows]
    with pytest.warns(modules_store.PrecisionWarning, match=r"agent_states: .*equal in float32.*features 0"):
        store.store_agent_memories("a", FAR)
    with pytest.warns(modules_store.PrecisionWarning, match="states: .*feature.*'x'.*subtract an offset"):
        Recording(small, feature_names=["x"])
    with pytest.warns(modules_store.PrecisionWarning, match="train: .*features 0"):
        as_states("train", small, 1)


@pytest.mark.parametrize(
    "rows",
    [
        FAR - 1e9,
        FAR[:255],
        np.ones((3000, 6)) / 3,
        np.concatenate([FAR[:, :5], FAR[:, 5:] - 1e9], axis=1),
        FAR.astype(np.float32),
        np.arange(18000).reshape(3000, 6),
    ],
)
def test_states_that_stay_different_are_not(store, rows, recwarn):
    store.store_agent_memories("a", rows)
    Recording(rows)
    assert [str(found.message) for found in recwarn if found.category is modules_store.PrecisionWarning] == []


def test_metadata(store):
    timestamp = store.store_agent_memory("a", toy_codec.states(1)[0], {"loss": torch.tensor(0.25)})
    assert store.retrieve_agent_memory("a", timestamp).metadata == {"loss": 0.25}


@pytest.mark.parametrize(
    ("state", "error", "says"),
    [
        (torch.tensor([0, 0, 0, 0, 0, -torch.inf]), modules_store.NonFiniteStateError, r"\[5\] is -inf"),
        (torch.zeros(6, dtype=torch.bfloat16) / 0, modules_store.NonFiniteStateError, r"\[0\] is nan"),
        (torch.zeros(6).to_sparse(), modules_store.StateTypeError, "cannot be made an array"),
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
