"""The Lua programs that run inside Redis: one library of functions, or, before Redis 7, a script each."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

LIBRARIES = "modules_store_*"
"""The pattern of the names of all versions' libraries."""

_FLAGS = re.compile(r"#!lua(?: flags=([\w,-]+))?\n")
_INCLUDE = re.compile(r"^-- @include (\w+)$", re.MULTILINE)

# Programs find keys and arguments under the names that they have in scripts. Both are forgotten after a call,
# since a batch of states may be large. A library that loads finds not even `string`, so the first call makes
# the includes, for all that come after it.
_BEGIN = """local KEYS, ARGV, are_made, make_includes
local function register(name, flags, program)
  local function call(keys, args)
    if not are_made then
      make_includes()
      are_made = true
    end
    KEYS, ARGV = keys, args
    local reply = program()
    KEYS, ARGV = nil, nil
    return reply
  end
  redis.register_function({ function_name = LIBRARY .. '_' .. name, callback = call, flags = flags })
end"""


@dataclass(frozen=True)
class Script:
    """One program: the function by which FCALL knows it, and the flags that say what it does."""

    name: str
    function: str
    flags: frozenset[str]

    @property
    def read_only(self) -> bool:
        """Whether a replica may run it."""
        return "no-writes" in self.flags

    @functools.cached_property
    def text(self) -> str:
        """The whole program for EVAL, as a server without functions takes it: without flags."""
        _, body = _program(self.name)
        return "\n".join([*(f"local {name} = {table}" for name, table in _tables([body]).items()), body])

    @functools.cached_property
    def sha1(self) -> str:
        """By which EVALSHA knows the text."""
        return hashlib.sha1(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class Library:
    """All programs as FUNCTION LOAD takes them. The name has the hash of the text: versions coexist."""

    name: str
    text: str
    scripts: dict[str, Script]


@functools.cache
def library() -> Library:
    """Return the library of all programs `lua/*.lua`, with each include once."""
    names = (path.name for path in _folder().iterdir())
    return library_of(sorted(name.removesuffix(".lua") for name in names if name.endswith(".lua")))


def library_of(names: Iterable[str], begin: str = "") -> Library:
    """Return a library of these programs; `begin` is Lua that comes before them."""
    programs = {name: _program(name) for name in names}
    tables = _tables(body for _, body in programs.values())
    parts = [_BEGIN, begin, f"local {', '.join(tables)}", "function make_includes()"]
    parts += [f"{name} = {table}" for name, table in tables.items()] + ["end"]
    for name, (flags, body) in programs.items():
        listed = ", ".join(f"'{flag}'" for flag in sorted(flags))
        parts.append(f"register('{name}', {{ {listed} }}, function()\n{body}end)")
    code = "\n".join(parts)
    own = LIBRARIES.replace("*", hashlib.sha1(code.encode()).hexdigest()[:16])
    scripts = {name: Script(name, f"{own}_{name}", flags) for name, (flags, _) in programs.items()}
    return Library(own, f"#!lua name={own}\nlocal LIBRARY = '{own}'\n{code}\n", scripts)


def load(name: str) -> Script:
    """Return the program `lua/{name}.lua`."""
    return library().scripts[name]


def _program(name: str) -> tuple[frozenset[str], str]:
    """Return the flags of a program, and its text without the line that says them."""
    text = _read(f"{name}.lua")
    line = _FLAGS.match(text)
    assert line, f"a program begins with its flags: {name}"
    return frozenset((line[1] or "").split(",")) - {""}, text[line.end() :]


def _tables(bodies: Iterable[str]) -> dict[str, str]:
    """Return the includes that programs ask for as Lua, by name, each after those that it needs itself."""
    modules: dict[str, str] = {}
    for body in bodies:
        _collect(body, modules)
    return {name: f"(function()\n{module}end)()" for name, module in modules.items()}


def _collect(text: str, modules: dict[str, str]) -> None:
    for name in _INCLUDE.findall(text):
        if name not in modules:
            module = _read(f"include/{name}.lua")
            _collect(module, modules)
            modules[name] = module


def _read(path: str) -> str:
    text: str = _folder().joinpath(path).read_text(encoding="utf-8")
    return text


def _folder() -> Traversable | Path:
    packaged = resources.files("modules_store").joinpath("lua")
    # An editable install leaves the folder where it is in the checkout: beside the package, not in it.
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "lua"
