"""How many bytes of the server's memory a memory takes, with and without metadata of three fields."""

from __future__ import annotations

from benchmarks.cases.common import Bench, Row
from benchmarks.measure import bytes_each
from benchmarks.peers.system import Client, System
from benchmarks.servers import FILLED_AT_ONCE, Servers, fill

MEMORIES_AN_AGENT = 10_000
WARM = "warm"
"""An agent whose memory makes what every server has once: documents, loaded programs."""


def measure(bench: Bench) -> list[Row]:
    """Return a row for each system and number of memories: `bytes` a memory, and how many were `memories`.

    Each is measured on a fresh server, so there are no rounds: memory is not noisy as time is.
    """
    rows = []
    for size in bench.plan.sizes:
        for system in bench.plan.systems:
            if not system.is_weighed:
                continue
            memories = min(size, system.most_memories or size)
            for described in (False, True):
                text = f"{memories:,} memories{' with metadata' if described else ''}"
                bench.tick(f"bytes: {text}: {system.name}")
                rows.append(
                    {
                        "system": system.name,
                        "asked": size,
                        "memories": memories,
                        "described": described,
                        "bytes": _weigh(bench, system, memories, described),
                    }
                )
    return rows


def _weigh(bench: Bench, system: System, memories: int, described: bool) -> float:
    """Store so many memories on a fresh server, 10,000 an agent; return the bytes of each."""
    plan, material = bench.plan, bench.material
    with Servers([system], material, engine=plan.engine, appendonly=plan.appendonly) as servers:
        client = system.connect(servers.url(system.name), material)

        def store() -> None:
            # What grows step by step weighs differently step by step; a storage of fixed length is one agent.
            an_agent = memories if system.is_bounded else MEMORIES_AN_AGENT
            for number, start in enumerate(range(0, memories, an_agent)):
                agent, count = f"agent-{number}", min(an_agent, memories - start)
                client.open(agent, capacity=count)
                fill(client, agent, count, described=described)

        _warm(client, described)
        try:
            return bytes_each(servers.redis(system.name), memories, store, look_every_s=plan.look_every_s)
        finally:
            client.close()


def _warm(client: Client, described: bool) -> None:
    client.open(WARM, capacity=FILLED_AT_ONCE)
    fill(client, WARM, 1, described=described)
