"""Agents that nobody bound."""

import pytest

from modules_store import CodecNotFoundError, InvalidInputError
from tests.store import toy_codec


def test_an_unbound_agent_is_refused_until_it_is_bound(open_store, toy):
    store = open_store(unbound="error")
    state = [0.0] * toy_codec.INPUT_DIM
    with pytest.raises(CodecNotFoundError, match="bind"):
        store.store_agent_memory("a", state)
    store.bind("a", "toy")
    store.store_agent_memory("a", state)
    assert len(store.get_recent_memories("a")) == 1


def test_other_values_are_refused(open_store):
    with pytest.raises(InvalidInputError, match="unbound"):
        open_store(unbound="toy")
