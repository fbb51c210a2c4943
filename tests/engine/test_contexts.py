"""The same commands where a client cannot wait, in other databases, and for users with few rights."""

from __future__ import annotations

import pytest
import redis

from tests.engine import models

DOUBLE_IN_LUA = """
redis.call('AI.TENSORSET', KEYS[1], 'FLOAT', 1, 'VALUES', ARGV[1])
redis.call('AI.MODELEXECUTE', KEYS[2], 'INPUTS', 1, KEYS[1], 'OUTPUTS', 1, KEYS[1])
return redis.call('AI.TENSORGET', KEYS[1], 'VALUES')[1]
"""
DAG_IN_LUA = """
return redis.pcall('AI.DAGEXECUTE_RO', 'ROUTING', KEYS[1],
  '|>', 'AI.TENSORSET', 'x', 'FLOAT', 1, 'VALUES', ARGV[1],
  '|>', 'AI.MODELEXECUTE', 'm', 'INPUTS', 1, 'x', 'OUTPUTS', 1, 'y',
  '|>', 'AI.TENSORGET', 'y', 'VALUES')
"""


def test_in_lua(store, redis_client):
    store("m", models.Double())
    assert redis_client.eval(DOUBLE_IN_LUA, 2, "x", "m", 21) == b"42"


def test_a_model_may_be_stored_in_lua(ai, redis_client):
    script = "return redis.call('AI.MODELSTORE', KEYS[1], 'TORCH', 'CPU', 'BLOB', ARGV[1])"
    assert redis_client.eval(script, 1, "m", models.blob(models.Double())) == b"OK"
    assert ai("_MODELSCAN") == [[b"m", b""]]


def test_a_dag_in_a_read_only_script(store, redis_client):
    store("m", models.Double())
    assert redis_client.eval_ro(DAG_IN_LUA, 1, "k", 21) == [b"OK", b"OK", [b"42"]]


FUNCTIONS = """#!lua name=engine
local function double(keys, args)
  redis.call('AI.TENSORSET', keys[1], 'FLOAT', 1, 'VALUES', args[1])
  redis.call('AI.MODELEXECUTE', keys[2], 'INPUTS', 1, keys[1], 'OUTPUTS', 1, keys[1])
  return redis.call('AI.TENSORGET', keys[1], 'VALUES')[1]
end
redis.register_function('double', double)
redis.register_function{function_name='call', callback=function(keys, args)
  return redis.pcall(unpack(args))
end, flags={'no-writes'}}
"""


def test_in_a_function(store, redis_client):
    store("m", models.Double())
    redis_client.function_load(FUNCTIONS, replace=True)
    try:
        assert redis_client.fcall("double", 2, "x", "m", 21) == b"42"
        dag = "AI.DAGEXECUTE_RO LOAD 1 x |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y |> AI.TENSORGET y VALUES"
        assert redis_client.fcall_ro("call", 2, "x", "m", *dag.split()) == [b"OK", [b"84"]]
        with pytest.raises(
            redis.ResponseError, match="Write commands are not allowed from read-only scripts"
        ):
            redis_client.fcall_ro("call", 1, "y", "AI.TENSORSET", "y", "FLOAT", 1)
    finally:
        redis_client.function_delete("engine")


def test_a_failing_op_is_an_error_inside_the_array_in_lua(store, redis_client):
    store("m", models.RefusesNan())
    reply = redis_client.eval(DAG_IN_LUA, 1, "k", "nan")
    assert "not finite" in str(reply[1])
    assert reply[2] == b"NA"


def test_in_multi(ai, store, redis_client):
    store("m", models.Double())
    with redis_client.pipeline(transaction=True) as pipeline:
        pipeline.execute_command("AI.TENSORSET", "x", "FLOAT", 1, "VALUES", 4)
        pipeline.execute_command("AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
        pipeline.execute_command("AI.TENSORGET", "y", "VALUES")
        assert pipeline.execute() == [b"OK", b"OK", [b"8"]]


def test_pipelined_requests_are_answered_in_order(ai, store, redis_client):
    store("m", models.Double())
    ai("TENSORSET", "x", "FLOAT", 1, "VALUES", 1)
    with redis_client.pipeline(transaction=False) as pipeline:
        for _ in range(20):
            pipeline.execute_command("AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "x")
        pipeline.execute_command("AI.TENSORGET", "x", "VALUES")
        assert pipeline.execute()[-1] == [b"1048576"]


def test_the_selected_database_is_the_one_used(server, redis_client, store, ai):
    store("m", models.Double())
    with redis.Redis.from_url(server.url, db=3) as other:
        with pytest.raises(redis.ResponseError, match="^model key is empty$"):
            other.execute_command("AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
        other.execute_command("AI.MODELSTORE", "m", "TORCH", "CPU", "BLOB", models.blob(models.Identity()))
        other.execute_command("AI.TENSORSET", "x", "FLOAT", 1, "VALUES", 7)
        other.execute_command("AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
        assert other.execute_command("AI.TENSORGET", "y", "VALUES") == [b"7"]
        assert sorted(other.keys()) == [b"m", b"x", b"y"]
    assert redis_client.keys() == [b"m"]


def test_a_dag_does_not_lend_a_user_models_that_its_acl_withholds(server, redis_client, store):
    store("m", models.Double())
    store("open", models.Double())
    redis_client.acl_setuser(
        "limited", enabled=True, nopass=True, commands=["+ai.dagexecute_ro"], keys=["open", "tag"]
    )
    try:
        user = redis.Redis.from_url(server.url, username="limited", password="any")
        dag = "AI.DAGEXECUTE_RO ROUTING tag |> AI.TENSORSET x FLOAT 1 |> "
        dag += "AI.MODELEXECUTE {} INPUTS 1 x OUTPUTS 1 y"
        assert user.execute_command(*dag.format("open").split()) == [b"OK", b"OK"]
        with pytest.raises(redis.exceptions.NoPermissionError):
            user.execute_command(*dag.format("m").split())
        user.close()
    finally:
        redis_client.acl_deluser("limited")
