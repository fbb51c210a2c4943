"""Which program and which modules a server is started from, and what is said where one does not fit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import redis

from modules_store import resources
from modules_store.errors import (
    InvalidInputError,
    MissingModuleError,
    ServerStartError,
    UnsupportedServerError,
)
from modules_store.server import EmbeddedServer


def loaded_modules(server):
    with redis.Redis.from_url(server.url) as client:
        return {module[b"name"].decode(): module[b"path"].decode() for module in client.module_list()}


def write_program(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_packaged_server_has_json_and_search(start_server):
    modules = loaded_modules(start_server(modules=("json", "search")))
    assert {"ReJSON", "search"} <= modules.keys()
    assert "ai" not in modules


def test_only_the_modules_asked_for_are_loaded(start_server):
    assert not {"ai", "ReJSON", "search"} & loaded_modules(start_server(modules=())).keys()


def test_unknown_module_is_refused():
    with pytest.raises(InvalidInputError, match="modules: no graph; there are engine, json, search"):
        EmbeddedServer(modules=("graph",))


@pytest.fixture
def redis_8_tree(tmp_path):
    """A redis-server with modules where Redis 8 installs its own, in which redisearch.so is no module."""
    program, modules = tmp_path / "bin" / "redis-server", tmp_path / "lib" / "redis" / "modules"
    program.parent.mkdir()
    modules.mkdir(parents=True)
    packaged = resources.redis_server()
    shutil.copy(packaged, program)
    shutil.copy(resources.json_module(packaged), modules)
    (modules / "redisearch.so").write_bytes(b"no module")
    (modules / "redisearch.so").chmod(0o755)
    return tmp_path


def test_modules_beside_the_program_are_preferred(redis_8_tree, start_server):
    server = start_server(redis_server=redis_8_tree / "bin" / "redis-server", modules=("json",))
    assert loaded_modules(server)["ReJSON"] == str(redis_8_tree / "lib" / "redis" / "modules" / "rejson.so")


def test_search_is_left_out_where_it_cannot_be_loaded(redis_8_tree, start_server, caplog):
    server = start_server(redis_server=redis_8_tree / "bin" / "redis-server", modules=("json", "search"))
    assert loaded_modules(server).keys() & {"ReJSON", "search"} == {"ReJSON"}
    assert "cannot load RediSearch" in caplog.text


def test_program_is_found_on_the_path(redis_8_tree, start_server, monkeypatch):
    monkeypatch.setenv("PATH", str(redis_8_tree / "bin"), prepend=":")
    with redis.Redis.from_url(start_server(redis_server="redis-server", modules=()).url) as client:
        assert client.info("server")["executable"] == str(redis_8_tree / "bin" / "redis-server")


def test_missing_program(tmp_path):
    with pytest.raises(ServerStartError, match=r"no program at '.*redis-server' that could be run"):
        EmbeddedServer(tmp_path / "redis-server")


def test_program_that_is_no_redis_server():
    with pytest.raises(ServerStartError, match="true is not a redis-server"):
        EmbeddedServer("/bin/true")


def test_program_that_fails():
    with pytest.raises(ServerStartError, match="false cannot be run"):
        EmbeddedServer("/bin/false")


def test_too_old_program(tmp_path):
    """The text is what Debian 12's redis-server prints."""
    old = write_program(
        tmp_path / "old", "echo Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64"
    )
    with pytest.raises(
        UnsupportedServerError, match=r"old is Redis 7\.0\.15; the oldest that works is Redis 7\.2"
    ):
        EmbeddedServer(old)


def test_missing_engine_file(tmp_path):
    with pytest.raises(MissingModuleError, match=f"engine: there is no file {tmp_path}/redisai.so"):
        EmbeddedServer(engine=tmp_path / "redisai.so")


def test_installation_without_an_engine(tmp_path, monkeypatch):
    monkeypatch.setattr("modules_store.resources.resources.files", lambda package: tmp_path)
    with pytest.raises(MissingModuleError, match=r"no engine \(redisai.so\)"):
        EmbeddedServer()


def test_engine_that_is_no_module_fails_with_the_log(tmp_path):
    broken = tmp_path / "redisai.so"
    broken.write_bytes(b"no module")
    broken.chmod(0o755)
    with pytest.raises(ServerStartError, match=r"redisai\.so failed to load"):
        EmbeddedServer(engine=broken)


def test_packages_that_are_not_installed(monkeypatch):
    monkeypatch.setattr("modules_store.resources._package_dir", lambda name: None)
    with pytest.raises(ServerStartError, match=r"pip install 'modules-store\[embedded\]'"):
        EmbeddedServer()
    with pytest.raises(MissingModuleError, match=r"no RedisJSON \(rejson.so\)"):
        resources.json_module(Path("/usr/bin/redis-server"))


def test_engine_gets_its_arguments(start_server):
    server = start_server(engine_args=("THREADS_PER_QUEUE", "3"))
    with redis.Redis.from_url(server.url) as client:
        arguments = {module[b"name"]: module[b"args"] for module in client.module_list()}
    assert arguments[b"ai"] == [b"THREADS_PER_QUEUE", b"3"]
