"""What tests of several parts share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest


def need(found: object, what: str) -> None:
    """Skip the test where something it needs is missing; fail it on CI, where nothing may be."""
    if not found and os.environ.get("CI"):
        pytest.fail(f"not installed: {what}")
    if not found:
        pytest.skip(f"not installed: {what}")


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
