"""The scripts called as a client in any language would, by what their headers say."""

from __future__ import annotations

import json

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
    return node.eval(
        scripts.load("store_memories").text,
        3,
        keys.index(agent),
        keys.agent_metadata(agent),
        keys.agent_memory_system(agent),
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
    return node.eval(scripts.load("store_batches").text, len(agent_keys), *agent_keys, *arguments)


def decode_values(node: redis.Redis, timestamps, names, values, agent: str = "a"):
    """Run decode_values; return float32[B, D]."""
    arguments = (keys.agent_memory_system(agent), _text(timestamps), _text(names), "states", *values)
    blob = node.execute_command("EVAL_RO", scripts.load("decode_values").text, 1, *arguments)
    return np.frombuffer(blob, "<f4").reshape(-1, toy_codec.INPUT_DIM)


def policy_of(threshold=100_000, **others) -> dict:
    """Return a policy that keeps the newest memories, or one of other retention."""
    retention = {"policy": "oldest", "threshold": threshold, "sample": 100, "fraction": 0.2}
    return {"retention": retention, **others}


def recall_memories(node: redis.Redis, timestamps, agent: str = "a", fields="both", missing="error"):
    """Run recall_memories; return timestamps, float32[B, D], metadata texts."""
    return _recall(node, "recall_memories", agent, _text(timestamps), fields, missing)


def recall_recent(node: redis.Redis, count, agent: str = "a", fields="both"):
    """Run recall_recent; return timestamps, float32[B, D], metadata texts."""
    return _recall(node, "recall_recent", agent, count, fields)


def switch_codec(node: redis.Redis, configuration, agent: str = "a", groups=()) -> int:
    """Run switch_codec; return the generation."""
    agent_keys = (keys.index(agent), keys.agent_metadata(agent), keys.agent_memory_system(agent))
    arguments = (_text(configuration), _text(groups))
    return node.eval(scripts.load("switch_codec").text, 3, *agent_keys, *arguments)


def re_encode_memories(node: redis.Redis, configuration, cursor="", step=1000, agent: str = "a"):
    """Run re_encode_memories; return [cursor or None, moved, kept, evicted]."""
    agent_keys = (keys.index(agent), keys.agent_memory_system(agent))
    arguments = (_text(configuration), cursor, step)
    return node.eval(scripts.load("re_encode_memories").text, 2, *agent_keys, *arguments)


def trim_agent(node: redis.Redis, limit=1000, agent: str = "a") -> list[int]:
    """Run trim_agent; return [dropped, left]."""
    agent_keys = (keys.index(agent), keys.agent_metadata(agent))
    return node.eval(scripts.load("trim_agent").text, 2, *agent_keys, limit)


def bind_agents(node: redis.Redis, agents, codec, version="", policy="") -> int:
    """Run bind_agents; return whether there was a binding for the same text."""
    arguments = (agents, codec, version, _text(policy))
    return node.eval(scripts.load("bind_agents").text, 1, keys.bindings(), *arguments)


def configuration_of(name: str, version: int = 1, **others) -> dict:
    """Return the configuration of another toy codec."""
    models = {"encoder": keys.encoder(name, version), "decoder": keys.decoder(name, version)}
    return {**CONFIGURATION, "name": name, "version": version, **models, **others}


def contents(node: redis.Redis) -> dict[bytes, bytes]:
    """Return all that the node holds of agents."""
    return {key: node.dump(key) for key in node.scan_iter("agent:*", count=10_000)}


def _recall(node: redis.Redis, name: str, agent: str, *arguments):
    agent_keys = (keys.index(agent), keys.agent_memory_system(agent))
    timestamps, blob, metadata = node.execute_command(
        "EVAL_RO", scripts.load(name).text, 2, *agent_keys, *arguments
    )
    return [int(t) for t in timestamps], np.frombuffer(blob, "<f4").reshape(-1, toy_codec.INPUT_DIM), metadata


def _text(argument) -> str:
    return argument if isinstance(argument, str) else json.dumps(argument)
