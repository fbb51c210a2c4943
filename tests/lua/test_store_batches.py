"""store_batches.lua by itself: batches of several agents, all or none."""

from __future__ import annotations

import numpy as np
import pytest
import redis

from modules_store import keys
from tests.lua import calls
from tests.store import toy_codec

AGENTS = ["a", "exj", "mqr"]
"""Of one hash slot, as a cluster wants them."""
ROWS = toy_codec.states(6)
POLICY = calls.policy_of()
SYSTEMS = [(calls.CONFIGURATION, [(POLICY, 3)])]


def refused(match: str):
    return pytest.raises(redis.ResponseError, match=f"^MEMERR {match}")


def of(agents=AGENTS, systems=SYSTEMS, batches=(1, 2, 3), states=ROWS, metadata=()) -> dict:
    return {
        "agents": agents,
        "systems": systems,
        "batches": list(batches),
        "states": states,
        "metadata": metadata,
    }


def contents_of(node: redis.Redis, agent: str) -> dict[bytes, bytes | None]:
    """Return what there is of an agent, without its name; documents as text."""
    found = {}
    for key in node.scan_iter(f"agent:{{{agent}}}:*", count=1000):
        text = node.execute_command("JSON.GET", key) if node.type(key) == b"ReJSON-RL" else node.dump(key)
        found[key.partition(b"}")[2]] = text.replace(agent.encode(), b"AGENT")
    return found


def test_each_agent_ends_as_by_store_memories(node):
    metadata = ["", '{"n":1}', '{"n":2}', "", "", '{"n":5}']
    batches = [[7], [8, 9], [3, 2, 1]]
    policy = calls.policy_of(2)
    systems = [(calls.CONFIGURATION, [(POLICY, 2), (policy, 1)])]
    assert calls.store_batches(node, **of(systems=systems, batches=batches, metadata=metadata)) == [7, 8, 3]
    together = [contents_of(node, agent) for agent in AGENTS]
    node.flushall()
    toy_codec.publish(node)
    for agent, ids, kept in zip(AGENTS, batches, (POLICY, POLICY, policy), strict=True):
        at = slice(sum(map(len, batches[: batches.index(ids)])), None)
        calls.store(
            node,
            ROWS[at][: len(ids)],
            agent=agent,
            timestamps=ids,
            policy=kept,
            metadata=metadata[at][: len(ids)],
        )
    assert [contents_of(node, agent) for agent in AGENTS] == together


def test_the_server_gives_each_agent_its_timestamps(node):
    far = 2**50
    calls.store(node, ROWS[:1], agent="exj", timestamps=[far])
    firsts = calls.store_batches(node, **of())
    assert firsts[1] == far + 1
    assert firsts[0] == firsts[2] < far
    assert calls.recall_recent(node, 9, "mqr")[0] == [firsts[2] + 2, firsts[2] + 1, firsts[2]]


def test_agents_of_several_codecs(node):
    toy_codec.publish(node, "half", half=True)
    half = calls.configuration_of("half", code_dtype="HALF")
    calls.store(node, ROWS[:1], agent="exj")
    calls.switch_codec(node, half, agent="exj")  # generation 1 of this agent, 0 of the other
    systems = [(half, [(POLICY, 2)]), (calls.CONFIGURATION, [(POLICY, 1)])]
    calls.store_batches(node, **of(systems=systems))
    for agent, rows in (("a", ROWS[:1]), ("exj", ROWS[1:3]), ("mqr", ROWS[3:])):
        np.testing.assert_array_equal(calls.recall_recent(node, len(rows), agent)[1][::-1], rows)
    value = node.get(keys.memory("exj", calls.recall_recent(node, 1, "exj")[0][0]))
    assert (value[0], node.get(keys.memory("a", calls.recall_recent(node, 1)[0][0]))[0]) == (0x14, 0x04)


def test_as_many_agents_and_states_as_may_be(server, toy):
    agents = [f"agent-{n}" for n in range(16384)]
    rows = toy_codec.states(16384)
    systems = [(calls.CONFIGURATION, [(POLICY, 16384)])]
    batches = [[5]] * 16384
    arguments = {"systems": systems, "metadata": ['{"n":1}'] * 16384}
    assert calls.store_batches(toy, **of(agents, batches=batches, states=rows, **arguments)) == [5] * 16384
    np.testing.assert_array_equal(calls.recall_recent(toy, 1, "agent-16383")[1], rows[-1:])
    before = toy.dbsize()
    more = np.zeros((16385, 6))
    with refused("BADARG the number of states is 16385"):
        calls.store_batches(toy, **of(["one", "two", "three"], batches=(1, 1, 16383), states=more))
    assert toy.dbsize() == before


