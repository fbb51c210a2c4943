"""decode_values.lua by itself."""

from __future__ import annotations

import numpy as np
import pytest
import redis

from modules_store import keys
from tests.lua import calls
from tests.store import toy_codec

ROWS = toy_codec.states(3)


def refused(match: str):
    return pytest.raises(redis.ResponseError, match=f"^MEMERR {match}")


@pytest.fixture
def values(node) -> list[bytes]:
    """The values of three memories of agent a."""
    calls.store(node, ROWS, timestamps=[1, 2, 3])
    return node.mget(keys.memory("a", timestamp) for timestamp in (1, 2, 3))


@pytest.mark.parametrize("name", ["", "toy"])
def test_by_generation_or_by_name(node, values, name):
    np.testing.assert_array_equal(calls.decode_values(node, [1, 2, 3], [name] * 3, values), ROWS)


def test_a_name_decides_before_a_generation_that_another_codec_has(node, values):
    toy_codec.publish(node, "coarse", step=1 / 2)
    calls.switch_codec(node, calls.configuration_of("coarse"))
    cursor = ""
    while cursor is not None:
        cursor = calls.re_encode_memories(node, calls.configuration_of("coarse"), cursor)[0]
    toy_codec.publish(node, "half", half=True)
    calls.switch_codec(node, calls.configuration_of("half", code_dtype="HALF"))  # takes generation 0
    own = calls.decode_values(node, [1, 2, 3], ["toy", "coarse", "toy"], values)
    np.testing.assert_array_equal(own[[0, 2]], ROWS[[0, 2]])
    np.testing.assert_array_equal(own[1], ROWS[1] * 8)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"timestamps": [1, 2]}, "BADARG 3 values have 2 timestamps and 3 codecs"),
        ({"names": []}, "BADARG 3 values have 3 timestamps and 0 codecs"),
        ({"names": "nope"}, "BADARG codecs is not a JSON array"),
        ({"timestamps": "nope"}, "BADARG timestamps is not a JSON array"),
        ({"values": []}, "BADARG the number of values is 0"),
        ({"names": ["", "none", ""]}, "NOCODEC there is no model at memory_system:none:v1:decoder"),
        ({"agent": "b"}, "NOCODEC there is no agent:{b}:memory_system"),
        ({"values": [b"", b"\x01\x01\x00aaaaaa", b""]}, "CORRUPT the memory at 1 is not"),
        (
            {"values": [b"\x01\x01\x00aaaaaa"] * 2 + [b"\x31\x01\x00aaaaaa"]},
            "CORRUPT .* 3 is of generation 3",
        ),
    ],
)
def test_what_is_refused(node, values, arguments, match):
    with refused(match):
        calls.decode_values(
            node, **{"timestamps": [1, 2, 3], "names": [""] * 3, "values": values, **arguments}
        )
