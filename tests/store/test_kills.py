"""A server that is killed at any moment loses no memory that it has acknowledged, and agrees with itself."""

from __future__ import annotations

import os
import random
import signal
import threading

import numpy as np
import redis

from modules_store import ByteBudget, MemoryStoreError, Policy, RedisAgentMemory
from tests.store import toy_codec

ROUNDS = 5
POLICY = Policy(ByteBudget(10**9), stream_entries=10**6)
STATES = toy_codec.states(64)


class Writer(threading.Thread):
    """Stores for one agent, singly and in batches, until the server is gone; knows what was acknowledged."""

    def __init__(self, url: str, agent: str, seed: int) -> None:
        super().__init__()
        self.url, self.agent, self.random = url, agent, random.Random(seed)
        self.acknowledged: dict[int, int] = {}

    def run(self) -> None:
        with RedisAgentMemory(self.url, codec="toy", policy=POLICY, retries=0) as store:
            while True:
                picked = [self.random.randrange(len(STATES)) for _ in range(self.random.choice((1, 1, 5)))]
                metadata = [{"n": one} for one in picked]
                try:
                    stamps = store.store_agent_memories(self.agent, STATES[picked], metadata)
                except MemoryStoreError:
                    return
                self.acknowledged.update(zip(stamps, picked, strict=True))


def test_kill_9_at_random_moments(start_server, tmp_path, wait_until):
    server = start_server(data_dir=tmp_path, appendonly=True, config={"appendfsync": "always"})
    with redis.Redis.from_url(server.url) as client:
        toy_codec.publish(client)
    moments = random.Random(7)
    acknowledged: dict[str, dict[int, int]] = {"a": {}, "b": {}}
    for turn in range(ROUNDS):
        writers = [Writer(server.url, agent, 10 * turn + n) for n, agent in enumerate(acknowledged)]
        for writer in writers:
            writer.start()
        wanted = moments.randrange(1, 150)
        wait_until(lambda w=writers, n=wanted: sum(len(one.acknowledged) for one in w) >= n, 20)
        os.kill(server.pid, signal.SIGKILL)
        for writer in writers:
            writer.join()
            acknowledged[writer.agent].update(writer.acknowledged)
        server.restart()
        with RedisAgentMemory(server.url, codec="toy", policy=POLICY) as store:
            for agent, stored in acknowledged.items():
                recalled = {m.timestamp: m for m in store.iterate_memories(agent)}
                assert stored.keys() <= recalled.keys()
                for timestamp, one in stored.items():
                    np.testing.assert_array_equal(recalled[timestamp].state, STATES[one])
                    assert recalled[timestamp].metadata == {"n": one}
                found = store.verify_agent(agent)
                assert found.ok, found
    assert sum(map(len, acknowledged.values())) > ROUNDS
