"""Floors: the least that the work can cost, measured in the same rounds as the systems.

None of them could be used. They take the codes as given, keep no documents and check nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import redis
import torch

from benchmarks.material import FEATURES, Material
from benchmarks.peers.pipelines import PipelineClient
from benchmarks.peers.system import Client, System

HEADER = b"\x01\x01\x00"
TIMESTAMP_BYTES = 8


@dataclass(frozen=True)
class Floor(System):
    """A system that is only there to compare with."""

    is_floor: ClassVar[bool] = True


@dataclass(frozen=True)
class RoundTrip(Floor):
    """One command that carries the states there or back, and does nothing else with them."""

    is_weighed: ClassVar[bool] = False
    notes: ClassVar[str] = "SET of all states of a call as one value; GET of a value of as many states"

    def prepare(self, url: str, material: Material) -> None:
        with redis.Redis.from_url(url) as client:
            for count in (1, 10, 100, 256, 1000):
                client.set(f"floor:{count}", bytes(4 * FEATURES * count))

    def connect(self, url: str, material: Material) -> Client:
        return _RoundTripClient(redis.Redis.from_url(url), material)


class _RoundTripClient(Client):
    def __init__(self, client: redis.Redis, material: Material) -> None:
        self._redis = client
        self._states = material.states
        self._metadata = [json.dumps(fields).encode() for fields in material.metadata]

    def store(self, agent: str, rows: slice, described: bool) -> None:
        value = self._states[rows].tobytes()
        self._redis.set(
            f"floor:{{{agent}}}", b"".join([value, *self._metadata[rows]]) if described else value
        )

    def recent(self, agent: str, count: int) -> Any:
        return self._redis.get(f"floor:{count}")

    def sample(self, agent: str, count: int) -> Any:
        return self._redis.get(f"floor:{count}")

    def close(self) -> None:
        self._redis.close()


@dataclass(frozen=True)
class BareKeys(Floor):
    """The bytes of the layout "keys" by Redis's own commands, in one pipeline."""

    notes: ClassVar[str] = (
        "ready-made codes of 35 bytes in a pipeline of SET for each, one ZADD and JSON.SET for each; "
        "ZREVRANGE or ZRANDMEMBER, then MGET, without decoding"
    )

    def connect(self, url: str, material: Material) -> Client:
        return _BareKeysClient(redis.Redis.from_url(url), material)


class _BareKeysClient(PipelineClient):
    def __init__(self, client: redis.Redis, material: Material) -> None:
        super().__init__(client, material)
        self._values = [HEADER + codes.tobytes() for codes in material.codes]

    def values(self, rows: slice) -> Sequence[bytes]:
        return self._values[rows]

    def states(self, values: Sequence[bytes]) -> Any:
        return values


@dataclass(frozen=True)
class BarePacked(Floor):
    """About the bytes of the layout "packed", as one string an agent."""

    notes: ClassVar[str] = (
        "ready-made codes and timestamps, 40 bytes a memory, by one APPEND a call, and one of the metadata's "
        "JSON; GETRANGE of the newest, a pipeline of GETRANGE for samples, without decoding"
    )

    def connect(self, url: str, material: Material) -> Client:
        return _BarePackedClient(redis.Redis.from_url(url), material)


class _BarePackedClient(Client):
    def __init__(self, client: redis.Redis, material: Material) -> None:
        self._redis = client
        codes = material.codes
        self._row_bytes = codes.shape[1] + TIMESTAMP_BYTES
        rows = np.hstack([np.zeros((len(codes), TIMESTAMP_BYTES), np.int8), codes])
        self._blob = rows.tobytes()
        self._metadata = [json.dumps(fields) for fields in material.metadata]
        self._random = np.random.default_rng()

    def store(self, agent: str, rows: slice, described: bool) -> None:
        value = self._blob[self._row_bytes * rows.start : self._row_bytes * rows.stop]
        if not described:
            self._redis.append(f"floor:{{{agent}}}", value)
            return
        pipe = self._redis.pipeline(transaction=False)
        pipe.append(f"floor:{{{agent}}}", value)
        pipe.append(f"floor:{{{agent}}}:meta", "\n".join(self._metadata[rows]))
        pipe.execute()

    def recent(self, agent: str, count: int) -> Any:
        return self._redis.getrange(f"floor:{{{agent}}}", -self._row_bytes * count, -1)

    def sample(self, agent: str, count: int) -> Any:
        key = f"floor:{{{agent}}}"
        held = self._redis.strlen(key) // self._row_bytes
        pipe = self._redis.pipeline(transaction=False)
        for start in (self._random.integers(held, size=count) * self._row_bytes).tolist():
            pipe.getrange(key, start, start + self._row_bytes - 1)
        return pipe.execute()

    def close(self) -> None:
        self._redis.close()


@dataclass(frozen=True)
class Codec(Floor):
    """The codec alone, in the client's process: no Redis."""

    is_weighed: ClassVar[bool] = False
    notes: ClassVar[str] = (
        "encoder or decoder in the client's process, frozen and optimised, one thread, no Redis"
    )

    def connect(self, url: str, material: Material) -> Client:
        return _CodecClient(material)


class _CodecClient(Client):
    def __init__(self, material: Material) -> None:
        self._encoder, self._decoder = (
            torch.jit.optimize_for_inference(torch.jit.freeze(module.eval()))
            for module in material.codec.modules()
        )
        self._states, self._codes = torch.from_numpy(material.states), torch.from_numpy(material.codes)

    @torch.inference_mode()
    def store(self, agent: str, rows: slice, described: bool) -> None:
        self._encoder(self._states[rows])

    @torch.inference_mode()
    def recent(self, agent: str, count: int) -> Any:
        return self._decoder(self._codes[:count])

    def sample(self, agent: str, count: int) -> Any:
        return self.recent(agent, count)

    def close(self) -> None:
        """Nothing is open."""
