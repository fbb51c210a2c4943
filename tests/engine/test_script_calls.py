"""What scripts ask of the server: redis.execute, redis.asList and redisAI.model_execute."""

from __future__ import annotations

import threading

import pytest
import redis
import torch

from tests.engine import models, scripts

TEXT, NUMBER, LIST, NONE = 2, 1, 3, 4


@pytest.fixture(params=["queued", "in multi"])
def run(request, ai, store_script, redis_client):
    """`run(function, …)` calls a function of scripts.REDIS, on a worker or on the server's thread."""
    store_script("s", scripts.REDIS_ARGUMENTS)

    def queued(*arguments):
        return ai("SCRIPTEXECUTE", "s", *arguments)

    def in_multi(*arguments):
        with redis_client.pipeline(transaction=True) as pipeline:
            pipeline.execute_command("AI.SCRIPTEXECUTE", "s", *arguments)
            try:
                return pipeline.execute()[0]
            except redis.ResponseError as error:
                raise type(error)(str(error).split(": ", 1)[1]) from error  # without "Command # 1 (…)"

    return queued if request.param == "queued" else in_multi


def call(*command):
    return ["call", "KEYS", 0, "ARGS", len(command), *command]


def test_a_command_and_its_reply(ai, run, redis_client):
    assert run("set_and_get", "KEYS", 1, "k", "ARGS", 1, 42, "OUTPUTS", 1, "y") == b"OK"
    assert ai("TENSORGET", "y", "VALUES") == [42]
    assert redis_client.get("k") == b"42"


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (["INCR", "counter"], NUMBER),
        (["PING"], TEXT),
        (["ECHO", "text"], TEXT),
        (["KEYS", "*"], LIST),
        (["ZMSCORE", "none", "a"], LIST),
        (["GET", "nothing"], NONE),
    ],
)
def test_the_kinds_of_replies(ai, run, command, kind):
    run("kind_of_reply", "KEYS", 0, "ARGS", len(command), *command, "OUTPUTS", 1, "y")
    assert ai("TENSORGET", "y", "VALUES") == [kind]


def test_a_list_of_replies(ai, run, redis_client):
    redis_client.rpush("l", 1, 2, 39)
    run("add_up_list", "KEYS", 1, "l", "OUTPUTS", 1, "y")
    assert ai("TENSORGET", "y", "VALUES") == [42]


def test_the_kinds_of_arguments(run, redis_client):
    run("kinds_of_arguments", "KEYS", 1, "l")
    assert redis_client.lrange("l", 0, -1) == [b"1", b"0.5", b"1", b"text", b"a", b"b", b"2", b"3"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (call("NOSUCH"), "Redis command returned an error: ERR unknown command 'NOSUCH'"),
        (call("GET"), "Redis command returned an error: ERR wrong number of arguments"),
        (call("LPUSH", "text", 1), "Redis command returned an error: WRONGTYPE "),
        (call("SHUTDOWN"), "Redis command returned an error: ERR"),
        (call("SUBSCRIBE", "c"), "Redis command returned an error: ERR"),
        (call("MULTI"), "Redis command returned an error: ERR"),
        (call("EVAL", "return 1", 0), "Redis command returned an error: ERR"),
        (["as_list_of_a_number", "KEYS", 1, "n"], "redis.asList takes a list, not Int"),
        (["tensor_argument", "KEYS", 1, "n", "INPUTS", 1, "x"], "redis.execute takes strings, numbers and"),
    ],
)
def test_what_fails_fails_the_script(ai, run, redis_client, arguments, message):
    redis_client.set("text", "text")
    ai("TENSORSET", "x", "FLOAT", 1)
    with pytest.raises(redis.ResponseError) as error:
        run(*arguments)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert redis_client.ping()


@pytest.mark.parametrize("command", [["BLPOP", "none", 0], ["XREAD", "BLOCK", 0, "STREAMS", "none", "$"]])
def test_a_command_that_could_wait_answers_at_once(ai, run, command):
    run("kind_of_reply", "KEYS", 0, "ARGS", len(command), *command, "OUTPUTS", 1, "y")
    assert ai("TENSORGET", "y", "VALUES") == [NONE]


def test_a_script_wakes_clients_that_wait_for_its_writes(server, run, redis_client, wait_until):
    popped = []
    with redis.Redis.from_url(server.url) as other:
        thread = threading.Thread(target=lambda: popped.append(other.blpop("l", 10)))
        thread.start()
        wait_until(lambda: redis_client.info("clients")["blocked_clients"] == 1)
        run(*call("RPUSH", "l", "element"))
        thread.join()
    assert popped == [(b"l", b"element")]


