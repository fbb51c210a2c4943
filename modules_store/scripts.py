"""The Lua programs that run inside Redis: pastes their includes in, and makes them one library of functions.

A server of Redis 7 or later has the library, a function for each program, from the first call that misses it:
what programs share is made once, and not anew each time one runs. Library and functions are named by the hash
of their text, so clients of several versions share a server. Older servers run each program as a script.
"""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

_INCLUDE = re.compile(r"^-- @include (\w+)$", re.MULTILINE)
_RETURNED_TABLE = re.compile(r"^return (\w+)\s*\Z", re.MULTILINE)
_HEADER = re.compile(r"\A--\[\[.*?\]\]\n", re.DOTALL)
_OPERATION = "\nreturn errors.guard(function()\n"
"""How each program ends: with what it does, for its KEYS and ARGV."""
_ANY_VERSION = "@version@"


@dataclass(frozen=True)
class Script:
    """One program: its function; its own text and SHA1, for EVALSHA; whether a replica may run it."""

    function: str
    text: str
    sha1: str
    read_only: bool

    @functools.cache  # noqa: B019  # scripts are as few as files, and kept by `load` for good
    def before_7(self) -> Script:
        """Return the program for a server older than Redis 7, which knows no first line with flags."""
        return _script(self.function, self.text.partition("\n")[2], self.read_only)


@functools.cache
def load(name: str) -> Script:
    """Return the program `lua/{name}.lua` with everything it includes."""
    flags, _, body = _read(f"{name}.lua").partition("\n")
    text = "\n".join([flags, *_tables(body).values(), body])
    return _script(f"{name}_{_version()}", text, read_only="no-writes" in flags)


@functools.cache
def library() -> str:
    """Return the library of all programs, as FUNCTION LOAD takes it."""
    return f"#!lua name={library_name()}\n{_library_body().replace(_ANY_VERSION, _version())}"


def library_name() -> str:
    """Return the library's name, `modules_store_` and a hash of its text."""
    return f"modules_store_{_version()}"


def _script(function: str, text: str, read_only: bool) -> Script:
    return Script(function, text, hashlib.sha1(text.encode()).hexdigest(), read_only)


@functools.cache
def _version() -> str:
    return hashlib.sha1(_library_body().encode()).hexdigest()[:12]


@functools.cache
def _library_body() -> str:
    """Return the library without its first line, the names of its functions without its version."""
    tables: dict[str, str] = {}
    functions = []
    for path in sorted(_folder().iterdir(), key=lambda one: one.name):
        if path.name.endswith(".lua"):
            flags, _, body = path.read_text(encoding="utf-8").partition("\n")
            tables |= _tables(body)
            functions.append(_function(path.name.removesuffix(".lua"), flags, body))
    return "\n".join(["local KEYS, ARGV -- of the call", *tables.values(), *functions])


def _function(name: str, flags: str, body: str) -> str:
    """Return what registers a program: its own functions are made when the library is loaded."""
    before, operation, after = _HEADER.sub("", body).partition(_OPERATION)
    assert operation, f"{name}.lua ends by returning errors.guard(function() …"
    listed = ", ".join(f"'{flag}'" for flag in flags.partition("flags=")[2].split(",") if flag)
    return (
        f"redis.register_function({{ function_name = '{name}_{_ANY_VERSION}', flags = {{ {listed} }},\n"
        f"callback = (function()\n{before}\n"
        f"return function(keys, argv)\nKEYS, ARGV = keys, argv{operation}{after}end\nend)() }})\n"
    )


def _tables(text: str) -> dict[str, str]:
    """Return the includes that `text` asks for, as local tables, each after those that it needs itself."""
    tables: dict[str, str] = {}
    for name in _INCLUDE.findall(text):
        if name not in tables:
            module = _read(f"include/{name}.lua")
            tables |= {key: table for key, table in _tables(module).items() if key not in tables}
            returned = _RETURNED_TABLE.search(module)
            assert returned, f"an include ends by returning its table: {name}"
            tables[name] = f"local {returned[1]} = (function()\n{module}end)()"
    return tables


def _read(path: str) -> str:
    text: str = _folder().joinpath(path).read_text(encoding="utf-8")
    return text


def _folder() -> Traversable | Path:
    packaged = resources.files("modules_store").joinpath("lua")
    # An editable install leaves the folder where it is in the checkout: beside the package, not in it.
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "lua"
