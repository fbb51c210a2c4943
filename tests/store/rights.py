"""The rules of the docs that give users their rights."""

from __future__ import annotations

import re
from pathlib import Path

_DOCS = Path(__file__).parents[2] / "docs"
_RULE = re.compile(r"ACL SETUSER (\w+) on >secret ([^`]*?)(?=```|ACL SETUSER)")


def documented(name: str) -> list[list[str]]:
    """Return the words of each rule for a user after name and password; a selector is one word."""
    texts = [path.read_text() for path in (_DOCS / "store.md", _DOCS / "engine.md")]
    rules = [rule for text in texts for user, rule in _RULE.findall(text) if user == name]
    return [re.findall(r"\([^)]*\)|\S+", rule) for rule in rules]
