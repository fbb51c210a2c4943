"""TorchRL's replay storage in Redis: `StoreStorage`, one string of fixed length for each field of all entries."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.material import ACTIONS, Material
from benchmarks.peers.system import ALL_WORKS, CAPACITY, Client, Metadata, System

if TYPE_CHECKING:
    from tensordict import TensorDict
    from torchrl.data import ReplayBuffer


@dataclass(frozen=True)
class TorchRL(System):
    """A `ReplayBuffer` on a `StoreStorage`, or, with `by_slices`, the storage's `set` of neighbouring entries."""

    by_slices: bool = False
    agents_a_client: ClassVar[int] = 1
    most_agents: ClassVar[int | None] = 100
    is_bounded: ClassVar[bool] = True
    notes: ClassVar[str] = (
        "`ReplayBuffer` on `StoreStorage`: `add` for 1 state, `extend` for more, the storage's `get` of a slice "
        "for the newest and of random indices for samples. *By slices* is its fastest write: `set` of a slice of "
        "neighbouring entries, without a writer. Actions are stored as integers: text would have the JSON of all "
        "entries written anew with each store. It keeps float32 without a codec, in one string of fixed length "
        "for each field, reserved at the first store. It cannot tell one agent from another or find a memory by "
        "time; an entry has the same fields as all others; single entries cannot be dropped, expire or be "
        "evicted. Each storage takes a thread and a connection, so one is measured for each client, and at most "
        "100 for agents. How many entries there are, and where the next goes, only the writing process knows"
    )

    @property
    def works(self) -> frozenset[str]:  # type: ignore[override]
        """What is recalled is recalled in the same way."""
        return frozenset({"store"}) if self.by_slices else ALL_WORKS

    @property
    def is_weighed(self) -> bool:  # type: ignore[override]
        """What is stored is the same."""
        return not self.by_slices

    def missing(self) -> str | None:
        return None if importlib.util.find_spec("torchrl") else "torchrl is not installed"

    def connect(self, url: str, material: Material) -> Client:
        return _Client(url, self.by_slices)


class _Client(Client):
    def __init__(self, url: str, by_slices: bool) -> None:
        self._address = urlsplit(url)
        self._by_slices = by_slices
        self._buffers: dict[str, ReplayBuffer] = {}
        self._next: dict[str, int] = {}

    def open(self, agent: str, *, holds: int = 0, capacity: int = CAPACITY) -> None:
        from tensordict import TensorDict  # takes seconds, so only where it is used
        from torchrl.data import ReplayBuffer, StoreStorage

        if agent in self._buffers:
            return
        host, port = self._address.hostname, self._address.port
        storage = StoreStorage(capacity, host=host, port=port, td_id=f"{{{agent}}}")
        if holds:
            # Another process has written them, and how many there are this one has to be told. load_state_dict
            # would do, but what it calls needs redis-py 5.
            storage._init(TensorDict({}, batch_size=[]))
            storage._len = holds
        self._buffers[agent] = ReplayBuffer(storage=storage, batch_size=1)
        self._next[agent] = holds % capacity

    def store(self, agent: str, states: NDArray[np.float32], metadata: Metadata | None) -> None:
        self.open(agent)
        buffer = self._buffers[agent]
        entries = _entries(states, metadata)
        if self._by_slices:
            first = self._next[agent] if self._next[agent] + len(states) <= buffer.storage.max_size else 0
            self._next[agent] = first + len(states)
            buffer.storage.set(slice(first, first + len(states)), entries)
        elif len(states) == 1:
            buffer.add(entries[0])
        else:
            buffer.extend(entries)

    def fill(self, agent: str, states: NDArray[np.float32], metadata: Metadata | None) -> None:
        self.open(agent)
        storage, first = self._buffers[agent].storage, self._next[agent]
        storage.set(slice(first, first + len(states)), _entries(states, metadata))
        self._next[agent] = first + len(states)

    def recent(self, agent: str, count: int) -> Any:
        storage = self._buffers[agent].storage
        return storage.get(slice(len(storage) - count, len(storage)))

    def sample(self, agent: str, count: int) -> Any:
        storage = self._buffers[agent].storage
        return storage.get(torch.randint(len(storage), (count,)))

    def array(self, recalled: Any) -> NDArray[np.float32]:
        return recalled["observation"].numpy()

    def close(self) -> None:
        for buffer in self._buffers.values():
            if buffer.storage.initialized:
                buffer.storage._storage.close()


def _entries(states: NDArray[np.float32], metadata: Metadata | None) -> TensorDict:
    from tensordict import TensorDict

    fields = {"observation": torch.from_numpy(states)}
    if metadata:
        fields["step"] = torch.tensor([one["step"] for one in metadata])
        fields["reward"] = torch.tensor([one["reward"] for one in metadata])
        fields["action"] = torch.tensor([ACTIONS.index(one["action"]) for one in metadata])
    return TensorDict(fields, batch_size=[len(states)])
