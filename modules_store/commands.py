"""What flows yield: one Redis command at a time, often a run of a script. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modules_store import scripts

Argument = str | bytes | int | float


@dataclass(frozen=True, slots=True)
class Command:
    """One command, and whether sending it again does no harm where the answer to the first was lost."""

    arguments: tuple[Argument, ...]
    repeatable: bool


def command(*arguments: Argument) -> Command:
    """Return a command that reads, or writes the same each time."""
    return Command(arguments, repeatable=True)


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """A run of one script. One that writes is not repeated, unless `repeatable` says that it may be."""

    script: scripts.Script
    keys: Sequence[str]
    arguments: Sequence[Argument]
    repeatable: bool = False

    def run(self) -> Command:
        """Return the command that runs a script the server knows; a NOSCRIPT error says that it does not."""
        name = "EVALSHA_RO" if self.script.read_only else "EVALSHA"
        arguments = (name, self.script.sha1, len(self.keys), *self.keys, *self.arguments)
        return Command(arguments, self.repeatable or self.script.read_only)

    def load(self) -> Command:
        """Return the command that makes the script known."""
        return command("SCRIPT LOAD", self.script.text)


def script(name: str, keys: Sequence[str], *arguments: Argument, repeatable: bool = False) -> ScriptCall:
    """Return a run of `lua/{name}.lua`."""
    return ScriptCall(scripts.load(name), keys, arguments, repeatable)
