"""One operation is one command to the server, whatever its size."""

from __future__ import annotations

import re
from collections.abc import Callable

import redis

from modules_store import Policy, RedisAgentMemory
from tests.store import toy_codec

_MONITOR_LINE = re.compile(rb'[\d.]+ \[\d+ (\S+)\] "(\w[\w.]*)"')
_SENT_BY_NEW_CONNECTIONS = {"CLIENT", "HELLO"}


def _commands_of(client: redis.Redis, operation: Callable[[], object]) -> list[str]:
    """Return the commands that clients send while `operation` runs, as MONITOR sees them."""
    with client.monitor() as monitor:
        client.echo("from here")  # opens a connection of the client's own, which is not the operation's doing
        operation()
        client.echo("to here")
        _until_echo(monitor.connection)
        return _until_echo(monitor.connection)


def _until_echo(connection: redis.Connection) -> list[str]:
    seen: list[str] = []
    # Monitor.listen() of redis-py stumbles over brackets in arguments, such as a script's.
    while match := _MONITOR_LINE.match(connection.read_response()):
        sender, command = match[1].decode(), match[2].decode()
        if command == "ECHO":
            return seen
        if sender != "lua":
            seen.append(command)
    raise AssertionError("a line of MONITOR that is none")


def test_one_round_trip_an_operation(store, toy):
    rows = toy_codec.states(100)
    store.store_agent_memory("a", rows[0])  # learns the codec and loads the script
    store.get_recent_memories("a", 1)
    timestamp = store.store_agent_memory("a", rows[0])
    store.retrieve_agent_memory("a", timestamp)
    assert _commands_of(toy, lambda: store.store_agent_memory("a", rows[0], {"n": 1})) == ["EVALSHA"]
    assert _commands_of(toy, lambda: store.store_agent_memories("a", rows, [{"n": 1}] * 100)) == ["EVALSHA"]
    assert _commands_of(toy, lambda: store.get_recent_memories("a", 100)) == ["EVALSHA_RO"]
    assert _commands_of(toy, lambda: store.retrieve_agent_memory("a", timestamp)) == ["EVALSHA_RO"]
    for by in ("uniform", "recency", "priority"):
        store.sample_memories("a", 1, by=by)
        assert _commands_of(toy, lambda: store.sample_memories("a", 100, by=by)) == ["EVALSHA_RO"]  # noqa: B023
    store.sample_sequences("a", 1, 1)
    assert _commands_of(toy, lambda: store.sample_sequences("a", 10, 10)) == ["EVALSHA_RO"]
    store.update_priorities("a", [timestamp], [1])
    assert _commands_of(toy, lambda: store.update_priorities(["a"], [timestamp], [2])) == ["EVALSHA"]
    store.get_memories_between("a")
    assert _commands_of(toy, lambda: store.get_memories_between("a", limit=100)) == ["EVALSHA_RO"]


def test_many_agents_are_one_round_trip(store, toy):
    step = {f"agent-{n}": row for n, row in enumerate(toy_codec.states(100))}
    store.store_step(step)
    assert _commands_of(toy, lambda: store.store_step(step, {"agent-7": {"n": 1}}, timestamp=5)) == [
        "EVALSHA"
    ]

    def gather() -> None:
        with store.buffered() as buffer:
            for n, row in enumerate(step.values()):
                buffer.store_agent_memory(f"agent-{n % 10}", row)

    assert _commands_of(toy, gather) == ["EVALSHA"]


def test_a_page_of_a_stream_is_two_round_trips(open_store, toy):
    store = open_store(codec="toy", policy=Policy(stream_entries=1000))
    store.store_agent_memories("a", toy_codec.states(100))
    options = {"after": "beginning", "stop_after_ms": 0}
    assert len(list(store.follow("a", **options))) == 100
    sent = _commands_of(toy, lambda: list(store.follow("a", count=50, **options)))
    assert sent == ["XREAD", "EVALSHA_RO"] * 2 + ["XREAD"]
    options |= {"group": "g", "consumer": "c"}
    sent = _commands_of(toy, lambda: list(store.follow("a", count=50, **options)))
    page = ["XREADGROUP", "EVALSHA_RO", *["XACK"] * 50]
    assert sent == ["XGROUP", "XREADGROUP", "XAUTOCLAIM", *page, *page, "XREADGROUP"]


def test_the_codec_and_each_script_are_fetched_and_sent_once(server, toy):
    toy.script_flush()
    rows = toy_codec.states(1)
    with RedisAgentMemory(server.url, codec="toy") as store:
        first = _commands_of(toy, lambda: store.store_agent_memory("a", rows[0]))
        sent = [name for name in first if name not in _SENT_BY_NEW_CONNECTIONS]
        assert sent == ["JSON.GET", "JSON.GET", "EVALSHA", "SCRIPT", "EVALSHA"]
        assert _commands_of(toy, lambda: store.store_agent_memory("b", rows[0])) == ["EVALSHA"]


def test_bindings_are_not_fetched_where_the_client_says_codec_and_policy(server, toy):
    with RedisAgentMemory(server.url, codec="toy", policy=Policy()) as store:
        first = _commands_of(toy, lambda: store.store_agent_memory("a", toy_codec.states(1)[0]))
    assert first.count("JSON.GET") == 1


def test_bindings_are_fetched_once(server, store, toy):
    store.bind("drone-*", "toy")
    rows = toy_codec.states(1)
    store.store_agent_memory("a", rows[0])  # the server knows the script
    with RedisAgentMemory(server.url) as plain:
        first = _commands_of(toy, lambda: plain.store_agent_memory("drone-1", rows[0]))
        sent = [name for name in first if name not in _SENT_BY_NEW_CONNECTIONS]
        assert sent == ["JSON.GET", "JSON.GET", "EVALSHA"]
        assert _commands_of(toy, lambda: plain.store_agent_memory("drone-2", rows[0])) == ["EVALSHA"]


def test_recalls_need_no_codec_document(server, store, toy):
    store.store_agent_memory("a", toy_codec.states(1)[0])
    with RedisAgentMemory(server.url) as reader:
        sent = _commands_of(toy, lambda: reader.get_recent_memories("a"))
    assert "JSON.GET" not in sent


def test_a_restarted_server_is_sent_the_scripts_again(store, toy):
    timestamp = store.store_agent_memory("a", toy_codec.states(1)[0])
    toy.script_flush()
    assert store.store_agent_memory("a", toy_codec.states(1)[0]) > timestamp
    assert len(store.get_recent_memories("a")) == 2
