"""check_rights.lua by itself."""

from __future__ import annotations

import json

import pytest
import redis

from modules_store import keys
from tests.lua import calls

COMMANDS = [["SET", "KEYS[1]", "x"], ["GET", "KEYS[1]"], ["JSON.GET", "other"], ["NO.SUCH", "x"]]


def check(node: redis.Redis, commands, *, agent="a"):
    text = commands if isinstance(commands, str) else json.dumps(commands)
    return calls.call(node, "check_rights", [keys.index(agent)], text)


@pytest.fixture
def as_user(node):
    """`as_user(*rules)`: a client of a user with these rights."""
    opened = []

    def make(*rules):
        node.execute_command("ACL", "SETUSER", "guest", "reset", "on", ">secret", *rules)
        options = {**node.connection_pool.connection_kwargs, "username": "guest", "password": "secret"}
        pool = redis.ConnectionPool(node.connection_pool.connection_class, **options)
        opened.append(redis.Redis(connection_pool=pool))
        return opened[-1]

    yield make
    for client in opened:
        client.connection_pool.disconnect()
    node.execute_command("ACL", "DELUSER", "guest")


def test_who_may_do_all_lacks_only_what_there_is_not(node):
    assert check(node, COMMANDS) == [4]
    assert check(node, COMMANDS[:3]) == check(node, []) == []


def test_commands_and_keys_that_are_not_allowed(as_user):
    guest = as_user("~agent:*", "+@all", "-set")
    assert check(guest, COMMANDS[:3]) == [1, 3]
    assert check(as_user("~agent:*", "+@all", "-get"), COMMANDS[:2]) == [2]


def test_nothing_is_run(node):
    check(node, COMMANDS)
    assert node.dbsize() == 3  # the toy codec
    assert not node.exists(keys.index("a"))


def test_what_is_refused(node):
    with pytest.raises(redis.ResponseError, match="MEMERR BADARG commands is not a JSON"):
        check(node, "x")
