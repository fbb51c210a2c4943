"""AI.SCRIPTGET, AI.SCRIPTDEL and AI._SCRIPTSCAN."""

from __future__ import annotations

import pytest
import redis

from tests.engine import models, scripts


def test_meta_names_what_was_stored(ai):
    assert ai("SCRIPTSTORE", "s", "cpu:2", "TAG", "v1", *scripts.arguments()) == b"OK"
    meta = [
        *(b"device", b"cpu:2"),
        *(b"tag", b"v1"),
        *(b"Entry Points", [name.encode() for name in scripts.ENTRY_POINTS]),
    ]
    source = scripts.SOURCE.encode()
    assert ai("SCRIPTGET", "s", "META") == meta
    assert ai("SCRIPTGET", "s") == [*meta, b"source", source]
    assert ai("SCRIPTGET", "s", "META", "SOURCE") == [*meta, b"source", source]
    assert ai("SCRIPTGET", "s", "SOURCE") == source


@pytest.mark.parametrize("command", ["SCRIPTGET", "SCRIPTDEL"])
def test_bad_calls(ai, store, redis_client, command):
    with pytest.raises(redis.ResponseError, match="^script key is empty$"):
        ai(command, "nothing")
    with pytest.raises(redis.ResponseError, match="wrong number of arguments"):
        ai(command)
    store("m", models.Double())
    with pytest.raises(redis.ResponseError, match="^WRONGTYPE "):
        ai(command, "m")
    assert redis_client.exists("m")


def test_get_takes_nothing_else(ai, store_script):
    store_script("s")
    with pytest.raises(redis.ResponseError, match="^Invalid argument: BLOB$"):
        ai("SCRIPTGET", "s", "BLOB")


def test_delete(ai, store_script, redis_client):
    store_script("s")
    assert redis_client.type("s") == b"AI_SCRIPT"
    assert ai("SCRIPTDEL", "s") == b"OK"
    assert not redis_client.exists("s")


def test_scan_lists_scripts_and_their_tags(ai, store, store_script, redis_client):
    assert ai("_SCRIPTSCAN") == []
    store_script("plain")
    ai("SCRIPTSTORE", "tagged", "CPU", "TAG", "v2", *scripts.arguments())
    store("model", models.Double())
    redis_client.rename("plain", "renamed")
    assert sorted(ai("_SCRIPTSCAN")) == [[b"renamed", b""], [b"tagged", b"v2"]]
    assert ai("_MODELSCAN") == [[b"model", b""]]
