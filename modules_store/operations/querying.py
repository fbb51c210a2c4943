"""Methods that find memories by queries over their metadata."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from modules_store import checks
from modules_store.flows import querying
from modules_store.memories import Found
from modules_store.operations import Awaited, Blocking, documented_by


class Querying(Blocking):
    """Indexes metadata and finds memories by it."""

    def create_search_index(
        self,
        fields: Mapping[str, str],
        name: str = "memories",
        *,
        replace: bool = False,
        wait_s: float = 0.0,
    ) -> float:
        """Index metadata by RediSearch; return the share of the memories there that it has already.

        `fields` maps names of metadata to "numeric", "tag" or "text"; `pose.x` is the entry x of pose. Agent
        (a tag) and timestamp are always indexed. RediSearch indexes what is there in the background, for
        which this waits up to `wait_s` seconds: unless it returns 1.0, queries may miss memories; call it
        again to ask. An index of that name and these fields stays, one of others is refused, or replaced.
        `timeout_s` of the client does not cover the wait. Raises InvalidInputError, SearchIndexError,
        MissingModuleError without RediSearch, ConnectionLostError, ServerError.
        """
        end_s = time.monotonic() + checks.number(wait_s, "wait_s", 0, 86_400)
        share = self._drive(querying.create_index(fields, name, replace))
        while share < 1 and time.monotonic() < end_s:
            self._pause(querying.POLL_S)
            share = self._drive(querying.indexed_share(name))
        return share

    def drop_search_index(self, name: str = "memories") -> bool:
        """Drop an index, not the memories; return whether there was one. Raises as `create_search_index`."""
        return self._drive(querying.drop_index(name))

    def find_memories(
        self,
        query: str = "*",
        *,
        index: str = "memories",
        agents: str | Sequence[str] | None = None,
        sort_by: str | None = None,
        descending: bool = False,
        offset: int = 0,
        limit: int = 100,
        fields: str = "both",
    ) -> Found:
        """Return a page of the memories, of any agents, whose metadata match a RediSearch query.

        `query` is in dialect 2, `@reward:[1 +inf] @action:{attack}`; only memories with metadata are found.
        `agents` is an id or several, to which the search is limited whatever `query` says. `sort_by` is an
        indexed field. A page begins after `offset` memories, at most 1,000,000, and has up to `limit`, at
        most 16,384. `fields` is "both", "states" or "metadata". Works without cluster mode. Raises
        InvalidInputError, which names what RediSearch refuses, SearchIndexError
        where there is no such index, MissingModuleError, UnsupportedServerError, CodecNotFoundError,
        CorruptMemoryError, ConnectionLostError, ServerError.
        """
        return self._drive(
            querying.find_memories(
                query,
                index=index,
                agents=agents,
                sort_by=sort_by,
                descending=descending,
                offset=offset,
                limit=limit,
                fields=fields,
            )
        )


@documented_by(Querying)
class AsyncQuerying(Awaited):
    """Querying, awaited."""

    async def create_search_index(
        self,
        fields: Mapping[str, str],
        name: str = "memories",
        *,
        replace: bool = False,
        wait_s: float = 0.0,
    ) -> float:
        end_s = time.monotonic() + checks.number(wait_s, "wait_s", 0, 86_400)
        share = await self._drive(querying.create_index(fields, name, replace))
        while share < 1 and time.monotonic() < end_s:
            await self._pause(querying.POLL_S)
            share = await self._drive(querying.indexed_share(name))
        return share

    async def drop_search_index(self, name: str = "memories") -> bool:
        return await self._drive(querying.drop_index(name))

    async def find_memories(
        self,
        query: str = "*",
        *,
        index: str = "memories",
        agents: str | Sequence[str] | None = None,
        sort_by: str | None = None,
        descending: bool = False,
        offset: int = 0,
        limit: int = 100,
        fields: str = "both",
    ) -> Found:
        return await self._drive(
            querying.find_memories(
                query,
                index=index,
                agents=agents,
                sort_by=sort_by,
                descending=descending,
                offset=offset,
                limit=limit,
                fields=fields,
            )
        )
