"""Metadata that are accepted come back equal in both layouts, and can be moved between them."""

import json

import numpy as np
import pytest

from modules_store import InvalidMetadataError, KeepAll, Policy, keys
from tests.lua import calls
from tests.store import toy_codec

ROWS = toy_codec.states(3)
KEPT = [
    {"n": 2**64 - 1, "m": -(2**63), "zero": -0.0},
    {"deep": json.loads("[" * 125 + "]" * 125)},
    {"small": 5e-324, "large": 1.7976931348623157e308, "text": "a\x00b\U0001f600"},
]


@pytest.mark.each_layout
def test_what_is_accepted_comes_back_equal_and_moves(store, layout):
    store.store_agent_memories("a", ROWS, KEPT, [1, 2, 3])
    for there in ({"keys", "packed"} - {layout}, {layout}):
        assert [m.metadata for m in store.get_memories_between("a")] == KEPT
        store.convert_agent("a", *there)
    assert [m.metadata for m in store.get_memories_between("a")] == KEPT


@pytest.mark.each_layout
def test_doubles_come_back_exactly(open_store, toy, layout):
    store = open_store(codec="toy", policy=Policy(KeepAll()))
    doubles = np.frombuffer(np.random.default_rng(0).bytes(8 * 6000), "<f8")
    doubles = np.concatenate(
        [doubles[np.isfinite(doubles)][:3000], np.random.default_rng(1).normal(size=3000)]
    )
    metadata = [{"x": x, "y": "1.5/\\"} for x in doubles.tolist()]
    store.store_agent_memories("a", np.zeros((6000, toy_codec.INPUT_DIM)), metadata, list(range(6000)))
    assert [m.metadata for m in store.iterate_memories("a", page=1000)] == metadata
    store.convert_agent("a", "keys" if layout == "packed" else "packed")
    assert [m.metadata for m in store.iterate_memories("a", page=1000)] == metadata


@pytest.mark.parametrize("layout", ["keys", "packed"], indirect=True)
@pytest.mark.parametrize("value", ["1e400", "1" + "0" * 400, "[" * 150 + "]" * 150])
def test_other_clients_are_refused_the_same_in_both_layouts(toy, layout, value):
    with pytest.raises(Exception, match="MEMERR BADMETA"):
        calls.store(toy, ROWS, policy=calls.policy_of(layout=layout), metadata=["", f'{{"n":{value}}}', ""])
    assert not toy.exists(keys.index("a"))


def test_a_conversion_names_the_memory_that_it_cannot_move(open_store, toy):
    store = open_store(codec="toy", policy=Policy(layout="packed"))
    metadata = [{"n": 10}, {"n": 11111}, {"n": 12}]
    store.store_agent_memories("a", ROWS, metadata, [1, 2, 3])
    column = toy.get(keys.segment_metadata("a", 1))
    toy.set(keys.segment_metadata("a", 1), column.replace(b"11111", b"1e999"))
    for _ in range(2):
        with pytest.raises(InvalidMetadataError, match="the memory at 2 of agent a"):
            store.convert_agent("a", "keys")
    assert store.count_memories("a") == 3
    assert [store.retrieve_agent_memory("a", t).metadata for t in (1, 3)] == [metadata[0], metadata[2]]
    store.delete_memories("a", [2])
    assert store.convert_agent("a", "keys").moved == 2
