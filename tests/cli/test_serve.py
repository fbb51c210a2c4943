"""`modules-store serve`: what it prints, and that nothing is left of it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.helpers import has_ended

COMMAND = Path(sys.executable).with_name("modules-store")


@pytest.fixture
def serve(server, tmp_path):
    """Start `modules-store serve` and read its greeting. `server` is there to skip these where it skips."""
    started = []

    def serve(*arguments):
        # Where a shell runs the tests in its background they ignore SIGINT, and what they start would too.
        process = subprocess.Popen(
            ["env", "--default-signal=INT,HUP", COMMAND, "serve", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        started.append(process)
        greeting = ""
        for line in process.stdout:
            greeting += line
            if line.startswith("Ctrl-C"):
                return process, greeting
        pytest.fail(f"serve ended with {process.wait()}:\n{greeting}")

    yield serve
    for process in started:
        process.terminate()
        process.communicate()


def server_pid(greeting):
    with redis.Redis.from_url(url_in(greeting)) as client:
        return client.info("server")["process_id"]


def url_in(greeting):
    return re.search(r"URL +(\S+)", greeting)[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_ends_it_and_nothing_is_left(serve, tmp_path, number):
    process, greeting = serve("--unix-socket", str(tmp_path / "s"))
    pid = server_pid(greeting)
    process.send_signal(number)
    assert process.communicate(timeout=30)[0] == "stopped\n"
    assert process.returncode == 0
    assert has_ended(pid)
    assert list(tmp_path.iterdir()) == []


def test_greeting_says_what_to_type_next(serve, tmp_path):
    _, greeting = serve("--unix-socket", str(tmp_path / "s"))
    assert re.match(r"Redis \d+\.\d+\.\d+ with the engine, RedisJSON, RediSearch is ready", greeting)
    assert "no --data-dir" in greeting
    redis_cli = re.search(r"redis-cli .*", greeting)[0]
    if shutil.which("redis-cli"):
        answer = subprocess.run([*shlex.split(redis_cli), "ping"], capture_output=True, text=True, check=True)
        assert answer.stdout == "PONG\n"


def test_data_is_kept_with_settings_and_aof(serve, tmp_path):
    options = ["--unix-socket", str(tmp_path / "s"), "--data-dir", str(tmp_path / "data")]
    process, greeting = serve(*options, "--appendonly", "--config", "maxmemory 100mb", "--config", "save")
    with redis.Redis.from_url(url_in(greeting)) as client:
        client.set("kept", "yes")
        assert client.config_get("maxmemory", "save", "appendonly") == {
            "maxmemory": str(100 * 1024 * 1024),
            "save": "",
            "appendonly": "yes",
        }
    process.terminate()
    process.communicate(timeout=30)
    _, greeting = serve(*options)
    assert str(tmp_path / "data") in greeting
    with redis.Redis.from_url(url_in(greeting)) as client:
        assert client.get("kept") == b"yes"


def test_server_that_dies_ends_it_with_the_log(serve, tmp_path):
    process, greeting = serve("--unix-socket", str(tmp_path / "s"))
    os.kill(server_pid(greeting), signal.SIGKILL)
    output = process.communicate(timeout=30)[0]
    assert process.returncode == 1
    assert "the server ended by itself, with status -9" in output
    assert "Ready to accept connections" in output
    assert "Traceback" not in output


def test_port_that_is_taken(start_server):
    port = start_server(modules=()).port
    answer = subprocess.run(
        [COMMAND, "serve", "--port", str(port)], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert answer.stderr == f"modules-store: port: {port} is in use by another program\n"
