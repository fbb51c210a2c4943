"""Programs as functions of a library: what reads writes nothing, no call leaves anything to the next."""

from __future__ import annotations

import json
import textwrap

import pytest
import redis

from modules_store import keys, scripts, torchscript
from tests.lua import calls
from tests.lua.composing import composed
from tests.store import toy_codec

ROWS = toy_codec.states(5)
INDEX, METADATA, SYSTEM = keys.documents_of("a")
OTHERS = [f"agent:{{a}}:{name}" for name in ("stream", "tokens", "importance", "sizes", "priorities")]
VALUE = b"\x01\x01\x00" + bytes(toy_codec.INPUT_DIM)
READ_ONLY = {
    "agent_stats": ([INDEX, METADATA, SYSTEM, *OTHERS], 5),
    "check_rights": ([INDEX], '[["ZADD", "KEYS[1]", "0", "x"]]'),
    "count_codes": ([INDEX], 5),
    "count_memories": ([INDEX], 2, 9),
    "decode_values": ([SYSTEM], "[1]", '["toy"]', "states", VALUE),
    "find_memories": ([], "memories", "@n:[1 3]", "*", 0, 10, "", "ASC", "both"),
    "find_similar": ([INDEX, SYSTEM], ROWS[0].tobytes(), 2, "state", "", 0, 9, 5),
    "measure_encoder": ([keys.encoder("toy", 1)], toy_codec.INPUT_DIM),
    "recall_memories": ([INDEX, SYSTEM], "[2,4]", "both", "error"),
    "recall_range": ([INDEX, SYSTEM], 1, 5, 3, "oldest", "both"),
    "recall_recent": ([INDEX, SYSTEM], 3, "both", "newest"),
    "sample_memories": ([INDEX, SYSTEM], 4, "uniform", "seed", "both", 1000, 0.6, 0.4, "refuse"),
    "sample_sequences": ([INDEX, SYSTEM], 2, 2, "seed", "both"),
    "summarize_agents": ([INDEX],),
    "verify_agent": ([INDEX, METADATA, SYSTEM], "[]"),
    "verify_found": ([INDEX], "[1,2,77]"),
    "verify_segments": ([INDEX], "[1]"),
    "verify_memories": ([INDEX, METADATA, SYSTEM], "", 10),
}
"""A call of each program that only reads."""


@pytest.fixture(params=["keys", "packed"])
def filled(request, node):
    """A node with an agent of five memories in either layout."""
    node.execute_command(*torchscript.publication().arguments)
    metadata = [json.dumps({"n": n}) for n in range(5)]
    policy = calls.policy_of(layout=request.param)
    calls.store(node, ROWS, timestamps=[1, 2, 3, 4, 5], metadata=metadata, policy=policy)
    assert node.type(INDEX) == {"keys": b"zset", "packed": b"string"}[request.param]
    return node


def answer(node: redis.Redis, name: str):
    """Return what a program answers; what it measures is left out."""
    its_keys, *arguments = READ_ONLY[name]
    try:
        reply = calls.call(node, name, its_keys, *arguments)
    except redis.ResponseError as error:
        assert name == "find_memories", error  # there is no index, and in a cluster there can be none
        return str(error)
    return reply[:1] if name == "measure_encoder" else reply


def test_a_call_of_each_is_tried():
    assert {name for name, script in scripts.library().scripts.items() if script.read_only} == set(READ_ONLY)


@pytest.mark.parametrize("name", READ_ONLY)
def test_what_reads_writes_nothing(filled, name):
    """The server refuses writes in a function whose flags have no-writes, and fails the call."""
    before = calls.contents(filled)
    assert answer(filled, name) is not None
    assert calls.contents(filled) == before


