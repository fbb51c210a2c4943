"""Methods that draw memories at random."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from modules_store.flows import sampling
from modules_store.memories import Sample, Sequences
from modules_store.operations import Awaited, Blocking, documented_by


class Sampling(Blocking):
    """Draws memories and sequences of them, for training."""

    def sample_memories(
        self,
        agents: str | Iterable[str],
        count: int,
        *,
        by: str = "uniform",
        alpha: float = 0.6,
        beta: float = 0.4,
        half_life: float = 1000.0,
        seed: int | None = None,
        fields: str = "both",
    ) -> Sample:
        """Return `count` memories, 1 to 16,384, drawn at random with replacement: one may come twice.

        `agents` is an id or up to 1,024 of them, each once; of several each memory competes with all the
        others. `by` says how probable one is: "uniform", as any other; "recency", half as probable for every
        `half_life` memories, 0.001 to 2**32, that its own agent has after it; "priority", in proportion to
        its priority to the power of `alpha`, 0 to 2. The last is proportional prioritised experience replay
        (Schaul et al. 2016), and `weights` are its importance-sampling weights of exponent `beta`, 0 to 1,
        divided by the largest that any memory of these agents can have. Memories have the priorities of
        `update_priorities`; until then the largest that another of the agent had when they entered: as they
        were stored, with `Policy(priorities=True)`, or else before they are first sampled so, which takes
        a call for each agent and 16,384 memories.

        The same `seed`, 0 to 2**53 - 1, draws the same from the same memories; None for another each time.
        Memories that Redis has evicted are drawn again; fewer than `count` come only where nearly all are.
        `fields` as in `retrieve_agent_memories`. In a cluster all agents must be in one hash slot.
        Raises InvalidInputError, also for agents whose states differ in length, MemoryNotFoundError where
        there is no memory, CodecNotFoundError, CorruptMemoryError, ConnectionLostError, ServerError.
        """
        return self._drive(
            sampling.sample_memories(
                agents,
                count,
                by=by,
                alpha=alpha,
                beta=beta,
                half_life=half_life,
                seed=seed,
                fields=fields,
            )
        )

    def sample_sequences(
        self,
        agents: str | Iterable[str],
        count: int,
        length: int,
        *,
        seed: int | None = None,
        fields: str = "both",
    ) -> Sequences:
        """Return `count` sequences of `length` memories that follow each other, drawn with replacement.

        Each memory that has `length - 1` after it is as probable a beginning as any other, of whichever
        agent; agents with fewer memories are passed over. `count * length` is 1 to 16,384. Sequences in which
        Redis has evicted a value are drawn again, and fewer than `count` come only where nearly all are so.
        Everything else as for `sample_memories`.
        """
        return self._drive(sampling.sample_sequences(agents, count, length, seed=seed, fields=fields))

    def update_priorities(
        self, agent_id: str | Sequence[str], timestamps: Iterable[int], priorities: Any
    ) -> int:
        """Give memories the priorities by which they are sampled from now on; return how many have theirs.

        `agent_id` is that of all, or one for each, such as `Sample.agent_ids`. `timestamps` are up to 16,384,
        and `priorities` as many finite numbers above 0: an array, a torch tensor or a sequence. With errors
        of a prediction add a small constant, lest one be 0. What is not from 2**-32 to 2**32 is brought
        there. Memories that are no longer there are passed over; where one comes twice, the last counts.
        In a cluster all agents must be in one hash slot.
        Raises InvalidInputError, OutOfMemoryError, ConnectionLostError, ServerError.
        """
        return self._drive(sampling.update_priorities(agent_id, timestamps, priorities))


@documented_by(Sampling)
class AsyncSampling(Awaited):
    """Sampling, awaited."""

    async def sample_memories(
        self,
        agents: str | Iterable[str],
        count: int,
        *,
        by: str = "uniform",
        alpha: float = 0.6,
        beta: float = 0.4,
        half_life: float = 1000.0,
        seed: int | None = None,
        fields: str = "both",
    ) -> Sample:
        return await self._drive(
            sampling.sample_memories(
                agents,
                count,
                by=by,
                alpha=alpha,
                beta=beta,
                half_life=half_life,
                seed=seed,
                fields=fields,
            )
        )

    async def sample_sequences(
        self,
        agents: str | Iterable[str],
        count: int,
        length: int,
        *,
        seed: int | None = None,
        fields: str = "both",
    ) -> Sequences:
        return await self._drive(sampling.sample_sequences(agents, count, length, seed=seed, fields=fields))

    async def update_priorities(
        self, agent_id: str | Sequence[str], timestamps: Iterable[int], priorities: Any
    ) -> int:
        return await self._drive(sampling.update_priorities(agent_id, timestamps, priorities))
