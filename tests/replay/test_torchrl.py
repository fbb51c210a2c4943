"""TorchRL buffers over an agent's memory: what comes back, who draws it, and that priorities count."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from modules_store import InvalidInputError, MemoryNotFoundError, StateShapeError, TimestampExistsError
from tests import helpers
from tests.replay.material import ROWS, TIMES
from tests.store import toy_codec

helpers.need(importlib.util.find_spec("torchrl"), "torchrl")

from tensordict import TensorDict  # noqa: E402
from torchrl.data import ReplayBuffer  # noqa: E402

from modules_store.replay.torchrl import (  # noqa: E402
    RedisReplayBuffer,
    RedisStorage,
    ServerSampler,
    ServerWriter,
)

FIELDS = {
    "action": torch.int8,
    ("next", "reward"): torch.float32,
    ("next", "done"): torch.bool,
    "value": torch.bfloat16,
    "logits": torch.float64,
}


def rollout(count=20) -> TensorDict:
    """The first steps of 20, as a collector returns them, with states that the codec keeps exactly."""
    generator = torch.Generator().manual_seed(0)
    steps = TensorDict(
        {
            "observation": torch.from_numpy(toy_codec.states(20)),
            "action": torch.arange(20, dtype=torch.int8),
            "value": torch.randn(20, 1, generator=generator).bfloat16(),
            "logits": torch.randint(-99, 99, (20, 2, 3), generator=generator).double() / 8,
            "collector": torch.zeros(20),
            "next": {
                "reward": torch.randn(20, 1, generator=generator),
                "done": torch.rand(20, 1, generator=generator) < 0.5,
            },
        },
        batch_size=[20],
    )
    return steps[:count].clone()


def kept(steps: TensorDict) -> TensorDict:
    return steps.select("observation", *FIELDS)


def same(one: TensorDict, other: TensorDict) -> bool:
    dtypes = [(key, tensor.dtype) for key, tensor in sorted(one.items(True, True), key=str)]
    return (
        dtypes == [(key, tensor.dtype) for key, tensor in sorted(other.items(True, True), key=str)]
        and bool((one == other).all())
        and one.batch_size == other.batch_size
    )


@pytest.fixture
def storage(memory) -> RedisStorage:
    return RedisStorage(memory, "a", fields=FIELDS)


@pytest.fixture
def by_priority(storage) -> RedisReplayBuffer:
    sampler = ServerSampler("priority", alpha=1.0, beta=1.0)
    generator = torch.Generator().manual_seed(7)
    return RedisReplayBuffer(storage=storage, sampler=sampler, batch_size=128, generator=generator)


def test_steps_come_back_as_they_were(storage):
    buffer = RedisReplayBuffer(storage=storage, batch_size=8)
    index = buffer.extend(rollout())
    assert index.dtype == torch.int64
    assert torch.equal(index, torch.arange(20) + index[0])  # timestamps that the server gave
    assert len(buffer) == 20
    assert same(buffer[index], kept(rollout()))
    assert same(buffer[index[[3, 1, 3]]], kept(rollout())[[3, 1, 3]])
    assert same(buffer[int(index[4])], kept(rollout())[4])
    assert same(buffer[int(index[2]) : int(index[5])], kept(rollout())[2:5])
    assert same(buffer[:], kept(rollout()))
    assert same(torch.stack(list(storage)), kept(rollout()))
    assert buffer.write_count == 20


def test_a_state_is_as_near_as_the_codec(storage, memory):
    state = torch.linspace(-1, 1, 6, dtype=torch.float64)
    index = storage.append(TensorDict({"observation": state[None], **rollout(1).exclude("observation")}, [1]))
    found = storage.get(index)["observation"][0]
    assert found.dtype == torch.float32
    assert (found - state).abs().max() <= toy_codec.STEP / 2
    np.testing.assert_array_equal(found, memory.retrieve_agent_memory("a", int(index)).state)


def test_a_single_step_is_added(storage):
    buffer = RedisReplayBuffer(storage=storage, batch_size=8)
    index = buffer.add(rollout()[7])
    assert isinstance(index, int)
    assert index in storage
    assert index + 1 not in storage
    assert storage.contains(torch.tensor([index + 1, index])).tolist() == [False, True]
    assert same(buffer[index], kept(rollout())[7])
    sample = buffer.sample()
    assert same(sample.exclude("index"), kept(rollout())[[7] * 8])
    assert sample["index"].tolist() == [index] * 8


def test_memories_that_others_stored_are_entries(filled):
    storage = RedisStorage(filled, "b", state_key=("agents", "state"), fields={"reward": torch.float32})
    sample = RedisReplayBuffer(storage=storage, batch_size=16).sample()
    np.testing.assert_array_equal(sample["agents", "state"], ROWS["b"][sample["index"] - TIMES["b"][0]])
    assert torch.equal(sample["reward"], sample["index"] / 8)
    states_alone = RedisStorage(filled, "b").get(sample["index"])
    assert same(states_alone, TensorDict({"observation": sample["agents", "state"]}, [16]))


def test_a_batch_is_one_call(storage, redis_client):
    buffer = RedisReplayBuffer(storage=storage, batch_size=8)
    buffer.extend(rollout())
    buffer.sample()

    def calls():
        counts = redis_client.info("commandstats")
        return sum(counts[name]["calls"] for name in counts if name.startswith("cmdstat_fcall"))

    before = calls()
    sample, info = buffer.sample(return_info=True)
    assert calls() == before + 1
    assert same(sample.exclude("index"), buffer[info["index"]])


def test_samples_follow_the_generator_of_the_buffer(storage):
    def samples(seed):
        generator = torch.Generator().manual_seed(seed)
        buffer = RedisReplayBuffer(storage=storage, batch_size=64, generator=generator)
        return [buffer.sample()["index"].tolist() for _ in range(2)]

    storage.append(rollout())
    first, second = samples(seed=1)
    assert first != second
    assert samples(seed=1) == [first, second]
    assert samples(seed=2) != [first, second]


def test_samples_are_fetched_ahead_by_threads(storage):
    buffer = RedisReplayBuffer(storage=storage, batch_size=8, prefetch=3)
    first = int(buffer.extend(rollout())[0])
    for _ in range(10):
        sample = buffer.sample()
        assert same(sample.exclude("index"), kept(rollout())[sample["index"] - first])


def test_a_loop_that_updates_priorities_learns_where_it_errs(by_priority):
    hard = by_priority.extend(rollout())[3]
    for _ in range(10):
        sample = by_priority.sample()
        sample["td_error"] = torch.where(sample["index"] == hard, 1.0, 0.0).unsqueeze(1)
        by_priority.update_tensordict_priority(sample)
    is_hard = sample["index"] == hard
    assert is_hard.all()
    assert sample["priority_weight"].dtype == torch.float32
    assert (sample["priority_weight"] < 1e-6).all()


def test_steps_enter_with_their_errors(by_priority):
    steps = rollout()
    steps["td_error"] = torch.tensor([1.0] + [0.0] * 19)
    index = by_priority.extend(steps)
    assert (by_priority.sample()["index"] == index[0]).all()
    step = rollout()[1]
    step["td_error"] = torch.tensor(1e3)
    added = by_priority.add(step)
    assert (by_priority.sample()["index"] == added).float().mean() > 0.9
    by_priority.update_priority(index[:2], 1e12)
    assert set(by_priority.sample()["index"].tolist()) == set(index[:2].tolist())


def test_of_several_priorities_of_an_entry_the_largest_counts(by_priority):
    index = by_priority.extend(rollout(2))
    by_priority.update_priority(index, torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]], requires_grad=True))
    assert (by_priority.sample()["index"] == index[0]).all()


def test_priorities_without_use_are_warned_of(storage):
    buffer = RedisReplayBuffer(storage=storage, batch_size=8)
    index = buffer.extend(rollout())
    with pytest.warns(UserWarning, match="ServerSampler that is not prioritized"):
        buffer.update_priority(index, torch.ones(20))


def test_what_the_codec_does_not_take_is_refused_and_nothing_stored(storage):
    steps = rollout()
    for state in (torch.zeros(20, 5), torch.zeros(20, 6, 1), torch.zeros(20)):
        steps["observation"] = state
        with pytest.raises(StateShapeError):
            storage.append(steps)
    with pytest.raises(KeyError, match="action"):
        storage.append(rollout().exclude("action"))
    with pytest.raises(InvalidInputError, match=r"metadata\[0\]\['logits'\]"):
        storage.append(rollout().set("logits", torch.full((20, 1), torch.nan)))
    assert len(storage) == 0


def test_an_index_is_a_timestamp(storage):
    storage[[5, 7]] = rollout(2)
    storage[6] = rollout(3)[2]
    assert same(storage[[5, 7, 6]], kept(rollout(3)))
    with pytest.raises(TimestampExistsError):
        storage[7] = rollout(1)[0]
    with pytest.raises(MemoryNotFoundError):
        storage[0]
    with pytest.raises(InvalidInputError, match="step 2"):
        storage[5:7:2]
    assert len(storage[8:]) == 0


def test_arguments_are_checked(memory):
    with pytest.raises(InvalidInputError, match="agent_id '{}'"):
        RedisStorage(memory, "{}")
    with pytest.raises(InvalidInputError, match="fields names 'observation', which is the state"):
        RedisStorage(memory, "a", fields={"observation": torch.float32})
    with pytest.raises(InvalidInputError, match=r"fields\['next.reward'\] is 'float'"):
        RedisStorage(memory, "a", fields={("next", "reward"): "float"})
    buffer = RedisReplayBuffer(storage=RedisStorage(memory, "a"), sampler=ServerSampler("size"), batch_size=1)
    with pytest.raises(InvalidInputError, match="by is 'size'"):
        buffer.sample()


def test_an_emptied_buffer_leaves_nothing_of_the_agent(storage, redis_client):
    before = set(redis_client.keys())
    buffer = RedisReplayBuffer(storage=storage, batch_size=8)
    buffer.extend(rollout())
    assert set(redis_client.keys()) > before
    buffer.empty()
    assert set(redis_client.keys()) == before
    assert (len(buffer), buffer.write_count) == (0, 0)


@pytest.mark.parametrize("way", ["state_dict", "dumps"])
def test_a_checkpoint_has_what_is_not_in_redis(by_priority, storage, tmp_path, way):
    by_priority.extend(rollout())
    by_priority.sampler.beta = 0.75
    restored = RedisReplayBuffer(storage=storage, sampler=ServerSampler("priority"), batch_size=8)
    if way == "dumps":
        by_priority.dumps(tmp_path / "buffer")
        restored.loads(tmp_path / "buffer")
    else:
        restored.load_state_dict(by_priority.state_dict())
    assert (restored.sampler.alpha, restored.sampler.beta, restored.write_count) == (1.0, 0.75, 20)
    assert len(restored) == 20


def test_a_plain_buffer_takes_the_parts(storage):
    buffer = ReplayBuffer(
        storage=storage,
        sampler=ServerSampler("recency", half_life=0.05),
        writer=ServerWriter(),
        collate_fn=lambda steps: steps,
        batch_size=8,
    )
    index = buffer.extend(rollout())
    sample, info = buffer.sample(return_info=True)
    assert info["index"].tolist() == [int(index[-1])] * 8
    assert same(sample, kept(rollout())[[19] * 8])
