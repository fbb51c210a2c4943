"""A server's memory when it has nothing to do and holds nothing, so that two moments can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import redis

from modules_store.server import EmbeddedServer
from tests.helpers import wait_until

REST_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Memory:
    """What the server's allocator has given out, and what the process has of the machine, in bytes."""

    used: int
    rss: int


def now(server: EmbeddedServer, client: redis.Redis) -> Memory:
    """Return the memory as it is."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    rss_kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
    return Memory(client.info("memory")["used_memory"], int(rss_kib) * 1024)


def at_rest(server: EmbeddedServer) -> Memory:
    """Empty the server, wait until nothing waits, is freed or saved there, and return the memory.

    All other connections must be closed.
    """
    with redis.Redis.from_url(server.url) as client:
        wait_until(lambda: _is_idle(client), REST_TIMEOUT_S)
        client.flushall()
        client.script_flush()
        wait_until(lambda: _is_idle(client), REST_TIMEOUT_S)
        client.execute_command("MEMORY PURGE")
        return now(server, client)


def _is_idle(client: redis.Redis) -> bool:
    facts = client.info("everything")
    waiting = [
        count for name, count in facts.items() if name.startswith("ai_queue_") and name.endswith("_waiting")
    ]
    return not (
        sum(waiting)
        or facts["connected_clients"] > 1
        or facts["blocked_clients"]
        or facts["lazyfree_pending_objects"]
        or facts["rdb_bgsave_in_progress"]
        or facts["aof_rewrite_in_progress"]
        or facts["aof_rewrite_scheduled"]
    )
