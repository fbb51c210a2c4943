"""switch_codec.lua and re_encode_memories.lua by themselves."""

from __future__ import annotations

import json

import numpy as np
import pytest
import redis

from modules_store import keys
from tests.lua import calls
from tests.store import toy_codec

ROWS = toy_codec.states(5)
GIVEN = [10, 20, 30, 40, 50]
OTHER = calls.configuration_of("other", code_dtype="HALF")


@pytest.fixture
def stored(node):
    """A node with five memories of codec toy, and another codec, of two bytes a feature."""
    calls.store(node, ROWS, timestamps=GIVEN, metadata=["", '{"n":1}', "", "", ""])
    toy_codec.publish(node, "other", half=True)
    return node


def refused(match: str):
    return pytest.raises(redis.ResponseError, match=f"^MEMERR {match}")


def document(node) -> dict:
    return json.loads(node.execute_command("JSON.GET", keys.agent_memory_system("a")))


def headers(node) -> list[bytes | None]:
    values = node.mget([keys.memory("a", timestamp) for timestamp in GIVEN])
    return [value and value[:3] for value in values]


def check_recall(node, timestamps=tuple(GIVEN)) -> None:
    rows = dict(zip(GIVEN, ROWS, strict=True))
    found, states, metadata = calls.recall_memories(node, list(timestamps))
    assert found == list(timestamps)
    np.testing.assert_array_equal(states, [rows[timestamp] for timestamp in timestamps])
    assert metadata == [b'{"n":1}' if timestamp == 20 else None for timestamp in timestamps]


class TestSwitch:
    def test_another_codec_becomes_the_agents_own_beside_the_earlier_one(self, stored):
        before = headers(stored)
        assert calls.switch_codec(stored, OTHER) == 1
        assert document(stored) == {**OTHER, "generation": 1, "earlier": [{"generation": 0, "name": "toy"}]}
        assert headers(stored) == before
        calls.store(stored, [ROWS[0]], timestamps=[60], configuration=OTHER)
        assert stored.get(keys.memory("a", 60))[:3] == b"\x14\x01\x00"
        np.testing.assert_array_equal(calls.recall_recent(stored, 6)[1], [ROWS[0], *ROWS[::-1]])
        with refused("OTHERCODEC the memories of agent a are of codec other, not of toy"):
            calls.store(stored, ROWS)

    def test_the_agents_metadata_follows(self, stored):
        groups = [{"name": "x", "features": 6, "codes": 6}]
        calls.switch_codec(stored, OTHER, groups=groups)
        described = json.loads(stored.execute_command("JSON.GET", keys.agent_metadata("a")))
        assert described["codec"] == {"name": "other", "version": 1}
        assert described["compression"]["total"]["stored_bytes"] == 15
        assert described["counters"] == {"stored": 5, "trimmed": 0}

    def test_another_version_needs_no_generation(self, stored):
        toy_codec.publish(stored, version=2)
        newer = calls.configuration_of("toy", 2)
        assert calls.switch_codec(stored, newer) == 0
        assert document(stored) == newer

    def test_to_the_agents_own_codec_changes_nothing(self, stored):
        before = calls.contents(stored)
        assert calls.switch_codec(stored, calls.CONFIGURATION) == 0
        assert calls.contents(stored) == before

    def test_back_takes_the_generation_that_it_had(self, stored):
        calls.switch_codec(stored, OTHER)
        assert calls.switch_codec(stored, calls.CONFIGURATION) == 0
        assert document(stored) == {**calls.CONFIGURATION, "earlier": [{"generation": 1, "name": "other"}]}
        check_recall(stored)

    def test_sixteen_codecs_are_the_limit(self, stored):
        for n in range(1, 16):
            toy_codec.publish(stored, f"toy{n}")
            assert calls.switch_codec(stored, calls.configuration_of(f"toy{n}")) == n
            calls.store(
                stored, ROWS[:1], timestamps=[100 + n], configuration=calls.configuration_of(f"toy{n}")
            )
        assert stored.get(keys.memory("a", 115))[:1] == b"\xf1"
        before = calls.contents(stored)
        with refused("OTHERCODEC agent a has memories of 16 codecs"):
            calls.switch_codec(stored, OTHER)
        assert calls.contents(stored) == before
        check_recall(stored)
        # All are of one codec afterwards, whose generation is 15; so the next gets the first that is free.
        assert calls.re_encode_memories(stored, calls.configuration_of("toy15")) == [None, 19, 1, 0]
        assert document(stored) == {**calls.configuration_of("toy15"), "generation": 15}
        assert calls.switch_codec(stored, OTHER) == 0
        check_recall(stored)

    @pytest.mark.parametrize(
        ("configuration", "match"),
        [
            ("nope", "BADARG codec configuration is not a JSON"),
            ({**OTHER, "generation": 1}, "BADARG codec configuration has a generation"),
            ({**OTHER, "earlier": []}, "BADARG codec configuration has a generation"),
            (calls.configuration_of("none"), "NOCODEC there is no model at memory_system:none:v1:encoder"),
            ({**OTHER, "codes": 7}, "BADCODEC .* made 12 bytes of 1 states, not 14 each"),
            ({**OTHER, "input_dim": 7}, "BADCODEC .*wrong number of features"),
            (calls.configuration_of("wide", input_dim=7, codes=7), "OTHERCODEC .* of 6 features, not of 7"),
        ],
    )
    def test_what_is_refused_leaves_everything_as_it_was(self, stored, configuration, match):
        toy_codec.publish(stored, "wide", input_dim=7)
        before = calls.contents(stored)
        with refused(match):
            calls.switch_codec(stored, configuration)
        assert calls.contents(stored) == before

    def test_a_decoder_that_is_missing(self, stored):
        stored.delete(keys.decoder("other", 1))
        before = calls.contents(stored)
        with refused("NOCODEC there is no model at memory_system:other:v1:decoder"):
            calls.switch_codec(stored, OTHER)
        assert calls.contents(stored) == before

    def test_an_agent_that_never_stored(self, node):
        with refused(r"NOCODEC there is no agent:\{a\}:memory_system"):
            calls.switch_codec(node, calls.CONFIGURATION)
        assert calls.contents(node) == {}

    @pytest.mark.parametrize(
        "key", [keys.index("a"), keys.agent_metadata("a"), keys.agent_memory_system("a")]
    )
    def test_a_key_of_another_type(self, stored, key):
        stored.delete(key)
        stored.rpush(key, "x")
        before = calls.contents(stored)
        with refused(f"WRONGTYPE key {key} holds a value of type list"):
            calls.switch_codec(stored, OTHER)
        assert calls.contents(stored) == before


