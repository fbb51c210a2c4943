"""When a command is sent again, and how long an operation may take. It neither sends nor sleeps: drivers do.

A command is sent again only where that does no harm: the server has said that it did nothing, the command
never left, or it is repeatable and merely its answer was lost.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import redis
from redis import exceptions
from redis.backoff import EqualJitterBackoff

from modules_store import checks, errors
from modules_store.commands import Argument, Command

_BACKOFF = EqualJitterBackoff(cap=1.0, base=0.025)  # seconds; doubles with each failure
_NOTHING_DONE = (
    exceptions.BusyLoadingError,
    exceptions.TryAgainError,
    exceptions.ClusterDownError,
    exceptions.MasterDownError,
    exceptions.ReadOnlyError,
)
# Without a class that all of redis-py's parsers know, in all its versions.
_CODES_OF_NOTHING_DONE = ("BUSY ", "LOADING ", "TRYAGAIN ", "CLUSTERDOWN ", "MASTERDOWN ", "READONLY ")


class UnreachableError(redis.ConnectionError):  # type: ignore[misc]  # redis-py 4 has no types
    """There was no connection to send the command over."""


def is_of_replica(error: redis.RedisError) -> bool:
    """Return whether a replica refuses: what the address leads to now may be another server."""
    is_known = isinstance(error, exceptions.ReadOnlyError | exceptions.MasterDownError)
    return is_known or str(error).startswith(("READONLY ", "MASTERDOWN "))


@dataclass(frozen=True)
class Patience:
    """How often, and for how long, an operation is tried."""

    retries: int = 3
    """Attempts at a command after the first."""
    timeout_s: float | None = None
    """Seconds for an operation: all its commands, their repetitions and the pauses before these."""

    def __post_init__(self) -> None:
        checks.integer(self.retries, "retries", 0, 1000)
        if self.timeout_s is not None:
            checks.positive(self.timeout_s, "timeout_s")


class Attempts:
    """The attempts at the commands of one operation, one command after the other."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        timeout_s = patience.timeout_s
        self._end_s = None if timeout_s is None else time.monotonic() + timeout_s
        self._failures = 0
        self._may_be_done = False
        """Whether an attempt at the command may have reached the server."""

    def begin(self, command: Command) -> Sequence[Argument]:
        """Return what to send first."""
        self._failures, self._may_be_done = 0, False
        return command.arguments

    def left_s(self) -> float | None:
        """Return the seconds that are left, None where there is no end; raise DeadlineExceededError."""
        if self._end_s is None:
            return None
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise self._too_late()
        return left_s

    def after(self, error: redis.RedisError, command: Command) -> tuple[float, Sequence[Argument]]:
        """Return how many seconds to pause after a failed attempt, and what to send then.

        Raises `error` where that was the last attempt or another might do harm, DeadlineExceededError where
        the time would be over.
        """
        self._failures += 1
        self._may_be_done = self._may_be_done or not _nothing_done(error)
        lost = isinstance(error, redis.ConnectionError | redis.TimeoutError)
        if lost and self._end_s is not None and time.monotonic() >= self._end_s:
            raise self._too_late() from error
        if self._failures > self._patience.retries or not _may_repeat(error, command):
            raise error
        pause_s = float(_BACKOFF.compute(self._failures))
        if self._end_s is not None and time.monotonic() + pause_s >= self._end_s:
            raise self._too_late() from error
        if self._may_be_done and command.repeated is not None:
            return pause_s, command.repeated()
        return pause_s, command.arguments

    def _too_late(self) -> errors.DeadlineExceededError:
        return errors.DeadlineExceededError(f"no answer within timeout_s={self._patience.timeout_s:g}")


def _may_repeat(error: redis.RedisError, command: Command) -> bool:
    if isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError):
        return False
    if is_of_replica(error) and command.may_fail_on_replica:
        return False
    if _nothing_done(error):
        return True
    return command.repeatable and isinstance(error, redis.ConnectionError | redis.TimeoutError)


def _nothing_done(error: redis.RedisError) -> bool:
    """Return whether the server says that it did not begin, or was never asked."""
    is_known = isinstance(error, (*_NOTHING_DONE, UnreachableError))
    return is_known or str(error).startswith(_CODES_OF_NOTHING_DONE)
