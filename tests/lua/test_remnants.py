"""Remnants are what something is left of: what others drop meanwhile is none, and counts once."""

import json

from modules_store import keys
from tests.lua import calls
from tests.store import toy_codec


def test_what_another_client_dropped_meanwhile_is_no_remnant(node):
    calls.store(node, toy_codec.states(3), timestamps=[1, 2, 3], metadata=['{"n":1}'] * 3)
    node.zrem(keys.index("a"), "1", "2")
    node.delete(keys.memory("a", 1), keys.memory("a", 2), keys.memory_metadata("a", 2))
    found = calls.call(node, "verify_found", [keys.index("a")], json.dumps([1, 2, 3]))
    assert found == [[], [b"1"]]


def test_a_repair_that_comes_second_counts_nothing(node):
    calls.store(node, toy_codec.states(3), timestamps=[1, 2, 3], metadata=['{"n":1}'] * 3)
    node.zrem(keys.index("a"), "1", "2")
    node.delete(keys.memory("a", 1), keys.memory("a", 2))
    arguments = (json.dumps([1, 2]), "keep")
    assert calls.call(node, "repair_memories", keys.documents_of("a"), *arguments) == [0, 0, 0, 2, 0]
    assert calls.call(node, "repair_memories", keys.documents_of("a"), *arguments) == [0, 0, 0, 0, 0]
    counters = json.loads(node.execute_command("JSON.GET", keys.agent_metadata("a"), "$.counters"))[0]
    assert counters["repaired"] == 2
