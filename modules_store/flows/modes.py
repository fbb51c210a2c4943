"""Where a client has models run: inside the scripts that store and recall, or on the worker queue."""

from __future__ import annotations

from collections.abc import Iterable

from modules_store import checks
from modules_store.codec import Codec
from modules_store.commands import script
from modules_store.flows import Flow, ResponseError, run

MODES = ("auto", "inline", "queued")

LIMIT_US = 1000
"""Microseconds: below this "auto" runs models inside scripts, during which the server does nothing else."""

MANY_ROWS = 1000
"""From so many on "auto" runs models on the queue in any case, as a thousand rows take about `LIMIT_US`.

Beside that the second round trip is little: one client did 0.9 to 1.1 times as many stores of 1,024 states
and recalls of 1,000, eight clients 1.1 to 1.8 times (states of 50 features, 32 codes, two cores).
"""


class Modes:
    """The mode that a client was given, and what "auto" has learned of its server and codecs."""

    def __init__(self, mode: str) -> None:
        self._mode = checks.choice(mode, "mode", MODES)
        self._runs_inline = True
        self._is_slow: dict[str, bool] = {}  # by encoder

    def forget(self) -> None:
        """Measure codecs again when they are next stored with."""
        self._is_slow = {}

    def stores_queued(self, used: Codec, rows: int) -> Flow[bool]:
        """Return whether so many states are encoded on the queue; in "auto" each codec is measured once."""
        if self._mode != "auto" or not self._runs_inline:
            return self._mode != "inline"
        if rows >= MANY_ROWS:
            return True
        if used.encoder not in self._is_slow:
            yield from self._measure(used)
        return not self._runs_inline or self._is_slow.get(used.encoder, False)

    def queued_from(self, used: Iterable[Codec | None]) -> int | None:
        """Return from how many memories on they are decoded on the queue, None where they never are.

        `used` are the agents' codecs, where known.
        """
        if self._mode == "inline":
            return None
        if self._mode == "queued" or not self._runs_inline:
            return 0
        is_slow = any(self._is_slow.values()) and any(
            one is not None and self._is_slow.get(one.encoder, False) for one in used
        )
        return 0 if is_slow else MANY_ROWS

    def learns_from(self, error: ResponseError) -> bool:
        """Whether "auto" has learned from a script's error that the server runs no models inside scripts."""
        if self._mode != "auto" or "MEMERR NOMODELS " not in str(error):
            return False
        self._runs_inline = False
        return True

    def _measure(self, used: Codec) -> Flow[None]:
        """Ask what a call of the encoder takes; where that is refused, the store finds out why."""
        try:
            call = script("measure_encoder", [used.encoder], used.input_dim or 1)
            device, taken_us = yield from run(call)
        except ResponseError as error:
            self.learns_from(error)
            self._is_slow[used.encoder] = False
        else:
            self._is_slow[used.encoder] = not device.startswith(b"CPU") or taken_us >= LIMIT_US
