"""ACL categories, and the rules of docs/engine.md."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from tests.engine import models

RULES = [
    line
    for line in (Path(__file__).parents[2] / "docs" / "engine.md").read_text().splitlines()
    if line.startswith("ACL SETUSER agent ")
]

TENSORS = {"ai.tensorset", "ai.tensorget"}
RUNS = {
    *("ai.modelexecute", "ai.modelrun", "ai.scriptexecute", "ai.scriptrun"),
    *("ai.dagexecute", "ai.dagexecute_ro", "ai.dagrun", "ai.dagrun_ro"),
}
STORES = {"ai.modelstore", "ai.modelset", "ai.scriptstore", "ai.scriptset"}
DELETES = {"ai.modeldel", "ai.scriptdel"}
READS = {"ai.modelget", "ai.scriptget", "ai.info", "ai._modelscan", "ai._scriptscan"}


@pytest.fixture
def ours_in(redis_client):
    """Give the engine's commands that are in a category."""

    def names(category: str) -> set[str]:
        listed = redis_client.execute_command("COMMAND LIST", "FILTERBY", "ACLCAT", category)
        return {name.decode() for name in listed if name.startswith(b"ai.")}

    return names


def test_our_categories(redis_client, ours_in):
    everything = redis_client.execute_command("COMMAND LIST", "FILTERBY", "MODULE", "ai")
    assert ours_in("ai") == {name.decode() for name in everything}
    assert ours_in("ai_run") == TENSORS | RUNS
    assert ours_in("ai_store") == STORES | DELETES | {"ai.config"}
    assert ours_in("ai_run") | ours_in("ai_store") | READS == ours_in("ai")


def test_the_servers_categories_give_nobody_more_than_they_did(ours_in):
    assert ours_in("write") == {"ai.tensorset"} | DELETES
    assert ours_in("read") == {"ai.tensorget"} | READS
    assert ours_in("dangerous") == STORES | {"ai.config", "ai._modelscan", "ai._scriptscan"}
    granted = ours_in("read") | ours_in("write") | ours_in("dangerous")
    assert ours_in("slow") | ours_in("fast") == granted
    assert not RUNS & granted
    for category in ("scripting", "string", "hash", "admin", "connection", "pubsub"):
        assert not ours_in(category)


@pytest.mark.parametrize(
    ("rule", "allowed", "denied"),
    [
        ("+@all -@dangerous", TENSORS | RUNS | DELETES, STORES),
        ("+@ai -@ai_store", TENSORS | RUNS | READS, STORES | DELETES),
        ("+@ai_run", TENSORS | RUNS, STORES | DELETES | READS),
        ("+@read +@write +@ai_run -@ai_store", TENSORS | RUNS | READS, STORES | DELETES),
        ("+@ai_store", STORES | DELETES, RUNS | READS),
    ],
)
def test_rules_by_category(redis_client, rule, allowed, denied):
    redis_client.execute_command("ACL SETUSER", "by_category", "on", "~*", *rule.split())
    try:
        for command in allowed | denied:
            arity = abs(redis_client.command()[command]["arity"])
            answer = redis_client.execute_command(
                "ACL DRYRUN", "by_category", command, *["x"] * max(arity - 1, 0)
            )
            assert (answer == b"OK") == (command in allowed), f"{command}: {answer}"
    finally:
        redis_client.acl_deluser("by_category")


@pytest.mark.parametrize("rule", RULES, ids=["by category", "by command"])
def test_the_documented_rule_lets_a_user_run_models_and_not_store_them(server, redis_client, store, rule):
    store("memory_system:m", models.Double())
    blob = models.blob(models.Double())
    payload = redis_client.dump("memory_system:m")
    redis_client.execute_command(*rule.split())
    try:
        with redis.Redis.from_url(server.url, username="agent", password="secret") as user:
            user.execute_command("AI.TENSORSET", "agent:{x}", "FLOAT", 1, "VALUES", 4)
            run = "AI.MODELEXECUTE memory_system:m INPUTS 1 agent:{{x}} OUTPUTS 1 {}"
            assert user.execute_command(*run.format("agent:{y}").split()) == b"OK"
            for refused in (
                ["AI.MODELSTORE", "agent:{m}", "TORCH", "CPU", "BLOB", blob],
                ["AI.MODELSET", "agent:{m}", "TORCH", "CPU", "BLOB", blob],
                [
                    "AI.SCRIPTSTORE",
                    "agent:{s}",
                    "CPU",
                    "ENTRY_POINTS",
                    0,
                    "SOURCE",
                    "def f(x):\n    return x\n",
                ],
                ["AI.MODELDEL", "memory_system:m"],
                ["AI.CONFIG", "MODEL_CHUNK_SIZE", 1],
                ["CONFIG", "SET", "ai.model-allow-list", ""],
                run.format("memory_system:m").split(),
                ["RESTORE", "agent:{m}", 0, payload],
            ):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    user.execute_command(*refused)
    finally:
        redis_client.acl_deluser("agent")


@pytest.mark.parametrize(
    ("keys", "allowed", "denied"),
    [
        ("%R~*", "ai.tensorget k", "ai.tensorset k FLOAT 1"),
        ("%W~*", "ai.tensorset k FLOAT 1", "ai.tensorget k"),
        ("%W~*", "ai.modeldel k", "ai.modelget k"),
        ("%R~*", "ai.info k", "ai.scriptdel k"),
    ],
)
def test_a_key_permission_means_what_the_command_does(redis_client, keys, allowed, denied):
    redis_client.execute_command("ACL SETUSER", "by_key", "on", "+@all", keys)
    try:
        assert redis_client.execute_command("ACL DRYRUN", "by_key", *allowed.split()) == b"OK"
        assert b"no permissions" in redis_client.execute_command("ACL DRYRUN", "by_key", *denied.split())
    finally:
        redis_client.acl_deluser("by_key")
