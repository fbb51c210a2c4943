"""What is said of a server that someone else started."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from modules_store.errors import ConnectionLostError, MissingModuleError, ServerError, UnsupportedServerError
from modules_store.server_check import check_server, refuse_old
from tests import helpers


def check(server):
    with redis.Redis.from_url(server.url) as client:
        return check_server(client)


def test_server_with_all_modules(server):
    info = check(server)
    assert info.product == "Redis"
    assert re.fullmatch(r"\d+\.\d+\.\d+", info.version)
    assert info.modules == {"engine", "json", "search"}


def test_search_is_not_needed(start_server):
    assert check(start_server(modules=("engine", "json"))).modules == {"engine", "json"}


def test_missing_modules_are_named_with_options_that_load_them(start_server):
    with pytest.raises(MissingModuleError, match=r"AI\.TENSORSET.* and .*JSON\.SET") as caught:
        check(start_server(modules=()))
    options = re.search(r"start it with (.*), or", str(caught.value))[1]
    assert [word for word in shlex.split(options) if word.startswith("--")] == ["--loadmodule"] * 2
    paths = re.findall(r"--loadmodule (\S+)", options)
    assert [Path(path).name for path in paths] == ["redisai.so", "rejson.so"]
    engine = helpers.engine() or paths[0]
    assert "engine" in check(start_server(engine=engine)).modules


def test_one_missing_module_is_named_alone(start_server):
    with pytest.raises(MissingModuleError) as caught:
        check(start_server(modules=("json",)))
    assert "rejson.so" not in str(caught.value)


def test_server_that_is_not_there(tmp_path):
    client = redis.Redis(unix_socket_path=str(tmp_path / "none.sock"), retry=Retry(NoBackoff(), 0))
    with pytest.raises(ConnectionLostError, match="cannot be reached"):
        check_server(client)


def test_user_who_may_not_ask(start_server):
    with redis.Redis.from_url(start_server(modules=()).url) as client:
        client.acl_setuser("guest", enabled=True, nopass=True, commands=["+ping"])
        client.execute_command("AUTH", "guest", "")
        with pytest.raises(ServerError, match="no permissions"):
            check_server(client)


@pytest.mark.parametrize(
    ("product", "version"), [("Redis", "7.0.15"), ("Redis", "6.2.14"), ("Valkey", "7.2.5")]
)
def test_too_old(product, version):
    with pytest.raises(UnsupportedServerError, match=f"^the server is {product} {version}; the oldest"):
        refuse_old(product, version, "the server")


@pytest.mark.parametrize(
    ("product", "version"), [("Redis", "7.2.0"), ("Redis", "10.0.1"), ("Valkey", "8.0.0")]
)
def test_new_enough(product, version):
    refuse_old(product, version, "the server")
