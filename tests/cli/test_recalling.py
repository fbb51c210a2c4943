"""`modules-store recent`, `find` and `similar`."""

from __future__ import annotations

import json

import numpy as np
import pytest

from modules_store import RedisAgentMemory
from tests.cli.conftest import FIRST
from tests.store import toy_codec

STATES = toy_codec.states(5)


def test_recent_as_a_table(run, filled):
    lines = run("recent", "drone-1", "-n", 2).splitlines()
    assert lines[0].split() == ["timestamp", "time", "state", "metadata"]
    assert lines[1].split()[:3] == [str(FIRST + 4), "2023-11-14", "22:13:20.004"]
    assert "… (6 features)" in lines[1]
    assert lines[1].endswith('{"n": 4, "note": "[bold]é"}')
    assert [line.split()[0] for line in lines[1:]] == [str(FIRST + 4), str(FIRST + 3)]


def test_timestamps_that_are_steps_have_no_time(run, filled):
    assert run("recent", "rover", "-n", 1).splitlines()[1].split()[:2] == [
        "3",
        f"{toy_codec.states(3, seed=1)[2][0]:.4g}",
    ]


def test_recent_as_json(run, filled):
    newest = json.loads(run("recent", "drone-1", "--json"))
    assert [one["timestamp"] for one in newest] == list(range(FIRST + 4, FIRST - 1, -1))
    assert newest[0]["metadata"] == {"n": 4, "note": "[bold]é"}
    assert np.array_equal([one["state"] for one in newest], STATES[::-1])


def test_json_has_no_more_digits_than_float32(run, redis_client):
    RedisAgentMemory(redis_client).store_agent_memory("a", [0.1, -65504.0])
    assert json.loads(run("recent", "a", "--json"))[0]["state"] == [0.099975586, -65504.0]


def test_recent_of_nobody_is_empty(run, filled):
    assert json.loads(run("recent", "nobody", "--json")) == []
    assert run("recent", "nobody").split() == ["timestamp", "time", "state", "metadata"]


def test_find(run, filled, wait_until):
    filled.create_search_index({"n": "numeric"})
    wait_until(lambda: filled.find_memories().total == 10)
    found = json.loads(run("find", "@n:[3 +inf]", "--sort-by", "n", "--descending", "--limit", 3, "--json"))
    assert (found["total"], found["gone"]) == (4, 0)
    assert [one["metadata"]["n"] for one in found["memories"]] == [4, 4, 3]
    assert np.array_equal(found["memories"][2]["state"], STATES[3])
    rows = run("find", "@n:[3 +inf]", "--agent", "drone-2", "--sort-by", "n", "--offset", 1).splitlines()
    assert [row.split()[:2] for row in rows] == [["agent", "timestamp"], ["drone-2", str(FIRST + 4)]]


def test_what_find_refuses(run, filled):
    assert run("find", "*", code=1) == "modules-store: there is no search index memories\n"
    filled.create_search_index({"n": "numeric"})
    assert "Syntax error" in run("find", "@n:[", code=1)


def test_similar_to_a_memory_leaves_it_out(run, filled):
    near = json.loads(run("similar", "drone-1", "--like", FIRST + 2, "-k", 3, "--json"))
    distances = {FIRST + i: float(np.linalg.norm(STATES[i] - STATES[2])) for i in (0, 1, 3, 4)}
    assert [one["timestamp"] for one in near] == sorted(distances, key=distances.__getitem__)[:3]
    assert [one["distance"] for one in near] == pytest.approx(sorted(distances.values())[:3], rel=1e-5)


@pytest.mark.parametrize("form", ["{}", "[{}]"])
def test_similar_to_a_state(run, filled, form):
    state = form.format(", ".join(str(value) for value in STATES[4]))
    rows = run("similar", "drone-1", "--state", state, "-k", 1).splitlines()
    assert [row.split()[:2] for row in rows] == [["distance", "timestamp"], ["0", str(FIRST + 4)]]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "give either --state or --like"),
        (("--state", "1", "--like", "1"), "give either --state or --like"),
        (("--state", "1,x"), "--state is '1,x', not numbers with commas in between"),
        (("--state", "[[1]]"), "--state is '[[1]]', not numbers"),
        (("--state", "1,2"), "6 features"),
        (("--like", "7"), "agent drone-1 has no memory at 7"),
    ],
)
def test_what_similar_refuses(run, filled, options, says):
    refusal = run("similar", "drone-1", *options, code=1)
    assert refusal.startswith("modules-store: ")
    assert says in refusal
    assert refusal.count("\n") == 1
