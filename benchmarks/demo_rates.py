"""What `make demo` shows: calls a second through one blocking client, beside PING and the bare encoder."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import redis
import torch
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.measure import calls_per_second
from model_export.export import ExportedCodec
from modules_store import RedisAgentMemory

BATCHES = (1, 64, 1024)
RECENT = (1, 100, 1000)
AGENTS = 100


@dataclass(frozen=True)
class Rate:
    """How often a call was made, and how many states each call carries; 0 for a PING."""

    name: str
    calls_per_second: float
    states: int

    @property
    def states_per_second(self) -> float:
        return self.calls_per_second * self.states


def measure(
    redis_url: str, codec: ExportedCodec, states: NDArray[np.float32], **options: float
) -> list[Rate]:
    """Measure a published codec on a server that holds nothing else.

    `states` is float32[N, D] with N >= 1,024. Stores go to 100 agents in turn and trim at 1,000 memories
    each, as in use. `options` are those of `calls_per_second`.
    """
    agents = itertools.cycle(f"bench-{number}" for number in range(AGENTS))
    encoder, _ = codec.modules()
    encoder = torch.jit.optimize_for_inference(torch.jit.freeze(encoder.eval()))
    with (
        redis.Redis.from_url(redis_url) as client,
        RedisAgentMemory(redis_url, codec=codec.config.name) as memory,
    ):
        memory.store_agent_memories("bench-read", states[:1000])
        newest = memory.get_recent_memories("bench-read", 1)[0].timestamp
        operations = {"PING": (0, client.ping)}
        for count in BATCHES:
            batch, tensor = states[:count], torch.from_numpy(states[:count])
            operations[f"encoder alone, {count:,}"] = (count, lambda tensor=tensor: _run(encoder, tensor))
            if count == 1:
                operations["store 1"] = (1, lambda: memory.store_agent_memory(next(agents), states[0]))
            else:
                operations[f"store {count:,}"] = (
                    count,
                    lambda batch=batch: memory.store_agent_memories(next(agents), batch),
                )
        operations["recall 1 by timestamp"] = (1, lambda: memory.retrieve_agent_memory("bench-read", newest))
        for count in RECENT:
            operations[f"recall recent {count:,}"] = (
                count,
                lambda count=count: memory.get_recent_memories("bench-read", count),
            )
        rates = calls_per_second({name: call for name, (_, call) in operations.items()}, **options)
    return [Rate(name, rates[name], count) for name, (count, _) in operations.items()]


def table(rates: list[Rate], title: str) -> Table:
    """Return the rates as a table for the terminal."""
    shown = Table(title=title, title_justify="left")
    shown.add_column("call")
    for heading in ("calls/s", "states/s"):
        shown.add_column(heading, justify="right")
    for rate in rates:
        states = f"{rate.states_per_second:,.0f}" if rate.states else ""
        shown.add_row(rate.name, f"{rate.calls_per_second:,.0f}", states)
    return shown


@torch.inference_mode()
def _run(model: torch.jit.ScriptModule, tensor: torch.Tensor) -> None:
    model(tensor)
