"""The rights that docs/store.md gives a client are those that it needs, and no more than it says."""

from __future__ import annotations

import numpy as np
import pytest
import redis

from modules_store import RedisAgentMemory, ServerError, keys
from tests.store import rights, toy_codec

ROW = toy_codec.states(1)[0]


@pytest.fixture
def drone(server, toy):
    """A store whose user has the documented rights."""
    toy.execute_command("ACL", "SETUSER", "drone", "on", ">secret", *rights.documented())
    try:
        with redis.Redis(
            unix_socket_path=str(server.unix_socket), username="drone", password="secret"
        ) as client:
            yield RedisAgentMemory(client, codec="toy")
    finally:
        toy.acl_deluser("drone")


def test_they_are_enough(drone, toy, server):
    toy_codec.store_latents(toy)
    toy.execute_command("ACL LOG", "RESET")
    drone.store_agent_memories("a", np.tile(ROW, (3, 1)), [{"x": n} for n in range(3)], [1, 2, 3])
    assert drone.retrieve_agent_memory("a", 2).metadata == {"x": 1}
    with pytest.raises(ServerError, match="ai.scriptset"):
        drone.find_similar_memories("a", ROW)
    with RedisAgentMemory(server.url) as operator:
        operator.find_similar_memories("a", ROW)
    assert len(drone.find_similar_memories("a", ROW)) == 3
    assert len(drone.find_similar_memories("a", ROW, space="codec")) == 3
    assert drone.create_search_index({"x": "numeric"}, wait_s=30) == 1.0
    assert len(drone.find_memories("@x:[1 2]").memories) == 2
    assert drone.drop_search_index()
    assert drone.delete_agent("a") == 3
    assert len(toy.acl_log()) == 1, "nothing was refused but the function"


def test_they_publish_nothing_and_leave_codecs_alone(drone, toy):
    for command in (
        ["JSON.SET", keys.codec("toy"), "$", "{}"],
        ["DEL", keys.decoder("toy", 1)],
        ["AI.MODELDEL", keys.decoder("toy", 1)],
        ["AI.MODELSTORE", "agent:m", "TORCH", "CPU", "BLOB", "x"],
        ["AI.SCRIPTSET", keys.nearest(), "CPU", "SOURCE", "x"],
    ):
        assert b"no permissions" in toy.execute_command("ACL DRYRUN", "drone", *command)
