"""The programs as functions of one library: read-only ones write nothing, and no call leaves anything to the next."""

from __future__ import annotations

import json

import pytest
import redis

from modules_store import keys, scripts
from tests.lua import calls
from tests.store import toy_codec

ROWS = toy_codec.states(5)
INDEX, SYSTEM = keys.index("a"), keys.agent_memory_system("a")
READ_ONLY = {
    "agent_stats": ([INDEX, keys.agent_metadata("a"), SYSTEM], 5),
    "check_rights": ([INDEX], '[["ZADD", "KEYS[1]", "0", "x"]]'),
    "count_codes": ([INDEX], 5),
    "count_memories": ([INDEX], 0, 9),
    "decode_values": ([SYSTEM], "[1]", '["toy"]', "states"),
    "find_memories": ([], "memories", "@n:[1 3]", "", "", 0, 10, "both"),
    "find_similar": ([INDEX, SYSTEM], "states", ROWS[0].tobytes(), 2, "", 0, 9, 5, "both"),
    "measure_encoder": ([keys.encoder("toy", 1)], toy_codec.INPUT_DIM),
    "recall_memories": ([INDEX, SYSTEM], "[2,4]", "both", "error"),
    "recall_range": ([INDEX, SYSTEM], 1, 5, 3, "oldest", "both"),
    "recall_recent": ([INDEX, SYSTEM], 3, "both", "newest"),
    "sample_memories": ([INDEX, SYSTEM], 4, "uniform", 7, "both", 1000, 0.6, 0.4, "refuse"),
    "sample_sequences": ([INDEX, SYSTEM], 2, 2, 7, "both"),
    "verify_agent": ([INDEX, keys.agent_metadata("a"), SYSTEM],),
    "verify_found": ([INDEX], "[1,2,77]"),
    "verify_memories": ([INDEX, SYSTEM], "", 10),
}
