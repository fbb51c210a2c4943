"""The rights that the docs give users are those that they need, and reach nothing that belongs to others."""

from __future__ import annotations

import numpy as np
import pytest
import redis

from modules_store import MaxCount, Policy, RedisAgentMemory, ServerError, keys
from tests.store import rights, toy_codec

ROW = toy_codec.states(1)[0]
OWN, OTHER = "agent:{drone7}:x", "agent:{other}:x"
OF_AGENTS = {"drone": OTHER, "trainer": "elsewhere", "agent": "elsewhere"}
RULES = [(name, at) for name in OF_AGENTS for at in range(len(rights.documented(name)))]

# How commands name their keys where these neither begin with the first argument nor follow one another. The
# own key comes first: a check of the first key alone would let the second through.
WORDS = {
    "FCALL": ["f", "2", OWN, OTHER],
    "FCALL_RO": ["f", "2", OWN, OTHER],
    "MEMORY USAGE": [OTHER],
    "XREAD": ["STREAMS", OWN, OTHER, "0", "0"],
    "XREADGROUP": ["GROUP", "g", "c", "STREAMS", OWN, OTHER, "0", "0"],
    "MSET": [OWN, "x", OTHER, "x"],
    "JSON.MSET": [OWN, "$", "0", OTHER, "$", "0"],
    "AI.DAGEXECUTE": ["LOAD", "2", OWN, OTHER, "|>", "AI.TENSORGET", OWN],
    "AI.DAGEXECUTE_RO": ["LOAD", "2", OWN, OTHER, "|>", "AI.TENSORGET", OWN],
    "AI.DAGRUN": ["LOAD", "2", OWN, OTHER, "|>", "AI.TENSORGET", OWN],
    "AI.DAGRUN_RO": ["LOAD", "2", OWN, OTHER, "|>", "AI.TENSORGET", OWN],
    "AI.MODELEXECUTE": [OWN, "INPUTS", "1", OTHER, "OUTPUTS", "1", OWN],
    "AI.SCRIPTEXECUTE": [OWN, "f", "KEYS", "1", OTHER],
}
# Take no key: they answer about the server, the connection, or (SCAN) name keys that they do not read.
WITHOUT_KEYS = {"TIME", "SCAN", "CLIENT SETINFO", "CLUSTER INFO", "AI.INFO"}
FOR_ALL_AGENTS = {"FT.SEARCH", "FT.EXPLAIN", "FT.INFO", "FT.CREATE", "FT.DROPINDEX", "FT.AGGREGATE"}
FOR_EVERYONE = {"AUTH", "HELLO", "QUIT", "RESET"}  # the server asks no rights for these


@pytest.fixture
def as_user(server, toy):
    """`as_user(name, at)`: a connection whose user has the rights of the rule number `at` for it."""
    made = []

    def make(name, at=0):
        toy.execute_command("ACL", "SETUSER", name, "reset", "on", ">secret", *rights.documented(name)[at])
        made.append(redis.Redis(unix_socket_path=str(server.unix_socket), username=name, password="secret"))
        return made[-1]

    yield make
    for client in made:
        client.close()
    for name in OF_AGENTS:
        toy.acl_deluser(name)


def commands_of(client):
    """Yield the words and the arity of each command and subcommand of the server."""
    for entry in client.execute_command("COMMAND").values():
        subcommands = entry.get("subcommands") or []
        if not subcommands:
            yield entry["name"].upper(), abs(entry["arity"])
        for one in subcommands:
            yield one[0].decode().upper().replace("|", " "), abs(one[1])


def allowed(client, user, words):
    """Whether the user may run a command; one that its own syntax refuses is run by nobody."""
    try:
        return client.execute_command("ACL DRYRUN", user, *words) in (b"OK", "OK", True)
    except redis.ResponseError as error:
        if "ACL" in str(error) or "wrong number" not in str(error):
            raise AssertionError(f"{words}: {error}") from error
        return False


