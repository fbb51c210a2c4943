"""Servers that refuse because they are replicas now, load, or have no whole cluster: nothing was done."""

from __future__ import annotations

import pytest
import redis

import modules_store
from tests.store import toy_codec
from tests.store.indexed import indexed
from tests.store.proxy import proxy_of

ROW = toy_codec.states(1)[0]


@pytest.fixture
def proxy(server, toy):
    with proxy_of(server.url) as running:
        yield running


@pytest.fixture
def new_master(start_server):
    """Another server with the codec, to which an address may lead."""
    server = start_server()
    with redis.Redis.from_url(server.url) as client:
        toy_codec.publish(client)
        yield server, client


@pytest.mark.parametrize("serves_stale_data", [True, False])
def test_a_failover_behind_one_address(open_store, proxy, toy, new_master, serves_stale_data):
    master, of_master = new_master
    store = open_store(proxy.url, codec="toy")
    store.store_agent_memory("a", ROW)
    proxy.lead_to(master.url)
    toy.config_set("replica-serve-stale-data", "yes" if serves_stale_data else "no")
    toy.replicaof("127.0.0.1", 1)
    try:
        answered = [store.store_agent_memory("a", ROW) for _ in range(20)]
    finally:
        toy.replicaof("NO", "ONE")
        toy.config_set("replica-serve-stale-data", "yes")
    assert indexed(of_master) == answered
    assert len(indexed(toy)) == 1


@pytest.mark.parametrize(
    "error",
    [
        "READONLY You can't write against a read only replica.",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "CLUSTERDOWN The cluster is down",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "LOADING Redis is loading the dataset in memory",
        "BUSY Redis is busy running a script.",
    ],
)
def test_a_refusal_is_asked_again(open_store, proxy, toy, error):
    store = open_store(proxy.url, codec="toy")
    store.store_agent_memory("a", ROW, timestamp=1)
    proxy.refuse("FCALL", error, 2)
    assert store.store_agent_memory("a", ROW, timestamp=2) == 2
    assert indexed(toy) == [1, 2]
    proxy.refuse("FCALL", error, 4)
    with pytest.raises(modules_store.MemoryStoreError, match=error.partition(" ")[2][:20]):
        store.store_agent_memory("a", ROW, timestamp=3)
    assert indexed(toy) == [1, 2]
