"""Every step of the image that can be taken without Docker: lay out, start, health check, stop."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from modules_store import resources
from modules_store.server_check import check_server
from tests.helpers import need, wait_until

DOCKER = Path(__file__).parent.parent.parent / "docker"
PASSWORD = 'blank " and \\ quote'


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """What the image has in /opt/modules-store."""
    folder = tmp_path_factory.mktemp("image")
    subprocess.run([DOCKER / "lay-out.sh", folder], env={**os.environ, "PYTHON": sys.executable}, check=True)
    for script in ("start.sh", "healthcheck.sh"):
        shutil.copy(DOCKER / script, folder)
    yield folder
    shutil.rmtree(folder)  # 400 MB


@pytest.fixture
def environment(tmp_path):
    """What the scripts find in a container, as far as it is not the same here."""
    server = resources.redis_server()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = tmp_path / "data"
    data.mkdir()
    return {
        "PATH": "/usr/bin:/bin",
        "PORT": str(port),
        "BIND": "127.0.0.1",
        "DATA_DIR": str(data),
        "REDIS_SERVER": str(server),
        "MODULES_DIR": str(resources.json_module(server).parent),
    }


@pytest.fixture
def start(image, environment):
    """Run start.sh until it answers; give the process, which is the server itself, and a client."""
    started = []

    def start(*arguments, **variables):
        process = subprocess.Popen(
            [image / "start.sh", *arguments],
            env=environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        client = redis.Redis(port=int(environment["PORT"]), password=variables.get("REDIS_PASSWORD"))

        def answers():
            assert process.poll() is None, process.stdout.read()
            try:
                return client.ping()
            except redis.ConnectionError:
                return False

        wait_until(answers, timeout_s=30)
        return process, client

    yield start
    for process in started:
        process.kill()
        process.communicate()


def stop(process):
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 0


def health(environment, **variables):
    need(shutil.which("redis-cli"), "redis-cli")
    answer = subprocess.run(
        [DOCKER / "healthcheck.sh"], env=environment | variables, capture_output=True, text=True, check=False
    )
    return answer.returncode, answer.stderr


def test_engine_loads_with_torch_from_its_own_folder_alone(start, image):
    process, client = start()
    assert check_server(client).modules == {"engine", "json", "search"}
    libraries = set(
        re.findall(r"/\S*/lib(?:torch|c10|gomp)\S*", Path(f"/proc/{process.pid}/maps").read_text())
    )
    assert {Path(path).name for path in libraries} >= {"libtorch_cpu.so", "libc10.so"}
    assert {Path(path).parent for path in libraries} == {image / "torch" / "lib"}


def test_server_is_healthy(start, environment):
    start()
    assert health(environment) == (0, "")


def test_password_is_needed_and_not_seen_in_the_list_of_processes(start, environment):
    process, client = start(REDIS_PASSWORD=PASSWORD)
    assert client.ping()
    assert health(environment, REDIS_PASSWORD=PASSWORD)[0] == 0
    assert health(environment)[0] == 1
    assert b"quote" not in Path(f"/proc/{process.pid}/cmdline").read_bytes()


def test_settings_reach_the_server(start):
    _, client = start(
        "--databases", "3", MAXMEMORY="100mb", PROTECTED_MODE="no", ENGINE_ARGS="THREADS_PER_QUEUE 2"
    )
    assert client.config_get("maxmemory", "protected-mode", "databases", "appendonly", "save") == {
        "maxmemory": str(100 * 1024 * 1024),
        "protected-mode": "no",
        "databases": "3",
        "appendonly": "yes",
        "save": "3600 1 300 100 60 10000",
    }
    arguments = {module[b"name"]: module[b"args"] for module in client.module_list()}
    assert arguments[b"ai"] == [b"THREADS_PER_QUEUE", b"2"]


def test_no_server_is_unhealthy(environment):
    code, error = health(environment)
    assert code == 1
    assert "Connection refused" in error


@pytest.mark.parametrize(
    ("modules", "missing"),
    [(("json",), "AI.MODELEXECUTE"), (("engine",), "JSON.SET"), ((), "AI.MODELEXECUTE")],
)
def test_server_that_lacks_a_module_is_unhealthy(start_server, environment, modules, missing):
    server = start_server(modules=modules)
    code, error = health(environment, PORT=str(server.port))
    assert code == 1
    assert f"the server does not know {missing}" in error


def test_data_is_there_after_a_new_start(start):
    process, client = start()
    client.json().set("kept", "$", {"step": 1})
    stop(process)
    _, client = start()
    assert client.json().get("kept") == {"step": 1}


def test_rdb_file_that_would_be_lost_is_not_overwritten(start, image, environment):
    process, client = start("--appendonly", "no")
    client.set("kept", "yes")
    stop(process)
    refused = subprocess.run(
        [image / "start.sh"], env=environment, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "redis-cli CONFIG SET appendonly yes" in refused.stderr
    process, client = start("--appendonly", "no")
    client.config_set("appendonly", "yes")
    wait_until(lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0)
    stop(process)
    _, client = start()
    assert client.get("kept") == b"yes"


def test_build_says_that_it_needs_the_index_of_torch():
    answer = subprocess.run(
        [DOCKER / "build-engine.sh"],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode != 0
    assert "TORCH_INDEX_URL" in answer.stderr


def test_lay_out_says_how_it_is_used():
    answer = subprocess.run([DOCKER / "lay-out.sh"], capture_output=True, text=True, check=False)
    assert answer.returncode != 0
    assert "usage: lay-out.sh FOLDER" in answer.stderr


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yml"])
def test_scripts_that_are_named_exist_and_can_be_run(name):
    scripts = set(re.findall(r"[\w-]+\.sh", (DOCKER / name).read_text()))
    assert scripts
    assert [script for script in scripts if not os.access(DOCKER / script, os.X_OK)] == []
