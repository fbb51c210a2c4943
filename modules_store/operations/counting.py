"""Methods that say what is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator

from modules_store.flows import counting, statistics
from modules_store.operations import Awaited, Blocking, documented_by
from modules_store.statistics import AgentStats, AgentSummary


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

    def agent_summaries(self, agent_ids: Iterable[str]) -> list[AgentSummary]:
        """Return for each agent how many memories it has, from when to when, and in which layout.

        One round trip for each 500 agents. An agent without memories has 0. Raises InvalidAgentIdError,
        ConnectionLostError, ServerError.
        """
        return self._drive(counting.summarize_agents(agent_ids))

    def agent_stats(self, agent_id: str, *, sample: int = 256) -> AgentStats:
        """Return statistics of an agent, by one script.

        Numbers of bytes are those that Redis says of keys (MEMORY USAGE). Values and metadata, and what
        follows from them, are measured on up to `sample` memories, at equal distances from the oldest to the
        newest, and multiplied. Those of index, stream and companions Redis itself reckons from a few entries.
        How often memories are recalled is not counted, since recalls write nothing; `AI.INFO` of a decoder
        counts its runs and the memories it decoded. Raises InvalidInputError, ConnectionLostError,
        ServerError.
        """
        return self._drive(statistics.agent_stats(agent_id, sample))


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

    async def agent_summaries(self, agent_ids: Iterable[str]) -> list[AgentSummary]:
        return await self._drive(counting.summarize_agents(agent_ids))

    async def agent_stats(self, agent_id: str, *, sample: int = 256) -> AgentStats:
        return await self._drive(statistics.agent_stats(agent_id, sample))
