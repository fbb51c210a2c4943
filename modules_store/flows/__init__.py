"""What each operation does: generators that yield commands, are sent the replies and return a result.

They check their arguments, build commands and parse replies, but do no I/O, so that any client, blocking or
not, can drive them. A driver sends the reply of each command, or throws the error that redis-py raised for
it; runs of scripts become commands on the way (sending.py). One file a subject, as in `operations/`, whose
methods are these flows, driven.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from redis.crc import key_slot as key_slot  # flows import redis here alone
from redis.exceptions import ClusterCrossSlotError as ClusterCrossSlotError
from redis.exceptions import NoPermissionError as NoPermissionError
from redis.exceptions import NoScriptError as NoScriptError
from redis.exceptions import OutOfMemoryError as OutOfMemoryError
from redis.exceptions import ReadOnlyError as ReadOnlyError
from redis.exceptions import RedisError as RedisError
from redis.exceptions import ResponseError as ResponseError

from modules_store.commands import Command, ScriptCall

T = TypeVar("T")
Flow = Generator[Command | ScriptCall, Any, T]


def run(call: ScriptCall) -> Flow[Any]:
    """Run a script; how that is sent is for the driver's `Sender` to say."""
    return (yield call)


def run_with(needed: Command, code: str, call: ScriptCall) -> Flow[Any]:
    """Run a script that refuses with `MEMERR code` where the server lacks what `needed` stores; once then."""
    try:
        return (yield from run(call))
    except ResponseError as error:
        if f"MEMERR {code} " not in str(error):
            raise
    yield needed
    return (yield from run(call))
