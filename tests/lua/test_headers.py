"""The headers of the scripts say what the scripts do: keys, arguments, errors, flags."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modules_store import scripts

LUA = Path(__file__).parents[2] / "lua"
NAMES = sorted(path.stem for path in LUA.glob("*.lua"))
LARGEST_CLOSURE = 60  # upvalues, in Lua 5.1


def _header_and_code(name: str) -> tuple[str, str]:
    """Return the comment on top, and the program with its includes, without comments."""
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


def test_the_library_has_all_programs_and_each_include_once():
    text = scripts.library().text
    assert sorted(scripts.library().scripts) == NAMES
    tables = re.findall(r"^(\w+) = \(function\(\)$", text, re.MULTILINE)
    assert sorted(tables) == sorted(path.stem for path in (LUA / "include").glob("*.lua"))
    assert len(tables) + 2 < LARGEST_CLOSURE, "all are upvalues of one function, with KEYS and ARGV"


def _assert_includes_come_first(text: str, made: str) -> None:
    names = re.findall(made, text, re.MULTILINE)
    assert len(names) == len(set(names)) > 0
    for module in names:
        needed = re.findall(
            r"^-- @include (\w+)$", (LUA / "include" / f"{module}.lua").read_text(), re.MULTILINE
        )
        assert set(needed) <= set(names[: names.index(module)]), module


@pytest.mark.parametrize("name", NAMES)
def test_a_program_has_each_include_once_and_after_what_that_needs(name):
    _assert_includes_come_first(scripts.load(name).text, r"^local (\w+) = \(function\(\)$")


def test_the_library_makes_each_include_after_what_that_needs():
    _assert_includes_come_first(scripts.library().text, r"^(\w+) = \(function\(\)$")


@pytest.mark.parametrize("name", NAMES)
def test_a_program_includes_what_it_names(name):
    """In the library it would find what others include, but not as a script, on Redis 6.2."""
    _, code = _header_and_code(name)
    made = set(re.findall(r"^local (\w+) = \(function\(\)$", code, re.MULTILINE))
    for other in {path.stem for path in (LUA / "include").glob("*.lua")} - made:
        assert not re.search(rf"(?<![\w.:']){other}\.\w+\(", code), other


def test_readme_names_every_file():
    readme = (LUA / "README.md").read_text()
    assert {path.name for path in LUA.rglob("*.lua")} == set(re.findall(r"`(\w+\.lua)`", readme))
