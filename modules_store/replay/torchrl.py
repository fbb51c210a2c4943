"""TorchRL replay buffers whose storage is an agent's memory: the server keeps, draws and ranks.

The index of an entry is its timestamp. TorchRL lets a sampler return indices alone and then has the storage
get them; here the server returns both at once, so the storage keeps what was drawn until it is asked for it:
one call a batch. Samplers that count positions do not fit this storage.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tensordict import NestedKey, TensorDict, TensorDictBase
from torch import Tensor
from torchrl.data import TensorDictReplayBuffer
from torchrl.data.replay_buffers import Sampler, Storage, Writer

from modules_store import checks, errors, files
from modules_store.client import RedisAgentMemory
from modules_store.memories import Memory
from modules_store.replay.fields import Fields

_STATE_FILE = "state.json"


class RedisStorage(Storage):
    """The memories of one agent as a TorchRL storage of TensorDicts.

    The entry at `state_key`, [B, D], is what the codec keeps: it comes back as float32 and as near as the
    codec is. The entries of `fields` are metadata: they come back in the dtypes that are given and as they
    were, save for the last bit of a float64, at the price of JSON; NaN and infinity are refused. Nothing else
    of a TensorDict is kept. How many memories there are at most is the client's policy, not `max_size`. What
    is stored cannot be set anew.
    """

    def __init__(
        self,
        memory: RedisAgentMemory,
        agent_id: str,
        *,
        state_key: NestedKey = "observation",
        fields: Mapping[NestedKey, torch.dtype] | None = None,
    ) -> None:
        """Keep memories of `agent_id` by a client that stays the caller's.

        `fields` are the keys to keep besides, such as `{"action": torch.int64, ("next", "reward"):
        torch.float32}`. Raises InvalidInputError.
        """
        super().__init__(max_size=checks.MAX_TIMESTAMP + 1)
        self.agent_id = checks.agent_id(agent_id)
        self._memory = memory
        self._state_key = state_key
        self._fields = Fields({_path(key): dtype for key, dtype in (fields or {}).items()})
        if _path(state_key) in self._fields:
            raise errors.InvalidInputError(f"fields names {state_key!r}, which is the state")
        self._drawn: tuple[Tensor, TensorDict] | None = None

    def append(self, data: TensorDictBase) -> Tensor:
        """Store B entries at timestamps that the server gives, in one call; return these, int64[B].

        Raises what `store_agent_memories` does, StateShapeError where the state is not [B, D] as the codec
        takes it, and KeyError where the state or a field is missing.
        """
        return torch.tensor(self._store(data, None), dtype=torch.int64)

    def set(self, cursor: Any, data: TensorDictBase, *, set_cursor: bool = True) -> None:
        """Store entries at the timestamps `cursor`; raise TimestampExistsError where one is taken."""
        timestamps = np.asarray(cursor)
        self._store(data if timestamps.ndim else data.unsqueeze(0), timestamps.reshape(-1).tolist())

    def get(self, index: Any) -> TensorDict:
        """Return the entry at a timestamp, or those at several, or from one to before another (a slice).

        Raises MemoryNotFoundError where there is none.
        """
        drawn, self._drawn = self._drawn, None
        if drawn is not None and drawn[0] is index:
            return drawn[1]
        if isinstance(index, slice):
            return self._to_entries(self._between(index))
        timestamps = np.asarray(index)
        memories = self._memory.retrieve_agent_memories(
            self.agent_id, timestamps.reshape(-1).tolist(), fields=self._fields.recalled
        )
        entries = self._to_entries(memories)
        return entries if timestamps.ndim else entries[0]

    def draw(self, count: int, **options: Any) -> tuple[Tensor, Tensor]:
        """Draw entries by `sample_memories`; return timestamps int64[B] and weights float32[B].

        Getting the very tensor of timestamps next gets what was drawn with them.
        """
        sample = self._memory.sample_memories(self.agent_id, count, fields=self._fields.recalled, **options)
        index = torch.from_numpy(sample.timestamps)
        self._drawn = index, self._entries(sample.timestamps.tolist(), sample.states, sample.metadata)
        return index, torch.from_numpy(sample.weights)

    def update_priorities(self, index: Tensor, priorities: Tensor) -> None:
        """Give the entries at timestamps other priorities; those that are gone are passed over."""
        self._memory.update_priorities(self.agent_id, index.reshape(-1).tolist(), priorities)

    def contains(self, item: Any) -> Any:
        """Return whether there is an entry at a timestamp; for a tensor of them bool[B]."""
        timestamps = np.asarray(item)
        found = {
            memory.timestamp
            for memory in self._memory.retrieve_agent_memories(
                self.agent_id, timestamps.reshape(-1).tolist(), missing="skip", fields="metadata"
            )
        }
        if not timestamps.ndim:
            return int(timestamps) in found
        return torch.tensor([timestamp in found for timestamp in timestamps.tolist()])

    def __len__(self) -> int:
        return self._memory.count_memories(self.agent_id)

    def __iter__(self) -> Iterator[TensorDict]:
        for memory in self._memory.iterate_memories(self.agent_id, fields=self._fields.recalled):
            yield self._to_entries([memory])[0]

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the memories stay in Redis, and a checkpoint of the buffer has none of them."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Do nothing, see `state_dict`."""

    def _empty(self) -> None:
        self._memory.delete_agent(self.agent_id)

    def _store(self, data: TensorDictBase, timestamps: list[int] | None) -> list[int]:
        fields = {path: data[path] for path in self._fields}
        return self._memory.store_agent_memories(
            self.agent_id, data[self._state_key], self._fields.to_metadata(fields), timestamps
        )

    def _between(self, timestamps: slice) -> Iterator[Memory]:
        if timestamps.step is not None:
            raise errors.InvalidInputError(
                f"a slice of timestamps has the step {timestamps.step!r}, not none"
            )
        end = None if timestamps.stop is None else timestamps.stop - 1
        return self._memory.iterate_memories(
            self.agent_id, timestamps.start, end, fields=self._fields.recalled
        )

    def _to_entries(self, memories: Iterable[Memory]) -> TensorDict:
        rows = list(memories)
        states = np.stack([row.state for row in rows]) if rows else np.empty((0, 0), np.float32)
        return self._entries([row.timestamp for row in rows], states, [row.metadata for row in rows])

    def _entries(
        self,
        timestamps: Sequence[int],
        states: npt.NDArray[np.float32],
        metadata: Sequence[dict[str, Any] | None],
    ) -> TensorDict:
        fields = self._fields.to_tensors(metadata, [self.agent_id] * len(timestamps), timestamps)
        return TensorDict({self._state_key: torch.from_numpy(states), **fields}, batch_size=[len(timestamps)])


