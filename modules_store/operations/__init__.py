"""The methods of the two clients, by subject: each is a flow of `flows/`, driven.

A file holds a class of blocking methods, with the documentation, and one of awaited methods of the same
names and arguments. `client.py` and `aio.py` put the classes together and own the connections.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from modules_store.flows import Flow, T
from modules_store.flows.systems import MemorySystems

C = TypeVar("C", bound=type)


class Blocking:
    """What blocking methods need of the client."""

    _systems: MemorySystems

    def _drive(self, flow: Flow[T]) -> T:
        raise NotImplementedError

    def _pause(self, pause_s: float) -> None:
        raise NotImplementedError

    def _socket_timeout_s(self) -> float | None:
        raise NotImplementedError


class Awaited:
    """What awaited methods need of the client."""

    _systems: MemorySystems

    async def _drive(self, flow: Flow[T]) -> T:
        raise NotImplementedError

    async def _pause(self, pause_s: float) -> None:
        raise NotImplementedError

    def _socket_timeout_s(self) -> float | None:
        raise NotImplementedError


def documented_by(blocking: type) -> Callable[[C], C]:
    """Give the methods of an awaited class the documentation of the blocking ones of the same names."""

    def document(awaited: C) -> C:
        for name, method in vars(awaited).items():
            if not name.startswith("_") and not method.__doc__:
                method.__doc__ = getattr(blocking, name).__doc__
        return awaited

    return document
