"""One connection to the server, and RESP2 read strictly: what a lenient client overlooks is an error here."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from pathlib import Path

Command = Sequence[bytes]


class Failure(str):
    """The text of an error reply."""


Reply = Failure | bytes | int | list | None


class ProtocolError(Exception):
    """What came is no reply: malformed, too late, or the end of the connection."""


def pack(commands: Iterable[Command]) -> bytes:
    """Return the commands as one piece of the protocol."""
    parts: list[bytes] = []
    for command in commands:
        parts.append(b"*%d\r\n" % len(command))
        parts += [b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in command]
    return b"".join(parts)


def errors_in(reply: Reply) -> list[Failure]:
    """Return every error in the reply, those inside arrays too."""
    if isinstance(reply, list):
        return [error for element in reply for error in errors_in(element)]
    return [reply] if isinstance(reply, Failure) else []


class Wire:
    """A connection over a Unix socket; a reply that takes longer than `timeout_s` is an error."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout_s)
        self._socket.connect(str(path))
        self._replies = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise ProtocolError(f"the server does not read: {error!r}") from error

    def read(self) -> Reply:
        """Return the next reply."""
        line = self._line()
        kind, text = line[:1], line[1:]
        if kind == b"+":
            return text
        if kind == b"-":
            return Failure(text.decode(errors="replace"))
        number = self._number(text)
        if kind == b":":
            return number
        if kind == b"$" and number >= -1:
            return None if number == -1 else self._bytes(number)
        if kind == b"*" and number >= -1:
            return None if number == -1 else [self.read() for _ in range(number)]
        raise ProtocolError(f"not a reply: {line!r}")

    def call(self, *command: bytes | str | int) -> Reply:
        """Send one command and return its reply."""
        self.send(pack([[to_bytes(argument) for argument in command]]))
        return self.read()

    def close(self) -> None:
        """Close the connection, whatever is on its way."""
        self._replies.close()
        self._socket.close()

    def _number(self, text: bytes) -> int:
        try:
            return int(text)
        except ValueError:
            raise ProtocolError(f"not a number: {text!r}") from None

    def _line(self) -> bytes:
        line = self._received(self._replies.readline)
        if not line.endswith(b"\r\n"):
            raise ProtocolError(f"a line with a line feed or end in it: {line!r}")
        return line[:-2]

    def _bytes(self, size: int) -> bytes:
        data = self._received(lambda: self._replies.read(size + 2))
        if len(data) != size + 2 or data[-2:] != b"\r\n":
            raise ProtocolError(f"a string of {size} bytes does not end where it should")
        return data[:-2]

    def _received(self, receive) -> bytes:
        try:
            data = receive()
        except OSError as error:
            raise ProtocolError(f"no reply: {error!r}") from error
        if not data:
            raise ProtocolError("the server closed the connection")
        return data


def to_bytes(argument: bytes | str | int) -> bytes:
    """Return an argument as the protocol wants it."""
    return argument if isinstance(argument, bytes) else str(argument).encode()