class ServerSampler(Sampler):
    """Has the server draw entries of a RedisStorage, with replacement.

    By priority, samples have `priority_weight`, as those of TorchRL's PrioritizedSampler have. `alpha` and
    `beta` may be set at any time. Draws follow the generator of the buffer, or torch's.
    """

    def __init__(
        self,
        by: str = "uniform",
        *,
        alpha: float = 0.6,
        beta: float = 0.4,
        half_life: float = 1000.0,
        eps: float = 1e-8,
    ) -> None:
        """Draw as `sample_memories` does, which also checks these arguments.

        `eps` is added to the priorities that are updated, so that they may be 0.
        """
        self.by, self.alpha, self.beta = by, alpha, beta
        self._half_life, self._eps = half_life, eps

    def sample(self, storage: RedisStorage, batch_size: int) -> tuple[Tensor, dict[str, Any]]:
        """Return the timestamps of what was drawn, int64[B], and by priority the weights, float32[B]."""
        index, weights = storage.draw(
            batch_size,
            by=self.by,
            alpha=self.alpha,
            beta=self.beta,
            half_life=self._half_life,
            seed=int(torch.randint(2**53, (), generator=self._rng)),
        )
        return index, {"priority_weight": weights} if self.by == "priority" else {}

    def update_priority(self, index: Any, priority: Any, *, storage: RedisStorage | None = None) -> None:
        """Give entries other priorities, of each the largest where it has several; warn if unused."""
        if self.by != "priority" or storage is None:
            super().update_priority(index, priority, storage=storage)
            return
        index = torch.as_tensor(index).reshape(-1)
        priority = torch.as_tensor(priority).detach().double()
        rows = priority.reshape(len(index), -1) if priority.ndim else priority.expand(len(index), 1)
        storage.update_priorities(index, rows.amax(1) + self._eps)

    def state_dict(self) -> dict[str, Any]:
        """Return what may change: alpha and beta."""
        return {"alpha": self.alpha, "beta": self.beta}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take alpha and beta."""
        self.alpha, self.beta = state_dict["alpha"], state_dict["beta"]

    def dumps(self, path: str | Path) -> None:
        """Write the state to a folder."""
        _dump(self.state_dict(), path)

    def loads(self, path: str | Path) -> None:
        """Read the state from a folder."""
        self.load_state_dict(_load(path))

    def _empty(self) -> None:
        """Nothing is kept of what was drawn."""


class ServerWriter(Writer):
    """Appends to a RedisStorage: the server gives the timestamps, later than those that are there."""

    def __init__(self) -> None:
        super().__init__()
        self._write_count = 0

    def add(self, data: TensorDictBase) -> int:
        """Store one entry; return its timestamp."""
        return int(self.extend(data.unsqueeze(0)))

    def extend(self, data: TensorDictBase) -> Tensor:
        """Store B entries; return their timestamps, int64[B]."""
        index: Tensor = self._storage.append(data)
        self._write_count += len(index)
        return index

    def state_dict(self) -> dict[str, Any]:
        """Return how many entries were written."""
        return {"write_count": self._write_count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take how many entries were written."""
        self._write_count = state_dict["write_count"]

    def dumps(self, path: str | Path) -> None:
        """Write the state to a folder."""
        _dump(self.state_dict(), path)

    def loads(self, path: str | Path) -> None:
        """Read the state from a folder."""
        self.load_state_dict(_load(path))

    def _empty(self, empty_write_count: bool = True) -> None:
        if empty_write_count:
            self._write_count = 0


