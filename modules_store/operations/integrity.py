"""Methods that find and mend what is wrong with an agent's memories."""

from __future__ import annotations

from modules_store.flows import verifying
from modules_store.integrity import Repaired, Verification
from modules_store.operations import Awaited, Blocking, documented_by


class Integrity(Blocking):
    """Verifies and repairs agents."""

    def verify_agent(self, agent_id: str) -> Verification:
        """Return every disagreement between an agent's index, values, metadata, companions and documents.

        Nothing is written. All memories are decoded, a bounded step at a time, and the whole keyspace is
        scanned for keys that the index does not have. Others may go on storing: what they drop meanwhile may
        be reported. Codes that were changed, but are as many as before, cannot be told from others. Raises
        InvalidInputError, ConnectionLostError, ServerError.
        """
        return self._drive(verifying.verify_agent(agent_id))

    def repair_agent(self, agent_id: str) -> Repaired:
        """Mend what `verify_agent` finds; return what was done.

        What cannot be recalled is dropped, what the index lacks is indexed, remnants are removed, companions
        and documents are made right. A memory that could be recalled is never dropped, nor one of which
        only the decoder is missing. Steps are bounded, each leaves the agent consistent, and a call that
        was cut off can be repeated. Raises as `verify_agent`.
        """
        return self._drive(verifying.repair_agent(self._systems, agent_id))


@documented_by(Integrity)
class AsyncIntegrity(Awaited):
    """Integrity, awaited."""

    async def verify_agent(self, agent_id: str) -> Verification:
        return await self._drive(verifying.verify_agent(agent_id))

    async def repair_agent(self, agent_id: str) -> Repaired:
        return await self._drive(verifying.repair_agent(self._systems, agent_id))
