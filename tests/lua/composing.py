"""Programs of the tests, with the includes of `lua/include` that they ask for pasted in."""

from __future__ import annotations

import re
from pathlib import Path

_FOLDER = Path(__file__).parents[2] / "lua" / "include"
_INCLUDE = re.compile(r"^-- @include (\w+)", re.MULTILINE)


def composed(program: str) -> str:
    """Return a program as Redis runs it; every include is made once, before who needs it."""
    modules: dict[str, str] = {}
    _collect(program, modules)
    tables = [f"local {name} = (function()\n{text}end)()" for name, text in modules.items()]
    return "\n".join(["#!lua", *tables, program])


def _collect(text: str, modules: dict[str, str]) -> None:
    for name in _INCLUDE.findall(text):
        if name not in modules:
            module = (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
            _collect(module, modules)
            modules[name] = module
