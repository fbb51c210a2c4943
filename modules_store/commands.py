"""What flows yield: one Redis command at a time, or a run of a script. No I/O."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modules_store import scripts

Argument = str | bytes | int | float


@dataclass(frozen=True, slots=True)
class Command:
    """One command, and whether sending it again does no harm where the answer to the first was lost."""

    arguments: tuple[Argument, ...]
    repeatable: bool
    repeated: Callable[[], tuple[Argument, ...]] | None = None
    """Makes the arguments of a repetition, where they are others."""

    def model(self) -> str | None:
        """Return the key of the model that the command runs, None where it runs none."""
        words = iter(self.arguments)
        return str(next(words)) if "AI.MODELEXECUTE" in words else None


class Token:
    """The mark of one store among the arguments of a script, by which a repetition finds that it was done."""

    def __init__(self) -> None:
        self._text = secrets.token_urlsafe(9)
        self._made_s = time.monotonic()

    def text(self, *, again: bool) -> str:
        """Return the argument; a repetition's says how many milliseconds ago the first may have been."""
        if not again:
            return self._text
        return f"{self._text} {1000 * (time.monotonic() - self._made_s):.0f}"


def command(*arguments: Argument) -> Command:
    """Return a command that reads, or writes the same each time."""
    return Command(arguments, repeatable=True)


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """A run of one script. One that writes is repeated where it has a token, or `repeatable` allows it."""

    script: scripts.Script
    keys: Sequence[str]
    arguments: Sequence[Argument | Token]
    repeatable: bool = False

    def run(self, *, again: bool = False, before_7: bool = False) -> Command:
        """Return the command that runs a script the server knows; a NOSCRIPT error says that it does not.

        `again` says that the command may have been sent before, `before_7` that the server is older than
        Redis 7.
        """
        if Token in map(type, self.arguments):
            return Command(self._texts(again, before_7), True, lambda: self._texts(True, before_7))
        return Command(self._texts(again, before_7), self.repeatable or self.script.read_only)

    def _texts(self, again: bool, before_7: bool) -> tuple[Argument, ...]:
        name = "EVALSHA_RO" if self.script.read_only and not before_7 else "EVALSHA"
        script = self.script.before_7() if before_7 else self.script
        arguments = [
            argument.text(again=again) if isinstance(argument, Token) else argument
            for argument in self.arguments
        ]
        return (name, script.sha1, len(self.keys), *self.keys, *arguments)

    def load(self, *, before_7: bool = False) -> Command:
        """Return the command that makes the script known."""
        script = self.script.before_7() if before_7 else self.script
        return command("SCRIPT LOAD", script.text)


def script(
    name: str, keys: Sequence[str], *arguments: Argument | Token, repeatable: bool = False
) -> ScriptCall:
    """Return a run of `lua/{name}.lua`."""
    return ScriptCall(scripts.load(name), keys, arguments, repeatable)
