"""Makes commands of all that flows yield: runs of programs, as this server takes them."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

from modules_store.commands import Command, ScriptCall, Way
from modules_store.errors import MemoryStoreError
from modules_store.flows import Flow, NoPermissionError, NoScriptError, RedisError, ResponseError, T

Commands = Generator[Command, Any, T]


class Sender:
    """What one client has learned of how its server takes programs."""

    def __init__(self) -> None:
        self._way = Way.FUNCTION

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
        """Run a program; a server that does not know it yet is told it once."""
        if self._way is not Way.FUNCTION:
            return (yield from _run_script(call, self._way))
        try:
            return (yield call.run())
        except ResponseError as error:
            if "unknown command" in str(error) and "FCALL" in str(error):
                self._way = Way.SCRIPT_BEFORE_7
            elif _forbids(error):
                self._way = Way.SCRIPT
            elif not str(error).startswith("Function not found"):
                raise
        if self._way is not Way.FUNCTION:
            return (yield from _run_script(call, self._way))
        try:
            yield call.load()
        except ResponseError as error:
            # A replica, or memory that is full: scripts can be told to such a server all the same.
            if _forbids(error):
                self._way = Way.SCRIPT
            return (yield from _run_script(call, Way.SCRIPT))
        # A server may do the work, lose the answer, restart and then know the function no more.
        return (yield call.run(again=True))


def _run_script(call: ScriptCall, way: Way) -> Commands[Any]:
    try:
        return (yield call.run(way))
    except NoScriptError:
        yield call.load(way)
    return (yield call.run(way, again=True))


def _forbids(error: ResponseError) -> bool:
    """Whether this user may not call functions, or not load any."""
    return isinstance(error, NoPermissionError) and bool(re.search(r"'(fcall|function)", str(error), re.I))
