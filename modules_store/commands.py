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
    may_fail_on_replica: bool = False
    """Whether the flow goes another way where a replica refuses, so that it is not sent again."""

    def model(self) -> str | None:
        """Return the key of the model that the command runs, None where it runs none."""
        words = iter(self.arguments)
        return str(next(words)) if "AI.MODELEXECUTE" in words else None


class Token:
    """The mark of one store among the arguments of a script, by which a repetition finds that it was done."""

    def __init__(self) -> None:
        self._text = secrets.token_urlsafe(9)
        self._made_s = time.monotonic()
        self.may_be_done = False
        """Whether the store may have been sent before, by another operation."""

    def text(self, *, again: bool) -> str:
        """Return the argument; a repetition's says how many milliseconds ago the first may have been."""
        if not (again or self.may_be_done):
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

    def function(self, *, again: bool = False) -> Command:
        """Return the command that calls the function; "Function not found" says that its library is missing.

        `again` says that the command may have been sent before.
        """
        name = "FCALL_RO" if self.script.read_only else "FCALL"
        return self._command(name, self.script.function, again)

    def text(self, *, again: bool = False) -> Command:
        """Return the command that runs the script's text; a NOSCRIPT error says that it has to be loaded."""
        return self._command("EVALSHA", self.script.sha1, again)

    def _command(self, name: str, called: str, again: bool) -> Command:
        if Token in map(type, self.arguments):
            return Command(self._words(name, called, again), True, lambda: self._words(name, called, True))
        return Command(self._words(name, called, again), self.repeatable or self.script.read_only)

    def _words(self, name: str, called: str, again: bool) -> tuple[Argument, ...]:
        arguments = [
            argument.text(again=again) if isinstance(argument, Token) else argument
            for argument in self.arguments
        ]
        return (name, called, len(self.keys), *self.keys, *arguments)


def script(
    name: str, keys: Sequence[str], *arguments: Argument | Token, repeatable: bool = False
) -> ScriptCall:
    """Return a run of `lua/{name}.lua`."""
    return ScriptCall(scripts.load(name), keys, arguments, repeatable)
