"""The Lua programs that run inside Redis: reads them, pastes their includes in, names them by SHA1."""

from __future__ import annotations

import functools
import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

_INCLUDE = re.compile(r"^-- @include (\w+)(?: when used)?$", re.MULTILINE)
_WHEN_USED = re.compile(r"^-- @include (\w+) when used$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--(?:\[\[.*?\]\]|[^\n]*)", re.MULTILINE | re.DOTALL)
_FUNCTION = re.compile(r"^(?:local )?function ([\w.]+)\(.*?^end\n", re.MULTILINE | re.DOTALL)
_METHOD = re.compile(r"^function \w+:(\w+)\(.*?^end\n", re.MULTILINE | re.DOTALL)
_METHOD_NAMED = re.compile(r"(?::|'|\bmemory\.)(\w+)\b")
_NAME = re.compile(r"\w+(?:\.\w+)*")
_RETURNED_TABLE = re.compile(r"^return (\w+)\s*\Z", re.MULTILINE)


@dataclass(frozen=True)
class Script:
    """One program: its whole text, the SHA1 by which EVALSHA knows it, and whether a replica may run it."""

    text: str
    sha1: str
    read_only: bool

    @functools.cache  # noqa: B019  # scripts are as few as files, and kept by `load` for good
    def before_7(self) -> Script:
        """Return the program for a server older than Redis 7, which knows no first line with flags."""
        return _script(self.text.partition("\n")[2], self.read_only)


@functools.cache
def load(name: str) -> Script:
    """Return the program `lua/{name}.lua` with everything it includes, but for functions it never names.

    Redis makes the functions of a script anew each time it runs: what only other programs, or few agents,
    need would cost every store. So an include that all who include it want `when used` is made then.
    """
    flags, _, body = _read(f"{name}.lua").partition("\n")
    modules: dict[str, str] = {}
    _collect(body, modules)
    when_used = _made_when_used(body, *modules.values())
    tables = [_as_local_table(module, module_name in when_used) for module_name, module in modules.items()]
    text = _without_unused("\n".join([flags, *tables, body]))
    return _script(text, read_only="no-writes" in flags)


def _script(text: str, read_only: bool) -> Script:
    return Script(text, hashlib.sha1(text.encode()).hexdigest(), read_only)


def _collect(text: str, modules: dict[str, str]) -> None:
    """Add the files of `lua/include` that `text` asks for, each once and after those that it needs itself."""
    for name in _INCLUDE.findall(text):
        if name not in modules:
            module = _read(f"include/{name}.lua")
            _collect(module, modules)
            modules[name] = module


def _made_when_used(*texts: str) -> set[str]:
    wanted = Counter(name for text in texts for name in _INCLUDE.findall(text))
    when_used = Counter(name for text in texts for name in _WHEN_USED.findall(text))
    return {name for name, times in when_used.items() if times == wanted[name]}


def _as_local_table(module: str, when_used: bool) -> str:
    returned = _RETURNED_TABLE.search(module)
    assert returned, f"an include ends by returning its table: {module[:80]}"
    if not when_used:
        return f"local {returned[1]} = (function()\n{module}end)()"
    return (
        f"local {returned[1]} = setmetatable({{}}, {{ __index = function(self, name)\n"
        f"setmetatable(self, {{ __index = (function()\n{module}end)() }})\n"
        "return self[name]\nend })"
    )


def _without_unused(text: str) -> str:
    while True:
        code = _COMMENT.sub("", text)
        named = Counter(_NAME.findall(code))
        functions = list(_FUNCTION.finditer(code))
        unused = [one[1] for one in functions if named[one[1]] == _NAME.findall(one[0]).count(one[1])]
        unused_methods = _unused_methods(code)
        if not unused and not unused_methods:
            return text
        for name in unused:
            definition = rf"^(?:local )?function {re.escape(name)}\(.*?^end\n"
            text = re.sub(definition, "", text, count=1, flags=re.MULTILINE | re.DOTALL)
        text = _METHOD.sub(lambda one: "" if one[1] in unused_methods else one[0], text)


def _unused_methods(code: str) -> set[str]:
    """Return the names of methods that no code names but that of methods of the same name."""
    named = Counter(_METHOD_NAMED.findall(code))
    for one in _METHOD.finditer(code):
        named[one[1]] -= _METHOD_NAMED.findall(one[0]).count(one[1])
    return {name for name in named if not named[name]}


def _read(path: str) -> str:
    packaged = resources.files("modules_store").joinpath("lua")
    # An editable install leaves the folder where it is in the checkout: beside the package, not in it.
    folder = packaged if packaged.is_dir() else Path(__file__).parents[1] / "lua"
    return folder.joinpath(path).read_text(encoding="utf-8")
