"""Datasets for `torch.utils.data.DataLoader`, whose batches the server makes.

Both are iterated in whichever process a DataLoader puts them: what travels there is the URL, and each
iteration opens a client of its own and closes it at its end.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from modules_store import checks, errors
from modules_store.client import RedisAgentMemory
from modules_store.flows import sampling
from modules_store.flows.systems import MemorySystems
from modules_store.replay.fields import Fields

Batch = dict[str, Tensor]

_COLUMNS = ("states", "timestamps", "agents", "weights")


class _MemoryDataset(IterableDataset[Batch]):
    """What both datasets are: batches of some agents' memories, from a server that is known by its URL."""

    def __init__(
        self,
        redis_url: str,
        agents: str | Iterable[str],
        batch_size: int,
        fields: Mapping[str, torch.dtype] | None,
        client_options: Mapping[str, Any],
    ) -> None:
        if not isinstance(redis_url, str):
            raise errors.InvalidInputError(
                f"redis_url is of type {type(redis_url).__name__}, not a URL: workers open connections by it"
            )
        self.agents = [agents] if isinstance(agents, str) else list(agents)
        for i, agent in enumerate(self.agents):
            checks.agent_id(agent, f"agents[{i}]")
        self._number_of = {agent: number for number, agent in enumerate(self.agents)}
        self._batch_size = checks.integer(batch_size, "batch_size", 1, checks.MAX_BATCH)
        for name in fields or ():
            if name in _COLUMNS:
                raise errors.InvalidInputError(f"fields names {name!r}, which batches have of themselves")
        self._fields = Fields({tuple(name.split(".")): dtype for name, dtype in (fields or {}).items()})
        self._redis_url, self._client_options = redis_url, dict(client_options)
        self._open().close()  # refuses what is wrong here and not in a worker

    def agent_ids(self, batch: Batch) -> list[str]:
        """Return the id of each agent in `batch["agents"]`."""
        return [self.agents[number] for number in batch["agents"].tolist()]

    def _open(self) -> RedisAgentMemory:
        return RedisAgentMemory(self._redis_url, **self._client_options)

    def _batch(
        self,
        agent_ids: Sequence[str],
        timestamps: npt.NDArray[np.int64],
        states: npt.NDArray[np.float32],
        metadata: Sequence[dict[str, Any] | None],
    ) -> Batch:
        """Return B memories as tensors; the arrays become tensors without a copy."""
        tensors = self._fields.to_tensors(metadata, agent_ids, timestamps.tolist())
        return {
            "states": torch.from_numpy(states),
            "timestamps": torch.from_numpy(timestamps),
            "agents": torch.tensor([self._number_of[agent] for agent in agent_ids]),
            **{".".join(path): tensor for path, tensor in tensors.items()},
        }


