"""The scripts that drop what is lost, delete, verify, repair and count, by themselves."""

from __future__ import annotations

import json

import pytest
import redis

from modules_store import keys
from tests.lua import calls
from tests.store import toy_codec

ROWS = toy_codec.states(5)
STAMPS = [1, 2, 3, 4, 5]
DOCUMENTS = keys.documents_of("a")
ALL_KEYS = [*DOCUMENTS, *keys.companions_of("a")]
OTHERS = json.dumps([[keys.stream("a"), "stream"], [keys.tokens("a"), "list"]])
BUDGET = {"retention": {"policy": "byte_budget", "size_bytes": 10**6}, "stream_entries": 100}


def run(node: redis.Redis, name: str, *arguments, agent_keys=None):
    agent_keys = KEYS_OF[name] if agent_keys is None else agent_keys
    return calls.call(node, name, agent_keys, *arguments)


KEYS_OF = {
    "delete_agent": DOCUMENTS,
    "delete_memories": DOCUMENTS[:1],
    "drop_lost": DOCUMENTS[:2],
    "verify_agent": DOCUMENTS,
    "verify_memories": DOCUMENTS,
    "verify_found": DOCUMENTS[:1],
    "repair_memories": DOCUMENTS,
    "restore_documents": DOCUMENTS,
    "agent_stats": ALL_KEYS,
}
RESTORING = (json.dumps(calls.CONFIGURATION), "[]", json.dumps(calls.policy_of()))
CALLS = {
    "delete_agent": (100, "drop"),
    "delete_memories": ("[1,2]",),
    "drop_lost": ("[1,2]",),
    "verify_agent": (OTHERS,),
    "verify_memories": ("", 100),
    "verify_found": ("[1,2]",),
    "repair_memories": ("[1,2]", "keep"),
    "restore_documents": RESTORING,
    "agent_stats": (10,),
}


def refused(match: str):
    return pytest.raises(redis.ResponseError, match=f"^MEMERR {match}")


def counters(node) -> dict[str, int]:
    return json.loads(node.execute_command("JSON.GET", keys.agent_metadata("a"), "$.counters"))[0]


@pytest.fixture
def filled(node):
    calls.store(node, ROWS, policy=BUDGET, timestamps=STAMPS, metadata=['{"n":1}'] * 5, token="t")
    return node


def test_delete_memories(filled):
    assert run(filled, "delete_memories", "[2,4,9]") == 2
    assert run(filled, "delete_memories", "[2,4,9]") == 0
    assert filled.zrange(keys.index("a"), 0, -1) == [b"1", b"3", b"5"]
    assert filled.xlen(keys.stream("a")) == 3
    assert run(filled, "verify_memories", "", 100) == [None, 3, [], [], [], [], 0]


def test_delete_agent_step_by_step(filled):
    assert run(filled, "delete_agent", 3, "keep") == [3, 2]
    assert calls.recall_recent(filled, 10)[0] == [5, 4]
    assert run(filled, "delete_agent", 3, "drop") == [2, 0]
    assert calls.contents(filled) == {}


def test_drop_lost(filled):
    filled.delete(keys.memory("a", 2))
    assert run(filled, "drop_lost", "[1,2,9]") == 1
    assert run(filled, "drop_lost", "[1,2,9]") == 0
    assert counters(filled) == {"stored": 5, "trimmed": 0, "lost": 1}
    assert filled.hget(keys.sizes("a"), "total") == b"%d" % (4 * (9 + 7))


def test_verify_memories_page_by_page(filled):
    filled.delete(keys.memory("a", 1))
    filled.set(keys.memory("a", 2), "")
    filled.hdel(keys.sizes("a"), "4")
    assert run(filled, "verify_memories", "", 3) == [b"3", 3, [b"1"], [b"2"], [], [], 1]
    assert run(filled, "verify_memories", "3", 3) == [None, 2, [], [], [], [b"4"], 0]
    filled.delete(keys.decoder("toy", 1))
    assert run(filled, "verify_memories", "3", 3)[3:5] == [[], [b"4", b"5"]]


def test_verify_found(filled):
    filled.zrem(keys.index("a"), 1)
    assert run(filled, "verify_found", "[1,2,9]") == [[b"1"], []]
    filled.zadd(keys.priorities("a"), {"9": 1})
    assert run(filled, "verify_found", "[1,2,9]") == [[b"1"], [b"9"]]


def test_verify_agent(filled):
    assert run(filled, "verify_agent", OTHERS) == [[], b"%d" % (5 * (9 + 7))]
    filled.delete(keys.agent_metadata("a"), keys.tokens("a"), keys.sizes("a"))
    filled.set(keys.tokens("a"), "x")
    wrong = [keys.tokens("a").encode(), keys.agent_metadata("a").encode()]
    assert run(filled, "verify_agent", OTHERS) == [wrong, None]


