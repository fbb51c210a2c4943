"""`modules-store check`, help, and the command without its extra."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from modules_store.cli import app


def invoke(*arguments):
    return CliRunner().invoke(app, arguments)


def test_good_server(server):
    result = invoke("check", server.url)
    assert result.exit_code == 0
    assert result.output.endswith("with the engine, RedisJSON, RediSearch: all that is needed\n")


def test_server_without_the_modules(start_server):
    result = invoke("check", start_server(modules=()).url)
    assert result.exit_code == 1
    assert "lacks redisai.so (the command AI.TENSORSET) and rejson.so" in result.output


def test_no_server(tmp_path):
    result = invoke("check", f"unix://{tmp_path}/none.sock")
    assert result.exit_code == 1
    assert "cannot be reached" in result.output


def test_no_url():
    result = invoke("check", "localhost:6379")
    assert result.exit_code == 1
    assert "must specify one of the following schemes" in result.output


@pytest.mark.parametrize("command", ["serve", "check"])
def test_help_names_each_command(command):
    assert command in invoke("--help").output
    assert invoke(command, "--help").exit_code == 0


@pytest.mark.parametrize("arguments", [["import", "x"], ["export", "--all", "--to", "x"]])
def test_without_pyarrow_there_is_one_clear_line(arguments):
    script = "import sys; sys.modules['pyarrow'] = None; from modules_store.cli import main; main()"
    answer = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert answer.stderr.startswith("modules-store: Parquet files need pyarrow")
    assert answer.stderr.endswith("pip install 'modules-store[parquet]'\n")
    assert answer.stderr.count("\n") == 1


def test_without_typer_there_is_one_clear_line():
    script = "import sys; sys.modules['typer'] = None; from modules_store.cli import main; main()"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert answer.stderr == "modules-store needs typer and rich: pip install 'modules-store[cli]'\n"
