"""How the cases measure: in interleaved rounds, rates as their medians, bytes as the server's own count."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

import redis

T = TypeVar("T")
Name = TypeVar("Name", bound=Hashable)

STILL_BYTES = 10_000
"""Used memory that stays within this for four looks at it is at rest."""


def calls_per_second(
    operations: Mapping[str, Callable[[], object]], *, rounds: int = 5, seconds: float = 0.2
) -> dict[str, float]:
    """Return the rate of each operation, called again and again.

    The operations take turns, `seconds` each in every one of `rounds`, so that a machine that slows down
    slows them all; the median round counts. Compare rates of one call of this function only.
    """
    for operation in operations.values():
        operation()  # loads scripts, fetches the codec, fills caches
    rates = {name: functools.partial(_rate, operation, seconds) for name, operation in operations.items()}
    taken = interleaved(rates, rounds=rounds)
    return {name: statistics.median(rates_of[name] for rates_of in taken) for name in operations}


def interleaved(measurements: Mapping[Name, Callable[[], T]], *, rounds: int) -> list[dict[Name, T]]:
    """Take all the measurements in turn, `rounds` times; return what each round gave, by name."""
    return [{name: measurement() for name, measurement in measurements.items()} for _ in range(rounds)]


def bytes_each(
    client: redis.Redis, count: int, store: Callable[[], object], *, look_every_s: float = 0.5
) -> float:
    """Return how many bytes of the server's memory each of the `count` memories takes that `store()` adds.

    Keys, index and hash tables count. What comes and goes does not: Lua's memory is given back first, and the
    buffers of connections, which the server returns within a second or two, are waited for, until four looks
    at it, `look_every_s` seconds apart, find the same.
    """
    before = _used_bytes(client, look_every_s)
    store()
    return (_used_bytes(client, look_every_s) - before) / count


def _used_bytes(client: redis.Redis, look_every_s: float) -> int:
    client.script_flush("SYNC")
    client.function_flush("SYNC")
    seen = [-1]
    while len(seen) < 4 or max(seen[-4:]) - min(seen[-4:]) > STILL_BYTES:
        time.sleep(look_every_s)
        seen.append(client.info("memory")["used_memory"])
    return seen[-1]


def _rate(operation: Callable[[], object], seconds: float) -> float:
    calls = 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        operation()
        calls += 1
    return calls / elapsed
