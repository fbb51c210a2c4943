"""Makes commands of all that flows yield: runs of scripts, as this server takes them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from modules_store.commands import Command, ScriptCall
from modules_store.errors import MemoryStoreError
from modules_store.flows import Flow, NoScriptError, RedisError, ResponseError, T

Commands = Generator[Command, Any, T]


class Sender:
    """What one client has learned of how its server takes scripts."""

    def __init__(self) -> None:
        self._before_7 = False

    def commands(self, flow: Flow[T]) -> Commands[T]:
        """Yield the commands of a flow, in whose place this is driven, and return its result."""
        try:
            step = next(flow)
            while True:
                try:
                    reply = (yield from self._run(step)) if isinstance(step, ScriptCall) else (yield step)
                except (RedisError, MemoryStoreError) as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            flow.close()

    def _run(self, call: ScriptCall) -> Commands[Any]:
        """Run a script; a server that is older than Redis 7 says so by what it does not understand."""
        try:
            return (yield from _run(call, self._before_7))
        except ResponseError as error:
            if self._before_7 or not _is_of_before_7(error):
                raise
        self._before_7 = True
        return (yield from _run(call, True))


def _run(call: ScriptCall, before_7: bool) -> Commands[Any]:
    """Run a script; a server that does not know it yet is told it once."""
    try:
        return (yield call.run(before_7=before_7))
    except NoScriptError:
        yield call.load(before_7=before_7)
    # A server may do the work, lose the answer, restart and then know the script no more.
    return (yield call.run(again=True, before_7=before_7))


def _is_of_before_7(error: ResponseError) -> bool:
    """Whether a server does not know EVALSHA_RO, or takes the line of flags on top of a script for Lua."""
    text = str(error)
    return ("unknown command" in text and "EVALSHA_RO" in text) or "unexpected symbol near '#'" in text
