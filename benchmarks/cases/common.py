"""What the cases share: how long and how often to measure, and on what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.material import Material
from benchmarks.peers.system import System

Row = dict[str, Any]
Tick = Callable[[str], None]
"""Told what comes next, for who waits."""


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    systems: Sequence[System]
    """Those that can run here."""
    rounds: int = 5
    seconds: float = 0.15
    """Of each measurement of a rate, in each round."""
    latency_seconds: float = 0.8
    processes: int = 8
    """Of the measurements with several."""
    sizes: tuple[int, ...] = (10_000, 1_000_000)
    """Memories that are weighed."""
    look_every_s: float = 0.5
    """At a server's memory, until it is at rest."""
    agents: tuple[int, ...] = (1, 10, 100, 1000, 10_000)
    memories: tuple[int, ...] = (100, 1000, 10_000, 100_000, 1_000_000)
    """How far agents, and memories of an agent, grow."""
    engine: str | None = None
    """Another redisai.so than the installed one."""
    appendonly: bool = False


@dataclass(frozen=True)
class Bench:
    """What a case works with."""

    plan: Plan
    material: Material
    tick: Tick
