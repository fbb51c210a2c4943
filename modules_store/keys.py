"""Every key name in Redis, in one place.

The braces are literal: they make all keys of one agent share a cluster slot. `lua/README.md` says what each
key holds. The scripts derive a memory's keys from its index key, so the two sides agree on
`agent:{ID}:memor…`.
"""

from __future__ import annotations


def index(agent_id: str) -> str:
    """The agent's index, whose type is that of its layout.

    "keys": a sorted set; member and score are the timestamp in milliseconds. "packed": a string, the
    directory of the segments.
    """
    return f"agent:{{{agent_id}}}:memories"


def older_index(agent_id: str) -> str:
    """Index of the older memories, in the new layout, of an agent that is being converted."""
    return f"agent:{{{agent_id}}}:memories:older"


def agent_prefix(agent_id: str) -> str:
    """What all keys of an agent begin with."""
    return f"agent:{{{agent_id}}}:"


def segment_codes(agent_id: str, number: int) -> str:
    """Codes of the memories of one segment of a packed agent, one after another."""
    return f"agent:{{{agent_id}}}:segment:{number}"


def segment_rows(agent_id: str, number: int) -> str:
    """Timestamps of the memories of one segment, where their metadata end, and when they expire."""
    return f"agent:{{{agent_id}}}:segment:{number}:rows"


def segment_metadata(agent_id: str, number: int) -> str:
    """Metadata of the memories of one segment as JSON texts, one after another."""
    return f"agent:{{{agent_id}}}:segment:{number}:metadata"


def memory(agent_id: str, timestamp: int) -> str:
    """One compressed memory of the layout "keys": header and codes."""
    return f"agent:{{{agent_id}}}:memory:{timestamp}"


def memory_prefix(agent_id: str) -> str:
    """What the keys of all memories of an agent, and of their metadata, begin with."""
    return f"agent:{{{agent_id}}}:memory:"


def memory_metadata(agent_id: str, timestamp: int) -> str:
    """RedisJSON document of one memory; exists only where metadata was given, for packed ones by policy."""
    return f"agent:{{{agent_id}}}:memory:{timestamp}:meta"


def agent_metadata(agent_id: str) -> str:
    """RedisJSON: codec, compression rates by feature group, retention policy, counters of one agent."""
    return f"agent:{{{agent_id}}}:metadata"


def agent_memory_system(agent_id: str) -> str:
    """RedisJSON: the codec configuration this agent uses, and those it had before."""
    return f"agent:{{{agent_id}}}:memory_system"


def importance(agent_id: str) -> str:
    """Sorted set of the numbers by which memories are kept; exists only with the retention Importance."""
    return f"agent:{{{agent_id}}}:importance"


def sizes(agent_id: str) -> str:
    """Hash of the memories' sizes in bytes and their total; exists only with the retention ByteBudget."""
    return f"agent:{{{agent_id}}}:sizes"


def priorities(agent_id: str) -> str:
    """Sorted set of the priorities by which memories are sampled; exists only where some have one."""
    return f"agent:{{{agent_id}}}:priorities"


def stream(agent_id: str) -> str:
    """Stream of the agent's memories in their order, for followers; exists only where streaming is on."""
    return f"agent:{{{agent_id}}}:stream"


def tokens(agent_id: str) -> str:
    """List of the stores of one agent that were done last, by which a repeated one is known."""
    return f"agent:{{{agent_id}}}:tokens"


def state(agent_id: str) -> str:
    """Hash of what a store needs to know of one agent: `newest`, the highest timestamp that it ever had."""
    return f"agent:{{{agent_id}}}:state"


def documents_of(agent_id: str) -> list[str]:
    """The keys that scripts which write get: index, metadata and memory system of one agent."""
    return [index(agent_id), agent_metadata(agent_id), agent_memory_system(agent_id)]


def companions_of(agent_id: str) -> list[str]:
    """The other keys of one agent beside its memories, in the order of `agent_stats.lua`."""
    return [stream(agent_id), tokens(agent_id), importance(agent_id), sizes(agent_id), priorities(agent_id)]


def agent_of(memory_system: str) -> str:
    """Return the id of the agent whose `agent_memory_system` this is."""
    return memory_system.removeprefix("agent:{").removesuffix("}:memory_system")


def bindings() -> str:
    """RedisJSON: which codec and policy an agent, or a kind of agent, has."""
    return "memory_systems"


def codec(name: str) -> str:
    """RedisJSON: versions, feature groups, training metrics and content hashes of a codec."""
    return f"memory_system:{name}"


def encoder(name: str, version: int) -> str:
    """AI model FLOAT[B, D] -> codes[B, C] of one codec version."""
    return f"memory_system:{name}:v{version}:encoder"


def decoder(name: str, version: int) -> str:
    """AI model codes[B, C] -> FLOAT[B, D] of one codec version."""
    return f"memory_system:{name}:v{version}:decoder"


def latents(name: str, version: int) -> str:
    """AI model codes[B, C] -> FLOAT[B, Z], a codec version's own space; a codec may be without it."""
    return f"memory_system:{name}:v{version}:latents"


def nearest() -> str:
    """AI script: the function that finds the nearest states, the same for all agents and codecs.

    No codec has this key: theirs begin with `memory_system:`. The number goes up with every change of what
    the function takes or returns, so that clients of several versions share a server.
    """
    return "memory_systems:nearest:v1"


def manifest(name: str, version: int) -> str:
    """RedisJSON: everything known about one codec version; clients that store and recall do not read it."""
    return f"memory_system:{name}:v{version}:manifest"
