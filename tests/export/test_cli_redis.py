"""The subcommands of `model-export` for codecs and agents that are on a server."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from model_export.cli import app
from model_export.publish import publish
from modules_store import Binding, RedisAgentMemory, keys


@pytest.fixture
def run(server):
    """Run a subcommand against the server; return what it printed."""

    def call(*arguments: object, fails: bool = False) -> str:
        options = [*map(str, arguments), "--redis-url", server.url]
        result = CliRunner().invoke(app, options)
        assert result.exit_code == (1 if fails else 0), result.output
        assert "Traceback" not in result.output
        return result.stderr if fails else result.stdout

    return call


@pytest.fixture
def published(redis_client, exported):
    """A client of the server with two versions of a codec, and one of another."""
    publish(exported, redis_client)
    publish(exported, redis_client)
    publish(exported, redis_client, name="other")
    return redis_client


def fill(client, agents, states, **codec) -> None:
    memory = RedisAgentMemory(client, **{"codec": "small", **codec})
    for agent in agents:
        memory.store_agent_memories(agent, states[:30])


def test_rollback(run, published):
    assert run("rollback", "small") == "the latest version of small is 1 now\n"
    assert json.loads(run("rollback", "small", "--version", 2, "--json")) == {"name": "small", "latest": 2}
    assert "'none' is not published" in run("rollback", "none", fails=True)
    assert "no version before its latest, 1" in run("rollback", "other", fails=True)


def test_re_encode_by_id_and_pattern(run, published, states):
    fill(published, ["drone-1", "drone-2", "rover", "a*"], states, codec_version=1)
    printed = run("re-encode", "drone-*", "rover", "drone-1", "--step", 7, "--json")
    assert json.loads(printed) == [
        {"agent": agent, "moved": 30, "kept": 0, "evicted": 0} for agent in ("drone-1", "drone-2", "rover")
    ]
    assert run("re-encode", "*", "--codec", "other") == "re-encoded 120 memories of 4 agents\n"
    for agent in ("drone-1", "drone-2", "rover", "a*"):
        newest = published.zrange(keys.index(agent), -1, -1)[0]
        assert published.get(keys.memory(agent, int(newest)))[:3] == b"\x11\x01\x00"
    assert json.loads(run("re-encode", "a*", "--codec", "small", "--version", 1, "--json"))[0]["moved"] == 30


def test_re_encoding_keeps_what_the_codec_keeps(run, published, states, server):
    fill(published, ["a"], states)
    with RedisAgentMemory(server.url) as memory:
        before = memory.get_recent_memories("a", 30)
        run("re-encode", "a", "--codec", "other")
        after = memory.get_recent_memories("a", 30)
    assert [m.timestamp for m in after] == [m.timestamp for m in before]
    # The same model under another name: a state that it made is close to what it makes of that.
    difference = np.abs([a.state - b.state for a, b in zip(after, before, strict=True)])
    assert (difference.mean(axis=0) <= 0.2 * states.std(axis=0) + 1e-6).all()


def test_what_re_encode_refuses(run, published, states):
    assert "no agent that has stored matches 'drone-*'" in run("re-encode", "drone-*", fails=True)
    assert "agent nobody has stored nothing yet" in run("re-encode", "nobody", fails=True)
    fill(published, ["a"], states)
    assert "'none' is not published" in run("re-encode", "a", "--codec", "none", fails=True)


def test_bind_and_unbind(run, published, states):
    assert run("bind", "drone-*", "--codec", "other") == "drone-* is bound to the latest version of other\n"
    bound = run("bind", "drone-7", "--codec", "small", "--version", 1, "--json")
    assert json.loads(bound) == {"agents": "drone-7", "codec": "small", "version": 1}
    memory = RedisAgentMemory(published)
    assert memory.bindings() == [Binding("drone-*", "other", None), Binding("drone-7", "small", 1)]
    fill(published, ["drone-1", "drone-7"], states)
    assert run("re-encode", "drone-*") == "re-encoded 60 memories of 2 agents\n"
    assert run("unbind", "drone-7") == "drone-7 is bound to no codec\n"
    assert memory.bindings() == [Binding("drone-*", "other", None)]
    assert "there is no binding for 'drone-7'" in run("unbind", "drone-7", fails=True)
    assert "'none' is not published" in run("bind", "a", "--codec", "none", fails=True)
