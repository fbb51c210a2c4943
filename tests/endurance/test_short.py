"""The fuzzer and the soak, for a few seconds, so that they stay alive."""

from __future__ import annotations

from tests.endurance import fuzz, soak


def test_the_fuzzer_finds_nothing_in_a_few_seconds():
    with fuzz.start_server() as server:
        # The warm-up is too short for the C library's memory to have settled.
        assert fuzz.fuzz(server, seed=1, seconds=5, any_rss=True)


def test_the_soak_gets_what_it_expects():
    with soak.start_server() as server:
        assert soak.soak(server, seconds=4, any_memory=True)