def test_no_call_leaves_anything_to_the_next(filled):
    fresh = {}
    for name in READ_ONLY:
        filled.function_flush()
        fresh[name] = answer(filled, name)
    calls.store(filled, ROWS[:2], agent="b", timestamps=[7, 8], metadata=['{"b":1}', ""])
    for order in (list(READ_ONLY), list(reversed(READ_ONLY))):
        for name in order:
            with pytest.raises(redis.ResponseError, match="EXISTS"):
                calls.store(filled, ROWS[:2], agent="b", timestamps=[7, 8], metadata=['{"b":1}', ""])
            assert answer(filled, name) == fresh[name], name


def test_metadata_of_one_store_are_not_those_of_the_next(node):
    calls.store(node, ROWS, timestamps=[1, 2, 3, 4, 5], metadata=['{"n":1}'] * 5)
    calls.store(node, ROWS[:2], timestamps=[6, 7])
    assert calls.recall_recent(node, 7)[2] == [None, None, *[b'{"n":1}'] * 5]


def test_keys_and_arguments_are_forgotten_after_a_call(node, monkeypatch):
    begin = """redis.register_function({
      function_name = LIBRARY .. '_left',
      callback = function() return { KEYS and 1 or 0, ARGV and 1 or 0 } end
    })"""
    library = scripts.library_of(["store_memories", "count_memories"], begin)
    monkeypatch.setattr(scripts, "library", lambda: library)
    calls.store(node, ROWS, timestamps=[1, 2, 3, 4, 5])
    assert node.fcall(f"{library.name}_left", 0) == [0, 0]
    with pytest.raises(redis.ResponseError, match="EXISTS"):
        calls.store(node, ROWS, timestamps=[1, 2, 3, 4, 5])
    assert node.fcall(f"{library.name}_left", 0) == [0, 0]
    assert calls.count_memories(node, 2, 9) == 4


def test_what_is_made_of_a_text_is_kept_within_bounds(node):
    program = """
    -- @include memo
    local made = {}
    local of = memo.of(function(text, more)
      made[#made + 1] = text .. more
      if text == 'refused' then error('no', 0) end
      return { text }
    end)
    local first = of('a', 1)
    local is_kept = of('a', 2) == first
    for n = 1, 63 do of('text ' .. n, '') end
    is_kept = is_kept and of('a', 3) == first
    of('one more', '')
    local is_made_anew = of('a', 4) ~= first and of('a', 5)[1] == 'a'
    local long = string.rep('x', 5000)
    local is_long_kept = of(long, '') == of(long, '')
    pcall(of, 'refused', '')
    pcall(of, 'refused', '')
    return { is_kept, is_made_anew, is_long_kept, #made }
    """
    # a, 63 texts, one more, a again, the long one twice, the refused one twice
    assert node.eval(composed(textwrap.dedent(program)), 0) == [1, 1, None, 70]


def test_codecs_and_policies_of_one_call_are_not_those_of_the_next(node):
    toy_codec.publish(node, version=2)
    for version, kept in [(1, 2), (2, 2), (1, 3), (2, 3)] * 3:
        agent = f"v{version}-{kept}"
        configuration, policy = calls.configuration_of("toy", version), calls.policy_of(kept)
        calls.store(node, ROWS[:2], agent=agent, configuration=configuration, policy=policy)
        assert node.zcard(keys.index(agent)) <= kept
        (newest,) = node.zrange(keys.index(agent), -1, -1)
        assert node.get(keys.memory(agent, int(newest)))[1] == version
        document = node.json().get(keys.agent_metadata(agent), "$.policy.retention.threshold")
        assert document == [kept]


def test_versions_share_a_server(node, monkeypatch):
    calls.store(node, ROWS, timestamps=[1, 2, 3, 4, 5])
    older = scripts.library_of(scripts.library().scripts, "-- another version")
    with monkeypatch.context() as patched:
        patched.setattr(scripts, "library", lambda: older)
        assert calls.count_memories(node, 2, 9) == 4
    assert older.name != scripts.library().name
    assert calls.count_memories(node, 2, 9) == 4
    loaded = {entry[1].decode() for entry in node.function_list(scripts.LIBRARIES)}
    assert {older.name, scripts.library().name} <= loaded
    node.function_delete(older.name)
