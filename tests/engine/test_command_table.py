"""What the server knows of each command before it runs: flags, and the keys of what a client sends."""

from __future__ import annotations

import pytest
import redis

WRITES_MORE = {"write", "denyoom"}
WRITES = {"write"}
READS = {"readonly"}
REPORTS_ITS_KEYS = {"movablekeys"}

FLAGS = {
    "tensorset": WRITES_MORE,
    "tensorget": READS,
    "modelstore": WRITES_MORE,
    "modelget": READS,
    "modeldel": WRITES,
    "modelexecute": WRITES_MORE | REPORTS_ITS_KEYS,
    "_modelscan": READS,
    "scriptstore": WRITES_MORE,
    "scriptget": READS,
    "scriptdel": WRITES,
    "scriptexecute": WRITES_MORE | REPORTS_ITS_KEYS,
    "_scriptscan": READS,
    "dagexecute": WRITES_MORE | REPORTS_ITS_KEYS,
    "dagexecute_ro": READS | REPORTS_ITS_KEYS,
    "modelset": WRITES_MORE,
    "modelrun": WRITES_MORE | REPORTS_ITS_KEYS,
    "scriptset": WRITES_MORE,
    "scriptrun": WRITES_MORE | REPORTS_ITS_KEYS,
    "dagrun": WRITES_MORE | REPORTS_ITS_KEYS,
    "dagrun_ro": READS | REPORTS_ITS_KEYS,
    "config": WRITES,
    "info": READS,
}

LOAD_AND_PERSIST = "LOAD 2 a b PERSIST 1 c ROUTING z TIMEOUT 5 |> AI.TENSORGET local"

# Of each line the keys; None where the server is to say that there are none.
KEYS = {
    "AI.TENSORSET t FLOAT 1 VALUES 1": ["t"],
    "AI.TENSORGET t VALUES": ["t"],
    "AI.MODELSTORE m TORCH CPU TAG v1 BLOB b": ["m"],
    "AI.MODELSET m TORCH CPU BLOB b": ["m"],
    "AI.MODELGET m META": ["m"],
    "AI.MODELDEL m": ["m"],
    "AI._MODELSCAN": None,
    "AI.MODELEXECUTE m INPUTS 2 a b OUTPUTS 1 c TIMEOUT 5": ["m", "a", "b", "c"],
    "ai.modelexecute m inputs 1 INPUTS outputs 1 OUTPUTS": ["m", "INPUTS", "OUTPUTS"],
    "AI.MODELEXECUTE m": ["m"],
    "AI.MODELEXECUTE m INPUTS 9 a OUTPUTS 1 c": ["m"],
    "AI.MODELEXECUTE m INPUTS -1 a": ["m"],
    "AI.MODELRUN m TIMEOUT 5 INPUTS a b OUTPUTS c d": ["m", "a", "b", "c", "d"],
    "AI.MODELRUN m": ["m"],
    "AI.SCRIPTSTORE s CPU ENTRY_POINTS 0 SOURCE text": ["s"],
    "AI.SCRIPTGET s SOURCE": ["s"],
    "AI.SCRIPTDEL s": ["s"],
    "AI._SCRIPTSCAN": None,
    "AI.SCRIPTEXECUTE s f KEYS 1 k ARGS 1 x INPUTS 2 a b OUTPUTS 1 c TIMEOUT 5": ["s", "k", "a", "b", "c"],
    "AI.SCRIPTEXECUTE s": None,
    "AI.SCRIPTEXECUTE s f": ["s"],
    "AI.SCRIPTEXECUTE s f KEYS 9 k": ["s"],
    "AI.SCRIPTSET s CPU SOURCE text": ["s"],
    "AI.SCRIPTRUN s f TIMEOUT 5 INPUTS a $ b OUTPUTS c": ["s", "a", "b", "c"],
    "AI.SCRIPTRUN s f": ["s"],
    f"AI.DAGEXECUTE {LOAD_AND_PERSIST}": ["a", "b", "c", "z"],
    f"AI.DAGRUN {LOAD_AND_PERSIST}": ["a", "b", "c", "z"],
    f"AI.DAGEXECUTE_RO {LOAD_AND_PERSIST}": ["a", "b", "c", "z"],
    f"AI.DAGRUN_RO {LOAD_AND_PERSIST}": ["a", "b", "c", "z"],
    "AI.DAGEXECUTE ROUTING z |> AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y": ["z"],
    "AI.DAGEXECUTE LOAD 99999999999 a": ["a"],
    "AI.DAGEXECUTE LOAD x a": None,
    "AI.DAGRUN |> AI.TENSORSET x FLOAT 1": None,
    "AI.INFO m RESETSTAT": ["m"],
    "AI.CONFIG GET MODEL_CHUNK_SIZE": None,
}


# What the server says of a command without keys; of one that reports them itself, the second.
NO_KEYS = "no key arguments|Invalid (number of )?arguments specified for command"


@pytest.mark.parametrize("name", FLAGS)
def test_flags(redis_client, name):
    assert set(redis_client.command()[f"ai.{name}"]["flags"]) == FLAGS[name] | {"module"}


def test_no_command_was_forgotten(redis_client):
    commands = redis_client.execute_command("COMMAND LIST FILTERBY PATTERN ai.*")
    assert {f"ai.{name}" for name in FLAGS} == {command.decode() for command in commands}
    assert {line.split()[0].lower() for line in KEYS} == {f"ai.{name}" for name in FLAGS}


@pytest.mark.parametrize("line", KEYS)
def test_keys(redis_client, line):
    if KEYS[line] is not None:
        assert redis_client.command_getkeys(*line.split()) == KEYS[line]
        return
    with pytest.raises(redis.ResponseError, match=NO_KEYS):
        redis_client.command_getkeys(*line.split())


@pytest.mark.parametrize("name", [name for name in FLAGS if FLAGS[name] >= REPORTS_ITS_KEYS])
def test_a_command_without_arguments_has_no_keys(redis_client, name):
    """The server asks for the keys before it learns that the command is too short."""
    with pytest.raises(redis.ResponseError, match=NO_KEYS):
        redis_client.command_getkeys(f"AI.{name.upper()}")
    assert redis_client.ping()


def test_keys_are_reported_with_their_use(redis_client):
    def uses(line):
        reply = redis_client.execute_command("COMMAND GETKEYSANDFLAGS", *line.split())
        return {key.decode(): {flag.decode() for flag in flags} for key, flags in reply}

    read, write = {"RO", "access"}, {"OW", "update"}
    for line in ("AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 b", "AI.MODELRUN m INPUTS a OUTPUTS b"):
        assert uses(line) == {"m": read, "a": read, "b": write}
    assert uses("AI.SCRIPTEXECUTE s f KEYS 1 k INPUTS 1 a OUTPUTS 1 b") == {
        **{"s": read, "k": {"RO"}},
        **{"a": read, "b": write},
    }
    for command in ("AI.DAGEXECUTE", "AI.DAGRUN"):
        assert uses(f"{command} LOAD 1 a PERSIST 1 b ROUTING z |> AI.TENSORGET a") == {
            **{"a": read, "b": write, "z": {"RO"}}
        }
