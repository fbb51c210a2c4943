"""The server gives no timestamp twice, and what was left of older memories does not come back on new ones."""

import json

import pytest

from modules_store import Importance, Policy, keys
from tests.store import toy_codec

pytestmark = pytest.mark.each_layout

ROWS = toy_codec.states(300)
AHEAD = 4 * 10**12
"""A timestamp that the server's time does not reach while tests run."""


def test_a_deleted_memory_s_timestamp_is_not_given_again(store):
    store.store_agent_memory("a", ROWS[0], timestamp=AHEAD)
    given = [store.store_agent_memory("a", ROWS[0]) for _ in range(3)]
    assert store.delete_memories("a", given[1:]) == 2
    assert store.store_agent_memory("a", ROWS[1]) == given[-1] + 1
    assert store.delete_memories("a", given[1:]) == 0  # a repetition of it
    assert store.count_memories("a") == 3


def test_nor_is_one_of_a_step(store):
    store.store_step({"a": ROWS[0], "b": ROWS[0]}, timestamp=AHEAD)
    store.delete_memories("a", [AHEAD])
    assert store.store_step({"a": ROWS[0], "b": ROWS[0]}) == {"a": AHEAD + 1, "b": AHEAD + 1}


def test_nor_that_of_a_memory_which_its_policy_drops(open_store, toy):
    store = open_store(codec="toy", policy=Policy(Importance(2, "n")))
    store.store_agent_memories("a", ROWS[:2], [{"n": 5}, {"n": 5}], [AHEAD, AHEAD + 1])
    assert [store.store_agent_memory("a", ROWS[0], {"n": 1}) for _ in range(2)] == [AHEAD + 2, AHEAD + 3]
    assert store.count_memories("a") == 2


@pytest.mark.parametrize("left", [keys.state, keys.index])
def test_nor_after_an_eviction(store, toy, left):
    store.store_agent_memory("a", ROWS[0], timestamp=AHEAD)
    evicted = {keys.state("a"), keys.index("a")} - {left("a")}
    toy.delete(*evicted)
    assert store.store_agent_memory("a", ROWS[0]) == AHEAD + 1


def test_a_deleted_agent_begins_anew(store):
    store.store_agent_memory("a", ROWS[0], timestamp=AHEAD)
    store.delete_agent("a")
    assert store.store_agent_memory("a", ROWS[0]) < AHEAD


def test_a_state_of_another_type_is_refused(store, toy):
    toy.set(keys.state("a"), "x")
    with pytest.raises(Exception, match="holds a value of type string, not hash"):
        store.store_agent_memory("a", ROWS[0])
    assert not toy.exists(keys.index("a"))


@pytest.mark.parametrize("documents", [False, True])
@pytest.mark.parametrize("described", [False, True])
def test_documents_whose_memories_are_evicted_do_not_come_back(open_store, toy, documents, described):
    store = open_store(codec="toy", policy=Policy(ttl_ms=10**7, documents=documents))
    first = toy.time()[0] * 1000
    left = range(first, first + 10_000)  # timestamps that the server is about to give
    with toy.pipeline(transaction=False) as pipeline:
        for timestamp in left:
            document = {"agent": "a", "timestamp": timestamp, "metadata": {"old": 1}}
            key = keys.memory_metadata("a", timestamp)
            pipeline.execute_command("JSON.SET", key, "$", json.dumps(document))
        pipeline.execute()
    metadata = {"new": 2} if described else None
    given = store.store_agent_memories("a", ROWS, [metadata] * 300 if described else None)
    assert set(given) <= set(left)
    assert [m.metadata for m in store.get_recent_memories("a", 300)] == [metadata] * 300
