"""The Lua programs that run inside Redis: reads them, pastes their includes in, names them by SHA1."""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

_INCLUDE = re.compile(r"^-- @include (\w+)$", re.MULTILINE)
_RETURNED_TABLE = re.compile(r"^return (\w+)\s*\Z", re.MULTILINE)


@dataclass(frozen=True)
class Script:
    """One program: its whole text, the SHA1 by which EVALSHA knows it, and whether a replica may run it."""

    text: str
    sha1: str
    read_only: bool


@functools.cache
def load(name: str) -> Script:
    """Return the program `lua/{name}.lua` with everything it includes."""
    flags, _, body = _read(f"{name}.lua").partition("\n")
    modules: dict[str, str] = {}
    _collect(body, modules)
    text = "\n".join([flags, *map(_as_local_table, modules.values()), body])
    return Script(text, hashlib.sha1(text.encode()).hexdigest(), read_only="no-writes" in flags)


def _collect(text: str, modules: dict[str, str]) -> None:
    """Add the files of `lua/include` that `text` asks for, each once and after those that it needs itself."""
    for name in _INCLUDE.findall(text):
        if name not in modules:
            module = _read(f"include/{name}.lua")
            _collect(module, modules)
            modules[name] = module


def _as_local_table(module: str) -> str:
    returned = _RETURNED_TABLE.search(module)
    assert returned, f"an include ends by returning its table: {module[:80]}"
    return f"local {returned[1]} = (function()\n{module}end)()"


def _read(path: str) -> str:
    packaged = resources.files("modules_store").joinpath("lua")
    # An editable install leaves the folder where it is in the checkout: beside the package, not in it.
    folder = packaged if packaged.is_dir() else Path(__file__).parents[1] / "lua"
    return folder.joinpath(path).read_text(encoding="utf-8")
