"""What an agent's index has, read from its keys, whatever its layout is."""

from __future__ import annotations

import struct

import redis

from modules_store import keys


def indexed(client: redis.Redis, agent: str = "a") -> list[int]:
    """Return the timestamps of an agent's memories, oldest first."""
    if client.type(keys.index(agent)) != b"string":
        return [int(member) for member in client.zrange(keys.index(agent), 0, -1)]
    timestamps: list[int] = []
    directory = client.get(keys.index(agent))
    for entry in struct.iter_unpack("<qqqqqIIIIIB3s", directory[8:]):
        base, number, skip, rows, expiring = entry[0], entry[5], entry[6], entry[7], entry[10] & 1
        row = struct.Struct("<IIq" if expiring else "<II")
        text = client.get(keys.segment_rows(agent, number))[20:]
        timestamps += [base + values[0] for values in row.iter_unpack(text)][skip : skip + rows]
    return timestamps