@pytest.fixture
def toy(redis_client: redis.Redis) -> redis.Redis:
    toy_codec.publish(redis_client)
    return redis_client


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"states": [*ROWS[:5], [0, 0, np.nan, 0, 0, 0]]}, "BADSTATE .*not finite"),
        ({"states": ROWS[:5]}, "BADARG there are fewer states than the batches say"),
        ({"states": ROWS.astype("<f4").tobytes()[:-1]}, "BADARG states are 143 bytes, not rows of 6 floats"),
        ({"states": [*ROWS, ROWS[0]]}, "BADARG there are more states than the batches say"),
        ({"batches": [1, 2]}, "BADARG the number of states is nil"),
        ({"batches": [1, 2, []]}, "BADARG the number of states is 0"),
        ({"batches": [1, 2, 2.5]}, "BADARG the number of states is 2.5"),
        ({"batches": [1, 2, [1, 2, -3]]}, "BADARG timestamps is -3"),
        ({"batches": [1, 2, [1, 2, 1]]}, "EXISTS timestamp 1 is given twice"),
        ({"batches": [1, 2, [1, 8, 2]]}, "EXISTS agent mqr already has a memory at 8"),
        ({"agents": ["a", "exj", "a"]}, r"BADARG agent:{a}:memories is given twice"),
        ({"agents": AGENTS[:2]}, "BADARG 6 keys are not three for each agent"),
        ({"agents": [*AGENTS, "tzz"]}, "BADARG 12 keys are not three for each of 3 agents"),
        ({"agents": []}, "BADARG"),
        ({"systems": [(calls.CONFIGURATION, [(POLICY, 0)])]}, "BADARG the number of agents is 0"),
        ({"systems": [("nope", [(POLICY, 3)])]}, "BADARG codec configuration is not a JSON"),
        (
            {"systems": [(calls.CONFIGURATION, [(calls.policy_of(0), 3)])]},
            "BADARG policy retention threshold",
        ),
        ({"systems": [(calls.configuration_of("other"), [(POLICY, 3)])]}, "OTHERCODEC .* agent mqr"),
        ({"metadata": ["{}"] * 5}, "BADARG 6 states have 5 metadata"),
        ({"metadata": [*["{}"] * 5, "nope"]}, "BADMETA"),
        ({"metadata": ["{}", "nope", *["{}"] * 4]}, "BADMETA"),
        (
            {"batches": [1, 2, [9, 10, 7]], "policy": {"stream_entries": 9}},
            "BADORDER timestamp 7 is not above",
        ),
        ({"policy": {"stream_entries": 0}}, "BADARG policy stream_entries is 0"),
    ],
)
def test_what_is_refused_leaves_nothing_of_any_agent(node, arguments, match):
    calls.store(node, ROWS[:1], agent="mqr", timestamps=[8], policy=calls.policy_of(stream_entries=9))
    before = calls.contents(node)
    others = {name: value for name, value in arguments.items() if name != "policy"}
    if "policy" in arguments:
        policy = {**POLICY, **arguments["policy"]}
        others["systems"] = [(calls.CONFIGURATION, [(policy, 3)])]
    with refused(match):
        calls.store_batches(node, **of(**others))
    assert calls.contents(node) == before


@pytest.mark.parametrize(
    "key", [f(a) for a in AGENTS for f in (keys.index, keys.agent_metadata, keys.stream)]
)
def test_a_key_of_another_type(node, key):
    node.rpush(key, "x")
    before = calls.contents(node)
    systems = [(calls.CONFIGURATION, [(calls.policy_of(stream_entries=9), 3)])]
    with refused(f"WRONGTYPE key {key} holds a value of type list"):
        calls.store_batches(node, **of(systems=systems))
    assert calls.contents(node) == before


def test_at_maxmemory_nothing_is_written(node):
    node.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            calls.store_batches(node, **of())
        assert calls.contents(node) == {}
    finally:
        node.config_set("maxmemory", "0")