class RedisReplayBuffer(TensorDictReplayBuffer):
    """A TensorDictReplayBuffer over a RedisStorage, with what fits it where nothing else is given.

    >>> storage = RedisStorage(memory, "drone-7", fields={"action": torch.int64})
    >>> buffer = RedisReplayBuffer(storage=storage, sampler=ServerSampler("priority"), batch_size=256)
    >>> buffer.extend(rollout)
    >>> batch = buffer.sample()
    >>> batch["td_error"] = learn(batch, batch["priority_weight"])
    >>> buffer.update_tensordict_priority(batch)
    """

    def __init__(self, *, storage: RedisStorage, **options: Any) -> None:
        """Make a buffer; `options` are those of TensorDictReplayBuffer."""
        given = {"sampler": ServerSampler(), "writer": ServerWriter(), "collate_fn": _as_it_is, **options}
        super().__init__(storage=storage, **given)

    def update_tensordict_priority(self, data: TensorDictBase) -> None:
        """Give entries the priorities that they have at `priority_key`; without these do nothing."""
        priority = data.get(self.priority_key, None)
        if priority is not None:
            self.update_priority(data.get("index"), priority)


def _path(key: NestedKey) -> tuple[str, ...]:
    return key if isinstance(key, tuple) else (key,)


def _as_it_is(data: TensorDictBase) -> TensorDictBase:
    return data


def _dump(state: dict[str, Any], path: str | Path) -> None:
    Path(path).mkdir(exist_ok=True)
    files.write(Path(path) / _STATE_FILE, json.dumps(state))


def _load(path: str | Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((Path(path) / _STATE_FILE).read_text())
    return state