class ReplayDataset(_MemoryDataset):
    """Batches of memories, or of sequences of them, that the server draws at random.

    >>> dataset = ReplayDataset(url, ["drone-7", "drone-8"], 256, fields={"action": torch.int64})
    >>> for batch in DataLoader(dataset, batch_size=None, num_workers=2):
    ...     loss = policy(batch["states"], batch["action"])

    A batch is a dict of tensors: `states` float32[B, D], as the codec reconstructs them, `timestamps`
    int64[B], `agents` int64[B], which are positions in `agents` (see `agent_ids`), `weights` float32[B] as in
    `Sample`, and each of `fields`, [B, …]. With `length` all but `agents` have [B, L] in place of [B], and
    there are no `weights`. Where Redis has evicted nearly all memories a batch may have fewer than B.

    Draws follow torch's random numbers, those of the process or the worker: `torch.manual_seed`, or the
    `generator` of a DataLoader, makes them reproducible as long as the memories are the same.
    """

    def __init__(
        self,
        redis_url: str,
        agents: str | Iterable[str],
        batch_size: int,
        *,
        by: str = "uniform",
        alpha: float = 0.6,
        beta: float = 0.4,
        half_life: float = 1000.0,
        length: int | None = None,
        fields: Mapping[str, torch.dtype] | None = None,
        batches: int | None = None,
        **client_options: Any,
    ) -> None:
        """Prepare batches of `batch_size`; nothing is sent before the first is asked for.

        `agents`, `by`, `alpha`, `beta` and `half_life` are as for `sample_memories`. `length` makes it
        sequences of so many memories that follow each other, drawn uniformly, as for `sample_sequences`.
        `fields` names what to take from the metadata, with a dtype: numbers, booleans or nested lists of
        them, the same shape in each memory; "pose.x" is x in pose. `batches` is how many an iteration has,
        shared out to a DataLoader's workers; None for no end. `client_options` are those of RedisAgentMemory.
        Raises InvalidInputError; iterating raises what `sample_memories` does, and InvalidMetadataError where
        a memory lacks a field.
        """
        super().__init__(redis_url, agents, batch_size, fields, client_options)
        self._options: dict[str, Any] = {"by": by, "alpha": alpha, "beta": beta, "half_life": half_life}
        self._length = length
        self._batches = None if batches is None else checks.integer(batches, "batches")
        if length is not None and by != "uniform":
            raise errors.InvalidInputError(f"by is {by!r}, but sequences, which length asks for, are uniform")
        self._check_draw()

    def __len__(self) -> int:
        if self._batches is None:
            raise TypeError("a ReplayDataset without `batches` has no end")
        return self._batches

    def __iter__(self) -> Iterator[Batch]:
        with self._open() as memory:
            for _ in self._share():
                seed = int(torch.randint(2**53, ()))
                if self._length is None:
                    yield self._memories(memory, seed)
                else:
                    yield self._sequences(memory, self._length, seed)

    def _check_draw(self) -> None:
        """Raise what drawing would raise for its arguments: a flow checks them before its first command."""
        systems = MemorySystems(None, None, None)
        some: dict[str, Any] = {"seed": 0, "fields": "both"}
        if self._length is None:
            next(sampling.sample_memories(systems, self.agents, self._batch_size, **some, **self._options))
        else:
            next(sampling.sample_sequences(systems, self.agents, self._batch_size, self._length, **some))

    def _share(self) -> Iterable[int]:
        """Return as many items as this process, or worker, has to make batches."""
        worker = get_worker_info()
        if self._batches is None:
            return itertools.count()
        return range(self._batches) if worker is None else range(worker.id, self._batches, worker.num_workers)

    def _memories(self, memory: RedisAgentMemory, seed: int) -> Batch:
        drawn = memory.sample_memories(
            self.agents, self._batch_size, seed=seed, fields=self._fields.recalled, **self._options
        )
        batch = self._batch(drawn.agent_ids, drawn.timestamps, drawn.states, drawn.metadata)
        return {**batch, "weights": torch.from_numpy(drawn.weights)}

    def _sequences(self, memory: RedisAgentMemory, length: int, seed: int) -> Batch:
        drawn = memory.sample_sequences(
            self.agents, self._batch_size, length, seed=seed, fields=self._fields.recalled
        )
        batch = self._batch(
            [agent for agent in drawn.agent_ids for _ in range(length)],
            drawn.timestamps.reshape(-1),
            drawn.states.reshape(-1, drawn.states.shape[2]),
            [document for documents in drawn.metadata for document in documents],
        )
        batch = {name: tensor.reshape(-1, length, *tensor.shape[1:]) for name, tensor in batch.items()}
        return {**batch, "agents": batch["agents"][:, 0]}


class HistoryDataset(_MemoryDataset):
    """All memories of some agents once, each agent's oldest first, in batches of one agent's.

    Batches are as those of ReplayDataset, without `weights`; an agent's last may be smaller. Of a
    DataLoader's workers each reads some of the agents, so that more workers than agents are of no use.
    """

    def __init__(
        self,
        redis_url: str,
        agents: str | Iterable[str],
        batch_size: int = 1000,
        *,
        start: int | None = None,
        end: int | None = None,
        fields: Mapping[str, torch.dtype] | None = None,
        **client_options: Any,
    ) -> None:
        """Prepare to read the memories from `start` to `end`, both included; None leaves a side open.

        `batch_size`, up to 16,384, is also how many are recalled in a call. The other arguments are as
        for ReplayDataset. Raises InvalidInputError; iterating raises what `iterate_memories` does, and
        InvalidMetadataError where a memory lacks a field.
        """
        super().__init__(redis_url, agents, batch_size, fields, client_options)
        self._bounds = tuple(
            None if bound is None else checks.timestamp(bound, name)
            for name, bound in (("start", start), ("end", end))
        )

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        share = self.agents if worker is None else self.agents[worker.id :: worker.num_workers]
        with self._open() as memory:
            for agent in share:
                yield from self._history(memory, agent)

    def _history(self, memory: RedisAgentMemory, agent: str) -> Iterator[Batch]:
        recalled = memory.iterate_memories(
            agent, *self._bounds, page=self._batch_size, fields=self._fields.recalled
        )
        while rows := list(itertools.islice(recalled, self._batch_size)):
            yield self._batch(
                [agent] * len(rows),
                np.array([row.timestamp for row in rows], np.int64),
                np.stack([row.state for row in rows]),
                [row.metadata for row in rows],
            )
