"""An embedded server starts, is reached, and is gone afterwards, whatever ends it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
import redis

from modules_store import server as server_module
from modules_store.errors import InvalidInputError, ServerStartError
from modules_store.server import EmbeddedServer
from tests.helpers import has_ended, wait_until

# What these tests are about does not need the engine, which takes a second to load.
LIGHT = {"modules": ("json", "search")}


def client_of(server):
    return redis.Redis.from_url(server.url)


def test_with_block_starts_and_stops():
    with EmbeddedServer(**LIGHT) as server:
        pid, folder = server.pid, server.data_dir
        assert server.url == f"redis://127.0.0.1:{server.port}"
        with client_of(server) as client:
            assert client.info("server")["process_id"] == pid
            assert client.config_get("bind") == {"bind": "127.0.0.1"}
    assert has_ended(pid)
    assert not folder.exists()
    assert server.pid is None
    assert server.log_tail() == ""
    server.stop()


def test_port_0_means_a_unix_socket():
    with EmbeddedServer(port=0, **LIGHT) as server, client_of(server) as client:
        assert server.url == f"unix://{server.unix_socket}"
        assert client.info("server")["tcp_port"] == 0
        assert server.unix_socket.stat().st_mode & 0o777 == 0o700


def test_given_unix_socket_with_a_blank_in_its_path(tmp_path):
    path = tmp_path / "a socket"
    with EmbeddedServer(unix_socket=path, **LIGHT) as server, client_of(server) as client:
        assert client.ping()
        assert path.is_socket()
    assert not path.exists()


def test_socket_path_too_long_for_the_system(tmp_path):
    with pytest.raises(InvalidInputError, match="unix_socket: longer than 107 bytes"):
        EmbeddedServer(unix_socket=tmp_path / ("x" * 108), **LIGHT)


def test_long_tmpdir_does_not_make_the_socket_path_too_long(tmp_path, monkeypatch):
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with EmbeddedServer(port=0, **LIGHT) as server, client_of(server) as client:
        assert client.ping()


def test_two_servers_at_once(start_server):
    clients = [client_of(start_server(**LIGHT)) for _ in range(2)]
    for number, client in enumerate(clients):
        client.set("number", number)
    assert [client.get("number") for client in clients] == [b"0", b"1"]


def test_taken_port_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServerStartError, match=f"port: {port} is in use"):
            EmbeddedServer(port=port, **LIGHT)


def test_free_port_that_was_taken_meanwhile_is_replaced(monkeypatch):
    find = server_module._free_port
    with EmbeddedServer(**LIGHT) as first:
        picks = iter([first.port])
        monkeypatch.setattr(server_module, "_free_port", lambda: next(picks, None) or find())
        with EmbeddedServer(**LIGHT) as second:
            assert second.port != first.port


def test_failed_start_shows_the_end_of_the_log_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ServerStartError, match=r"end of its log:\n(.*\n)*.*maxmemory .not-a-number"):
        EmbeddedServer(config={"maxmemory": "not-a-number"}, **LIGHT)
    assert list(tmp_path.iterdir()) == []


def test_start_that_takes_too_long_is_ended(tmp_path):
    with pytest.raises(ServerStartError):
        EmbeddedServer(data_dir=tmp_path, start_timeout_s=0, **LIGHT)
    EmbeddedServer(data_dir=tmp_path, **LIGHT).stop()  # would be refused if the first one still ran


def test_wait_returns_the_exit_status(start_server):
    server = start_server(**LIGHT)
    os.kill(server.pid, signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL


def test_server_outlives_the_thread_that_started_it(start_server):
    started = []
    thread = threading.Thread(target=lambda: started.append(start_server(**LIGHT)))
    thread.start()
    thread.join()
    with client_of(started[0]) as client:
        assert client.ping()


def run_script(script, folder):
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )


def test_interpreter_that_ends_without_stop_leaves_nothing(tmp_path):
    script = (
        "from modules_store.server import EmbeddedServer\n"
        "server = EmbeddedServer(modules=())\n"
        "print(server.pid)"
    )
    with run_script(script, tmp_path) as process:
        pid = int(process.stdout.readline())
    assert process.returncode == 0
    assert has_ended(pid)
    assert list(tmp_path.iterdir()) == []


def test_killed_interpreter_leaves_nothing(tmp_path):
    script = (
        "from modules_store.server import EmbeddedServer\n"
        "server = EmbeddedServer(modules=())\n"
        "print(server.pid, flush=True); server.wait()"
    )
    with run_script(script, tmp_path) as process:
        pid = int(process.stdout.readline())
        process.kill()
    wait_until(lambda: has_ended(pid) and not list(tmp_path.iterdir()))


def test_killed_interpreter_leaves_its_data_saved(tmp_path):
    data = tmp_path / "data"
    script = (
        "import sys, redis; from modules_store.server import EmbeddedServer\n"
        "server = EmbeddedServer(data_dir=sys.argv[1] + '/data', modules=())\n"
        "redis.Redis.from_url(server.url).set('written', 'yes')\n"
        "print(server.pid, flush=True); server.wait()"
    )
    with run_script(script, tmp_path) as process:
        pid = int(process.stdout.readline())
        process.kill()
    wait_until(lambda: has_ended(pid) and list(tmp_path.iterdir()) == [data])
    with EmbeddedServer(data_dir=data, modules=()) as server, client_of(server) as client:
        assert client.get("written") == b"yes"


def test_fork_that_ends_does_not_stop_the_server(tmp_path):
    script = (
        "import os, sys, redis; from modules_store.server import EmbeddedServer\n"
        "with EmbeddedServer(modules=()) as server:\n"
        "    child = os.fork()\n"
        "    if child == 0: sys.exit()\n"
        "    os.waitpid(child, 0)\n"
        "    print(redis.Redis.from_url(server.url).ping())"
    )
    with run_script(script, tmp_path) as process:
        assert process.stdout.read() == "True\n"
