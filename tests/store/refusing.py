"""Servers as scripts would find them that refuse some commands: what cannot be had here for real."""

from __future__ import annotations

import pytest

from modules_store import scripts

_FUNCTIONS = ("call", "error_reply", "sha1hex", "acl_check_cmd")


def refuse_in_scripts(monkeypatch: pytest.MonkeyPatch, pattern: str, error: str) -> None:
    """Have commands whose name the Lua pattern finds answer with an error where scripts use pcall."""
    passed_on = [f"{name} = function(...) return server().{name}(...) end" for name in _FUNCTIONS]
    begin = f"""local function server() return redis end -- while a library loads it is another
    local redis = {{ {", ".join(passed_on)}, pcall = function(name, ...)
      if name:find('{pattern}') then
        return {{ err = '{error}' }}
      end
      return server().pcall(name, ...)
    end }}
    """
    library = scripts.library_of(scripts.library().scripts, begin)
    monkeypatch.setattr(scripts, "library", lambda: library)
