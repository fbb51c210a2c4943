"""Servers as scripts would find them that refuse some commands: what cannot be had here for real."""

from __future__ import annotations

import hashlib

import pytest

from modules_store import scripts


def refuse_in_scripts(monkeypatch: pytest.MonkeyPatch, pattern: str, error: str) -> None:
    """Have commands whose name the Lua pattern finds answer with an error where scripts use pcall."""
    refusing = f"""local redis = setmetatable({{ pcall = function(name, ...)
      if name:find('{pattern}') then
        return {{ err = '{error}' }}
      end
      return redis.pcall(name, ...)
    end }}, {{ __index = redis }})
    """
    load = scripts.load

    def load_refusing(name: str) -> scripts.Script:
        flags, _, body = load(name).text.partition("\n")
        text = f"{flags}\n{refusing}{body}"
        return scripts.Script(text, hashlib.sha1(text.encode()).hexdigest(), load(name).read_only)

    monkeypatch.setattr(scripts, "load", load_refusing)
