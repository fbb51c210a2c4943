"""One operation is one command to the server, whatever its size."""

from __future__ import annotations

from modules_store import Policy, RedisAgentMemory
from tests.store import toy_codec
from tests.store.monitoring import commands_of

_SENT_BY_NEW_CONNECTIONS = {"CLIENT", "HELLO"}


def test_one_round_trip_an_operation(store, toy):
    rows = toy_codec.states(100)
    store.store_agent_memory("a", rows[0])  # learns the codec and loads the script
    store.get_recent_memories("a", 1)
    timestamp = store.store_agent_memory("a", rows[0])
    store.retrieve_agent_memory("a", timestamp)
    assert commands_of(toy, lambda: store.store_agent_memory("a", rows[0], {"n": 1})) == ["FCALL"]
    assert commands_of(toy, lambda: store.store_agent_memories("a", rows, [{"n": 1}] * 100)) == ["FCALL"]
    assert commands_of(toy, lambda: store.get_recent_memories("a", 100)) == ["FCALL_RO"]
    assert commands_of(toy, lambda: store.retrieve_agent_memory("a", timestamp)) == ["FCALL_RO"]
    for by in ("uniform", "recency", "priority"):
        store.sample_memories("a", 1, by=by)
        assert commands_of(toy, lambda: store.sample_memories("a", 100, by=by)) == ["FCALL_RO"]  # noqa: B023
    store.sample_sequences("a", 1, 1)
    assert commands_of(toy, lambda: store.sample_sequences("a", 10, 10)) == ["FCALL_RO"]
    store.update_priorities("a", [timestamp], [1])
    assert commands_of(toy, lambda: store.update_priorities(["a"], [timestamp], [2])) == ["FCALL"]
    store.get_memories_between("a")
    assert commands_of(toy, lambda: store.get_memories_between("a", limit=100)) == ["FCALL_RO"]


def test_many_agents_are_one_round_trip(store, toy):
    step = {f"agent-{n}": row for n, row in enumerate(toy_codec.states(100))}
    store.store_step(step)
    assert commands_of(toy, lambda: store.store_step(step, {"agent-7": {"n": 1}}, timestamp=5)) == ["FCALL"]

    def gather() -> None:
        with store.buffered() as buffer:
            for n, row in enumerate(step.values()):
                buffer.store_agent_memory(f"agent-{n % 10}", row)

    assert commands_of(toy, gather) == ["FCALL"]


def test_a_page_of_a_stream_is_two_round_trips(open_store, toy):
    store = open_store(codec="toy", policy=Policy(stream_entries=1000))
    store.store_agent_memories("a", toy_codec.states(100))
    options = {"after": "beginning", "stop_after_ms": 0}
    assert len(list(store.follow("a", **options))) == 100
    sent = commands_of(toy, lambda: list(store.follow("a", count=50, **options)))
    assert sent == ["XREAD", "FCALL_RO"] * 2 + ["XREAD"]
    options |= {"group": "g", "consumer": "c"}
    sent = commands_of(toy, lambda: list(store.follow("a", count=50, **options)))
    page = ["XREADGROUP", "FCALL_RO", *["XACK"] * 50]
    assert sent == ["XGROUP", "XREADGROUP", "XAUTOCLAIM", *page, *page, "XREADGROUP"]


def test_the_codec_and_the_library_are_fetched_and_sent_once(server, toy):
    toy.function_flush()
    rows = toy_codec.states(1)
    with RedisAgentMemory(server.url, codec="toy") as store:
        first = commands_of(toy, lambda: store.store_agent_memory("a", rows[0]))
        sent = [name for name in first if name not in _SENT_BY_NEW_CONNECTIONS]
        assert sent == ["JSON.GET", "JSON.GET", "FCALL_RO", "FUNCTION", "FCALL_RO", "FCALL"]
        assert commands_of(toy, lambda: store.store_agent_memory("b", rows[0])) == ["FCALL"]


def test_bindings_are_not_fetched_where_the_client_says_codec_and_policy(server, toy):
    with RedisAgentMemory(server.url, codec="toy", policy=Policy()) as store:
        first = commands_of(toy, lambda: store.store_agent_memory("a", toy_codec.states(1)[0]))
    assert first.count("JSON.GET") == 1


def test_bindings_are_fetched_once(server, store, toy):
    store.bind("drone-*", "toy")
    rows = toy_codec.states(1)
    store.store_agent_memory("a", rows[0])  # the server knows the functions
    with RedisAgentMemory(server.url) as plain:
        first = commands_of(toy, lambda: plain.store_agent_memory("drone-1", rows[0]))
        sent = [name for name in first if name not in _SENT_BY_NEW_CONNECTIONS]
        assert sent == ["JSON.GET", "JSON.GET", "FCALL_RO", "FCALL"]
        assert commands_of(toy, lambda: plain.store_agent_memory("drone-2", rows[0])) == ["FCALL"]


def test_recalls_need_no_codec_document(server, store, toy):
    store.store_agent_memory("a", toy_codec.states(1)[0])
    with RedisAgentMemory(server.url) as reader:
        sent = commands_of(toy, lambda: reader.get_recent_memories("a"))
    assert "JSON.GET" not in sent


def test_a_restarted_server_is_sent_the_library_again(store, toy):
    timestamp = store.store_agent_memory("a", toy_codec.states(1)[0])
    toy.function_flush()
    assert store.store_agent_memory("a", toy_codec.states(1)[0]) > timestamp
    assert len(store.get_recent_memories("a")) == 2
