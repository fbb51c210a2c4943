"""The scripts where models run beside them: codes go in, codes come out, and encoders are measured."""

from __future__ import annotations

import numpy as np
import pytest
import redis

from modules_store import keys
from tests.lua import calls
from tests.store import toy_codec

ROWS = toy_codec.states(3)
CODES = np.round(ROWS / toy_codec.STEP).astype(np.int8)


def refused(match: str):
    return pytest.raises(redis.ResponseError, match=f"^MEMERR {match}")


def values(node: redis.Redis, agent: str) -> list[bytes]:
    return node.mget(keys.memory(agent, timestamp) for timestamp in (1, 2, 3))


def recall_encoded(node: redis.Redis, *arguments) -> list:
    """Run recall_recent; return its reply."""
    agent_keys = (keys.index("a"), keys.agent_memory_system("a"))
    return calls.call(node, "recall_recent", agent_keys, *arguments, "newest")


def measure(node: redis.Redis, encoder: str, input_dim=toy_codec.INPUT_DIM) -> list:
    """Run measure_encoder; return [device, microseconds]."""
    return calls.call(node, "measure_encoder", [encoder], input_dim)


def test_codes_become_the_memories_that_states_do(node):
    calls.store(node, ROWS, timestamps=[1, 2, 3])
    calls.store(node, CODES.tobytes(), form="INT8", agent="b", timestamps=[1, 2, 3], metadata=["{}"] * 3)
    calls.store_batches(
        node,
        agents=["c"],
        systems=[(calls.CONFIGURATION, [(calls.policy_of(), 1)])],
        batches=[[1, 2, 3]],
        states=CODES.tobytes(),
        form="INT8",
    )
    assert values(node, "a") == values(node, "b") == values(node, "c")
    assert node.zrange(keys.index("b"), 0, -1) == [b"1", b"2", b"3"]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"form": "UINT8"}, "BADCODEC memory_system:toy:v1:encoder made codes of dtype UINT8, not INT8"),
        ({"form": ""}, "BADCODEC .* made codes of dtype , not INT8"),
        ({"states": bytes(17)}, "BADCODEC codes are 17 bytes, not rows of 6"),
        ({"states": b""}, "BADARG the number of states is 0"),
        ({"states": bytes(12)}, "BADARG 2 states have 3 timestamps"),
        ({"form": "states"}, "BADARG states are 18 bytes, not rows of 6 floats"),
    ],
)
def test_codes_that_the_codec_cannot_have_made_leave_nothing(node, arguments, match):
    with refused(match):
        calls.store(node, **{"states": CODES.tobytes(), "form": "INT8", "timestamps": [1, 2, 3], **arguments})
    assert calls.contents(node) == {}


def test_recalled_as_they_are_stored(node):
    calls.store(node, ROWS, timestamps=[1, 2, 3], metadata=["", '{"n":1}', ""])
    ids, encoded, metadata, gone = recall_encoded(node, 10, "both encoded")
    decoder = b"memory_system:toy:v1:decoder"
    assert [int(timestamp) for timestamp in ids] == [3, 2, 1]
    assert encoded == [6, [decoder, b"INT8", 6, None, CODES[::-1].tobytes()]]
    assert metadata == [None, b'{"n":1}', None]
    assert gone == []
    assert recall_encoded(node, 10, "states encoded")[1:] == [encoded, [], []]
    assert recall_encoded(node, 10, "metadata encoded")[1:] == [b"", metadata, []]


def test_a_group_for_each_version(node):
    calls.store(node, ROWS[:1], timestamps=[1])
    toy_codec.publish(node, version=2)
    calls.store(node, ROWS[1:2], timestamps=[2], configuration=calls.configuration_of("toy", 2))
    calls.store(node, ROWS[2:], timestamps=[3])
    _, encoded, *_ = recall_encoded(node, 10, "states encoded")
    assert encoded == [
        6,
        [b"memory_system:toy:v1:decoder", b"INT8", 6, [1, 3], CODES[[2, 0]].tobytes()],
        [b"memory_system:toy:v2:decoder", b"INT8", 6, [2], CODES[1].tobytes()],
    ]


def test_values_of_a_client(node):
    calls.store(node, ROWS, timestamps=[1, 2, 3])
    arguments = ("[1, 2, 3]", '["", "", ""]', "encoded", *values(node, "a"))
    encoded = calls.call(node, "decode_values", [keys.agent_memory_system("a")], *arguments)
    assert encoded == [6, [b"memory_system:toy:v1:decoder", b"INT8", 6, None, CODES.tobytes()]]
    arguments = ("[1, 2, 3]", '["", "", ""]', "raw", *values(node, "a"))
    with refused("BADARG what to return is raw, not states or encoded"):
        calls.call(node, "decode_values", [keys.agent_memory_system("a")], *arguments)


def test_from_so_many_memories_on(node):
    calls.store(node, ROWS, timestamps=[1, 2, 3])
    for count, is_encoded in ((1, False), (2, True), (3, True)):
        states = recall_encoded(node, count, "states encoded 2")[1]
        assert isinstance(states, list) == is_encoded
    assert recall_encoded(node, 3, "both encoded 0")[1] == recall_encoded(node, 3, "both encoded")[1]
    assert recall_encoded(node, 3, "both encoded 4")[1] == recall_encoded(node, 3, "both")[1]


@pytest.mark.parametrize(
    "fields",
    ["encoded", "both  encoded", "both encoded ", "both encoded -1", "both encoded 1 ", "both raw", ""],
)
def test_other_fields_are_refused(node, fields):
    with refused("BADARG fields is"):
        recall_encoded(node, 10, fields)


def test_what_an_encoder_takes(node):
    toy_codec.publish(node, "slow", work=8)
    device, toy_us = measure(node, keys.encoder("toy", 1))
    assert device == b"CPU"
    assert 0 < toy_us < measure(node, keys.encoder("slow", 1))[1]
    assert measure(node, keys.encoder("slow", 1))[1] > 1000
    assert calls.contents(node) == {}


def test_the_fastest_run_counts_not_those_that_prepare_a_model(node):
    _, fastest_us = measure(node, keys.encoder("toy", 1))
    words = node.execute_command("AI.INFO", keys.encoder("toy", 1))
    info = dict(zip(words[::2], words[1::2], strict=True))
    assert info[b"calls"] == 4
    assert 0 < 4 * fastest_us < info[b"duration"]


def test_an_encoder_that_is_not_there_or_fails(node):
    with refused("NOCODEC there is no model at none"):
        measure(node, "none")
    with refused("BADARG input_dim is x"):
        measure(node, keys.encoder("toy", 1), "x")
    assert measure(node, keys.encoder("toy", 1), 7)[0] == b"CPU"  # refuses seven features, and took its time
