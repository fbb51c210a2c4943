"""How the commands describe themselves: COMMAND DOCS and COMMAND INFO, held against docs/engine.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import redis

DOCS = Path(__file__).parents[2] / "docs" / "engine.md"
ROW = re.compile(r"^\| `(AI\.[A-Z_]+) ?(.*?)` \| (.*) \|$", re.MULTILINE)

DEPRECATED = {
    "AI.MODELSET": "AI.MODELSTORE",
    "AI.MODELRUN": "AI.MODELEXECUTE",
    "AI.SCRIPTSET": "AI.SCRIPTSTORE",
    "AI.SCRIPTRUN": "AI.SCRIPTEXECUTE",
    "AI.DAGRUN": "AI.DAGEXECUTE",
    "AI.DAGRUN_RO": "AI.DAGEXECUTE_RO",
}

# Fewer words than the syntax asks for: an error of the engine's own says what is missing.
LENIENT = {
    *("AI.MODELSTORE", "AI.MODELSET", "AI.SCRIPTSTORE", "AI.SCRIPTSET", "AI.MODELEXECUTE"),
    *("AI.MODELRUN", "AI.SCRIPTRUN"),
    *("AI.DAGEXECUTE", "AI.DAGEXECUTE_RO", "AI.DAGRUN", "AI.DAGRUN_RO"),
}


def documented() -> dict[str, tuple[str, str]]:
    """Return syntax and summary of each command in the documentation."""
    rows = ROW.findall(DOCS.read_text())
    return {command: (syntax.replace("\\|", "|"), summary) for command, syntax, summary in rows}


def pairs(flat: list) -> dict[str, object]:
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def docs(client: redis.Redis, command: str) -> dict[str, object]:
    return pairs(client.execute_command("COMMAND DOCS", command)[1])


def written(arguments: list, between: str = " ") -> str:
    """Return the arguments of COMMAND DOCS as the documentation writes them."""
    return between.join(_written(pairs(argument)) for argument in arguments)


def _written(argument: dict) -> str:
    flags = argument.get("flags", [])
    token = argument.get("token", b"").decode()
    kind = argument["type"]
    if kind in (b"oneof", b"block"):
        text = written(argument["arguments"], " | " if kind == b"oneof" else " ")
        if kind == b"oneof" and b"optional" not in flags:
            text = f"({text})"
    elif kind == b"pure-token":
        text = token
    else:
        text = f"{token} {argument['name'].decode()}".strip()
        if b"multiple_token" in flags:
            text = f"({text})"
        if b"multiple" in flags:
            text += "…"
    return f"[{text}]" if b"optional" in flags else text


def least_words(arguments: list) -> int:
    """Return the number of words that cannot be left out."""
    words = 0
    for argument in map(pairs, arguments):
        if b"optional" in argument.get("flags", []):
            continue
        kind = argument["type"]
        if kind == b"oneof":
            words += min(least_words([part]) for part in argument["arguments"])
        elif kind == b"block":
            words += least_words(argument["arguments"])
        else:
            words += ("token" in argument) + (kind != b"pure-token")
    return words


def test_all_commands_are_documented(redis_client):
    names = redis_client.execute_command("COMMAND LIST", "FILTERBY", "MODULE", "ai")
    assert {name.decode().upper() for name in names} == documented().keys()


@pytest.mark.parametrize("command", documented())
def test_the_documentation_is_what_the_server_tells(redis_client, command):
    told = docs(redis_client, command)
    syntax, summary = documented()[command]
    assert written(told.get("arguments", [])) == syntax
    assert told["summary"].decode() == summary
    assert told["complexity"]
    assert told["since"] == b"0.1.0"
    if replacement := DEPRECATED.get(command):
        assert summary == f"Deprecated: use {replacement}."
        assert told["history"] == [[b"0.1.0", summary.encode()]]
    else:
        assert "history" not in told


@pytest.mark.parametrize("command", documented())
def test_the_server_counts_the_words(redis_client, command):
    arity = redis_client.command()[command.lower()]["arity"]
    least = 1 + least_words(docs(redis_client, command).get("arguments", []))
    # AI.CONFIG says itself what one of its settings lacks.
    assert abs(arity) < least if command in LENIENT | {"AI.CONFIG"} else abs(arity) == least
    wrong_counts = [abs(arity) - 2] if arity < -1 else [arity - 2, arity] if arity > 0 else []
    for count in wrong_counts:
        if count < 0:
            continue
        with pytest.raises(redis.ResponseError) as error:
            redis_client.execute_command(command, *["x"] * count)
        assert str(error.value) == f"wrong number of arguments for '{command.lower()}' command"


@pytest.mark.parametrize(
    ("command", "specs"),
    [
        ("ai.tensorset", [({"OW", "update"}, ("index", 1), "range")]),
        ("ai.tensorget", [({"RO", "access"}, ("index", 1), "range")]),
        ("ai.modeldel", [({"RM", "delete"}, ("index", 1), "range")]),
        (
            "ai.modelexecute",
            [
                ({"RO", "access"}, ("index", 1), "range"),
                ({"RO", "access", "incomplete"}, ("keyword", "INPUTS"), "keynum"),
                ({"OW", "update", "incomplete"}, ("keyword", "OUTPUTS"), "keynum"),
            ],
        ),
        (
            "ai.modelrun",
            [
                ({"RO", "access"}, ("index", 1), "range"),
                ({"RO", "access", "incomplete"}, ("keyword", "INPUTS"), "unknown"),
                ({"OW", "update", "incomplete"}, ("keyword", "OUTPUTS"), "range"),
            ],
        ),
        (
            "ai.scriptrun",
            [
                ({"RO", "access"}, ("index", 1), "range"),
                ({"RO", "access", "incomplete"}, ("keyword", "INPUTS"), "unknown"),
                ({"RO", "access", "incomplete"}, ("keyword", "$"), "unknown"),
                ({"OW", "update", "incomplete"}, ("keyword", "OUTPUTS"), "range"),
            ],
        ),
        (
            "ai.dagexecute",
            [
                ({"RO", "access", "incomplete"}, ("keyword", "LOAD"), "keynum"),
                ({"OW", "update", "incomplete"}, ("keyword", "PERSIST"), "keynum"),
                ({"RO", "incomplete"}, ("keyword", "ROUTING"), "range"),
            ],
        ),
        ("ai.config", []),
    ],
)
def test_key_specs(redis_client, command, specs):
    told = []
    for spec in map(pairs, redis_client.command()[command]["key_specifications"]):
        begin, find = pairs(spec["begin_search"]), pairs(spec["find_keys"])
        kind = begin["type"].decode()
        where = pairs(begin["spec"])[kind]
        flags = {flag.decode() for flag in spec["flags"]}
        told.append((flags, (kind, where if kind == "index" else where.decode()), find["type"].decode()))
    assert told == specs


def test_a_command_with_keys_behind_keywords_is_asked_for_them(redis_client):
    flags = {name: row["flags"] for name, row in redis_client.command().items() if name.startswith("ai.")}
    movable = {name for name, of_command in flags.items() if "movablekeys" in of_command}
    keywords = {"LOAD", "INPUTS", "KEYS", "ROUTING"}
    rows = documented().items()
    assert movable == {
        name.lower() for name, (syntax, _) in rows if keywords & set(re.findall(r"[A-Z]+", syntax))
    }
    # A key with the name of a keyword misleads key specs, and does not mislead the engine.
    keys = redis_client.command_getkeys("AI.MODELEXECUTE", "m", "INPUTS", "1", "OUTPUTS", "OUTPUTS", "1", "y")
    assert keys == ["m", "OUTPUTS", "y"]


def test_the_server_does_not_count_the_words_of_an_aof(start_server, tmp_path):
    with (
        start_server(data_dir=tmp_path, appendonly=True) as server,
        redis.Redis.from_url(server.url) as client,
    ):
        client.execute_command("AI.TENSORSET", "before", "FLOAT", 1)
        commands = [name.upper() for name in client.command() if name.startswith("ai.")]
    (log,) = tmp_path.rglob("*.incr.aof")
    with log.open("ab") as file:
        for command in commands:
            file.write(b"*1\r\n$%d\r\n%s\r\n" % (len(command), command.encode()))
    with redis.Redis.from_url(start_server(data_dir=tmp_path, appendonly=True).url) as client:
        assert client.keys() == [b"before"]
