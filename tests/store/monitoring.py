"""What a server is sent while something runs, as MONITOR sees it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import redis

_LINE = re.compile(rb'[\d.]+ \[\d+ (\S+)\] (".*")', re.DOTALL)
_ARGUMENT = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)


class Seen(NamedTuple):
    """One command: who sent it, "lua" for a script, and its words as MONITOR prints them."""

    sender: str
    words: list[str]


def seen_during(client: redis.Redis, operation: Callable[[], object]) -> list[Seen]:
    """Return the commands that clients send, and scripts run, while `operation` runs."""
    with client.monitor() as monitor:
        client.echo("from here")  # opens a connection of the client's own, which is not the operation's doing
        operation()
        client.echo("to here")
        _until_echo(monitor.connection)
        return _until_echo(monitor.connection)


def commands_of(client: redis.Redis, operation: Callable[[], object]) -> list[str]:
    """Return the names of the commands that clients send while `operation` runs."""
    return [one.words[0] for one in seen_during(client, operation) if one.sender != "lua"]


def _until_echo(connection: redis.Connection) -> list[Seen]:
    seen: list[Seen] = []
    # Monitor.listen() of redis-py stumbles over brackets in arguments, such as a script's.
    while match := _LINE.match(connection.read_response()):
        one = Seen(match[1].decode(), [word.decode() for word in _ARGUMENT.findall(match[2])])
        if one.words[0] == "ECHO":
            return seen
        seen.append(one)
    raise AssertionError("a line of MONITOR that is none")