class TestSteps:
    def test_a_pass_in_steps_of_two(self, stored):
        calls.switch_codec(stored, OTHER)
        toy, other = b"\x01\x01\x00", b"\x14\x01\x00"
        earlier = [{"generation": 0, "name": "toy"}]

        assert calls.re_encode_memories(stored, OTHER, "", 2) == [b"20", 2, 0, 0]
        assert headers(stored) == [other, other, toy, toy, toy]
        assert document(stored) == {**OTHER, "generation": 1, "earlier": earlier, "re_encoded_to": 20}
        check_recall(stored)
        assert calls.re_encode_memories(stored, OTHER, "20", 2) == [b"40", 2, 0, 0]
        assert document(stored)["re_encoded_to"] == 40
        check_recall(stored)
        assert calls.re_encode_memories(stored, OTHER, "40", 2) == [None, 1, 0, 0]
        assert document(stored) == {**OTHER, "generation": 1}
        assert headers(stored) == [other] * 5
        check_recall(stored)
        assert calls.re_encode_memories(stored, OTHER, "", 2) == [b"20", 0, 2, 0]

    def test_only_values_change_and_how_long_they_are_kept_does_not(self, stored):
        stored.pexpire(keys.memory("a", 20), 3_600_000)
        expires = stored.execute_command("PEXPIRETIME", keys.memory("a", 20))
        before = calls.contents(stored)
        calls.switch_codec(stored, OTHER)
        calls.re_encode_memories(stored, OTHER)
        changed = {key for key, dump in calls.contents(stored).items() if before[key] != dump}
        documents = {keys.agent_memory_system("a"), keys.agent_metadata("a")}
        assert {key.decode() for key in changed} == {keys.memory("a", t) for t in GIVEN} | documents
        assert set(calls.contents(stored)) == set(before)
        assert stored.execute_command("PEXPIRETIME", keys.memory("a", 20)) == expires
        assert stored.ttl(keys.memory("a", 10)) == -1

    def test_another_version_of_the_same_codec(self, stored):
        toy_codec.publish(stored, version=2, step=2 * toy_codec.STEP)
        newer = calls.configuration_of("toy", 2)
        calls.switch_codec(stored, newer)
        calls.store(stored, 2 * ROWS[:1], timestamps=[60], configuration=newer)
        assert calls.re_encode_memories(stored, newer) == [None, 5, 1, 0]
        assert headers(stored) == [b"\x01\x02\x00"] * 5
        assert np.abs(calls.recall_memories(stored, GIVEN)[1] - ROWS).max() <= toy_codec.STEP

    def test_evicted_values_are_passed_over(self, stored):
        stored.delete(keys.memory("a", 10), keys.memory("a", 40))
        calls.switch_codec(stored, OTHER)
        assert calls.re_encode_memories(stored, OTHER, "", 4) == [b"40", 2, 0, 2]
        assert calls.re_encode_memories(stored, OTHER, "40", 4) == [None, 1, 0, 0]
        assert headers(stored) == [None, b"\x14\x01\x00", b"\x14\x01\x00", None, b"\x14\x01\x00"]
        assert "earlier" not in document(stored)
        check_recall(stored, (20, 30, 50))

    def test_nothing_to_do(self, stored):
        before = calls.contents(stored)
        assert calls.re_encode_memories(stored, calls.CONFIGURATION) == [None, 0, 5, 0]
        assert calls.re_encode_memories(stored, calls.CONFIGURATION, "50") == [None, 0, 0, 0]
        assert calls.contents(stored) == before

    def test_the_largest_step_and_the_outermost_timestamps(self, node):
        ids = [0, *range(2, 16384), 2**53 - 1]
        rows = toy_codec.states(len(ids))
        calls.store(node, rows, timestamps=ids)
        toy_codec.publish(node, "other", half=True)
        calls.switch_codec(node, OTHER)
        assert calls.re_encode_memories(node, OTHER, "", 16384) == [b"%d" % (2**53 - 1), 16384, 0, 0]
        assert calls.re_encode_memories(node, OTHER, 2**53 - 1, 16384) == [None, 0, 0, 0]
        np.testing.assert_array_equal(calls.recall_recent(node, 16384)[1], rows[::-1])

    def test_a_step_that_does_not_follow_the_last_switch_is_refused(self, stored):
        """Otherwise the end of a pass would drop a codec that memories before its cursor are of."""
        third = calls.configuration_of("third")
        toy_codec.publish(stored, "third")
        calls.switch_codec(stored, OTHER)
        cursor = calls.re_encode_memories(stored, OTHER, "", 3)[0]
        calls.switch_codec(stored, third)
        calls.re_encode_memories(stored, third, "", 1)
        with refused("OTHERCODEC the codec of agent a is third of 6 features, not other"):
            calls.re_encode_memories(stored, OTHER, cursor)
        calls.switch_codec(stored, OTHER)
        with refused("OTHERCODEC agent a got another codec since the step that returned cursor 30"):
            calls.re_encode_memories(stored, OTHER, cursor)
        check_recall(stored)
        assert calls.re_encode_memories(stored, OTHER) == [None, 3, 2, 0]
        assert document(stored) == {**OTHER, "generation": 1}
        check_recall(stored)

    def test_two_passes_at_once(self, stored):
        calls.switch_codec(stored, OTHER)
        ahead = calls.re_encode_memories(stored, OTHER, "", 4)[0]
        behind = calls.re_encode_memories(stored, OTHER, "", 2)
        assert behind == [b"20", 0, 2, 0]
        assert document(stored)["re_encoded_to"] == 40
        assert calls.re_encode_memories(stored, OTHER, ahead) == [None, 1, 0, 0]
        assert calls.re_encode_memories(stored, OTHER, behind[0]) == [None, 0, 3, 0]

    @pytest.mark.parametrize(
        ("arguments", "match"),
        [
            ({"configuration": "nope"}, "BADARG codec configuration is not a JSON"),
            ({"cursor": "x"}, "BADARG cursor is x"),
            ({"cursor": "-1"}, "BADARG cursor is -1"),
            ({"cursor": "10"}, "OTHERCODEC agent a got another codec"),
            ({"step": 0}, "BADARG step is 0"),
            ({"step": 16385}, "BADARG step is 16385"),
            ({"configuration": calls.CONFIGURATION}, "OTHERCODEC the codec of agent a is other"),
            ({"agent": "nobody"}, r"NOCODEC there is no agent:\{nobody\}:memory_system"),
        ],
    )
    def test_what_is_refused_leaves_everything_as_it_was(self, stored, arguments, match):
        calls.switch_codec(stored, OTHER)
        before = calls.contents(stored)
        with refused(match):
            calls.re_encode_memories(stored, **{"configuration": OTHER, **arguments})
        assert calls.contents(stored) == before

    @pytest.mark.parametrize(
        ("damage", "match"),
        [
            (
                lambda node: node.set(keys.memory("a", 30), b"\x01\x01\x00" + bytes(5)),
                "CORRUPT memory_system:toy:v1:decoder cannot read|CORRUPT the memory at 30 is 8 bytes",
            ),
            (
                lambda node: node.set(keys.memory("a", 30), b"\x71\x01\x00" + bytes(6)),
                "CORRUPT the memory at 30 is of generation 7",
            ),
            (lambda node: node.set(keys.memory("a", 30), b""), "CORRUPT the memory at 30 is not a known"),
            (
                lambda node: node.delete(keys.decoder("toy", 1)),
                "NOCODEC there is no model at memory_system:toy:v1:decoder",
            ),
            (lambda node: node.delete(keys.encoder("other", 1)), "NOCODEC .*memory_system:other:v1:encoder"),
        ],
    )
    def test_what_cannot_be_moved_stops_the_step_and_nothing_is_written(self, stored, damage, match):
        calls.switch_codec(stored, OTHER)
        damage(stored)
        before = calls.contents(stored)
        with refused(match):
            calls.re_encode_memories(stored, OTHER)
        assert calls.contents(stored) == before

    def test_a_state_that_the_codec_does_not_take(self, stored):
        calls.switch_codec(stored, OTHER)
        infinite = np.array([np.inf, 0, 0, 0, 0, 0], np.float16).tobytes()
        stored.set(keys.memory("a", 30), b"\x14\x01\x00" + infinite)
        calls.switch_codec(stored, calls.CONFIGURATION)
        before = calls.contents(stored)
        with refused("BADSTATE memory_system:toy:v1:encoder: .*not finite"):
            calls.re_encode_memories(stored, calls.CONFIGURATION)
        assert calls.contents(stored) == before

    def test_at_maxmemory_nothing_is_written(self, stored):
        calls.switch_codec(stored, OTHER)
        before = calls.contents(stored)
        stored.config_set("maxmemory", "1mb")
        try:
            with pytest.raises(redis.exceptions.OutOfMemoryError):
                calls.re_encode_memories(stored, OTHER)
        finally:
            stored.config_set("maxmemory", "0")
        assert calls.contents(stored) == before

    def test_a_lost_document_is_written_with_the_generation_of_the_newest_memory(self, stored):
        calls.switch_codec(stored, OTHER)
        calls.re_encode_memories(stored, OTHER)
        stored.delete(keys.agent_memory_system("a"))
        calls.store(stored, ROWS[:1], timestamps=[60], configuration=OTHER)
        assert document(stored) == {**OTHER, "generation": 1}
        check_recall(stored)

    @pytest.mark.parametrize("key", [keys.index("a"), keys.agent_memory_system("a")])
    def test_a_key_of_another_type(self, stored, key):
        stored.delete(key)
        stored.rpush(key, "x")
        with refused(f"WRONGTYPE key {key} holds a value of type list"):
            calls.re_encode_memories(stored, calls.CONFIGURATION)
