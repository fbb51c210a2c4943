"""On which machine, and with which versions, figures were measured."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from pathlib import Path
from typing import Any

import redis
import redis.utils

from modules_store.server import EmbeddedServer

PACKAGES = ("redis", "hiredis", "torch", "torchrl", "tensordict", "numpy")


def about(engine: str | None) -> dict[str, Any]:
    """Return facts by name; starts a server to ask it what it is."""
    with EmbeddedServer(engine=engine) as server, redis.Redis.from_url(server.url) as client:
        facts = client.info("everything")
        loaded = {module["name"]: module["ver"] for module in facts["modules"]}
    modules = ", ".join(f"{name} {version}" for name, version in sorted(loaded.items()))
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "redis-server": facts["redis_version"],
        "allocator": facts["mem_allocator"],
        "modules": modules,
        **{package: _version(package) for package in PACKAGES},
        "redis-py parses with": "hiredis" if redis.utils.HIREDIS_AVAILABLE else "Python",
        "load average before": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
