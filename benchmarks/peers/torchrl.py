"""TorchRL's replay storage in Redis, `StoreStorage`: a string of fixed length for each field of entries."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.material import ACTIONS, Material
from benchmarks.peers.system import ALL_WORKS, CAPACITY, Client, System
from model_export import optional

if TYPE_CHECKING:
    from tensordict import TensorDict
    from torchrl.data import ReplayBuffer


@dataclass(frozen=True)
class TorchRL(System):
    """A `ReplayBuffer` on a `StoreStorage`; with `by_slices` its `set` of neighbouring entries instead."""

    by_slices: bool = False
    agents_a_client: ClassVar[int] = 1
    most_agents: ClassVar[int | None] = 100
    is_bounded: ClassVar[bool] = True
    notes: ClassVar[str] = (
        "`ReplayBuffer` on `StoreStorage`: `add` for 1 state, `extend` for more, the storage's `get` of "
        "a slice for the newest and of random indices for samples. *By slices* is its fastest write: "
        "`set` of a slice of neighbouring entries, without a writer. It is given tensors; actions are "
        "integers, since text would have the JSON of all entries written anew with each store. It keeps "
        "float32 without a codec, in one string of fixed length for each field, reserved at the first "
        "store. It cannot tell one agent from another or find a memory by time; an entry has the same "
        "fields as all others; single entries cannot be dropped, expire or be evicted. Each storage "
        "takes a thread and a connection, so one is measured for each client, and at most 100 for "
        "agents. How many entries there are, and where the next goes, only the writing process knows"
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
        return _Client(url, material, self.by_slices)


class _Client(Client):
    def __init__(self, url: str, material: Material, by_slices: bool) -> None:
        # Imported here, as they take seconds and other systems do without.
        self._torchrl, self._tensordict = (
            optional.load(module, "replay") for module in ("torchrl.data", "tensordict")
        )
        self._address = urlsplit(url)
        metadata = material.metadata
        self._columns = {
            "observation": torch.from_numpy(material.states),
            "step": torch.tensor([one["step"] for one in metadata]),
            "reward": torch.tensor([one["reward"] for one in metadata]),
            "action": torch.tensor([ACTIONS.index(one["action"]) for one in metadata]),
        }
        self._by_slices = by_slices
        self._buffers: dict[str, ReplayBuffer] = {}
        self._next: dict[str, int] = {}

    def open(self, agent: str, *, holds: int = 0, capacity: int = CAPACITY) -> None:
        if agent in self._buffers:
            return
        host, port = self._address.hostname, self._address.port
        storage = self._torchrl.StoreStorage(capacity, host=host, port=port, td_id=f"{{{agent}}}")
        if holds:
            # Another process has written them, and how many there are this one has to be told.
            # load_state_dict would do, but what it calls needs redis-py 5.
            storage._init(self._tensordict.TensorDict({}, batch_size=[]))
            storage._len = holds
        self._buffers[agent] = self._torchrl.ReplayBuffer(storage=storage, batch_size=1)
        self._next[agent] = holds % capacity

    def store(self, agent: str, rows: slice, described: bool) -> None:
        self.open(agent)
        buffer = self._buffers[agent]
        entries = self._entries(rows, described)
        if self._by_slices:
            self._set_slice(agent, entries)
        elif len(entries) == 1:
            buffer.add(entries[0])
        else:
            buffer.extend(entries)

    def fill(self, agent: str, rows: slice, described: bool) -> None:
        self.open(agent)
        self._set_slice(agent, self._entries(rows, described))

    def _set_slice(self, agent: str, entries: TensorDict) -> None:
        """Write neighbouring entries, from the beginning again where the ring ends."""
        storage, first = self._buffers[agent].storage, self._next[agent]
        if first + len(entries) > storage.max_size:
            first = 0
        storage.set(slice(first, first + len(entries)), entries)
        self._next[agent] = first + len(entries)

    def _entries(self, rows: slice, described: bool) -> TensorDict:
        fields = self._columns if described else ("observation",)
        columns = {name: self._columns[name][rows] for name in fields}
        return self._tensordict.TensorDict(columns, batch_size=[len(columns["observation"])])

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
