"""Which codec and policy each agent has: what the client says, or the bindings on the server."""

from __future__ import annotations

import json
from collections.abc import Sequence

from modules_store import bindings, builtin, checks, codec, errors, keys
from modules_store.bindings import Binding
from modules_store.codec import Codec
from modules_store.commands import Command, command, script
from modules_store.copies import CodecCopy
from modules_store.flows import Flow, run
from modules_store.flows.modes import Modes
from modules_store.policy import Policy, with_layout

_DEFAULT = (codec.DEFAULT_CODEC, None)


class MemorySystems:
    """The codecs and policies that a client stores with: fetched when first needed, then kept."""

    def __init__(
        self,
        name: str | None,
        version: int | None,
        policy: Policy | None,
        unbound: str = "float16",
        modes: Modes | None = None,
        *,
        layout: str | None = None,
        copies: Sequence[CodecCopy] = (),
    ) -> None:
        """Take the codec's name and its version, None for the latest at the time of fetching, and the policy.

        Where `name` or the policy is None, an agent's bindings say it; an agent without has the defaults,
        or is refused where `unbound` is "error" and no codec is bound. `modes` says where models run; by
        default they run inline. `layout` takes the place of what policies say; None leaves it to them.
        """
        self._name = name
        self._version = version
        self._unbound = unbound
        self._policy = None if policy is None else with_layout(policy, layout)
        self._default_policy = with_layout(Policy(), layout)
        self._layout = layout
        self._bindings: list[Binding] | None = None
        self._codecs: dict[tuple[str, int | None], Codec] = {}
        self._documents: dict[str, str | bytes] = {}
        self.copies = copies
        """Codecs that are published again where their models are lost."""
        self.modes = modes or Modes("inline")
        self.may_mix_slots = True
        """Whether one script may have agents of several slots; in a cluster the first refusal ends it."""

    def codec(self, agent_id: str) -> Flow[Codec]:
        """Return the codec of an agent, fetching what was not fetched yet."""
        chosen = yield from self.choose(agent_id)
        if chosen is None and self._unbound == "error":
            raise errors.CodecNotFoundError(
                f"agent {agent_id} is bound to no codec: use bind({agent_id!r}, codec) or codec="
            )
        name, version = chosen or _DEFAULT
        return self._codecs.get((name, version)) or (yield from self.fetch(name, version))

    def policy(self, agent_id: str) -> Flow[Policy]:
        """Return the policy that the client, or else a binding, says for an agent, or the default."""
        if self._policy is not None:
            return self._policy
        known = yield from self._get_bindings()
        binding = bindings.resolve((one for one in known if one.policy), agent_id)
        if binding is None or binding.policy is None:
            return self._default_policy
        return with_layout(binding.policy, self._layout)

    def choose(self, agent_id: str) -> Flow[tuple[str, int | None] | None]:
        """Return name and version that the client, or else a binding, says for an agent; None if neither."""
        known = (yield from self._get_bindings()) if self._name is None else []
        return self._chosen(agent_id, known)

    def known_codec(self, agent_id: str) -> Codec | None:
        """Return the codec that this client would store an agent's states with, where it knows it already."""
        return self._codecs.get(self._chosen(agent_id, self._bindings or []) or _DEFAULT)

    def _chosen(self, agent_id: str, known: list[Binding]) -> tuple[str, int | None] | None:
        if self._name is not None:
            return self._name, self._version
        binding = bindings.resolve((one for one in known if one.codec), agent_id)
        return (binding.codec, binding.version) if binding and binding.codec else None

    def _get_bindings(self) -> Flow[list[Binding]]:
        """Return the bindings, fetching them where that was not done yet."""
        if self._bindings is None:
            self._bindings = yield from get_bindings()
        return self._bindings

    def fetch(self, name: str, version: int | None) -> Flow[Codec]:
        """Fetch a codec's document and return the codec; CodecNotFoundError where it is not published.

        A built-in codec that is not published yet is published first; a document that was there when this
        client last fetched it, and is lost, is written again.
        """
        reply = yield command("JSON.GET", keys.codec(name))
        if reply is None:
            for step in self._publication(name):
                reply = yield step
        if reply:
            self._documents[name] = reply
        document = json.loads(reply) if reply else None
        fetched = self._codecs[name, version] = codec.parse_codec_document(name, version, document)
        return fetched

    def _publication(self, name: str) -> list[Command]:
        """Return the commands that write a codec's document where it is missing, and read it."""
        read = command("JSON.GET", keys.codec(name))
        if name in builtin.NAMES:
            return [*builtin.publication(name), read]
        if name in self._documents:
            return [command("JSON.SET", keys.codec(name), "$", self._documents[name], "NX"), read]
        return []

    def refresh(self) -> Flow[None]:
        """Fetch again the client's own codec and the bindings, and forget the rest; errors are of `fetch`.

        Bindings are left out where the client says all that they could.
        """
        self.modes.forget()
        if self._name is None or self._policy is None:
            self._bindings = yield from get_bindings()
        if self._name is None:
            self._codecs = {}
        else:
            own = yield from self.fetch(self._name, self._version)
            self._codecs = {(self._name, self._version): own}

    def forget_bindings(self) -> None:
        """Fetch the bindings again when they are next needed."""
        self._bindings = None


def bind(
    systems: MemorySystems, agents: str, name: str | None, version: int | None, policy: Policy | None
) -> Flow[None]:
    """Bind agents to a codec, which must be published, to a policy, or to both."""
    checks.agent_id(agents, "agents")
    if name is not None:
        checks.codec_name(name, "codec")
    elif policy is None:
        raise errors.InvalidInputError("codec is None and policy is None: there is nothing to bind agents to")
    elif version is not None:
        raise errors.InvalidInputError(f"version is {version!r}, but no codec is given")
    if version is not None:
        checks.integer(version, "version")
    if policy is not None and not isinstance(policy, Policy):
        raise errors.InvalidInputError(f"policy is of type {type(policy).__name__}, not a Policy")
    if name is not None:
        yield from systems.fetch(name, version)
    said = [agents, name or "", version or "", policy.to_json() if policy else ""]
    yield from run(script("bind_agents", [keys.bindings()], *said, repeatable=True))
    systems.forget_bindings()


def unbind(systems: MemorySystems, agents: str) -> Flow[bool]:
    """Remove the binding for this very text; return whether there was one."""
    checks.agent_id(agents, "agents")
    found = yield from run(script("bind_agents", [keys.bindings()], agents, "", "", ""))
    systems.forget_bindings()
    return bool(found)


def get_bindings() -> Flow[list[Binding]]:
    """Return the bindings, the one that decides first."""
    reply = yield command("JSON.GET", keys.bindings())
    return bindings.parse_document(json.loads(reply) if reply else None)
