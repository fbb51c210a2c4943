"""The thin client's run is what it says: no torch, no engine, a newer redis-py, the package as users get it.

These tests are of that run alone; without them it could become the same as the other and nobody would know.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
import redis

import modules_store

ENVIRONMENT = Path(sys.prefix)


@pytest.mark.parametrize("name", ["torch", "redisai", "onnx", "onnxruntime"])
def test_what_the_client_can_do_without_is_not_there(name):
    assert importlib.util.find_spec(name) is None


def test_redis_py_is_newer_than_the_oldest_supported():
    assert redis.VERSION > (5,)


def test_package_and_scripts_are_the_installed_ones():
    assert ENVIRONMENT in Path(modules_store.__file__).parents
    assert resources.files("modules_store").joinpath("lua", "store_memories.lua").is_file()
    assert resources.files("modules_store").joinpath("codecs", "float16", "encoder.pt").is_file()


def test_programs_that_tests_start_use_it_too():
    command = [sys.executable, "-c", "import modules_store; print(modules_store.__file__)"]
    assert subprocess.check_output(command, text=True).strip() == modules_store.__file__


def test_serve_says_that_the_engine_is_missing():
    command = [ENVIRONMENT / "bin" / "modules-store", "serve", "--port", "1"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert answer.stderr.startswith("modules-store: this installation of modules-store has no engine")
