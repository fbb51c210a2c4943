"""AI.TENSORGET."""

from __future__ import annotations

import pytest
import redis


def test_the_default_is_meta_and_blob(ai):
    ai("TENSORSET", "t", "INT16", 2, "VALUES", 1, 2)
    assert ai("TENSORGET", "t") == [b"dtype", b"INT16", b"shape", [2], b"blob", b"\x01\x00\x02\x00"]


def test_meta_alone(ai):
    ai("TENSORSET", "t", "DOUBLE", 1, 3)
    assert ai("TENSORGET", "t", "META") == [b"dtype", b"DOUBLE", b"shape", [1, 3]]


@pytest.mark.parametrize(
    ("dtype", "value", "text"),
    [
        ("FLOAT", "0.1", b"0.1"),
        ("FLOAT", "1e20", b"1e+20"),
        ("FLOAT", "-inf", b"-inf"),
        ("FLOAT", "nan", b"nan"),
        ("DOUBLE", "0.1234567890123456", b"0.1234567890123456"),
        ("HALF", "1.5", b"1.5"),
        ("BFLOAT16", "-2", b"-2"),
    ],
)
def test_floats_are_their_shortest_text(ai, dtype, value, text):
    ai("TENSORSET", "t", dtype, 1, "VALUES", value)
    assert ai("TENSORGET", "t", "META", "VALUES")[-1] == [text]


@pytest.mark.parametrize("dtype", ["INT8", "UINT16", "BOOL"])
def test_integers_are_integers(ai, dtype):
    ai("TENSORSET", "t", dtype, 2, "VALUES", 0, 1)
    assert ai("TENSORGET", "t", "VALUES") == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["JSON"], "unsupported data format"),
        (["BLOB", "VALUES"], "both BLOB and VALUES specified"),
        (["VALUES", "META", "BLOB"], "wrong number of arguments for 'AI.TENSORGET' command"),
    ],
)
def test_bad_formats(ai, arguments, message):
    ai("TENSORSET", "t", "FLOAT", 1)
    with pytest.raises(redis.ResponseError, match=f"^{message}$"):
        ai("TENSORGET", "t", *arguments)


def test_a_missing_key(ai):
    with pytest.raises(redis.ResponseError, match="^tensor key is empty or in a different shard$"):
        ai("TENSORGET", "nothing")


def test_a_key_of_another_type(ai, redis_client):
    redis_client.set("t", "text")
    with pytest.raises(redis.ResponseError, match="^WRONGTYPE "):
        ai("TENSORGET", "t")
