"""How clients connect: options, passwords, users, TLS, Unix sockets; and what is refused."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess

import numpy as np
import pytest

import modules_store
from modules_store import RedisAgentMemory, urls
from tests import helpers
from tests.store import toy_codec
from tests.store.proxy import proxy_of

ROW = toy_codec.states(1)[0]


def works(memory: RedisAgentMemory) -> None:
    timestamp = memory.store_agent_memory("a", ROW)
    np.testing.assert_array_equal(memory.retrieve_agent_memory("a", timestamp).state, ROW)


@pytest.mark.parametrize(
    ("url", "options", "says"),
    [
        ("redis://127.0.0.1:1", {"decode_responses": True}, "decode_responses is not an option"),
        ("redis://127.0.0.1:1?decode_responses=True", {}, "decode_responses is not an option"),
        ("redis://127.0.0.1:1", {"max_conections": 3}, "max_conections"),
        ("redis://127.0.0.1:1", {"ssl_ca_certs": "ca.pem"}, "ssl_ca_certs"),
        ("redis://127.0.0.1:1", {"retries": -1}, "retries is -1"),
        ("redis://127.0.0.1:1", {"retries": 1.5}, "retries is 1.5"),
        ("redis://127.0.0.1:1", {"timeout_s": 0}, "timeout_s is 0"),
        ("redis://127.0.0.1:1", {"timeout_s": "1"}, "timeout_s is '1'"),
        ("http://example", {}, "http://example"),
        (7, {}, "redis_url is of type int"),
    ],
)
def test_what_is_refused(open_store, url, options, says):
    with pytest.raises(modules_store.InvalidInputError, match=says):
        open_store(url, **options)


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://u:tiger@127.0.0.1",
        "redis+cluster://u:tig@er@127.0.0.1",
        "redis://u:tiger",  # the host is missing: what stands in its place looks like a port
        "redis://u:tiger/x@127.0.0.1:6379",
        "redis://127.0.0.1:tiger/0",
        "redis://127.0.0.1:1/0?password=tiger&socket_timeout=x",
    ],
)
def test_no_password_is_shown(open_store, url):
    with pytest.raises(modules_store.InvalidInputError, match="redis_url") as refused:
        open_store(url)
    assert not re.search("tig|er@|er/x", str(refused.value))
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_what_is_shown_of_a_url():
    shown = urls.without_password
    assert shown("redis://u:p@w:x/y@host:1/0") == "redis://u:***@host:1/0"
    assert shown("rediss://:pw@host") == "rediss://:***@host"
    assert shown("unix://u@/r.sock?db=1&password=pw&x=1") == "unix://u@/r.sock?db=1&password=***&x=1"
    assert shown("redis://host:6379/0") == "redis://host:6379/0"
    assert shown("Ant-v5") == "Ant-v5"


def test_a_given_client_has_its_options_already(toy):
    with pytest.raises(modules_store.InvalidInputError, match="username: redis_url is a client"):
        RedisAgentMemory(toy, username="me")


def test_options_of_connections(open_store, toy):
    memory = open_store(
        codec="toy", max_connections=1, health_check_interval=10, client_name="trainer", socket_timeout=5
    )
    works(memory)
    assert [client["name"] for client in toy.client_list()].count("trainer") == 1


def test_a_user_and_a_password(open_store, toy):
    toy.acl_setuser("drone", enabled=True, passwords=["+secret"], commands=["+@all"], keys=["*"])
    try:
        works(open_store(codec="toy", username="drone", password="secret"))
        for refused in ({"username": "drone", "password": "wrong"}, {"username": "nobody", "password": "x"}):
            with pytest.raises(
                modules_store.AuthenticationFailedError, match="(?i)invalid username-password"
            ):
                works(open_store(codec="toy", **refused))
        toy.acl_setuser("drone", enabled=True, commands=["-json.get"])
        with pytest.raises(modules_store.ServerError, match="(?i)no permission"):
            works(open_store(codec="toy", username="drone", password="secret"))
    finally:
        toy.acl_deluser("drone")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Folder with a self-signed certificate for 127.0.0.1, `cert.pem`, and its key, `key.pem`."""
    helpers.need(shutil.which("openssl"), "openssl")
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


# The packaged redis-server is built without TLS: something else ends it here, as stunnel would.
def test_tls(open_store, server, toy, certificates):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    with proxy_of(server.url, context) as proxy:
        works(open_store(proxy.url, codec="toy", ssl_ca_certs=str(certificates / "cert.pem"), timeout_s=10))
        with pytest.raises(modules_store.ConnectionLostError, match="cannot be reached"):
            works(open_store(proxy.url, codec="toy", retries=0, timeout_s=10))


def test_close_leaves_no_connection_open(open_store, toy):
    memory = open_store(codec="toy", client_name="closing")
    works(memory)
    memory.close()
    helpers.wait_until(lambda: "closing" not in [client["name"] for client in toy.client_list()])
