r"""Commands and their exact replies, recorded as plain text: one file a command, beside this one.

A file is groups. `## title` opens one, on an emptied server. `> ` and a command are followed by a line with
its reply:

    +OK  "bulk"  5  nil  -"ERR an error"  ["an", "array"]

Words are quoted where they need it, with \xNN, \n and \\ for bytes. `model:Double` is the blob of a module of
models.py, `source:SOURCE` a source of scripts.py, and `model:Double[:100]` the first 100 bytes of one; in
replies they stand for the same bytes. A `# ` line at the top of a file says what it is about.

To record anew, after a change that is meant to change replies, or with a new command that has no reply yet:

    python -m tests.engine.golden [NAME…]

and look at the difference before it is committed. The engine is the one that the tests test.

Each group must have the same replies in every one of WAYS: no numbers beyond 2**53, which is all that Lua's
have room for, no SELECT, and no TIMEDOUT. A command that the server refuses by its number of words never gets
to the engine, and a transaction or a script has the server's own words for that: there it is not sent.
"""

from __future__ import annotations

import functools
import re
import shlex
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from tests.engine import models, scripts

FOLDER = Path(__file__).parent
_REFERENCE = re.compile(r"(model|source):(\w+)(?:\[(\d*):(\d*)\])?")


_WRONG_NUMBER_OF_WORDS = re.compile(r"-\"ERR wrong number of arguments for 'ai\.\w+' command\"")


class Simple(bytes):
    """A reply that is a simple string."""


class Failure(bytes):
    """A reply that is an error, alone or in an array."""


@dataclass
class Exchange:
    line: str
    reply: str = ""


@dataclass
class Group:
    title: str
    exchanges: list[Exchange]


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def read(name: str) -> tuple[str, list[Group]]:
    """Return what the file says at its top, and its groups."""
    groups: list[Group] = []
    header: list[str] = []
    for line in (FOLDER / f"{name}.txt").read_text().splitlines():
        if line.startswith("## "):
            groups.append(Group(line[3:], []))
        elif not groups:
            header.append(line)
        elif line.startswith("> "):
            groups[-1].exchanges.append(Exchange(line[2:]))
        elif line:
            groups[-1].exchanges[-1].reply = line
    return "\n".join(header).strip(), groups


def write(name: str, header: str, groups: Iterable[Group]) -> None:
    parts = [header] if header else []
    for group in groups:
        lines = [f"> {exchange.line}\n{exchange.reply}" for exchange in group.exchanges]
        parts.append("\n".join([f"## {group.title}", *lines]))
    (FOLDER / f"{name}.txt").write_text("\n\n".join(parts) + "\n")


@functools.cache
def _bytes_of(kind: str, name: str) -> bytes:
    return models.blob(getattr(models, name)()) if kind == "model" else getattr(scripts, name).encode()


def _argument(word: str) -> bytes:
    if reference := _REFERENCE.fullmatch(word):
        kind, name, begin, end = reference.groups()
        return _bytes_of(kind, name)[slice(int(begin or 0), int(end) if end else None)]
    return word.encode("ascii").decode("unicode_escape").encode("latin-1")


def arguments(line: str) -> list[bytes]:
    """Return the command's words as bytes."""
    return [_argument(word) for word in shlex.split(line)]


def _quoted(data: bytes) -> str:
    escaped = data.decode("latin-1").encode("unicode_escape").decode("ascii")
    return '"' + escaped.replace('"', '\\"') + '"'


def render(reply, line: str) -> str:
    """Return the reply to `line` as the files write it."""
    known = {_bytes_of(*reference[:2]): ":".join(reference[:2]) for reference in _REFERENCE.findall(line)}
    return _render(reply, known)


def _render(reply, known: dict[bytes, str]) -> str:
    if reply is None:
        return "nil"
    if isinstance(reply, list):
        return "[" + ", ".join(_render(element, known) for element in reply) + "]"
    if isinstance(reply, Simple):
        return "+" + reply.decode()
    if isinstance(reply, Failure):
        return "-" + _quoted(reply)
    if isinstance(reply, bytes):
        return known.get(reply) or _quoted(reply)
    return str(reply)


class Connection:
    """A connection to a server on a Unix socket, whose replies keep their types apart (RESP2)."""

    def __init__(self, url: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        self._socket.connect(unquote(url.removeprefix("unix://")))
        self._replies = self._socket.makefile("rb")

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_) -> None:
        self._replies.close()
        self._socket.close()

    def __call__(self, *words: bytes):
        parts = [b"*%d\r\n" % len(words)]
        parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
        self._socket.sendall(b"".join(parts))
        return self._read()

    def _read(self):
        line = self._replies.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return Simple(rest)
        if kind == b"-":
            return Failure(rest)
        size = int(rest)
        if kind == b":":
            return size
        if size < 0:
            return None
        if kind == b"*":
            return [self._read() for _ in range(size)]
        return self._replies.read(size + 2)[:-2]


def _plain(connection: Connection, commands: list[list[bytes]]) -> list:
    return [connection(*command) for command in commands]


def _in_multi(connection: Connection, commands: list[list[bytes]]) -> list:
    connection(b"MULTI")
    queued = [connection(*command) for command in commands]
    assert set(queued) == {b"QUEUED"}, queued
    return connection(b"EXEC")


def _in_lua(connection: Connection, commands: list[list[bytes]]) -> list:
    call = b"return redis.pcall(unpack(ARGV))"
    return [connection(b"EVAL", call, b"0", *command) for command in commands]


def _in_another_database(connection: Connection, commands: list[list[bytes]]) -> list:
    connection(b"SELECT", b"3")
    replies = _plain(connection, commands)
    connection(b"SELECT", b"0")
    return replies


WAYS: dict[str, Callable[[Connection, list[list[bytes]]], list]] = {
    "plain": _plain,
    "in MULTI": _in_multi,
    "in Lua": _in_lua,
    "in another database": _in_another_database,
}


def sent(group: Group, way: str) -> Group:
    """Return what of the group is sent in this way."""
    if WAYS[way] not in (_in_multi, _in_lua):
        return group
    reaching = [each for each in group.exchanges if not _WRONG_NUMBER_OF_WORDS.fullmatch(each.reply)]
    return Group(group.title, reaching)


def replay(connection: Connection, group: Group, way: str = "plain") -> list[str]:
    """Empty the server, send the group's commands and return their replies as text."""
    connection(b"FLUSHALL")
    commands = [arguments(exchange.line) for exchange in group.exchanges]
    replies = WAYS[way](connection, commands)
    # What one command refers to may come back from a later one.
    everything = " ".join(exchange.line for exchange in group.exchanges)
    return [render(reply, everything) for reply in replies]
