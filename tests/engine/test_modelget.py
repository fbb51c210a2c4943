"""AI.MODELGET, AI.MODELDEL and AI._MODELSCAN."""

from __future__ import annotations

import pytest
import redis

from tests.engine import models


def test_meta_names_what_was_stored(ai):
    blob = models.blob(models.AddAndMultiply())
    options = ["TAG", "v1", "BATCHSIZE", 8, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", 5]
    ai("MODELSTORE", "m", "TORCH", "CPU:2", *options, "BLOB", blob)
    meta = [
        *(b"backend", b"TORCH"),
        *(b"device", b"CPU:2"),
        *(b"tag", b"v1"),
        *(b"batchsize", 8),
        *(b"minbatchsize", 2),
        *(b"inputs", [b"left", b"right"]),
        *(b"outputs", [b"", b""]),
        *(b"minbatchtimeout", 5),
    ]
    assert ai("MODELGET", "m", "META") == meta
    assert ai("MODELGET", "m") == [*meta, b"blob", blob]
    assert ai("MODELGET", "m", "META", "BLOB") == [*meta, b"blob", blob]
    assert ai("MODELGET", "m", "BLOB") == blob


def test_bad_calls(ai, redis_client):
    with pytest.raises(redis.ResponseError, match="^model key is empty$"):
        ai("MODELGET", "nothing")
    redis_client.set("text", "text")
    with pytest.raises(redis.ResponseError, match="^WRONGTYPE "):
        ai("MODELGET", "text")


def test_delete(ai, store, redis_client):
    store("m", models.Double())
    assert ai("MODELDEL", "m") == b"OK"
    assert not redis_client.exists("m")
    with pytest.raises(redis.ResponseError, match="^model key is empty$"):
        ai("MODELDEL", "m")


def test_delete_leaves_other_types_alone(ai, redis_client):
    redis_client.set("text", "text")
    with pytest.raises(redis.ResponseError, match="^WRONGTYPE "):
        ai("MODELDEL", "text")
    assert redis_client.get("text") == b"text"


def test_scan_lists_models_and_their_tags(ai, store, redis_client):
    assert ai("_MODELSCAN") == []
    store("plain", models.Double())
    ai("MODELSTORE", "tagged", "TORCH", "CPU", "TAG", "v2", "BLOB", models.blob(models.Double()))
    ai("TENSORSET", "tensor", "FLOAT", 1)
    redis_client.rename("plain", "renamed")
    assert sorted(ai("_MODELSCAN")) == [[b"renamed", b""], [b"tagged", b"v2"]]
