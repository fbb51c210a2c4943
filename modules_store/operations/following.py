"""Methods that follow the streams of agents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

from modules_store.flows import following
from modules_store.memories import Memory
from modules_store.operations import Awaited, Blocking, documented_by


class Following(Blocking):
    """Yields memories as they are stored."""

    def follow(
        self,
        agent_id: str | Sequence[str],
        *,
        after: str | int = "new",
        group: str | None = None,
        consumer: str | None = None,
        block_ms: int = 1000,
        count: int = 100,
        claim_after_ms: int = 60_000,
        stop_after_ms: int | None = None,
    ) -> Iterator[Memory]:
        """Yield the memories of an agent, or of several, as they are stored, oldest first for each agent.

        The agents' policy must have `stream_entries`: only streams are followed. Nothing is done before the
        first memory is asked for. `after` is "new" for what is stored from then on, "beginning" for all that
        the stream has, or a timestamp for what comes after it. A read takes up to `count` memories of each
        agent, 1 to 16,384, and where there are none waits in the server for `block_ms`, or half the
        connections' socket timeout if that is shorter; this goes on until the caller stops, or nothing came
        for `stop_after_ms`, 0 for what is there already.

        With `group`, a name, each memory goes to one of the consumers of that group, and is acknowledged when
        the loop asks for the next: one that stops or dies in the middle loses nothing, and may see again what
        it has handled, at least once. `after` counts where the group is created. A `consumer`, a name that no
        other one alive has, first gets what it got before and has not acknowledged, then what others
        have not acknowledged for `claim_after_ms`, which must be longer than `count` memories take to handle.
        What was trimmed before it was handled is passed over.

        In a cluster the agents of one call must be in one hash slot. Raises InvalidInputError,
        CodecNotFoundError, CorruptMemoryError, ConnectionLostError, ServerError; after that, follow again.
        """
        follower = following.follower(
            self._systems,
            agent_id,
            following.Reading(after, block_ms, count, stop_after_ms),
            group=group,
            consumer=consumer,
            claim_after_ms=claim_after_ms,
            socket_timeout_s=self._socket_timeout_s(),
        )
        self._drive(follower.begin())
        while not follower.has_ended:
            for memory in self._drive(follower.page()):
                yield memory
                self._drive(follower.acknowledge(memory))


@documented_by(Following)
class AsyncFollowing(Awaited):
    """Following, awaited."""

    async def follow(
        self,
        agent_id: str | Sequence[str],
        *,
        after: str | int = "new",
        group: str | None = None,
        consumer: str | None = None,
        block_ms: int = 1000,
        count: int = 100,
        claim_after_ms: int = 60_000,
        stop_after_ms: int | None = None,
    ) -> AsyncIterator[Memory]:
        follower = following.follower(
            self._systems,
            agent_id,
            following.Reading(after, block_ms, count, stop_after_ms),
            group=group,
            consumer=consumer,
            claim_after_ms=claim_after_ms,
            socket_timeout_s=self._socket_timeout_s(),
        )
        await self._drive(follower.begin())
        while not follower.has_ended:
            for memory in await self._drive(follower.page()):
                yield memory
                await self._drive(follower.acknowledge(memory))
