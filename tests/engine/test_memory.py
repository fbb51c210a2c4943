"""What the server's figures and limits see of tensors, models and scripts, and which thread frees them."""

from __future__ import annotations

import pytest
import redis

from tests.engine import models, scripts

OUT_OF_MEMORY = "command not allowed when used memory > 'maxmemory'."


def used(client: redis.Redis) -> int:
    return client.info("memory")["used_memory"]


@pytest.fixture
def limit(redis_client):
    """`limit(size_bytes, policy)` sets maxmemory until the test ends."""

    def set_limit(size_bytes: int, policy: str = "noeviction") -> None:
        redis_client.config_set("maxmemory-policy", policy)
        redis_client.config_set("maxmemory", size_bytes)

    yield set_limit
    redis_client.config_set("maxmemory", 0)
    redis_client.config_set("maxmemory-policy", "noeviction")


def test_memory_usage_sees_data_parameters_and_source(ai, store, store_script, redis_client):
    ai("TENSORSET", "t", "FLOAT", 1000, 100)
    assert 400_000 <= redis_client.memory_usage("t") < 500_000
    ai("TENSORSET", "s", "STRING", 1, "VALUES", "x" * 100_000)
    assert 100_000 < redis_client.memory_usage("s") < 120_000
    store("m", models.Weights(500))
    archive = len(models.blob(models.Weights(500)))
    assert 1_000_000 + archive < redis_client.memory_usage("m") < 1_100_000 + archive
    store_script("script")
    assert redis_client.memory_usage("script") > len(scripts.SOURCE)


def test_used_memory_sees_what_is_stored_and_what_models_put_out(ai, store, redis_client):
    store("m", models.Double())
    ai("TENSORSET", "x", "FLOAT", 1000, 100)
    before = used(redis_client)
    ai("TENSORSET", "t", "FLOAT", 1000, 100)
    assert used(redis_client) - before >= 400_000
    ai("MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
    assert 400_000 <= redis_client.memory_usage("y") < 500_000
    assert used(redis_client) - before >= 800_000
    redis_client.delete("t", "y")
    assert used(redis_client) - before < 100_000
    store("weights", models.Weights(500))
    assert used(redis_client) - before >= len(models.blob(models.Weights(500)))


def test_a_state_of_25_floats_under_an_agents_key_costs_at_most_230_bytes(ai, redis_client):
    count = 10_000
    before = used(redis_client)
    for i in range(count):
        ai("TENSORSET", f"agent:{{7}}:memory:{1700000000000 + i}", "FLOAT", 1, 25, "BLOB", bytes(100))
    cost = (used(redis_client) - before) / count
    assert cost <= 230


def test_big_values_are_freed_off_the_main_thread(ai, store, store_script, redis_client, wait_until):
    ai("TENSORSET", "small", "FLOAT", 1, 25)
    ai("TENSORSET", "big", "FLOAT", 1_000_000)
    store("m", models.Weights())
    store_script("s")
    ai("TENSORSET", "x", "FLOAT", 1, 256)
    ai("MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "small output")
    redis_client.config_resetstat()
    for key, freed_there in (("small", 0), ("small output", 0), ("big", 1), ("m", 2), ("s", 3)):
        redis_client.unlink(key)
        wait_until(lambda: redis_client.info("memory")["lazyfree_pending_objects"] == 0)
        assert redis_client.info("memory")["lazyfreed_objects"] == freed_there


def test_out_of_memory_refuses_writes_and_allows_reads(ai, store, store_script, redis_client, limit):
    store("m", models.Double())
    store_script("s")
    ai("TENSORSET", "x", "FLOAT", 1, "VALUES", 1)
    limit(1)
    op = ["|>", "AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y"]
    blob = models.blob(models.Double())
    for command in (
        ["TENSORSET", "y", "FLOAT", 1],
        ["MODELSTORE", "n", "TORCH", "CPU", "BLOB", blob],
        ["MODELSET", "n", "TORCH", "CPU", "BLOB", blob],
        ["SCRIPTSTORE", "r", "CPU", *scripts.arguments()],
        ["MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y"],
        ["MODELRUN", "m", "INPUTS", "x", "OUTPUTS", "y"],
        ["SCRIPTEXECUTE", "s", "add", "INPUTS", 2, "x", "x", "OUTPUTS", 1, "y"],
        ["DAGEXECUTE", "LOAD", 1, "x", *op],
        ["DAGRUN", "LOAD", 1, "x", "|>", "AI.TENSORGET", "x"],
    ):
        with pytest.raises(redis.exceptions.OutOfMemoryError) as error:
            ai(*command)
        assert str(error.value) == OUT_OF_MEMORY
    in_lua = "return redis.call('AI.TENSORSET', KEYS[1], 'FLOAT', 1)"
    with pytest.raises(redis.ResponseError, match=OUT_OF_MEMORY):
        redis_client.eval(in_lua, 1, "y")
    assert ai("DAGEXECUTE_RO", "LOAD", 1, "x", *op) == [b"OK"]
    assert ai("TENSORGET", "x", "VALUES") == [b"1"]
    assert ai("MODELGET", "m", "BLOB") == blob
    assert ai("INFO", "s")[0] == b"key"
    assert ai("MODELDEL", "m") == ai("SCRIPTDEL", "s") == b"OK"
    assert redis_client.keys() == [b"x"]


def test_tensors_are_evicted_by_what_they_take(ai, redis_client, limit):
    limit(used(redis_client) + 2_000_000, "allkeys-lru")
    for i in range(100):
        ai("TENSORSET", f"t{i}", "FLOAT", 25_000)
    assert 5 <= redis_client.dbsize() <= 20
    assert redis_client.info("stats")["evicted_keys"] >= 80
