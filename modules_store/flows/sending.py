"""Makes commands of all that flows yield: of runs of scripts the calls of functions, where there are any."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from typing import Any

from modules_store import scripts
from modules_store.commands import Command, ScriptCall, command
from modules_store.errors import MemoryStoreError
from modules_store.flows import (
    Flow,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    T,
)

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
        """Run a script as a function; a server that is older than Redis 7 knows no FCALL, and says so."""
        if not self._before_7:
            try:
                return (yield from _call_function(call))
            except ResponseError as error:
                if "unknown command" not in str(error) or "FCALL" not in str(error):
                    raise
            self._before_7 = True
        return (yield from _run_text(call))


def _call_function(call: ScriptCall) -> Commands[Any]:
    """Call a function; a server that does not know it yet is told the library once.

    A replica is told functions by its master alone, and a full server takes none. What needs no more memory
    goes there as a script, which any server keeps for itself.
    """
    try:
        return (yield call.function())
    except ResponseError as error:
        if "Function not found" not in str(error):
            raise
    try:
        # Where another client was faster, replacing the library by itself does no harm.
        yield dataclasses.replace(
            command("FUNCTION LOAD", "REPLACE", scripts.library().text),
            may_fail_on_replica=bool(call.script.flags),
        )
    except (ReadOnlyError, OutOfMemoryError):
        if not call.script.flags:
            raise
        return (yield from _run_text(call, again=True))
    except NoPermissionError as error:
        raise ResponseError(
            f"the server lacks functions of {scripts.library().name}, which this user may not load: {error} "
            "(let one who may run FUNCTION LOAD use this version of modules-store once)"
        ) from error
    # A server may do the work, lose the answer, restart and then know the function no more.
    return (yield call.function(again=True))


def _run_text(call: ScriptCall, *, again: bool = False) -> Commands[Any]:
    """Run a script; a server that does not know it yet is told it once."""
    try:
        return (yield call.text(again=again))
    except NoScriptError:
        yield command("SCRIPT LOAD", call.script.text)
    return (yield call.text(again=True))
