"""Both clients as one: the asyncio client with its methods run to their end, so that one suite tests both."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading

from modules_store import AsyncRedisAgentMemory


class RunToTheEnd:
    """An AsyncRedisAgentMemory that is used like a RedisAgentMemory, on an event loop of its own."""

    def __init__(self, *arguments, **options) -> None:
        self._closed = False
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._memory = self._run(_made(*arguments, **options))

    def __getattr__(self, name):
        method = getattr(self._memory, name)

        @functools.wraps(method)
        def run(*arguments, **options):
            answer = method(*arguments, **options)
            if inspect.isasyncgen(answer):
                return self._items(answer)
            if hasattr(answer, "__aenter__"):
                return _Entered(answer, self._run)
            return self._run(answer) if inspect.isawaitable(answer) else answer

        return run if callable(method) else method

    def __enter__(self) -> RunToTheEnd:
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._run(self._memory.close())
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self, awaitable):
        return asyncio.run_coroutine_threadsafe(awaitable, self._loop).result()

    def _items(self, generator):
        end = object()
        try:
            while (item := self._run(_next(generator, end))) is not end:
                yield item
        finally:
            self._run(generator.aclose())


class _Entered:
    """An asynchronous context manager that is used like a blocking one, as is what it enters."""

    def __init__(self, manager, run) -> None:
        self._manager, self._run = manager, run

    def __enter__(self) -> _Entered:
        self._manager = self._run(self._manager.__aenter__())
        return self

    def __exit__(self, *error) -> bool | None:
        return self._run(self._manager.__aexit__(*error))

    def __getattr__(self, name):
        return lambda *arguments, **options: self._run(getattr(self._manager, name)(*arguments, **options))

    def __len__(self) -> int:
        return len(self._manager)


async def _next(generator, end):
    return await anext(generator, end)


async def _made(*arguments, **options) -> AsyncRedisAgentMemory:
    return AsyncRedisAgentMemory(*arguments, **options)
