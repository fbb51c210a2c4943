"""AI.TENSORSET."""

from __future__ import annotations

import numpy as np
import pytest
import redis

NUMPY_TYPES = {
    "FLOAT": np.float32,
    "DOUBLE": np.float64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "BOOL": np.bool_,
    "HALF": np.float16,
}


STRING_COUNT = "Number of string elements in data blob does not match tensor length"


@pytest.mark.parametrize("dtype", NUMPY_TYPES)
def test_blob_comes_back_as_it_was(ai, dtype):
    data = np.array([[0, 1, 1], [1, 0, 1]], NUMPY_TYPES[dtype]).tobytes()
    assert ai("TENSORSET", "t", dtype, 2, 3, "BLOB", data) == b"OK"
    assert ai("TENSORGET", "t", "META", "BLOB") == [
        *(b"dtype", dtype.encode()),
        *(b"shape", [2, 3]),
        *(b"blob", data),
    ]


@pytest.mark.parametrize("dtype", NUMPY_TYPES)
def test_values_are_stored_as_numpy_stores_them(ai, dtype):
    ai("TENSORSET", "t", dtype.lower(), 3, "values", 1, 0, 1)
    assert ai("TENSORGET", "t", "BLOB") == np.array([1, 0, 1], NUMPY_TYPES[dtype]).tobytes()


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("INT8", -128),
        ("INT8", 127),
        ("UINT8", 255),
        ("UINT16", 65535),
        ("INT64", -(2**63)),
        ("INT64", 2**63 - 1),
    ],
)
def test_the_ends_of_an_integer_type_fit(ai, dtype, value):
    ai("TENSORSET", "t", dtype, 1, "VALUES", value)
    assert ai("TENSORGET", "t", "VALUES") == [value]


def test_strings_by_values_and_by_blob(ai):
    texts = ["one", "", "drei", "\u56db"]
    blob = "".join(text + "\0" for text in texts).encode()
    ai("TENSORSET", "values", "STRING", 2, 2, "VALUES", *texts)
    ai("TENSORSET", "blob", "string", 2, 2, "BLOB", blob)
    for key in ("values", "blob"):
        assert ai("TENSORGET", key) == [b"dtype", b"STRING", b"shape", [2, 2], b"blob", blob]
        assert ai("TENSORGET", key, "VALUES") == [text.encode() for text in texts]


def test_strings_without_data_are_empty(ai):
    ai("TENSORSET", "t", "STRING", 2)
    assert ai("TENSORGET", "t", "VALUES") == [b"", b""]
    ai("TENSORSET", "none", "STRING", 0, "BLOB", b"")
    assert ai("TENSORGET", "none", "VALUES") == []


def test_without_data_it_is_zeros(ai):
    ai("TENSORSET", "t", "FLOAT", 2, 2)
    assert ai("TENSORGET", "t", "BLOB") == bytes(16)


def test_an_empty_dimension_is_allowed(ai):
    ai("TENSORSET", "t", "FLOAT", 0, 50, "BLOB", b"")
    assert ai("TENSORGET", "t", "META") == [b"dtype", b"FLOAT", b"shape", [0, 50]]


def test_a_new_tensor_replaces_the_old_and_its_ttl(ai, redis_client):
    ai("TENSORSET", "t", "FLOAT", 1, "VALUES", 1)
    redis_client.expire("t", 1000)
    ai("TENSORSET", "t", "INT8", 2, "VALUES", 1, 2)
    assert ai("TENSORGET", "t", "META") == [b"dtype", b"INT8", b"shape", [2]]
    assert redis_client.ttl("t") == -1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["TEXT", 1], "invalid data type"),
        (["FLOAT", "x"], "invalid or negative value found in tensor shape"),
        (["FLOAT", -1], "invalid or negative value found in tensor shape"),
        (["FLOAT", 2**40], "the tensor's shape is too large"),
        (["FLOAT", 2**32, 2**32], "the tensor's shape is too large"),
        (["FLOAT", 0, 2**62, 2**62], "the tensor's shape is too large"),
        (["FLOAT", *[1] * 65], "a tensor has at most 64 dimensions"),
        (["FLOAT", 1, "BLOB", b"abc"], "data length does not match tensor shape and type"),
        (["BOOL", 2, "BLOB", b"\x01\x02"], "BOOL tensor elements must be 0 or 1"),
        (["BOOL", 1, "VALUES", 2], "BOOL tensor elements must be 0 or 1"),
        (["FLOAT", 1, "VALUES", "one"], "invalid value"),
        (["FLOAT", 1, "VALUES", 1e39], "invalid value"),
        (["HALF", 1, "VALUES", 70000], "invalid value"),
        (["INT8", 1, "VALUES", 128], "invalid value"),
        (["UINT8", 1, "VALUES", -1], "invalid value"),
        (["INT32", 1, "VALUES", 1.5], "invalid value"),
        (["STRING", 1, "VALUES", b"a\0b"], "C-string value contains null character"),
        (["STRING", 2, "VALUES", "a"], "wrong number of values was given in 'AI.TENSORSET' command"),
        *(
            (["STRING", *dims, "BLOB", blob], STRING_COUNT)
            for dims, blob in [
                ([1], b""),
                ([1], b"no end"),
                ([2], b"a\0"),
                ([1], b"a\0b\0"),
                ([1], b"a\0b"),
                ([0], b"\0"),
            ]
        ),
        (["FLOAT", 2, "VALUES", 1], "wrong number of values was given in 'AI.TENSORSET' command"),
        (
            ["FLOAT", 1, "BLOB"],
            "a single binary string should come after the BLOB argument in 'AI.TENSORSET' command",
        ),
        (
            ["FLOAT", 1, "BLOB", b"abcd", "VALUES", 1],
            "a single binary string should come after the BLOB argument in 'AI.TENSORSET' command",
        ),
    ],
)
def test_bad_input_is_named_and_changes_nothing(ai, redis_client, arguments, message):
    with pytest.raises(redis.ResponseError) as error:
        ai("TENSORSET", "t", *arguments)
    assert str(error.value) == message
    assert redis_client.dbsize() == 0


def test_too_few_arguments(ai):
    with pytest.raises(redis.ResponseError, match="wrong number of arguments for 'ai.tensorset' command"):
        ai("TENSORSET", "t", "FLOAT")


def test_a_key_of_another_type_is_left_alone(ai, redis_client):
    redis_client.set("t", "text")
    with pytest.raises(
        redis.ResponseError, match="^WRONGTYPE Operation against a key holding the wrong kind of"
    ):
        ai("TENSORSET", "t", "FLOAT", 1)
    assert redis_client.get("t") == b"text"
