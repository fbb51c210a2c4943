"""Methods that say what is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from modules_store.flows import counting
from modules_store.operations import Awaited, Blocking, documented_by


class Counting(Blocking):
    """Says which agents there are."""

    def agent_ids(self, pattern: str = "*") -> Iterator[str]:
        """Yield the ids of the agents that have memories, each once, in no order.

        `pattern` is one as Redis reads it, with `*`, `?` and `[…]`. The whole keyspace is scanned, a step at
        a time; an agent that comes or goes meanwhile may be among them or not. Raises InvalidInputError,
        ConnectionLostError, ServerError.
        """
        seen: set[str] = set()
        cursor, more = 0, True
        while more:
            cursor, found = self._drive(counting.scan_agents(pattern, cursor))
            yield from sorted(set(found) - seen)
            seen.update(found)
            more = cursor != 0


@documented_by(Counting)
class AsyncCounting(Awaited):
    """Counting, awaited."""

    async def agent_ids(self, pattern: str = "*") -> AsyncIterator[str]:
        seen: set[str] = set()
        cursor, more = 0, True
        while more:
            cursor, found = await self._drive(counting.scan_agents(pattern, cursor))
            for agent_id in sorted(set(found) - seen):
                yield agent_id
            seen.update(found)
            more = cursor != 0
