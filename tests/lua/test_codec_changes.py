"""Whatever order switches, steps and stores come in, each memory is recalled as it was."""

from __future__ import annotations

import json

import numpy as np
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modules_store import keys
from tests.lua import calls
from tests.store import toy_codec

CODECS = [
    calls.CONFIGURATION,
    calls.configuration_of("toy", 2),
    calls.configuration_of("other", code_dtype="HALF"),
    calls.configuration_of("third"),
]
IDS = range(12)

codecs = st.sampled_from(range(len(CODECS)))
operations = st.lists(
    st.one_of(
        st.tuples(st.just("store"), codecs, st.sampled_from(IDS)),
        st.tuples(st.just("switch"), codecs),
        st.tuples(st.just("step"), codecs, st.sampled_from(["", *map(str, IDS)]), st.integers(1, 6)),
        st.tuples(st.just("evict"), st.sampled_from(IDS)),
    ),
    max_size=25,
)


@pytest.fixture
def codecs_published(redis_client):
    """The run's server with four codecs that keep toy states as they are."""
    for codec in CODECS:
        half = codec["code_dtype"] == "HALF"
        toy_codec.publish(redis_client, codec["name"], codec["version"], half=half)
    return redis_client


def perform(node: redis.Redis, rows: dict[int, np.ndarray], operation) -> None:
    """Do one operation, unless the server refuses it; `rows` becomes what the agent should have then."""
    kind, *arguments = operation
    if kind == "evict":
        node.delete(keys.memory("a", arguments[0]))
        rows.pop(arguments[0], None)
        return
    codec = CODECS[arguments[0]]
    try:
        if kind == "switch":
            calls.switch_codec(node, codec)
        elif kind == "step":
            calls.re_encode_memories(node, codec, *arguments[1:])
        else:
            row = toy_codec.states(1, seed=100 * arguments[1] + len(rows))
            calls.store(node, row, timestamps=[arguments[1]], configuration=codec)
            rows[arguments[1]] = row[0]
    except redis.ResponseError as error:
        assert str(error).split()[1] in {"OTHERCODEC", "EXISTS", "NOCODEC"}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=operations)
def test_no_memory_is_lost_or_changed(codecs_published, operations):
    node = codecs_published
    for key in node.scan_iter("agent:*"):
        node.delete(key)
    rows: dict[int, np.ndarray] = {}
    for operation in [("store", 0, 0), *operations]:
        perform(node, rows, operation)
        timestamps, states, _ = calls.recall_recent(node, 100)
        assert timestamps == sorted(rows, reverse=True)
        np.testing.assert_array_equal(states, np.reshape([rows[t] for t in timestamps], (-1, 6)))

    own = json.loads(node.execute_command("JSON.GET", keys.agent_memory_system("a")))
    target = {name: own[name] for name in calls.CONFIGURATION}
    cursor = ""
    while cursor is not None:
        cursor = calls.re_encode_memories(node, target, cursor, 5)[0]
    own = json.loads(node.execute_command("JSON.GET", keys.agent_memory_system("a")))
    assert own == {**target, **({"generation": own["generation"]} if "generation" in own else {})}
    assert len({node.get(keys.memory("a", t))[:3] for t in rows}) <= 1
    assert calls.recall_recent(node, 100)[0] == sorted(rows, reverse=True)
