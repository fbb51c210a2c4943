"""Which codec and policy each agent has: what the client says, or the bindings on the server."""

from __future__ import annotations

import json

from modules_store import bindings, builtin, checks, codec, keys
from modules_store.bindings import Binding
from modules_store.codec import Codec
from modules_store.commands import command, script
from modules_store.flows import Flow, run
from modules_store.policy import Policy


class MemorySystems:
    """The codecs and policies that a client stores with: fetched when first needed, then kept."""

    def __init__(self, name: str | None, version: int | None, policy: Policy | None) -> None:
        """Take the codec's name and its version, None for the latest at the time of fetching, and the policy.

        Where `name` is None, an agent's binding says both; an agent without one has the default codec.
        """
        self._name = name
        self._version = version
        self._policy = policy or Policy()
        self._bindings: list[Binding] | None = None
        self._codecs: dict[tuple[str, int | None], Codec] = {}
        self.may_mix_slots = True
        """Whether one script may have agents of several slots; in a cluster the first refusal ends it."""

    def codec(self, agent_id: str) -> Flow[Codec]:
        """Return the codec of an agent, fetching what was not fetched yet."""
        name, version = (yield from self.choose(agent_id)) or (codec.DEFAULT_CODEC, None)
        return self._codecs.get((name, version)) or (yield from self.fetch(name, version))

    def policy(self, agent_id: str) -> Flow[Policy]:
        """Return the policy of an agent."""
        return self._policy
        yield

    def choose(self, agent_id: str) -> Flow[tuple[str, int | None] | None]:
        """Return name and version that the client, or else a binding, says for an agent; None if neither."""
        if self._name is not None:
            return self._name, self._version
        known = self._bindings
        if known is None:
            known = self._bindings = yield from get_bindings()
        binding = bindings.resolve(known, agent_id)
        return None if binding is None else (binding.codec, binding.version)

    def fetch(self, name: str, version: int | None) -> Flow[Codec]:
        """Fetch a codec's document and return the codec; CodecNotFoundError where it is not published.

        A built-in codec that is not published yet is published first.
        """
        reply = yield command("JSON.GET", keys.codec(name))
        if reply is None and name in builtin.NAMES:
            for step in [*builtin.publication(name), command("JSON.GET", keys.codec(name))]:
                reply = yield step
        document = json.loads(reply) if reply else None
        fetched = self._codecs[name, version] = codec.parse_codec_document(name, version, document)
        return fetched

    def refresh(self) -> Flow[None]:
        """Fetch again the client's own codec, or the bindings, and forget the rest; errors are of `fetch`."""
        if self._name is None:
            self._bindings, self._codecs = (yield from get_bindings()), {}
        else:
            own = yield from self.fetch(self._name, self._version)
            self._codecs = {(self._name, self._version): own}

    def forget_bindings(self) -> None:
        """Fetch the bindings again when they are next needed."""
        self._bindings = None


def bind(systems: MemorySystems, agents: str, name: str, version: int | None) -> Flow[None]:
    """Bind agents to a codec, which must be published."""
    checks.agent_id(agents, "agents")
    checks.codec_name(name, "codec")
    if version is not None:
        checks.integer(version, "version")
    yield from systems.fetch(name, version)
    yield from run(script("bind_agents", [keys.bindings()], agents, name, version or "", repeatable=True))
    systems.forget_bindings()


def unbind(systems: MemorySystems, agents: str) -> Flow[bool]:
    """Remove the binding for this very text; return whether there was one."""
    checks.agent_id(agents, "agents")
    found = yield from run(script("bind_agents", [keys.bindings()], agents, "", ""))
    systems.forget_bindings()
    return bool(found)


def get_bindings() -> Flow[list[Binding]]:
    """Return the bindings, the one that decides first."""
    reply = yield command("JSON.GET", keys.bindings())
    return bindings.parse_document(json.loads(reply) if reply else None)
