"""States as arrays, and as the bytes that the models take: FLOAT[B, D], little endian, row after row.

Owns what can be told about a codec and a state without a server. The codes themselves are the server's
business.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modules_store import errors, keys

STATE_DTYPE = np.dtype("<f4")

COLLAPSE_ROWS = 256
"""Rows from which on `to_float32` looks whether they stay different."""

# It looks at so many of them, and names so many features.
_ROWS_COMPARED, _FEATURES_NAMED = 256, 8

DEFAULT_CODEC = "float16"
"""The codec of agents that nothing is said about."""


@dataclass(frozen=True)
class Codec:
    """One published version of a codec, as its document `memory_system:NAME` describes it."""

    name: str
    version: int
    input_dim: int | None
    """Features of a state, None where it takes states of any length."""
    configuration: str
    """JSON for the scripts and the agent's document: what encodes and decodes, and the form of the codes."""
    feature_groups: str
    """JSON for the scripts: [{name, features, codes}, …] in the order of the features."""
    encoder: str
    code_dtype: str


def parse_codec_document(name: str, version: int | None, document: Mapping[str, Any] | None) -> Codec:
    """Return one version of a codec, the latest where `version` is None.

    Raises CodecNotFoundError where there is no such document or version, or the document is not one of a
    codec.
    """
    if document is None:
        raise errors.CodecNotFoundError(
            f"codec {name!r} is not published on this server: there is no {keys.codec(name)}"
        )
    try:
        wanted = document["latest"] if version is None else version
        versions = document["versions"]
        if str(wanted) not in versions:
            have = ", ".join(versions) or "none"
            raise errors.CodecNotFoundError(f"codec {name!r} has no version {wanted}; published: {have}")
        entry = versions[str(wanted)]
        configuration = {"name": name, "version": entry["version"], "input_dim": document["input_dim"]}
        configuration |= {field: entry[field] for field in ("codes", "code_dtype", "encoder", "decoder")}
        groups = [
            {"name": group, "features": bounds["end"] - bounds["start"], "codes": bounds["codes"]}
            for group, bounds in entry.get("feature_groups", {}).items()
        ]
        return Codec(
            name,
            entry["version"],
            document["input_dim"],
            _compact(configuration),
            _compact(groups),
            entry["encoder"],
            entry["code_dtype"],
        )
    except (KeyError, TypeError, AttributeError) as problem:
        raise errors.CodecNotFoundError(
            f"{keys.codec(name)} does not describe a codec: {problem!r}"
        ) from problem


@functools.lru_cache(maxsize=256)
def of_length(codec: Codec, input_dim: int) -> Codec:
    """Return the codec as it stores states of `input_dim` features: itself, where it takes no others."""
    if codec.input_dim is not None:
        return codec
    configuration = json.loads(codec.configuration) | {"input_dim": input_dim, "codes": input_dim}
    group = {"name": "state", "features": input_dim, "codes": input_dim}
    return dataclasses.replace(
        codec, input_dim=input_dim, configuration=_compact(configuration), feature_groups=_compact([group])
    )


def to_row(state: Any, codec: Codec, argument: str) -> npt.NDArray[np.float32]:
    """Return one state, of shape [D], as float32[1, D]; otherwise as `to_rows`."""
    array = to_numbers(state, argument)
    return _checked(array, (_features(array, codec),), codec, argument).reshape(1, -1)


def to_any_row(state: Any, argument: str) -> npt.NDArray[np.float32]:
    """Return one state of shape [D], whatever D, as float32[1, D]; otherwise as `to_rows`."""
    array = to_numbers(state, argument)
    if array.ndim != 1 or not array.size:
        raise errors.StateShapeError(f"{argument} has shape {list(array.shape)}, not [D]")
    return to_row(array, Codec("", 0, len(array), "", "", "", ""), argument)


def to_rows(states: Any, codec: Codec, argument: str) -> npt.NDArray[np.float32]:
    """Return `states`, of shape [B, D] with B from 0, as float32[B, D], C-contiguous.

    `states` is what `to_numbers` takes, and is rounded as `to_float32` does; `argument` is what errors call
    it. Raises StateTypeError, StateShapeError, NonFiniteStateError.
    """
    array = to_numbers(states, argument)
    if array.shape == (0,):
        array = np.empty((0, codec.input_dim or 1), STATE_DTYPE)
    shape = (len(array) if array.ndim else 0, _features(array, codec))
    return _checked(array, shape, codec, argument)


