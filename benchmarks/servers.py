"""Servers that systems are measured on: one each, all started in the same way, filled and emptied here."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from types import TracebackType

import numpy as np
import redis

from benchmarks.clients import READ, READ_HOLDS, WRITTEN
from benchmarks.material import STATES, Material
from benchmarks.peers.system import Client, System
from modules_store.server import EmbeddedServer

FILLED_AT_ONCE = 1024
MOST_WRITTEN_KEYS = 200_000
MOST_WRITTEN_BYTES = 300_000_000
"""Past either the memories of agents that were stored to are deleted, between two measurements."""
LARGEST_ERROR = 0.1
"""Of a recalled state, root mean square, as a share of the states' spread: any codec here stays under it."""


class Servers:
    """A server for each system, for the length of a `with` block."""

    def __init__(
        self, systems: Sequence[System], material: Material, *, engine: str | None, appendonly: bool = False
    ) -> None:
        self._stack = contextlib.ExitStack()
        self._servers: dict[str, EmbeddedServer] = {}
        self._clients: dict[str, redis.Redis] = {}
        self._at_rest: dict[str, tuple[int, int]] = {}
        try:
            for system in systems:
                server = self._stack.enter_context(EmbeddedServer(engine=engine, appendonly=appendonly))
                self._servers[system.name] = server
                self._clients[system.name] = self._stack.enter_context(redis.Redis.from_url(server.url))
                system.prepare(server.url, material)
        except BaseException:
            self._stack.close()
            raise

    def url(self, name: str) -> str:
        """Return the address of a system's server."""
        return self._servers[name].url

    def redis(self, name: str) -> redis.Redis:
        """Return a plain client of a system's server."""
        return self._clients[name]

    def rest(self, name: str) -> None:
        """Remember what a system's server holds now, as what `tidy` goes back to."""
        self._at_rest[name] = self._held(name)

    def tidy(self, name: str) -> None:
        """Delete what was stored to written agents where that has become much; it takes a second then."""
        keys, used_bytes = self._held(name)
        keys_at_rest, bytes_at_rest = self._at_rest[name]
        if keys - keys_at_rest < MOST_WRITTEN_KEYS and used_bytes - bytes_at_rest < MOST_WRITTEN_BYTES:
            return
        client, cursor = self._clients[name], None
        while cursor != 0:
            cursor, found = client.scan(cursor or 0, match=f"*{WRITTEN}*", count=5000)
            if found:
                client.delete(*found)

    def _held(self, name: str) -> tuple[int, int]:
        client = self._clients[name]
        return client.dbsize(), client.info("memory")["used_memory"]

    def __enter__(self) -> Servers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def fill(client: Client, agent: str, count: int, *, described: bool = False) -> None:
    """Store `count` memories of one agent, the states over and over."""
    for start in range(0, count, FILLED_AT_ONCE):
        first = start % STATES
        client.fill(agent, slice(first, first + min(FILLED_AT_ONCE, count - start)), described)


def fill_read(client: Client, system: System, material: Material) -> None:
    """Store what is recalled from, and see that it comes back. Raises RuntimeError where it does not."""
    client.open(READ)
    fill(client, READ, READ_HOLDS)
    if system.is_floor:
        return
    expected = material.states[READ_HOLDS - 10 : READ_HOLDS]
    recent = client.array(client.recent(READ, 10))
    error = min(_error(recent, expected), _error(recent[::-1], expected))
    sampled = client.array(client.sample(READ, 64))
    nearest = [_error(one, material.states[_nearest(one, material)]) for one in sampled]
    worst = max(error, *nearest) / float(material.states.std())
    if recent.shape != expected.shape or len(sampled) != 64 or not worst < LARGEST_ERROR:
        raise RuntimeError(
            f"{system.name} does not give back what was stored: error {worst:.3f} of the spread"
        )


def _error(recalled: np.ndarray, stored: np.ndarray) -> float:
    return float(np.sqrt(np.mean((recalled - stored) ** 2)))


def _nearest(one: np.ndarray, material: Material) -> int:
    return int(((material.states[:READ_HOLDS] - one) ** 2).sum(axis=1).argmin())
