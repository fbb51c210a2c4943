"""Datasets: what batches hold, who makes them, and that seeds and priorities do what they should."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from modules_store import InvalidInputError, InvalidMetadataError, MemoryNotFoundError
from modules_store.replay import HistoryDataset, ReplayDataset
from tests.replay.material import ROWS, TIMES

FIELDS = {"action": torch.int64, "reward": torch.float32, "pose.xy": torch.float64}


def stored(dataset, batch) -> np.ndarray:
    """The states that were stored where a batch says that its come from."""
    pairs = zip(dataset.agent_ids(batch), batch["timestamps"], strict=True)
    return np.stack([ROWS[agent][times.numpy() - TIMES[agent][0]] for agent, times in pairs])


def equal(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("by", ["uniform", "recency", "priority"])
def test_a_batch_is_tensors(server, by):
    dataset = ReplayDataset(server.url, ["a", "b"], 64, by=by, fields=FIELDS, batches=1)
    (batch,) = dataset
    assert {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in batch.items()} == {
        "states": (torch.float32, (64, 6)),
        "timestamps": (torch.int64, (64,)),
        "agents": (torch.int64, (64,)),
        "weights": (torch.float32, (64,)),
        "action": (torch.int64, (64,)),
        "reward": (torch.float32, (64,)),
        "pose.xy": (torch.float64, (64, 2)),
    }
    times = batch["timestamps"]
    np.testing.assert_array_equal(batch["states"], stored(dataset, batch))
    assert torch.equal(batch["action"], times % 4)
    assert torch.equal(batch["reward"], times / 8)
    assert torch.equal(
        batch["pose.xy"], torch.stack([times, torch.full_like(times, 0.5, dtype=torch.float64)], 1)
    )
    assert set(dataset.agent_ids(batch)) == {"a", "b"}


@pytest.mark.usefixtures("filled")
def test_a_batch_of_sequences_is_tensors_and_holds_transitions(server):
    (batch,) = ReplayDataset(server.url, ["a", "b"], 16, length=3, fields=FIELDS, batches=1)
    assert {name: tuple(tensor.shape) for name, tensor in batch.items()} == {
        "states": (16, 3, 6),
        "timestamps": (16, 3),
        "agents": (16,),
        "action": (16, 3),
        "reward": (16, 3),
        "pose.xy": (16, 3, 2),
    }
    dataset = ReplayDataset(server.url, ["a", "b"], 16, length=2, fields=FIELDS, batches=1)
    (batch,) = dataset
    state, next_state = batch["states"].unbind(1)
    now, then = batch["timestamps"].unbind(1)
    assert torch.equal(now + 1, then)
    assert torch.equal(batch["action"][:, 0], now % 4)
    np.testing.assert_array_equal(torch.stack([state, next_state], 1), stored(dataset, batch))


@pytest.mark.usefixtures("filled", "seeded")
def test_draws_follow_torchs_random_numbers(server):
    dataset = ReplayDataset(server.url, "a", 32, batches=2)
    first, second = dataset
    assert not equal(first, second)
    torch.manual_seed(7)
    again = list(pickle.loads(pickle.dumps(dataset)))
    assert equal(first, again[0])
    assert equal(second, again[1])


@pytest.mark.usefixtures("filled")
def test_workers_share_the_batches_and_follow_the_seed_of_the_loader(server):
    dataset = ReplayDataset(server.url, ["a", "b"], 32, by="priority", fields=FIELDS, batches=5)

    def epoch(seed):
        generator = torch.Generator().manual_seed(seed)
        loader = DataLoader(
            dataset, batch_size=None, num_workers=2, generator=generator, multiprocessing_context="fork"
        )
        assert len(loader) == 5
        return list(loader)

    batches = epoch(seed=3)
    assert len(batches) == 5
    assert not any(equal(*pair) for pair in itertools.combinations(batches, 2))
    assert all(map(equal, batches, epoch(seed=3)))
    assert not equal(batches[0], epoch(seed=4)[0])


@pytest.mark.usefixtures("filled")
def test_without_a_number_of_batches_there_is_no_end(server):
    dataset = ReplayDataset(server.url, "a", 8)
    with pytest.raises(TypeError, match="no end"):
        len(dataset)
    loader = DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context="fork")
    assert len(list(itertools.islice(loader, 7))) == 7


@pytest.mark.usefixtures("filled")
def test_recency_is_by_the_half_life_given(server):
    (batch,) = ReplayDataset(server.url, "a", 64, by="recency", half_life=0.05, batches=1)
    assert set(batch["timestamps"].tolist()) == {TIMES["a"][-1]}


@pytest.mark.usefixtures("seeded")
def test_a_loop_that_updates_priorities_learns_where_it_errs(server, filled):
    dataset = ReplayDataset(server.url, ["a", "b"], 128, by="priority", alpha=1.0, beta=1.0, batches=30)
    hard = TIMES["b"][3]
    for batch in DataLoader(dataset, batch_size=None):
        errors = torch.where(batch["timestamps"] == hard, 1.0, 0.001)
        filled.update_priorities(dataset.agent_ids(batch), batch["timestamps"], errors)
    is_hard = batch["timestamps"] == hard
    assert is_hard.float().mean() > 0.8  # of 60 memories; expected 1 / 1.059
    assert torch.unique(batch["weights"][is_hard]).item() == pytest.approx(0.001, rel=1e-3)
    assert (batch["weights"][~is_hard] == 1).all()


def test_an_agent_on_its_way_to_another_layout(server, filled):
    before = list(HistoryDataset(server.url, ["a", "b"], 7, fields=FIELDS))

    def interrupt(done):
        raise InterruptedError

    other = "packed" if filled.agent_stats("a").layout == "keys" else "keys"
    with pytest.raises(InterruptedError):
        filled.convert_agent("a", other, step=11, on_progress=interrupt)
    assert filled.agent_stats("a").layout == "mixed"
    assert all(map(equal, before, HistoryDataset(server.url, ["a", "b"], 7, fields=FIELDS)))
    dataset = ReplayDataset(server.url, ["a", "b"], 64, by="priority", fields=FIELDS, batches=1)
    (batch,) = dataset
    np.testing.assert_array_equal(batch["states"], stored(dataset, batch))
    assert torch.equal(batch["reward"], batch["timestamps"] / 8)
    assert len(set(batch["timestamps"].tolist()) & set(TIMES["a"])) > 5


def test_a_memory_without_a_field_is_named(server, memory):
    memory.store_agent_memory("a", ROWS["a"][0], {"pose": {"xy": 1}}, 100)
    (batch,) = ReplayDataset(server.url, "a", 2, fields={"pose.xy": torch.float32}, batches=1)
    assert batch["pose.xy"].tolist() == [1, 1]
    for field in ("reward", "pose.z", "pose.xy.z"):
        with pytest.raises(InvalidMetadataError, match=f"agent 'a' has no metadata '{field}' at 100"):
            list(ReplayDataset(server.url, "a", 2, fields={field: torch.float32}, batches=1))
    memory.store_agent_memory("a", ROWS["a"][0], None, 101)
    with pytest.raises(InvalidMetadataError, match="no metadata 'pose' at 101"):
        list(HistoryDataset(server.url, "a", start=101, fields={"pose": torch.float32}))


@pytest.mark.parametrize(
    "values", [([1], [1, 2]), (1, [1]), (1, "1"), (1, {"y": 1}), (1, 1.5), (1, 128), (1, 2**63)]
)
def test_a_field_that_makes_no_tensor_is_named(server, memory, values):
    memory.store_agent_memories("a", ROWS["a"][:2], [{"x": value} for value in values], [1, 2])
    with pytest.raises(InvalidMetadataError, match=r"metadata 'x' cannot be made a tensor of torch.int8"):
        list(HistoryDataset(server.url, "a", fields={"x": torch.int8}))


def test_whole_numbers_are_integers_however_they_are_written(server, memory):
    memory.store_agent_memories("a", ROWS["a"][:3], [{"x": 2}, {"x": 2.0}, {"x": True}], [1, 2, 3])
    for dtype, values in ((torch.int64, [2, 2, 1]), (torch.bool, [True] * 3), (torch.float16, [2, 2, 1])):
        (batch,) = HistoryDataset(server.url, "a", fields={"x": dtype})
        assert batch["x"].dtype == dtype
        assert batch["x"].tolist() == values


def test_large_integers_are_exact(server, memory):
    large = [2**53 + 1, 2**63 - 1, -(2**63)]
    memory.store_agent_memories("a", ROWS["a"][:3], [{"x": x} for x in large], [1, 2, 3])
    (batch,) = HistoryDataset(server.url, "a", fields={"x": torch.int64})
    assert batch["x"].tolist() == large


@pytest.mark.usefixtures("memory")
def test_an_agent_without_memories_has_nothing_to_draw(server):
    with pytest.raises(MemoryNotFoundError):
        next(iter(ReplayDataset(server.url, "nobody", 8)))
    assert list(HistoryDataset(server.url, "nobody")) == []


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"agents": []}, "number of agents is 0"),
        ({"agents": ["a", "{b}"]}, "agents[1] '{b}'"),
        ({"agents": ["a", "a"]}, "agents gives an id more than once"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 16385}, "batch_size is 16385"),
        ({"by": "size"}, "by is 'size'"),
        ({"alpha": 3}, "alpha is 3"),
        ({"length": 0}, "length is 0"),
        ({"length": 2, "by": "priority"}, "by is 'priority', but sequences"),
        ({"length": 10000}, "count * length is 80000"),
        ({"batches": 0}, "batches is 0"),
        ({"fields": {"states": torch.int64}}, "fields names 'states'"),
        ({"fields": {"pose.x": float}}, "fields['pose.x'] is <class 'float'>"),
        ({"fields": {"x": torch.complex64}}, "fields['x'] is torch.complex64"),
        ({"redis_url": "https://example"}, "redis_url"),
        ({"timeout_s": -1}, "timeout_s"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_is_refused_before_there_is_a_worker(server, changed, named):
    arguments = {"redis_url": server.url, "agents": "a", "batch_size": 8, **changed}
    with pytest.raises(InvalidInputError) as refusal:
        ReplayDataset(**arguments)
    assert named in str(refusal.value)


def test_a_client_in_place_of_a_url_is_refused(redis_client):
    with pytest.raises(InvalidInputError, match="redis_url is of type Redis, not a URL"):
        HistoryDataset(redis_client, "a")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_history_is_every_memory_once_in_order(server, memory, workers):
    memory.store_agent_memory("c", ROWS["a"][0], {"action": 1, "reward": 0, "pose": {"xy": [0, 0]}}, 7)
    dataset = HistoryDataset(server.url, ["a", "b", "c", "nobody"], 12, fields=FIELDS)
    loader = DataLoader(
        dataset, batch_size=None, num_workers=workers, multiprocessing_context="fork" if workers else None
    )
    batches = list(loader)
    sizes = [(*set(dataset.agent_ids(batch)), len(batch["states"])) for batch in batches]
    assert sorted(sizes) == [("a", 6), ("a", 12), ("a", 12), ("b", 6), ("b", 12), ("b", 12), ("c", 1)]
    for number, agent in enumerate(["a", "b"]):
        mine = [batch for batch in batches if batch["agents"][0] == number]
        np.testing.assert_array_equal(torch.cat([batch["states"] for batch in mine]), ROWS[agent])
        times = torch.cat([batch["timestamps"] for batch in mine])
        assert times.tolist() == TIMES[agent]
        assert torch.equal(torch.cat([batch["action"] for batch in mine]), times % 4)


@pytest.mark.usefixtures("filled")
def test_a_history_has_bounds(server):
    (batch,) = HistoryDataset(server.url, "a", start=105, end=109)
    assert batch.keys() == {"states", "timestamps", "agents"}
    assert batch["timestamps"].tolist() == [105, 106, 107, 108, 109]
    with pytest.raises(InvalidInputError, match="start is -1"):
        HistoryDataset(server.url, "a", start=-1)


@pytest.mark.usefixtures("filled")
def test_an_iteration_closes_its_connection(server, redis_client, wait_until):
    def connections():
        return sum(client["name"] == "dataset" for client in redis_client.client_list())

    options = {"client_name": "dataset"}
    for dataset in (
        ReplayDataset(server.url, "a", 8, **options),
        HistoryDataset(server.url, "a", 8, **options),
    ):
        batches = iter(dataset)
        next(batches)
        assert connections() == 1
        batches.close()
        wait_until(lambda: connections() == 0)
