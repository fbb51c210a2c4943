"""Methods that say which codec agents have, and move memories to another."""

from __future__ import annotations

from collections.abc import Callable

from modules_store.bindings import Binding
from modules_store.flows import encoding, systems
from modules_store.memories import ReEncoded
from modules_store.operations import Awaited, Blocking, documented_by
from modules_store.policy import Policy


class Encoding(Blocking):
    """Binds agents to codecs and re-encodes what they have."""

    def refresh_codec(self) -> None:
        """Fetch bindings and codecs again, so that later stores follow what was bound or published since.

        A built-in codec of the client's own that is not published yet is published.
        Raises CodecNotFoundError, ConnectionLostError, ServerError.
        """
        self._drive(self._systems.refresh())

    def re_encode(
        self,
        agent_id: str,
        codec: str | None = None,
        version: int | None = None,
        *,
        step: int = 1024,
        on_progress: Callable[[ReEncoded], None] | None = None,
    ) -> ReEncoded:
        """Make a codec the agent's own and move the memories it has to that codec, inside the server.

        From the beginning new memories must be of that codec; old ones are recalled as before, beside them.
        They are moved in steps of up to `step` memories, 1 to 16,384, each done as a whole or not at all;
        after each `on_progress` is called with what was done so far. Whatever interrupts this, no memory
        is lost, and calling it again goes on. Timestamps, metadata and expiry stay; a state changes by what
        the codec loses.

        `codec` is by default that of this client, or of the agent's binding, or else the one that the agent
        has; `version` is by default the one said there, or the latest. Raises InvalidInputError,
        CodecNotFoundError where the agent has stored nothing or a model is missing, CodecMismatchError where
        the codec takes states of another length or another client switched the agent's codec meanwhile,
        NonFiniteStateError or StateRangeError where the codec cannot take a state that another brought back,
        CorruptMemoryError, OutOfMemoryError, ConnectionLostError, ServerError.
        """
        return self._drive(
            encoding.re_encode(self._systems, agent_id, codec, version, step=step, on_progress=on_progress)
        )

    def bind(
        self,
        agents: str,
        codec: str | None = None,
        version: int | None = None,
        *,
        policy: Policy | None = None,
    ) -> None:
        """Bind an agent, or a kind of agent, to a codec, a policy or both, for clients that are given none.

        `agents` is an id or a pattern of `*`, `?`, `[abc]` and `[!abc]`, in the place of an earlier binding
        for the same text. An id decides before patterns, a longer pattern before a shorter one, of equally
        long ones the first in alphabetical order; the codec and the policy of an agent may so come from two
        bindings. `version` is None for the latest. Clients follow when they start or call `refresh_codec`; an
        agent that has memories of another codec needs `re_encode`, too.
        Raises InvalidInputError, CodecNotFoundError, ConnectionLostError, ServerError.
        """
        self._drive(systems.bind(self._systems, agents, codec, version, policy))

    def unbind(self, agents: str) -> bool:
        """Remove the binding for this very text; return whether there was one.

        Raises InvalidInputError, ConnectionLostError, ServerError.
        """
        return self._drive(systems.unbind(self._systems, agents))

    def bindings(self) -> list[Binding]:
        """Return the bindings on the server, in the order in which they decide among patterns.

        Raises ConnectionLostError, ServerError.
        """
        return self._drive(systems.get_bindings())


@documented_by(Encoding)
class AsyncEncoding(Awaited):
    """Encoding, awaited."""

    async def refresh_codec(self) -> None:
        await self._drive(self._systems.refresh())

    async def re_encode(
        self,
        agent_id: str,
        codec: str | None = None,
        version: int | None = None,
        *,
        step: int = 1024,
        on_progress: Callable[[ReEncoded], None] | None = None,
    ) -> ReEncoded:
        return await self._drive(
            encoding.re_encode(self._systems, agent_id, codec, version, step=step, on_progress=on_progress)
        )

    async def bind(
        self,
        agents: str,
        codec: str | None = None,
        version: int | None = None,
        *,
        policy: Policy | None = None,
    ) -> None:
        await self._drive(systems.bind(self._systems, agents, codec, version, policy))

    async def unbind(self, agents: str) -> bool:
        return await self._drive(systems.unbind(self._systems, agents))

    async def bindings(self) -> list[Binding]:
        return await self._drive(systems.get_bindings())