def test_a_model(ai, run, store):
    store("m", models.AddAndMultiply())
    ai("TENSORSET", "x", "FLOAT", 2, "VALUES", 3, 4)
    run("run_model", "INPUTS", 2, "x", "x", "ARGS", 2, "m", 2, "OUTPUTS", 2, "sum", "product")
    assert ai("TENSORGET", "sum", "VALUES") == [b"6", b"8"]
    assert ai("TENSORGET", "product", "VALUES") == [b"9", b"16"]
    assert ai("INFO", "m")[15] == 1  # calls


BAD_MODEL_CALLS = {
    "nothing 1": "redisAI.model_execute: model key is empty",
    "text 1": "redisAI.model_execute: Operation against a key holding the wrong kind of value",
    "m 2": "redisAI.model_execute: the model returned 1 tensors where 2 outputs were named",
    "m -1": "redisAI.model_execute: a negative number of outputs",
    "nan 1": "the input is not finite",
}


@pytest.mark.parametrize("arguments", BAD_MODEL_CALLS)
def test_a_model_that_cannot_run(ai, run, store, redis_client, arguments):
    store("m", models.Double())
    store("nan", models.RefusesNan())
    redis_client.set("text", "text")
    ai("TENSORSET", "x", "FLOAT", 1, "VALUES", "nan")
    with pytest.raises(redis.ResponseError) as error:
        run("run_model", "INPUTS", 1, "x", "ARGS", 2, *arguments.split(), "OUTPUTS", 1, "y")
    assert BAD_MODEL_CALLS[arguments] in str(error.value)


def test_a_script_that_calls_itself_comes_to_an_end(run, redis_client):
    with pytest.raises(redis.ResponseError, match="scripts call each other too deeply"):
        run("call_itself", "KEYS", 1, "depth")
    assert int(redis_client.get("depth")) <= 10


def test_the_clients_database_is_the_one_used(server, redis_client):
    with redis.Redis.from_url(server.url, db=3) as other:
        other.execute_command("AI.SCRIPTSTORE", "s", "CPU", *scripts.REDIS_ARGUMENTS)
        other.execute_command("AI.MODELSTORE", "m", "TORCH", "CPU", "BLOB", models.blob(models.Double()))
        other.execute_command("AI.TENSORSET", "x", "FLOAT", 1, "VALUES", 4)
        other.execute_command("AI.SCRIPTEXECUTE", "s", *call("SET", "k", "v"))
        arguments = ["run_model", "INPUTS", 1, "x", "ARGS", 2, "m", 1, "OUTPUTS", 1, "y"]
        other.execute_command("AI.SCRIPTEXECUTE", "s", *arguments)
        assert other.get("k") == b"v"
        assert other.execute_command("AI.TENSORGET", "y", "VALUES") == [b"8"]
    assert redis_client.dbsize() == 0


def test_a_script_has_the_rights_of_its_caller(server, run, store, redis_client):
    store("m", models.Double())
    redis_client.execute_command("AI.TENSORSET", "x", "FLOAT", 1)
    redis_client.acl_setuser(
        "limited",
        enabled=True,
        nopass=True,
        commands=["+ai.scriptexecute", "+multi", "+exec", "+set"],
        keys=["s", "mine", "x"],
    )
    try:
        with redis.Redis.from_url(server.url, username="limited", password="any") as user:
            for transaction in (False, True):

                def send(*arguments, transaction=transaction):
                    with user.pipeline(transaction=transaction) as pipeline:
                        pipeline.execute_command("AI.SCRIPTEXECUTE", "s", *arguments)
                        return pipeline.execute()

                assert send(*call("SET", "mine", 1)) == [b"OK"]
                with pytest.raises(redis.ResponseError, match="Redis command returned an error: NOPERM"):
                    send(*call("SET", "theirs", 1))
                with pytest.raises(redis.ResponseError, match="Redis command returned an error: NOPERM"):
                    send(*call("DEL", "mine"))
                with pytest.raises(redis.ResponseError, match="No permissions to access a key"):
                    send("run_model", "INPUTS", 1, "x", "ARGS", 2, "m", 1)
    finally:
        redis_client.acl_deluser("limited")
    assert not redis_client.exists("theirs")


def test_out_of_memory_refuses_what_a_script_writes(run, redis_client):
    redis_client.config_set("maxmemory", redis_client.info("memory")["used_memory"] + 20_000_000)
    try:
        with pytest.raises(redis.ResponseError, match="Redis command returned an error: OOM "):
            run("fill", "KEYS", 1, "k")
    finally:
        redis_client.config_set("maxmemory", 0)
    assert 1 < redis_client.dbsize() < 30


