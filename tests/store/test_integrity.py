"""verify_agent and repair_agent: whatever is damaged is found and mended, and nothing sound is lost."""

from __future__ import annotations

import numpy as np
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modules_store import ByteBudget, Importance, KeepAll, Policy, RedisAgentMemory, Verification, keys
from tests.store import toy_codec

COUNT = 30
ROWS = toy_codec.states(COUNT)
STAMPS = list(range(1, COUNT + 1))
POLICIES = [
    Policy(KeepAll()),
    Policy(Importance(1000, "n"), stream_entries=1000, priorities=True),
    Policy(ByteBudget(10**6), stream_entries=1000),
]
UNTOUCHED = "untouched"


def fill(store, agent: str = "a") -> None:
    store.store_agent_memories(agent, ROWS, [{"n": t} if t % 3 else None for t in STAMPS], STAMPS)


def first(found: Verification) -> dict[str, tuple[int, ...]]:
    kinds = ("without_value", "corrupt", "undecodable", "not_indexed", "remnants", "lacking")
    return {kind: getattr(found, kind).first for kind in kinds if getattr(found, kind).count}


def test_each_kind_is_found_and_mended(open_store, toy):
    store = open_store(codec="toy", policy=POLICIES[1])
    fill(store)
    assert store.verify_agent("a") == Verification(COUNT)
    toy.delete(keys.memory("a", 1))
    toy.set(keys.memory("a", 2), b"?")
    toy.zrem(keys.index("a"), 3)
    toy.delete(keys.memory("a", 4))
    toy.zrem(keys.index("a"), 4)
    toy.zrem(keys.importance("a"), "0000000000000005")
    toy.zadd(keys.importance("a"), {"0000000000000007": -1, "0000000000000099": 1})
    found = store.verify_agent("a")
    expected = {
        "without_value": (1,),
        "corrupt": (2,),
        "not_indexed": (3,),
        "lacking": (5, 7),
        "remnants": (4, 99),
    }
    assert first(found) == expected
    assert (found.memories, found.ok, found.keys) == (COUNT - 2, False, ())
    done = store.repair_agent("a")
    assert (done.lost, done.corrupt, done.indexed, done.removed, done.entered) == (1, 1, 1, 2, 2)
    assert store.verify_agent("a") == Verification(COUNT - 3)
    assert store.agent_stats("a").counters == {"stored": COUNT, "trimmed": 0, "lost": 2, "repaired": 5}
    kept = [t for t in STAMPS if t not in (1, 2, 4)]
    assert [m.timestamp for m in store.iterate_memories("a")] == kept
    assert store.repair_agent("a") == type(done)()


def test_a_missing_decoder_costs_no_memory(store, toy):
    fill(store)
    toy.delete(keys.decoder("toy", 1))
    assert store.verify_agent("a").undecodable.count == COUNT
    assert store.repair_agent("a").corrupt == 0
    toy_codec.publish(toy)
    assert store.verify_agent("a").ok
    assert len(store.get_recent_memories("a", 100)) == COUNT


def test_a_missing_decoder_of_the_built_in_codec_is_published_by_a_repair(open_store, toy):
    store = open_store()
    fill(store)
    toy.delete(keys.decoder("float16", 1))
    assert store.verify_agent("a").undecodable.count == COUNT
    store.repair_agent("a")
    assert store.verify_agent("a").ok


def test_earlier_codecs_are_told_from_corrupt_values(store, toy):
    toy_codec.publish(toy, "half", half=True)
    fill(store)
    store.re_encode("a", "half")
    store.re_encode("a", "toy")
    toy_codec.publish(toy, version=2)
    store.refresh_codec()
    store.store_agent_memory("a", ROWS[0], timestamp=100)
    assert store.verify_agent("a") == Verification(COUNT + 1)
    value = toy.get(keys.memory("a", 5))
    toy.set(keys.memory("a", 5), value[:-1])
    toy.set(keys.memory("a", 6), bytes([value[0] | 0x70]) + value[1:])
    assert store.verify_agent("a").corrupt.first == (5, 6)


def test_keys_of_another_type_are_named_and_stay(open_store, toy):
    store = open_store(codec="toy", policy=Policy(KeepAll()))
    fill(store)
    toy.set(keys.tokens("b"), "x")
    toy.delete(keys.tokens("a"))
    toy.set(keys.tokens("a"), "x")
    toy.set(keys.stream("a"), "x")
    assert store.verify_agent("a").keys == (keys.stream("a"), keys.tokens("a"))
    store.repair_agent("a")
    assert toy.get(keys.stream("a")) == b"x"
    toy.delete(keys.index("a"))
    toy.set(keys.index("a"), "x")
    assert keys.index("a") in store.verify_agent("a").keys


