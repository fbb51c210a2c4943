"""The scripts called as a client in any language would, by what their headers say."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import redis

from modules_store import keys, scripts
from tests.store import toy_codec

CONFIGURATION = {
    "name": "toy",
    "version": 1,
    "input_dim": toy_codec.INPUT_DIM,
    "codes": toy_codec.INPUT_DIM,
    "code_dtype": "INT8",
    "encoder": "memory_system:toy:v1:encoder",
    "decoder": "memory_system:toy:v1:decoder",
}


def call(node: redis.Redis, name: str, its_keys: Sequence[str], *arguments):
    """Call a program's function; a server that does not know it is sent the library first."""
    program = scripts.load(name)
    command = "FCALL_RO" if program.read_only else "FCALL"
    words = (command, program.function, len(its_keys), *its_keys, *arguments)
    try:
        return node.execute_command(*words)
    except redis.ResponseError as error:
        if "Function not found" not in str(error):
            raise
    node.execute_command("FUNCTION LOAD", "REPLACE", scripts.library().text)
    return node.execute_command(*words)


def store(
    node: redis.Redis,
    states,
    *,
    agent: str = "a",
    configuration=CONFIGURATION,
    groups=(),
    threshold=100_000,
    policy=None,
    timestamps=None,
    token="",
    metadata=(),
    form="states",
):
    """Run store_memories; what is not bytes or text goes as JSON."""
    return call(
        node,
        "store_memories",
        keys.documents_of(agent),
        _text(configuration),
        _text(groups),
        _text(policy or policy_of(threshold)),
        states if isinstance(states, bytes) else np.asarray(states, "<f4").tobytes(),
        form,
        "" if timestamps is None else _text(timestamps),
        token,
        *metadata,
    )


def store_batches(
    node: redis.Redis, *, agents, systems, batches, states, token="", metadata=(), form="states"
) -> list[int]:
    """Run store_batches; `systems` are (configuration, [(policy, agents), …]) each; return the timestamps."""
    described = [
        [_text(configuration), "[]", form, [[_text(policy), count] for policy, count in policies]]
        for configuration, policies in systems
    ]
    agent_keys = [key for agent in agents for key in keys.documents_of(agent)]
    states = states if isinstance(states, bytes) else np.asarray(states, "<f4").tobytes()
    arguments = (_text(described), _text(batches), states, token, *metadata)
    return call(node, "store_batches", agent_keys, *arguments)


def decode_values(node: redis.Redis, timestamps, names, values, agent: str = "a"):
    """Run decode_values; return float32[B, D]."""
    arguments = (keys.agent_memory_system(agent), _text(timestamps), _text(names), "states", *values)
    blob = call(node, "decode_values", arguments[:1], *arguments[1:])
    return np.frombuffer(blob, "<f4").reshape(-1, toy_codec.INPUT_DIM)


def policy_of(threshold=100_000, **others) -> dict:
    """Return a policy that keeps the newest memories, or one of other retention."""
    retention = {"policy": "oldest", "threshold": threshold, "sample": 100, "fraction": 0.2}
    return {"retention": retention, **others}


def recall_memories(node: redis.Redis, timestamps, agent: str = "a", fields="both", missing="error"):
    """Run recall_memories; return timestamps, float32[B, D], metadata texts."""
    return _recall(node, "recall_memories", agent, _text(timestamps), fields, missing)


def recall_recent(node: redis.Redis, count, agent: str = "a", fields="both", first="newest"):
    """Run recall_recent; return timestamps, float32[B, D], metadata texts."""
    return _recall(node, "recall_recent", agent, count, fields, first)


def recall_range(node: redis.Redis, first, last, limit, order="oldest", *, agent: str = "a", fields="both"):
    """Run recall_range; return timestamps, float32[B, D], metadata texts, where to go on or None."""
    agent_keys = (keys.index(agent), keys.agent_memory_system(agent))
    reply = call(node, "recall_range", agent_keys, first, last, limit, order, fields)
    return *_memories(reply), None if reply[3] is None else int(reply[3])


def count_memories(node: redis.Redis, first, last, agent: str = "a") -> int:
    """Run count_memories."""
    return call(node, "count_memories", (keys.index(agent),), first, last)


