"""README.md's first program, run as it stands there: its commands and its Python, against a real server."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from modules_store import RedisAgentMemory

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST_PROGRAM, MORE = (
    README.partition(title)[2].partition("\n### ")[0] for title in ("## First program", "### What")
)


def blocks(language: str, section: str = FIRST_PROGRAM) -> list[str]:
    all_blocks = re.findall(r"^```(\w*)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return [text for its_language, text in all_blocks if its_language == language]


@pytest.fixture
def states() -> np.ndarray:
    generator = np.random.default_rng(0)
    mixed = generator.normal(size=(600, 3)) @ generator.normal(size=(3, 8))
    return mixed.astype(np.float32)


def test_the_first_program(server, redis_client, states, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("states.npy", states)
    serve, training, moving = blocks("")
    assert serve.split()[:2] == [".venv/bin/modules-store", "serve"]  # tests/cli runs it
    program, with_trained_codec = (
        block.replace("redis://127.0.0.1:6379", server.url) for block in blocks("python")
    )
    names = {"state": states[0], "states": states[:32]}
    exec(program, names)
    assert len(names["timestamps"]) == 32
    assert names["one"].metadata == {"step": 1, "reward": 0.5}
    np.testing.assert_array_equal(names["one"].state, states[0].astype(np.float16))
    assert [memory.timestamp for memory in names["recent"]] == [
        *reversed(names["timestamps"]),
        names["timestamp"],
    ]

    run(training, server.url)
    exec(with_trained_codec, names)
    with names["memory"] as memory:
        (recalled,) = memory.get_recent_memories("drone-8")
        np.testing.assert_allclose(recalled.state, states[0], atol=0.01 * states.std())
        run(moving, server.url)
        moved = memory.get_recent_memories("drone-7", 100)
        memory.store_agent_memory("drone-7", states[0])
    np.testing.assert_allclose(moved[-1].state, states[0], atol=0.01 * states.std())


def test_the_commands(server, redis_client, states, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODULES_STORE_URL", server.url)
    with RedisAgentMemory(server.url) as memory:
        memory.store_agent_memories("drone-7", states)
    (commands,) = blocks("", MORE)
    run(commands, server.url)
    assert pq.read_table("memories.parquet").num_rows == len(states)


def run(commands: str, url: str) -> None:
    for line in commands.splitlines():
        command, *arguments = shlex.split(line.replace("redis://127.0.0.1:6379", url), comments=True)
        arguments += ["--steps", "50", "--quiet"] if arguments[0] == "train" else []
        script = Path(sys.executable).parent / Path(command).name
        subprocess.run([script, *arguments], check=True, timeout=300)


def test_each_make_target_that_is_named_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))
    assert {"demo", "test", "help", "bench"} <= named
    assert named <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def test_each_folder_that_is_named_exists():
    for folder in re.findall(r"^\| `([a-z_]+)/` \|", README, re.MULTILINE):
        assert (ROOT / folder).is_dir(), folder
