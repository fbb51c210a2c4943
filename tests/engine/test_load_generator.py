"""The load generator of `make bench-engine`: it counts replies rightly, and an error among them ends it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import helpers

SOURCE = Path(__file__).parent.parent.parent / "engine" / "bench" / "load.cc"
INCREMENT = b"*2\r\n$4\r\nINCR\r\n$6\r\ncalled\r\n"


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    helpers.need(shutil.which("g++"), "g++")
    path = tmp_path_factory.mktemp("load") / "load"
    subprocess.run(["g++", "-std=c++20", "-o", path, SOURCE], check=True)
    return path


@pytest.fixture
def load(program, server, tmp_path):
    """Returns what the generator printed and its status, after a request, connections and pipeline depth."""

    def run(request: bytes, connections: int = 1, pipeline: int = 1) -> subprocess.CompletedProcess[str]:
        (tmp_path / "request").write_bytes(request)
        arguments = [server.unix_socket, tmp_path / "request", connections, pipeline, 0.1]
        return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize(("connections", "pipeline"), [(1, 1), (5, 1), (3, 7)])
def test_each_reply_counts_once(load, redis_client, connections, pipeline):
    answer = load(INCREMENT, connections, pipeline)
    assert answer.returncode == 0, answer.stderr
    figures = json.loads(answer.stdout)
    assert figures["replies"] == int(redis_client.get("called"))
    assert figures["replies"] % pipeline == 0
    assert 0 < figures["p50_us"] <= figures["p99_us"] <= figures["p99_9_us"] <= figures["max_us"]


def test_a_reply_of_many_reads_and_one_of_several_elements_count_once(load, redis_client):
    redis_client.set("large", b"\r\n$-1\r\n" * 50_000)
    script = b"redis.call('INCR', 'called'); return {redis.call('GET', 'large'), {1, {}, false}, ''}"
    answer = load(b"*3\r\n$4\r\nEVAL\r\n$%d\r\n%b\r\n$1\r\n0\r\n" % (len(script), script), 2, 3)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["replies"] == int(redis_client.get("called"))


@pytest.mark.parametrize(
    "script", [b"return redis.error_reply('BAD news')", b"return {1, redis.error_reply('BAD news')}"]
)
def test_an_error_reply_ends_it(load, redis_client, script):
    answer = load(b"*3\r\n$4\r\nEVAL\r\n$%d\r\n%b\r\n$1\r\n0\r\n" % (len(script), script))
    assert answer.returncode == 1
    assert "BAD news" in answer.stderr
    assert answer.stdout == ""
