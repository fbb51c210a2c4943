"""Each retention against a model, stores of one and batches alike; expiry; trimming in bounded steps."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from modules_store import (
    ByteBudget,
    Importance,
    KeepAll,
    MaxAge,
    MaxCount,
    MemoryNotFoundError,
    Oldest,
    Policy,
    RedisAgentMemory,
    Thinning,
    Trimmed,
    keys,
)
from modules_store.errors import InvalidInputError
from tests.store import toy_codec
from tests.store.indexed import indexed
from tests.store.retention_model import Model

pytestmark = pytest.mark.each_layout

_agents = (f"agent-{n}" for n in itertools.count())

ROW = toy_codec.states(1)[0]
RULES = st.one_of(
    st.just(KeepAll()),
    st.builds(Oldest, st.integers(1, 40)),
    st.builds(MaxCount, st.integers(1, 40)),
    st.builds(MaxAge, st.integers(1, 100)),
    st.builds(Importance, st.integers(1, 40), st.sampled_from(["reward", "priority.td"])),
    st.builds(Thinning, st.integers(1, 20)),
    st.builds(ByteBudget, st.integers(1, 1500)),
)
NUMBERS = st.one_of(st.integers(-3, 3), st.floats(-2, 2, width=16), st.sampled_from([None, "7", True, [1]]))
METADATA = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {}, optional={"reward": NUMBERS, "priority": st.fixed_dictionaries({"td": NUMBERS})}
    ),
)
MEMORIES = st.lists(
    st.tuples(st.integers(0, 200), METADATA), unique_by=lambda memory: memory[0], min_size=1, max_size=70
)


def document(client, agent_id) -> dict:
    return json.loads(client.execute_command("JSON.GET", keys.agent_metadata(agent_id)))


def companions_agree(client, agent_id, model) -> None:
    """The companions have what the index has, and no others."""
    ranked = client.zrange(keys.importance(agent_id), 0, -1, withscores=True)
    sizes = client.hgetall(keys.sizes(agent_id))
    if isinstance(model.rule, Importance):
        assert {int(member): score for member, score in ranked} == {
            t: model.importance(t) for t in model.kept
        }
    else:
        assert not ranked
    if isinstance(model.rule, ByteBudget):
        assert int(sizes.pop(b"total")) == sum(map(model.size, model.kept))
        assert {int(t): int(size) for t, size in sizes.items()} == {t: model.size(t) for t in model.kept}
    else:
        assert not sizes


def store_in_batches(store, agent_id, memories, sizes) -> None:
    rows = toy_codec.states(len(memories))
    first, sizes = 0, itertools.cycle(sizes)
    while first < len(memories):
        batch = memories[first : first + next(sizes)]
        store.store_agent_memories(
            agent_id, rows[first : first + len(batch)], [m for _, m in batch], [t for t, _ in batch]
        )
        first += len(batch)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rule=RULES, memories=MEMORIES, sizes=st.lists(st.integers(1, 70), min_size=1, max_size=4))
@example(rule=ByteBudget(30), memories=[(10, {"reward": 1}), (5, {}), (1, None)], sizes=[3])
def test_what_is_kept_is_what_the_model_keeps(server, toy, *, rule, memories, sizes):
    """Timestamps come in any order; batches are of any size, the model stores one by one."""
    agent, model = next(_agents), Model(rule)
    for timestamp, metadata in memories:
        model.store(timestamp, metadata)
    with RedisAgentMemory(server.url, codec="toy", policy=Policy(rule)) as store:
        store_in_batches(store, agent, memories, sizes)
    assert indexed(toy, agent) == model.kept
    assert document(toy, agent)["counters"] == {
        "stored": len(memories),
        "trimmed": len(memories) - len(model.kept),
    }
    companions_agree(toy, agent, model)
    expected = {keys.memory(agent, t) for t in model.kept}
    expected |= {keys.memory_metadata(agent, t) for t in model.kept if model.memories[t] is not None}
    found = {key.decode() for key in toy.scan_iter(f"agent:{{{agent}}}:memory:*", count=1000)}
    assert found == expected


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=RULES, rule=RULES, memories=MEMORIES, more=st.integers(0, 10))
def test_another_policy_begins_on_an_agent_with_memories(server, toy, *, before, rule, memories, more):
    agent, first, model = next(_agents), Model(before), Model(rule)
    for timestamp, metadata in memories:
        first.store(timestamp, metadata)
    model.memories, model.stored = dict(first.memories), first.stored
    later = [(300 + n, {"reward": n}) for n in range(1 + more)]
    for timestamp, metadata in later:
        model.store(timestamp, metadata)
    for policy, some in ((Policy(before), memories), (Policy(rule), later)):
        with RedisAgentMemory(server.url, codec="toy", policy=policy) as store:
            store_in_batches(store, agent, some, [1, 5])
    if type(before) is not Thinning or type(rule) is not Thinning:  # those go on where the other was
        assert indexed(toy, agent) == model.kept
        companions_agree(toy, agent, model)


def test_server_given_timestamps_fill_a_byte_budget_in_one_go(open_store, toy):
    store = open_store(codec="toy", policy=Policy(ByteBudget(90)))
    stored = store.store_agent_memories("a", toy_codec.states(25))
    assert indexed(toy, "a") == stored[-10:]
    stored += store.store_agent_memories("a", toy_codec.states(3))
    assert indexed(toy, "a") == stored[-10:]
    assert toy.hget(keys.sizes("a"), "total") == b"90"


def test_a_byte_budget_is_exact_where_values_are_evicted(open_store, toy):
    store = open_store(codec="toy", policy=Policy(ByteBudget(90)))
    stored = store.store_agent_memories("a", toy_codec.states(10))
    toy.unlink(*(keys.memory("a", t) for t in stored[:5]))
    stored += store.store_agent_memories("a", toy_codec.states(8))
    assert indexed(toy, "a") == stored[-10:]
    assert toy.hget(keys.sizes("a"), "total") == b"90"


@pytest.mark.parametrize("rule", [Importance(10, "n"), ByteBudget(10 * 17)])
def test_a_companion_that_was_lost_is_made_again(open_store, toy, rule):
    store = open_store(codec="toy", policy=Policy(rule))
    stored = store.store_agent_memories("a", toy_codec.states(10), [{"n": 10 + n} for n in range(10)])
    toy.unlink(keys.importance("a"), keys.sizes("a"))
    stored.append(store.store_agent_memory("a", ROW, {"n": 99}))
    assert indexed(toy, "a") == stored[-10:]


def test_thinning_keeps_the_newest_the_oldest_and_ever_fewer_between(open_store, toy):
    store = open_store(codec="toy", policy=Policy(Thinning(50)))
    for first in range(0, 20_000, 5000):
        rows = toy_codec.states(5000)
        store.store_agent_memories("a", rows, timestamps=list(range(first, first + 5000)))
    kept = indexed(toy, "a")
    assert kept[0] == 0
    assert kept[-50:] == list(range(19_950, 20_000))
    assert 50 * (1 + 6) < len(kept) < 50 * (1 + 2.2 * 6)  # 50 * (1 + 1 … 2 * ln(20,000 / 50)), and a sweep
    gaps = [(19_999 - b, b - a) for a, b in itertools.pairwise(kept)]
    assert all(gap <= max(1, (age + gap) / 50) for age, gap in gaps)


def test_a_store_drops_a_bounded_number_and_trim_agent_the_rest(open_store, toy):
    everything, few = (open_store(codec="toy", policy=Policy(rule)) for rule in (KeepAll(), MaxCount(100)))
    for _ in range(4):
        everything.store_agent_memories("a", toy_codec.states(1500))
    few.store_agent_memory("a", ROW)
    assert len(indexed(toy, "a")) == 6001 - 1001
    few.store_agent_memories("a", toy_codec.states(10))
    assert len(indexed(toy, "a")) == 5010 - 1010
    assert few.trim_agent("a") == Trimmed(1000, 2900)
    assert few.trim_agent("a", limit=2500) == Trimmed(2500, 400)
    assert few.trim_agent("a") == Trimmed(400, 0)
    assert few.trim_agent("a") == Trimmed(0, 0)
    assert document(toy, "a")["counters"] == {"stored": 6011, "trimmed": 5911}


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        (Oldest(100), 100),
        (MaxAge(99), 100),
        (Importance(100, "n"), 100),
        (ByteBudget(100 * 17), 100),
        (KeepAll(), 3001),
    ],
)
def test_trim_agent_ends_for_each_rule(open_store, toy, rule, kept):
    everything, store = (open_store(codec="toy", policy=Policy(r)) for r in (KeepAll(), rule))
    metadata = [{"n": 1000 + n} for n in range(3000)]
    everything.store_agent_memories("a", toy_codec.states(3000), metadata, list(range(3000)))
    store.store_agent_memory("a", ROW, {"n": 4000}, timestamp=3000)
    before = len(indexed(toy, "a"))
    dropped = 0
    for _ in range(30):
        done = store.trim_agent("a", limit=300)
        assert done.dropped <= 300
        dropped += done.dropped
        if not done.left:
            break
    assert done.left == 0
    left = indexed(toy, "a")
    assert len(left) == before - dropped
    assert left == list(range(3001 - len(left), 3001))
    assert kept - 20 < len(left) <= kept


def test_trim_agent_thins_a_whole_pass(open_store, toy):
    everything, store = (open_store(codec="toy", policy=Policy(r)) for r in (KeepAll(), Thinning(20)))
    everything.store_agent_memories("a", toy_codec.states(3000), timestamps=list(range(3000)))
    store.store_agent_memory("a", ROW, timestamp=3000)
    done = store.trim_agent("a", limit=1000)
    assert 0 < done.dropped < 1000
    assert done.left == 3001 - 20 - 1 - 1000
    while done.left:
        done = store.trim_agent("a", limit=1000)
    kept = indexed(toy, "a")
    assert kept[0] == 0
    assert kept[-20:] == list(range(2981, 3001))
    assert all(
        right - left > (3000 - t) / 20 for left, t, right in zip(kept, kept[1:-20], kept[2:], strict=False)
    )


def test_trim_agent_where_there_is_no_agent_or_no_document(store, toy):
    assert store.trim_agent("nobody") == Trimmed(0, 0)
    store.store_agent_memory("a", ROW)
    toy.unlink(keys.agent_metadata("a"))
    with pytest.raises(MemoryNotFoundError, match="no policy in agent:{a}:metadata"):
        store.trim_agent("a")
    for limit in (0, 16385, True):
        with pytest.raises(InvalidInputError, match="limit is"):
            store.trim_agent("a", limit=limit)


@pytest.mark.keys_alone
def test_value_and_metadata_expire_together(open_store, toy):
    store = open_store(codec="toy", policy=Policy(KeepAll(), ttl_ms=60_000))
    now = toy.time()[0] * 1000
    for t in store.store_agent_memories("a", toy_codec.states(3), [{"n": 1}, None, {}]):
        at = toy.pexpiretime(keys.memory("a", t))
        assert 55_000 < at - now < 65_000
        assert toy.pexpiretime(keys.memory_metadata("a", t)) in (at, -2)
    assert toy.pexpiretime(keys.memory_metadata("a", t)) == at


@pytest.mark.keys_alone
def test_recalls_pass_over_what_has_expired_and_stores_clean_it(open_store, toy, wait_until):
    store = open_store(codec="toy", policy=Policy(KeepAll(), ttl_ms=50))
    lasting = open_store(codec="toy", policy=Policy(KeepAll(), ttl_ms=600_000))
    gone = store.store_agent_memories("a", toy_codec.states(30), [{"n": n} for n in range(30)])
    wait_until(lambda: not toy.exists(keys.memory("a", gone[0])))
    assert len(indexed(toy, "a")) == 30
    assert store.get_recent_memories("a") == []
    stays = lasting.store_agent_memory("a", ROW, {"n": 30})
    assert [memory.timestamp for memory in store.get_recent_memories("a")] == [stays]
    assert indexed(toy, "a") == [stays]
    assert document(toy, "a")["counters"] == {"stored": 31, "trimmed": 30}


@pytest.mark.keys_alone
def test_trim_agent_cleans_what_has_expired(open_store, toy, wait_until):
    store = open_store(codec="toy", policy=Policy(Importance(1000, "n"), ttl_ms=50))
    gone = store.store_agent_memories("a", toy_codec.states(300))
    wait_until(lambda: not toy.exists(keys.memory("a", gone[0])))
    assert store.trim_agent("a") == Trimmed(300, 0)
    assert not toy.exists(keys.index("a"), keys.importance("a"))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: MaxCount(0), "count is 0"),
        (lambda: MaxAge(1.5), "age_ms is 1.5"),
        (lambda: Thinning(True), "recent is True"),
        (lambda: ByteBudget("1"), "size_bytes is '1'"),
        (lambda: Importance(1, ""), "field is ''"),
        (lambda: Importance(1, "a..b"), "field is 'a..b'"),
        (lambda: Importance(1, "a[0]"), "field is"),
        (lambda: Importance(1, 7), "field is 7"),
        (lambda: Importance(1, "x" * 257), "field has more than 256 bytes"),
        (lambda: Importance(0, "x"), "count is 0"),
        (lambda: Policy("oldest"), "retention is of type str"),
        (lambda: Policy(ttl_ms=0), "ttl_ms is 0"),
        (lambda: Policy(ttl_ms=1.0), "ttl_ms is 1.0"),
    ],
)
def test_policies_that_are_refused(make, says):
    with pytest.raises(InvalidInputError, match=f"^{says.replace('[', '.').replace('.', '[.]')}"):
        make()


@pytest.mark.parametrize(
    "policy",
    [
        Policy(rule, ttl_ms)
        for ttl_ms in (None, 1000)
        for rule in (
            Oldest(7),
            KeepAll(),
            MaxCount(2**53 - 1),
            MaxAge(9),
            Importance(5, "größe.td-1"),
            Thinning(4),
            ByteBudget(2**40),
        )
    ],
)
@pytest.mark.keys_alone
def test_a_policy_is_read_back_and_written_once(open_store, toy, policy):
    assert Policy.from_json(json.loads(policy.to_json())) == policy
    store = open_store(codec="toy", policy=policy)
    store.store_agent_memory("a", ROW)
    assert document(toy, "a")["policy"] == json.loads(policy.to_json())
    toy.config_resetstat()
    store.store_agent_memory("a", ROW)
    assert "cmdstat_json.set" not in {name.lower() for name in toy.info("commandstats")}
