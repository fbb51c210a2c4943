"""Runs models on the server's worker queue, by commands and forms of them that RedisAI 1.2 has, too.

States are encoded before the script that stores them, memories decoded after the one that recalls them; what
they give is what the scripts would have made (lua/include/codec.lua), and so are the errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from modules_store import errors, keys
from modules_store.codec import STATE_DTYPE, Codec, from_rows
from modules_store.commands import Argument, ScriptCall, command
from modules_store.flows import Flow, ResponseError, run
from modules_store.flows.systems import MemorySystems

_NOT_OF_REDISAI = ("HALF", "BFLOAT16")


def prepare(
    systems: MemorySystems, routing: str, used: Codec, states: bytes, count: int
) -> Flow[tuple[bytes, str]]:
    """Return `count` states as scripts that store take them, encoded or not, and the text that says which.

    `used` is as `codec.of_length` gives it; `routing` is a key in whose slot this goes.
    """
    if not (yield from systems.modes.stores_queued(used, count)):
        return states, "states"
    tensors: list[list[Argument]] = [["FLOAT", count, used.input_dim or 1, "BLOB", states]]
    if used.code_dtype in _NOT_OF_REDISAI:
        # RedisAI does not survive a model that gives these. It refuses a DAG that names them before it runs.
        tensors.append([used.code_dtype, 1])
    reply = yield from _execute(routing, used.encoder, tensors)
    problem = _problem(reply)
    if problem is not None:
        raise _encoders_error(used.encoder, problem)
    _, dtype, _, shape, _, codes = reply[-1]
    if not shape or shape[0] != count:
        raise errors.ServerError(f"{used.encoder} made codes of shape {shape} of {count} states")
    return codes, dtype.decode()


def recall(
    systems: MemorySystems,
    agent_ids: Sequence[str],
    fields: str,
    call_for: Callable[[str], ScriptCall],
    *,
    states_at: int = 1,
) -> Flow[Any]:
    """Run a script that recalls `fields` of agents; return its reply with the states decoded.

    `call_for(fields)` is the run of the script. States are at `states_at` in the reply, after the timestamps.
    """

    def call(queued_from: int | None) -> ScriptCall:
        return call_for(fields if queued_from is None else f"{fields} encoded {queued_from}")

    reply = yield from run_script(systems, agent_ids, call)
    if isinstance(reply[states_at], list):
        count = len(reply[states_at - 1])
        reply[states_at] = yield from decode(keys.index(agent_ids[0]), reply[states_at], count)
    return reply


def run_script(
    systems: MemorySystems, agent_ids: Sequence[str], call_for: Callable[[int | None], ScriptCall]
) -> Flow[Any]:
    """Run a script that recalls; where its reply has a list in the place of states, that is for `decode`.

    `call_for(queued_from)` is the run of the script that does so from that many memories on, or never.
    """
    queued_from = systems.modes.queued_from(map(systems.known_codec, agent_ids))
    if queued_from != 0:
        try:
            return (yield from run(call_for(queued_from)))
        except ResponseError as error:
            if not systems.modes.learns_from(error):
                raise
    return (yield from run(call_for(0)))


def decode(routing: str, encoded: Sequence[Any], count: int) -> Flow[bytes]:
    """Decode what scripts give in the place of `count` states; return these, row after row."""
    if not encoded:
        return b""
    input_dim, *groups = encoded
    states = np.empty((count, input_dim), STATE_DTYPE)
    for decoder, dtype, columns, places, codes in groups:
        rows = count if places is None else len(places)
        tensors = [[dtype, rows, columns, "BLOB", codes]]
        reply = yield from _execute(routing, decoder.decode(), tensors)
        problem = _problem(reply)
        if problem is not None:
            raise errors.CorruptMemoryError(f"{decoder.decode()} cannot read the memories: {problem}")
        blob: bytes = reply[-1][-1]
        if len(blob) != rows * input_dim * STATE_DTYPE.itemsize:
            raise errors.ServerError(
                f"{decoder.decode()} made {len(blob)} bytes of {rows} memories, not "
                f"{input_dim * STATE_DTYPE.itemsize} each"
            )
        if places is None:  # then there is one group
            return blob
        states[np.array(places) - 1] = from_rows(blob, rows)
    return states.tobytes()


def _execute(routing: str, model: str, tensors: Sequence[Sequence[Argument]]) -> Flow[Sequence[Any]]:
    """Run a model on the first of `tensors`; return the replies, the last of which is the output."""
    given = [
        word for i, tensor in enumerate(tensors) for word in ("|>", "AI.TENSORSET", f"tensor{i}", *tensor)
    ]
    try:
        reply = yield command(
            *("AI.DAGEXECUTE_RO", "ROUTING", routing, *given),
            *("|>", "AI.MODELEXECUTE", model, "INPUTS", 1, "tensor0", "OUTPUTS", 1, "output"),
            *("|>", "AI.TENSORGET", "output", "META", "BLOB"),
        )
    except ResponseError as error:
        if "model key is empty" in str(error):
            raise errors.CodecNotFoundError(f"there is no model at {model} on this server") from error
        if "invalid data type" in str(error):
            raise errors.UnsupportedServerError(
                f"the codec of {model} needs tensors of a type that this server's engine does not have"
            ) from error
        raise
    if not isinstance(reply, list):
        raise errors.ServerError(f"{model}: the engine answered {reply!r}")  # TIMEDOUT comes alone
    return reply


def _problem(reply: Sequence[Any]) -> str | None:
    """Return the first error among the replies of a DAG, or None."""
    return next((str(answer) for answer in reply if isinstance(answer, ResponseError)), None)


def _encoders_error(encoder: str, problem: str) -> errors.MemoryStoreError:
    _, found, said = problem.partition("builtins.ValueError: ")  # without TorchScript's traceback
    text = f"{encoder}: {said.strip() if found else problem}"
    if "not finite" in text:
        return errors.NonFiniteStateError(text)
    if "a state is out of range" in text:
        return errors.StateRangeError(text)
    return errors.ServerError(text)
