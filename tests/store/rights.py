"""The rule of docs/store.md that gives a client's user the rights it needs."""

from pathlib import Path

_DOCS = (Path(__file__).parents[2] / "docs" / "store.md").read_text()


def documented() -> list[str]:
    """Return the words of the rule after name and password; a selector is one word."""
    rule = _DOCS.split("ACL SETUSER drone on >secret ")[1].partition("```")[0]
    words: list[str] = []
    for word in rule.split():
        if words and words[-1].startswith("(") and not words[-1].endswith(")"):
            words[-1] += " " + word
        else:
            words.append(word)
    return words