@pytest.mark.parametrize(("name", "at"), RULES)
def test_no_command_reaches_what_belongs_to_others(toy, as_user, name, at):
    as_user(name, at)
    reached, asked = set(), 0
    for command, arity in commands_of(toy):
        count = max(arity - len(command.split()), 1)
        tries = [WORDS.get(command, [OTHER] * count)]
        if command not in WORDS:
            tries += [[OWN] + [OTHER] * max(count - 1, 1)] if command in ("MGET", "EXISTS", "UNLINK") else []
        for words in tries:
            asked += 1
            others = [OF_AGENTS[name] if word == OTHER else word for word in words]
            if allowed(toy, name, [*command.split(), *others]):
                reached.add(command)
    assert asked > 400
    beyond = FOR_ALL_AGENTS if name == "trainer" else set()
    assert reached - FOR_EVERYONE <= WITHOUT_KEYS | beyond


@pytest.mark.parametrize(("name", "at"), RULES)
def test_rules_name_commands(name, at):
    """A category holds commands that nobody thought of, but for the engine's own."""
    words = rights.documented(name)[at]
    assert not [word for word in words if word.startswith("+@") and word != "+@ai_run"]


@pytest.mark.parametrize("name", ["drone", "trainer"])
def test_they_are_enough(toy, server, as_user, name):
    drone = RedisAgentMemory(as_user(name), codec="toy", policy=Policy(MaxCount(50), stream_entries=100))
    toy_codec.store_latents(toy)
    with RedisAgentMemory(server.url, codec="toy") as operator:
        assert operator.count_memories("drone7") == 0  # which loads the functions
        toy.execute_command("ACL LOG", "RESET")
        drone.store_agent_memories("drone7", np.tile(ROW, (3, 1)), [{"x": n} for n in range(3)], [1, 2, 3])
        with pytest.raises(ServerError, match="ai.scriptset"):
            drone.find_similar_memories("drone7", ROW)
        operator.find_similar_memories("drone7", ROW)
    assert drone.retrieve_agent_memory("drone7", 2).metadata == {"x": 1}
    assert [one.metadata for one in drone.get_recent_memories("drone7", 2)] == [{"x": 2}, {"x": 1}]
    assert len(drone.find_similar_memories("drone7", ROW)) == 3
    assert len(drone.find_similar_memories("drone7", ROW, space="codec")) == 3
    assert len(drone.sample_memories("drone7", 2).timestamps) == 2
    assert drone.convert_agent("drone7", "packed").moved == 3
    drone.store_agent_memory("drone7", ROW)
    assert drone.delete_memories("drone7", [1]) == 1
    assert drone.verify_agent("drone7").ok
    assert list(drone.agent_ids()) == ["drone7"]
    if name == "trainer":
        assert drone.create_search_index({"x": "numeric"}, wait_s=30) == 1.0
        assert len(drone.find_memories("@x:[1 2]").memories) == 0  # packed memories have no documents
        assert drone.drop_search_index()
    assert drone.delete_agent("drone7") == 3
    assert len(toy.acl_log()) == 1, "nothing was refused but the script"


def test_other_agents_and_codecs_are_out_of_reach(toy, server, as_user):
    drone = RedisAgentMemory(as_user("drone"), codec="toy")
    with RedisAgentMemory(server.url, codec="toy") as operator:
        operator.store_agent_memory("other", ROW, {"secret": 1}, timestamp=1)
    for forbidden in (
        lambda: drone.store_agent_memory("other", ROW),
        lambda: drone.retrieve_agent_memory("other", 1),
        lambda: drone.delete_agent("other"),
        lambda: drone.find_memories("*"),
    ):
        with pytest.raises(ServerError, match="(?i)no permission"):
            forbidden()
    for command in (
        ["JSON.MGET", keys.memory_metadata("drone7", 1), keys.memory_metadata("other", 1), "$"],
        ["FUNCTION", "LOAD", "REPLACE", "x"],
        ["FLUSHALL"],
        ["JSON.SET", keys.codec("toy"), "$", "{}"],
        ["DEL", keys.decoder("toy", 1)],
        ["AI.MODELDEL", keys.decoder("toy", 1)],
        ["AI.MODELSTORE", "agent:{drone7}:m", "TORCH", "CPU", "BLOB", "x"],
        ["AI.SCRIPTSET", keys.nearest(), "CPU", "SOURCE", "x"],
    ):
        assert b"no permissions" in toy.execute_command("ACL DRYRUN", "drone", *command)