# For the exporter's Python to know the name.
_library = torch.library.Library("redisAI", "FRAGMENT")
_library.define("model_execute(str key, Tensor[] inputs, int output_count) -> Tensor[]")


class _AsksTheServer(torch.nn.Module):
    def forward(self, x):
        return torch.ops.redisAI.model_execute("other", [x], 1)[0]


def test_a_model_speaks_to_no_server(ai, store, run):
    """The operators are known to the whole process, so that an archive can name them."""
    store("m", _AsksTheServer())
    store("other", models.Double())
    ai("TENSORSET", "x", "FLOAT", 1)
    message = "redisAI.model_execute works only inside a script's own function"
    with pytest.raises(redis.ResponseError, match=message):
        ai("MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
    with pytest.raises(redis.ResponseError, match=message):
        run("run_model", "INPUTS", 1, "x", "ARGS", 2, "m", 1, "OUTPUTS", 1, "y")


def test_a_script_that_waits_its_turn_sees_no_half_of_a_lua_script(
    store_script, server, redis_client, wait_until
):
    """A long Lua script lets the server answer BUSY; a script's commands wait until it is over."""
    store_script("s", scripts.REDIS_ARGUMENTS)
    redis_client.config_set("busy-reply-threshold", 20)
    replies = []

    def count():
        with redis.Redis.from_url(server.url) as other:
            increment = ["increment", "KEYS", 1, "n", "ARGS", 1, 50_000]
            replies.append(other.execute_command("AI.SCRIPTEXECUTE", "s", *increment))

    thread = threading.Thread(target=count)
    thread.start()
    wait_until(lambda: redis_client.exists("n"))
    try:
        watch = """
            local first = redis.call('GET', 'n')
            local started = redis.call('TIME')
            local elapsed = 0
            while elapsed < 150000 do
              local now = redis.call('TIME')
              elapsed = (now[1] - started[1]) * 1000000 + now[2] - started[2]
            end
            return {first or '', redis.call('GET', 'n') or ''}"""
        first, last = redis_client.eval(watch, 0)
        thread.join()
    finally:
        redis_client.config_set("busy-reply-threshold", 5000)
    assert 0 < int(first) == int(last) < 50_000  # it was under way
    assert replies == [b"OK"]
    assert redis_client.get("n") == b"50000"


def test_many_scripts_at_once(store_script, server, redis_client):
    store_script("s", scripts.REDIS_ARGUMENTS)
    increment = ["AI.SCRIPTEXECUTE", "s", "increment", "KEYS", 1, "n", "ARGS", 1, 100]

    def work():
        with redis.Redis.from_url(server.url) as client:
            for _ in range(10):
                client.execute_command(*increment)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert redis_client.get("n") == b"8000"


def test_a_shutdown_while_scripts_speak_to_the_server_ends_cleanly(start_server, wait_until):
    server = start_server(engine_args=["THREADS_PER_QUEUE", "3"])
    clients = [redis.Redis.from_url(server.url) for _ in range(4)]
    clients[0].execute_command("AI.SCRIPTSTORE", "s", "CPU", *scripts.REDIS_ARGUMENTS)
    clients[0].execute_command("AI.TENSORSET", "x", "FLOAT", 1)

    def run(client):
        with pytest.raises(redis.RedisError):
            client.execute_command(
                "AI.SCRIPTEXECUTE", "s", "count_then_work", "KEYS", 1, "n", "INPUTS", 1, "x"
            )

    waiting = [threading.Thread(target=run, args=(client,)) for client in clients[1:]]
    for thread in waiting:
        thread.start()
    wait_until(lambda: int(clients[0].get("n") or 0) > 10)
    clients[0].shutdown(nosave=True)
    assert server.wait() == 0
    for thread in waiting:
        thread.join()


def test_a_shutdown_does_not_wait_for_ever_for_a_script_that_does_not_end(start_server, wait_until):
    source = """
def endless(tensors: List[Tensor], keys: List[str], args: List[str]):
    number = len(args)
    while number == 0:
        number = number * 2
    return tensors
"""
    server = start_server()
    with redis.Redis.from_url(server.url) as client, redis.Redis.from_url(server.url) as caller:
        client.execute_command("AI.SCRIPTSTORE", "s", "CPU", *scripts.arguments(source, ["endless"]))
        client.set("kept", 1)

        def call():
            with pytest.raises(redis.RedisError):
                caller.execute_command("AI.SCRIPTEXECUTE", "s", "endless", "KEYS", 1, "kept")

        thread = threading.Thread(target=call)
        thread.start()
        wait_until(lambda: client.info("clients")["blocked_clients"] == 1)
        client.shutdown(save=True)
        assert server.wait() == 0
        thread.join()