def sample_memories(
    node: redis.Redis,
    agents,
    count,
    by="uniform",
    seed=0,
    *,
    fields="both",
    half_life=1000,
    alpha=0.6,
    beta=0.4,
    without="refuse",
):
    """Run sample_memories; return agents' numbers, timestamps, states, metadata, weights, lacking."""
    arguments = (count, by, seed, fields, half_life, alpha, beta, without)
    numbers, *memories, weights, lacking = call(node, "sample_memories", _systems(agents), *arguments)
    numbers = _numbers(agents, numbers, len(memories[0]))
    return numbers, *_memories(memories), np.frombuffer(weights, "<f4"), lacking


def sample_sequences(node: redis.Redis, agents, count, length, seed=0, *, fields="both"):
    """Run sample_sequences; return agents' numbers, timestamps, states, metadata."""
    numbers, *memories = call(node, "sample_sequences", _systems(agents), count, length, seed, fields)
    return _numbers(agents, numbers, len(memories[0]) // length), *_memories(memories)


def update_priorities(node: redis.Redis, timestamps, priorities, owners="", agents=("a",)) -> int:
    """Run update_priorities; return how many memories it updated."""
    arguments = (_text(timestamps), _text(priorities), _text(owners))
    indexes = [keys.index(agent) for agent in agents]
    return call(node, "update_priorities", indexes, *arguments)


def enter_priorities(node: redis.Redis, cursor="", step=1000, agent: str = "a"):
    """Run enter_priorities; return [cursor or None, entered]."""
    return call(node, "enter_priorities", [keys.index(agent)], cursor, step)


def switch_codec(node: redis.Redis, configuration, agent: str = "a", groups=()) -> int:
    """Run switch_codec; return the generation."""
    agent_keys = (keys.index(agent), keys.agent_metadata(agent), keys.agent_memory_system(agent))
    arguments = (_text(configuration), _text(groups))
    return call(node, "switch_codec", agent_keys, *arguments)


def re_encode_memories(node: redis.Redis, configuration, cursor="", step=1000, agent: str = "a"):
    """Run re_encode_memories; return [cursor or None, moved, kept, evicted]."""
    agent_keys = (keys.index(agent), keys.agent_memory_system(agent))
    arguments = (_text(configuration), cursor, step)
    return call(node, "re_encode_memories", agent_keys, *arguments)


def trim_agent(node: redis.Redis, limit=1000, agent: str = "a") -> list[int]:
    """Run trim_agent; return [dropped, left]."""
    agent_keys = (keys.index(agent), keys.agent_metadata(agent))
    return call(node, "trim_agent", agent_keys, limit)


def bind_agents(node: redis.Redis, agents, codec, version="", policy="") -> int:
    """Run bind_agents; return whether there was a binding for the same text."""
    arguments = (agents, codec, version, _text(policy))
    return call(node, "bind_agents", [keys.bindings()], *arguments)


def configuration_of(name: str, version: int = 1, **others) -> dict:
    """Return the configuration of another toy codec."""
    models = {"encoder": keys.encoder(name, version), "decoder": keys.decoder(name, version)}
    return {**CONFIGURATION, "name": name, "version": version, **models, **others}


def contents(node: redis.Redis) -> dict[bytes, bytes]:
    """Return all that the node holds of agents."""
    return {key: node.dump(key) for key in node.scan_iter("agent:*", count=10_000)}


def _recall(node: redis.Redis, name: str, agent: str, *arguments):
    agent_keys = (keys.index(agent), keys.agent_memory_system(agent))
    return _memories(call(node, name, agent_keys, *arguments))


def _memories(reply):
    """Return timestamps, float32[B, D], metadata texts of the reply of a recall."""
    timestamps, blob, metadata = reply[:3]
    return [int(t) for t in timestamps], np.frombuffer(blob, "<f4").reshape(-1, toy_codec.INPUT_DIM), metadata


def _numbers(agents, numbers, size: int) -> list[int]:
    """Return the numbers of the agents of `size` draws; scripts give none where there is one agent."""
    assert len(agents) > 1 or numbers == []
    return numbers if len(agents) > 1 else [1] * size


def _systems(agents) -> list[str]:
    return [key for agent in agents for key in (keys.index(agent), keys.agent_memory_system(agent))]


def _text(argument) -> str:
    return argument if isinstance(argument, str) else json.dumps(argument)