def test_an_agent_that_there_is_not(store):
    assert store.verify_agent("nobody") == Verification(0)
    assert store.repair_agent("nobody") == type(store.repair_agent("nobody"))()


def test_a_lost_index_is_made_again(open_store, toy):
    store = open_store(codec="toy", policy=POLICIES[2])
    fill(store)
    toy.delete(keys.index("a"), keys.sizes("a"))
    assert store.verify_agent("a").not_indexed.count == COUNT
    assert store.repair_agent("a").indexed == COUNT
    assert store.verify_agent("a") == Verification(COUNT)
    recalled = [m.state for m in store.iterate_memories("a")]
    np.testing.assert_array_equal(recalled, ROWS)


timestamps = st.sampled_from(STAMPS)
damages = st.one_of(
    st.tuples(st.sampled_from(["value", "meta", "index", "stream", "short", "empty", "format"]), timestamps),
    st.tuples(
        st.sampled_from(["agent_metadata", "agent_memory_system", "index", "importance", "sizes", "stream"]),
        st.none(),
    ),
    st.tuples(st.sampled_from(["stray companion", "stray metadata", "total"]), st.integers(100, 120)),
)


def damage(client: redis.Redis, kind: str, t: int | None) -> set[int]:
    """Do some damage to agent a; return the timestamps that cannot be recalled any more."""
    if t is None:
        client.delete(getattr(keys, kind)("a"))
    elif kind in ("value", "short", "empty", "format"):
        value = client.get(keys.memory("a", t)) or b""
        broken = {"value": None, "short": value[:-2], "empty": b"", "format": b"\xff" + value[1:]}[kind]
        client.delete(keys.memory("a", t))
        if broken is not None:
            client.set(keys.memory("a", t), broken)
        return {t}
    elif kind == "meta":
        client.delete(keys.memory_metadata("a", t))
    elif kind == "index":
        client.zrem(keys.index("a"), t)
    elif kind == "stream":
        client.xdel(keys.stream("a"), f"{t}-0")
    elif kind == "stray companion":
        client.zadd(keys.importance("a"), {f"{t:016}": 1})
        client.zadd(keys.priorities("a"), {str(t): 1})
    elif kind == "stray metadata":
        client.execute_command("JSON.SET", keys.memory_metadata("a", t), "$", "{}")
    else:
        client.hincrby(keys.sizes("a"), "total", t)
    return set()


@pytest.fixture(scope="module")
def damaged_server(start_shared_server):
    server = start_shared_server()
    with redis.Redis.from_url(server.url) as client:
        toy_codec.publish(client)
    return server


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policy=st.sampled_from(POLICIES), damages=st.lists(damages, max_size=8))
def test_whatever_is_damaged_is_mended(damaged_server, policy, damages):
    with (
        redis.Redis.from_url(damaged_server.url) as client,
        RedisAgentMemory(damaged_server.url, codec="toy", policy=policy) as store,
    ):
        store.delete_agent("a")
        store.delete_agent(UNTOUCHED)
        fill(store)
        fill(store, UNTOUCHED)
        gone: set[int] = set()
        for kind, t in damages:
            gone |= damage(client, kind, t)
        store.repair_agent("a")
        assert store.verify_agent("a").ok, damages
        assert store.verify_agent(UNTOUCHED) == Verification(COUNT)
        kept = {t: row.tolist() for t, row in zip(STAMPS, ROWS, strict=True) if t not in gone}
        assert {m.timestamp: m.state.tolist() for m in store.iterate_memories("a")} == kept
        assert store.repair_agent("a") == type(store.repair_agent("a"))()
        store.store_agent_memory("a", ROWS[0], timestamp=1000)
        assert store.verify_agent("a").ok


@pytest.mark.parametrize("policy", POLICIES)
def test_a_deleted_agent_leaves_no_key_of_any_family(open_store, toy, policy):
    store = open_store(codec="toy", policy=policy)
    fill(store)
    toy.zadd(keys.priorities("a"), {"1": 1})
    assert store.delete_agent("a") == COUNT
    assert list(toy.scan_iter("agent:*")) == []
