"""The headers of the scripts say what the scripts do: keys, arguments, errors, flags."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modules_store import scripts

LUA = Path(__file__).parents[2] / "lua"
NAMES = sorted(path.stem for path in LUA.glob("*.lua"))
WRITING = {
    "LPUSH",
    "LTRIM",
    "MSET",
    "SET",
    "ZADD",
    "ZREM",
    "UNLINK",
    "JSON.SET",
    "JSON.MSET",
    "JSON.NUMINCRBY",
    "XADD",
    "XDEL",
}
WRITTEN = re.compile(r"(?:redis\.p?call\(|{ )'([A-Z.]+)'")
COMPANION_WRITER = re.compile(r"^  function \w+\.(?:enter|remove)\(.*?^  end$", re.MULTILINE | re.DOTALL)
"""The functions of a companion that write are there wherever one of its functions is used."""
READING = {
    "newest",
    "get",
    "agent",
    "metadata",
    "count",
    "oldest",
    "between",
    "count_between",
    "at_ranks",
    "from_rank",
    "indexed",
    "following",
    "usage",
    "policy",
}


def _header_and_code(name: str) -> tuple[str, str]:
    """Return the comment on top, and all the code with its includes pasted in, without comments."""
    header = re.search(r"--\[\[(.*?)\]\]", (LUA / f"{name}.lua").read_text(), re.DOTALL)
    assert header
    text = re.sub(r"--\[\[.*?\]\]", "", scripts.load(name).text, flags=re.DOTALL)
    return header[1], re.sub(r"--.*", "", text)


@pytest.mark.parametrize("name", NAMES)
def test_keys_and_arguments_are_those_of_the_code(name):
    header, code = _header_and_code(name)
    for array in ("KEYS", "ARGV"):
        described = {int(n) for n in re.findall(rf"{array}\[(\d+)…?\]", header)}
        used = {int(n) for n in re.findall(rf"{array}\[(\d+)\]", code)}
        rest = re.search(rf"for i = (\d+), #{array}(?:, \d+)? do", code)
        assert described == used | ({int(rest[1])} if rest else set())
        assert bool(rest) == bool(re.search(rf"{array}\[\d+…\]", header))
        assert described == set(range(1, len(described) + 1))


@pytest.mark.parametrize("name", NAMES)
def test_errors_are_those_that_the_code_can_raise(name):
    header, _ = _header_and_code(name)
    listed = re.search(r"Errors MEMERR ([A-Z\s]+)\.", header)
    assert listed
    readme = set(re.findall(r"^\| `([A-Z]+)` \|", (LUA / "README.md").read_text(), re.MULTILINE))
    assert set(listed[1].split()) <= readme


def test_the_readme_lists_the_codes_of_the_code():
    raised = set()
    for path in LUA.rglob("*.lua"):
        raised |= set(re.findall(r"'([A-Z]{5,})'", path.read_text())) & _codes()
        raised |= set(re.findall(r"errors\.refuse\('([A-Z]+)'", path.read_text()))
    assert raised == _codes()


def _codes() -> set[str]:
    return set(re.findall(r"^\| `([A-Z]+)` \|", (LUA / "README.md").read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", NAMES)
def test_only_scripts_without_writes_are_flagged_so(name):
    _, code = _header_and_code(name)
    own = (LUA / f"{name}.lua").read_text()
    writes = WRITING.intersection(WRITTEN.findall(code))
    writes |= set(re.findall(r"redis\.call\(unpack\(update\)\)", code))
    if scripts.load(name).read_only:
        called = set(re.findall(r"(?:layout|agents|trim)\.(\w+)", own))
        assert called <= READING
        without_writers, writers = COMPANION_WRITER.subn("", code)
        assert not writers or not re.search(r"\.(?:enter|remove)\(", without_writers)
        assert not WRITING.intersection(WRITTEN.findall(without_writers)) and "unpack(update)" not in code
    else:
        assert writes


@pytest.mark.parametrize("name", NAMES)
def test_each_include_is_pasted_once_and_before_its_use(name):
    text = scripts.load(name).text
    made = r"^local (\w+) = (?:\(function\(\)|setmetatable\({}, { __index = function\(self, name\))$"
    tables = re.findall(made, text, re.MULTILINE)
    assert len(tables) == len(set(tables))
    for table in tables:
        first_use = min((m.start() for m in re.finditer(rf"\b{table}\.", text)), default=len(text))
        assert text.index(f"local {table} = ") < first_use


@pytest.mark.parametrize("name", NAMES)
def test_no_function_of_an_include_is_there_that_is_not_used(name):
    _, code = _header_and_code(name)
    for function in re.findall(r"^(?:local )?function ([\w.]+)\(", code, re.MULTILINE):
        assert len(re.findall(rf"(?<![\w.]){re.escape(function)}\b", code)) > 1, function


def test_what_is_included_when_used_is_made_no_earlier():
    text = scripts.load("store_memories").text
    assert "local retentions = setmetatable({}" in text
    assert "local memories = (function()" in text


def test_readme_names_every_file():
    readme = (LUA / "README.md").read_text()
    assert {path.name for path in LUA.rglob("*.lua")} == set(re.findall(r"`(\w+\.lua)`", readme))
