"""The installed command in pipes, with a wrong server, and interrupted."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys

COMMAND = [sys.executable, "-c", "from modules_store.cli import main; main()"]


def call(*arguments, url, **options):
    environment = {**os.environ, "MODULES_STORE_URL": url, "COLUMNS": "60"}
    options = {"capture_output": True, "text": True, "env": environment, **options}
    return subprocess.run([*COMMAND, *arguments], check=False, **options)


def test_a_pipe_gets_whole_lines_without_colours(server, filled):
    filled.store_agent_memory("long", [0.0] * 6, {"note": "x" * 300})
    answer = call("recent", "long", url=server.url)
    assert answer.returncode == 0
    assert answer.stderr == ""
    assert answer.stdout.splitlines()[1].endswith("x" * 300 + '"}')
    assert "\x1b" not in answer.stdout


def test_a_terminal_gets_lines_that_fit(server, filled):
    filled.store_agent_memory("long", [0.0] * 6, {"note": "x" * 300})
    main, terminal = pty.openpty()
    answer = call("recent", "long", url=server.url, capture_output=False, stdout=terminal)
    os.close(terminal)
    assert answer.returncode == 0
    lines = os.read(main, 10_000).decode().splitlines()
    assert len(lines) == 2
    assert "…" in lines[1]
    os.close(main)


def test_progress_goes_to_a_terminal_and_results_to_the_pipe(server, filled):
    main, terminal = pty.openpty()
    streams = {"capture_output": False, "stdout": subprocess.PIPE, "stderr": terminal}
    answer = call("trim", "--all", "--json", url=server.url, **streams)
    os.close(terminal)
    assert [own["agent"] for own in json.loads(answer.stdout)] == ["drone-1", "drone-2", "rover"]
    assert b"Trimming" in os.read(main, 10_000)
    os.close(main)


def test_a_closed_pipe_is_no_error(server, redis_client, filled):
    filled.store_agent_memories("long", [[0.0] * 6] * 200, [{"note": "x" * 1000}] * 200)
    command = f"{sys.executable} -c 'from modules_store.cli import main; main()' recent long -n 200 | head -1"
    for form in ("", " --json"):
        answer = subprocess.run(
            ["bash", "-c", command.replace(" |", f"{form} |")],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "MODULES_STORE_URL": server.url},
        )
        assert answer.stderr == ""
        assert answer.stdout


def test_no_server(tmp_path):
    answer = call("agents", url=f"unix://{tmp_path}/none.sock")
    assert answer.returncode == 1
    assert answer.stderr.startswith("modules-store: the Redis server cannot be reached")
    assert answer.stderr.count("\n") == 1


def test_no_url():
    answer = call("agents", url="localhost:6379")
    assert answer.returncode == 1
    assert answer.stderr.startswith("modules-store: redis_url: 'localhost:6379': Redis URL must specify")


def test_ctrl_c_is_quiet(server, redis_client, filled, wait_until):
    redis_client.client_pause(60_000, all=False)
    try:
        process = subprocess.Popen(
            ["env", "--default-signal=INT", *COMMAND, "trim", "--all"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "MODULES_STORE_URL": server.url},
        )
        wait_until(lambda: redis_client.info("clients")["blocked_clients"])
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10) == ("", "")
        assert process.returncode == 130
    finally:
        redis_client.client_unpause()