def to_numbers(values: Any, argument: str) -> npt.NDArray[Any]:
    """Return `values` as an array of real numbers: the one rule for what is stored and what is trained on.

    Taken are arrays, torch tensors of any device, with or without gradient, nested sequences, sequences of
    arrays or tensors; of integers, booleans, and floats of any width, bfloat16 too. Booleans and bfloat16
    come as float32, others as they are. `argument` is what errors call them. Raises StateTypeError,
    StateShapeError.
    """
    array = _as_array(values, argument)
    # What NumPy does not know itself is of kind V.
    if array.dtype.kind == "b" or array.dtype.name == "bfloat16":
        return array.astype(STATE_DTYPE)
    if array.dtype.kind not in "fiu":
        raise errors.StateTypeError(f"{argument} has dtype {array.dtype}; a state is made of real numbers")
    return array


def to_float32(
    numbers: npt.NDArray[Any], argument: str, names: Sequence[str] | None = None
) -> npt.NDArray[np.float32]:
    """Round what `to_numbers` returned to float32, C-contiguous; what is too large becomes infinite.

    Warns with a PrecisionWarning where half or more of 256 or more rows that differ become equal to others.
    `names` are those of the features.
    """
    if numbers.dtype == STATE_DTYPE:
        return np.ascontiguousarray(numbers)
    with np.errstate(over="ignore"):
        rounded = np.ascontiguousarray(numbers, dtype=STATE_DTYPE)
    if numbers.ndim == 2 and len(numbers) >= COLLAPSE_ROWS and not np.can_cast(numbers.dtype, STATE_DTYPE):
        _warn_of_collapse(numbers, rounded, argument, names)
    return rounded


def from_rows(blob: bytes, count: int) -> npt.NDArray[np.float32]:
    """Return the `count` states in `blob`, float32[count, D], as an array of its own."""
    return np.frombuffer(blob, dtype=STATE_DTYPE).reshape(count, -1).astype(np.float32)


def _features(array: npt.NDArray[Any], codec: Codec) -> int:
    """Return how many features each state in `array` must have: its own number, where any will do."""
    return codec.input_dim or max((1, *array.shape[-1:]))


def _checked(
    array: npt.NDArray[Any], shape: tuple[int, ...], codec: Codec, argument: str
) -> npt.NDArray[np.float32]:
    if array.shape != shape:
        raise errors.StateShapeError(
            f"{argument} has shape {list(array.shape)}, not {list(shape)}: "
            f"codec {codec.name!r} takes states of {codec.input_dim or 'one or more'} features"
        )
    values = to_float32(array, argument)
    finite = np.isfinite(values)
    if not finite.all():
        at = [int(i) for i in np.argwhere(~finite)[0]]
        raise errors.NonFiniteStateError(f"{argument}{at} is {array[tuple(at)]}, not a finite float32")
    return values


def _as_array(states: Any, argument: str) -> npt.NDArray[Any]:
    try:
        if isinstance(states, list | tuple):
            states = [without_torch(state) for state in states]
        return np.asarray(without_torch(states))
    except ValueError as problem:  # rows of unequal length
        raise errors.StateShapeError(f"{argument} is not an array: {problem}") from problem
    except (TypeError, RuntimeError) as problem:
        raise errors.StateTypeError(f"{argument} cannot be made an array: {problem}") from problem


def _warn_of_collapse(
    numbers: npt.NDArray[Any], rounded: npt.NDArray[np.float32], argument: str, names: Sequence[str] | None
) -> None:
    some = slice(None, None, -(-len(numbers) // _ROWS_COMPARED))
    after = rounded[some]
    if 2 * _least_different(after) > len(after):  # what most states are, told in microseconds
        return
    before = numbers[some]
    if 2 * len({row.tobytes() for row in after}) > len({row.tobytes() for row in before}):
        return
    lost = [
        i for i in range(before.shape[1]) if 2 * len(np.unique(after[:, i])) <= len(np.unique(before[:, i]))
    ]
    named = ", ".join(str(i) if names is None else repr(names[i]) for i in lost[:_FEATURES_NAMED])
    # Without figures, so that Python shows it once and not for every batch.
    warnings.warn(
        f"{argument}: most states that differ in {numbers.dtype} are equal in float32, which is what is kept"
        + (f" (features {named}{', …' if len(lost) > _FEATURES_NAMED else ''})" if lost else "")
        + "; subtract an offset from such features first",
        errors.PrecisionWarning,
        stacklevel=2,
    )


def _least_different(rows: npt.NDArray[np.float32]) -> int:
    """Return how many rows differ, or fewer, since it compares sums of their bits, each times a number."""
    return len(np.unique(rows.view(np.int32) @ _factors(rows.shape[1])))


@functools.lru_cache(maxsize=16)
def _factors(count: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(0).integers(2**31, size=count) * 2 + 1


def without_torch(state: Any) -> Any:
    """Return a tensor's values as a NumPy array, anything else as it is. Torch itself is never imported."""
    if not hasattr(state, "detach"):
        return state
    values = state.detach().cpu()
    # NumPy has no bfloat16.
    return (values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy()


def _compact(value: Any) -> str:
    """Return JSON exactly as RedisJSON prints it, so that the scripts can compare texts."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
