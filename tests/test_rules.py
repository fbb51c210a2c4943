"""What holds across the parts: who may depend on whom, headers of scripts, sizes, documented names."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import modules_store

ROOT = Path(__file__).parent.parent
ENGINE = ROOT / "engine" / "src"
LUA = ROOT / "lua"

# In modules_store only these talk to something. errors.py needs redis-py's exceptions, flows/ one of them.
MAY_IMPORT_REDIS = {
    "attempts.py",
    "client.py",
    "aio.py",
    "connections.py",
    "server.py",
    "server_check.py",
    "cli/common.py",
    "cli/serving.py",
    "cli/agents.py",
    "cli/facts.py",
    "cli/transfer.py",
    "errors.py",
    "flows/__init__.py",
}
MAY_DO_IO = {"client.py", "aio.py", "connections.py", "server.py"}
IO_MODULES = {"asyncio", "socket", "subprocess", "urllib.request", "http"}

# From modules_store the training side takes what it needs to publish, and what command lines share.
MAY_BE_USED_BY_MODEL_EXPORT = {
    "codec",
    "keys",
    "urls",
    "errors",
    "files",
    "client",
    "server",
    "cli",
    "RedisAgentMemory",
}

# Each layer of the engine, and those below it that it may include beside itself.
ENGINE_LAYERS = {
    "base": set(),
    "values": {"base"},
    "torch": {"values", "base"},
    "runtime": {"torch", "values", "base"},
    "dag": {"runtime", "torch", "values", "base"},
    "redis": {"base"},
    "persist": {"runtime", "torch", "values", "base", "redis"},
    "commands": {"persist", "dag", "runtime", "torch", "values", "base", "redis"},
}
TORCH_HEADER = re.compile(r"#include <(torch|ATen|c10|caffe2)[/>]")

# Where packages come from is the machine's setting, so files name no hosts but those of examples.
URL = re.compile(r"https?://([\w.-]+)")
HOSTS_OF_EXAMPLES = {"example"}


def python_files(package):
    return sorted((ROOT / package).rglob("*.py"))


def within(path, package="modules_store"):
    return str(path.relative_to(ROOT / package))


def imports_of(path):
    """Return all that the file imports, as dotted names; `from a import b` gives `a` and `a.b`."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import, which these rules do not see"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def roots(names):
    return {name.partition(".")[0] for name in names}


def tracked_files():
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("path", python_files("modules_store"), ids=within)
def test_modules_store_is_light_and_does_io_in_few_places(path):
    names = imports_of(path)
    assert not roots(names) & {"model_export", "redisai", "onnx", "onnxruntime"}
    if within(path) not in MAY_IMPORT_REDIS:
        assert "redis" not in roots(names)
    if within(path) not in MAY_DO_IO:
        assert not names & IO_MODULES


@pytest.mark.parametrize("path", python_files("modules_store"), ids=within)
def test_in_modules_store_only_the_replay_package_needs_torch(path):
    """The package that feeds training is for those who have torch; one file of it is for users of TorchRL."""
    names = imports_of(path)
    if not within(path).startswith("replay/"):
        assert "torch" not in roots(names)
        assert not any(name.startswith("modules_store.replay") for name in names)
    if within(path) != "replay/torchrl.py":
        assert not roots(names) & {"torchrl", "tensordict"}


@pytest.mark.parametrize("path", python_files("model_export"), ids=lambda path: path.name)
def test_model_export_uses_little_of_modules_store(path):
    used = {name.split(".")[1] for name in imports_of(path) if name.startswith("modules_store.")}
    assert used <= MAY_BE_USED_BY_MODEL_EXPORT


def test_modules_store_loads_without_torch():
    script = (
        "import sys, modules_store, modules_store.server, modules_store.cli\n"
        "print({'torch', 'model_export', 'redisai', 'onnx'} & sys.modules.keys())"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout == "set()\n"


@pytest.mark.parametrize("name", modules_store.__all__)
def test_public_names_are_documented(name):
    public = getattr(modules_store, name)
    assert (public.__doc__ or "").strip()
    if isinstance(public, type):
        classes = [base for base in public.__mro__ if base.__module__.startswith("modules_store")]
        members = {
            key: value for base in classes for key, value in vars(base).items() if not key.startswith("_")
        }
        described = (property, classmethod, staticmethod, type(lambda: None))
        assert [
            key for key, value in members.items() if isinstance(value, described) and not value.__doc__
        ] == []


def engine_files():
    return sorted(path for path in ENGINE.rglob("*") if path.suffix in {".cc", ".h"})


@pytest.mark.parametrize("path", engine_files(), ids=lambda path: str(path.relative_to(ENGINE)))
def test_engine_includes_go_downwards(path):
    text = path.read_text()
    layer = path.parent.name
    included = {name.partition("/")[0] for name in re.findall(r'#include "([^"]+)"', text)}
    allowed = {layer} | ENGINE_LAYERS[layer] if path.parent != ENGINE else ENGINE_LAYERS.keys()
    assert included <= allowed
    if layer != "torch":
        assert not TORCH_HEADER.search(text)


@pytest.mark.parametrize("path", sorted(LUA.glob("*.lua")), ids=lambda path: path.name)
def test_lua_operation_has_a_header(path):
    text = path.read_text()
    assert re.fullmatch(r"#!lua( flags=[a-z,-]+)?", text.splitlines()[0])
    header = re.match(r"#!lua.*\n--\[\[ (.*?)\]\]", text, re.DOTALL)
    assert header, "a comment --[[ … ]] follows line 1"
    assert "KEYS[1" in header[1] or "No KEYS: " in header[1]
    assert ("ARGV[1" in header[1]) == ("ARGV" in text[header.end() :])
    for word in ("Returns ", "Errors MEMERR ", "Cost "):
        assert word in header[1]
    said = {int(number) for number in re.findall(r"KEYS\[(\d+)\]", header[1])}
    used = {int(number) for number in re.findall(r"KEYS\[(\d+)\]", text[header.end() :])}
    assert used <= said


@pytest.mark.parametrize("path", sorted(LUA.glob("include/*.lua")), ids=lambda path: path.name)
def test_lua_include_says_what_it_is_and_takes_its_keys_as_arguments(path):
    text = path.read_text()
    assert text.startswith("-- ")
    assert not re.search(r"\b(KEYS|ARGV)\b", re.sub(r"--.*", "", text))


def test_lua_has_one_home():
    assert [path for path in tracked_files() if path.suffix == ".lua" and LUA not in path.parents] == []


def test_files_are_small():
    code = [path for path in tracked_files() if path.suffix in {".py", ".cc", ".h", ".lua", ".sh"}]
    assert code
    assert {path: n for path in code if (n := len(path.read_text().splitlines())) > 500} == {}


def test_no_host_is_named():
    found = {}
    for path in tracked_files():
        if hosts := set(URL.findall(path.read_text(errors="ignore"))) - HOSTS_OF_EXAMPLES:
            found[str(path.relative_to(ROOT))] = hosts
    assert found == {}
