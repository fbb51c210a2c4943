"""What flows yield: one Redis command at a time, or a run of a script. No I/O."""

from __future__ import annotations

import enum
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


class Way(enum.Enum):
    """How a server takes programs."""

    FUNCTION = enum.auto()
    """As functions of a library, since Redis 7."""
    SCRIPT = enum.auto()
    """One by one: who may not load the library, or cannot, a replica for instance."""
    SCRIPT_BEFORE_7 = enum.auto()
    """One by one, without their line of flags."""


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """A run of one program. One that writes is repeated where it has a token, or `repeatable` allows it."""

    script: scripts.Script
    keys: Sequence[str]
    arguments: Sequence[Argument | Token]
    repeatable: bool = False

    def run(self, way: Way = Way.FUNCTION, *, again: bool = False) -> Command:
        """Return the command that runs the program; an error says that the server does not know it.

        `again` says that the command may have been sent before.
        """
        if Token in map(type, self.arguments):
            return Command(self._texts(way, again), True, lambda: self._texts(way, True))
        return Command(self._texts(way, again), self.repeatable or self.script.read_only)

    def _texts(self, way: Way, again: bool) -> tuple[Argument, ...]:
        arguments = [
            argument.text(again=again) if isinstance(argument, Token) else argument
            for argument in self.arguments
        ]
        return (*self._named(way), len(self.keys), *self.keys, *arguments)

    def _named(self, way: Way) -> tuple[str, str]:
        if way is Way.FUNCTION:
            return ("FCALL_RO" if self.script.read_only else "FCALL"), self.script.function
        if way is Way.SCRIPT:
            return ("EVALSHA_RO" if self.script.read_only else "EVALSHA"), self.script.sha1
        return "EVALSHA", self.script.before_7().sha1

    def load(self, way: Way = Way.FUNCTION) -> Command:
        """Return the command that makes the program known, as a function all others with it."""
        if way is Way.FUNCTION:
            return command("FUNCTION LOAD", "REPLACE", scripts.library())
        return command("SCRIPT LOAD", (self.script if way is Way.SCRIPT else self.script.before_7()).text)


def script(
    name: str, keys: Sequence[str], *arguments: Argument | Token, repeatable: bool = False
) -> ScriptCall:
    """Return a run of `lua/{name}.lua`."""
    return ScriptCall(scripts.load(name), keys, arguments, repeatable)