def test_repair_memories(filled):
    filled.delete(keys.memory("a", 1))
    filled.set(keys.memory("a", 2), "")
    filled.zrem(keys.index("a"), 3)
    filled.hdel(keys.sizes("a"), "4")
    filled.zadd(keys.priorities("a"), {"9": 1})
    assert run(filled, "repair_memories", "[1,2,3,4,5,9]", "keep") == [1, 1, 1, 1, 1]
    assert run(filled, "repair_memories", "[1,2,3,4,5]", "keep") == [0, 0, 0, 0, 0]
    assert counters(filled)["lost"] == 2
    assert run(filled, "repair_memories", "[3,4,5]", "anew") == [0, 0, 0, 0, 3]
    assert sorted(filled.hkeys(keys.sizes("a"))) == [b"3", b"4", b"5", b"total"]


def test_restore_documents(filled):
    before = {key: filled.execute_command("JSON.GET", key) for key in DOCUMENTS[1:]}
    assert run(filled, "restore_documents", *RESTORING) == 0
    filled.delete(*before)
    assert run(filled, "restore_documents", *RESTORING[:2], json.dumps(BUDGET)) == 2
    assert json.loads(filled.execute_command("JSON.GET", DOCUMENTS[2])) == json.loads(before[DOCUMENTS[2]])
    assert json.loads(filled.execute_command("JSON.GET", DOCUMENTS[1]))["policy"] == BUDGET
    filled.delete(DOCUMENTS[2])
    other = json.dumps(calls.configuration_of("other", code_dtype="HALF"))
    with refused("OTHERCODEC the newest memories of agent a are not of version 1 of codec other"):
        run(filled, "restore_documents", other, *RESTORING[1:])


def test_agent_stats(filled):
    memories, oldest, newest, _, system, sizes, sampled, forms, layout = run(filled, "agent_stats", 2)
    assert (memories, oldest, newest, sampled, layout) == (5, b"1", b"5", 2, b"keys")
    assert json.loads(system)["name"] == "toy"
    assert forms == [[0, 1, 18, 2]]
    assert len(sizes) == 7
    assert all(size > 0 for size in sizes)


def test_summarize_agents(filled):
    indexes = [keys.index(agent) for agent in ("a", "a", "nobody")]
    of_slot = run(filled, "summarize_agents", agent_keys=indexes[:2])
    assert of_slot == [[5, b"1", b"5", b"keys"]] * 2
    assert run(filled, "summarize_agents", agent_keys=indexes[2:]) == [[0, None, None, b"keys"]]
    filled.set(indexes[2], "no directory of segments")
    with refused("WRONGTYPE key agent:{nobody}:memories holds a value of type string that is no directory"):
        run(filled, "summarize_agents", agent_keys=indexes[2:])


@pytest.mark.parametrize("name", CALLS)
def test_nothing_there(node, name):
    expected = {
        "delete_agent": [0, 0],
        "delete_memories": 0,
        "drop_lost": 0,
        "verify_agent": [[], None],
        "verify_memories": [None, 0, [], [], [], [], 0],
        "verify_found": [[], []],
        "repair_memories": [0, 0, 0, 0, 0],
        "restore_documents": 2,
        "agent_stats": [0, None, None, None, None, [0] * 7, 0, [], b"keys"],
    }
    assert run(node, name, *CALLS[name]) == expected[name]


@pytest.mark.parametrize("name", [name for name in CALLS if name != "verify_agent"])
def test_an_index_of_another_type(node, name):
    node.rpush(keys.index("a"), "x")
    with refused(f"WRONGTYPE key {keys.index('a')} holds a value of type list"):
        run(node, name, *CALLS[name])


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("delete_agent", (0, "drop"), "step is 0"),
        ("delete_agent", (1, "all"), "documents is all"),
        ("delete_memories", ("[]",), "the number of timestamps is 0"),
        ("drop_lost", (json.dumps([1] * 16385),), "the number of timestamps is 16385"),
        ("verify_agent", ("x",), "keys is not a JSON array"),
        ("verify_memories", ("", 16385), "step is 16385"),
        ("verify_memories", ("x", 1), "cursor is x"),
        ("verify_found", ("[-1]",), "timestamps is -1"),
        ("repair_memories", ("[1]", "all"), "companions is all"),
        ("restore_documents", ("{}", "[]", "{}"), "codec configuration"),
        ("agent_stats", (0,), "sample is 0"),
    ],
)
def test_what_is_refused(filled, name, arguments, says):
    before = calls.contents(filled)
    with refused(f"BADARG {says}"):
        run(filled, name, *arguments)
    assert calls.contents(filled) == before


def test_as_many_as_one_call_may_have(node):
    stamps = list(range(16_384))
    calls.store(node, toy_codec.states(16_384), timestamps=stamps)
    assert run(node, "verify_memories", "", 16_384)[1:] == [16_384, [], [], [], [], 0]
    node.delete(*(keys.memory("a", t) for t in stamps[:8000]))
    assert run(node, "drop_lost", json.dumps(stamps)) == 8000
    assert run(node, "repair_memories", json.dumps(stamps), "keep") == [0, 0, 0, 0, 0]
    assert run(node, "delete_agent", 16_384, "drop") == [8384, 0]
    assert calls.contents(node) == {}


@pytest.mark.parametrize("name", [name for name in CALLS if name != "restore_documents"])
def test_at_maxmemory_they_work(filled, name):
    filled.delete(keys.memory("a", 1))
    filled.config_set("maxmemory", "1mb")
    try:
        run(filled, name, *CALLS[name])
    finally:
        filled.config_set("maxmemory", "0")
