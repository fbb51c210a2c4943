"""What the report makes of figures: ratios within rounds, verdicts, and how a call's time is divided."""

from __future__ import annotations

import pytest

from benchmarks.cases.profile import divided
from benchmarks.clients import Work
from benchmarks.peers import KEYS, PACKED, TORCHRL
from benchmarks.report.aims import Aim, aims
from benchmarks.report.figures import Figures

SAMPLE, RECENT = Work("sample", 1000), Work("recent", 500)


def rate(system: str, work: Work, *calls_per_second: float) -> dict:
    return {
        "system": system,
        "work": work.kind,
        "count": work.count,
        "described": work.described,
        "processes": 1,
        "calls_per_second": list(calls_per_second),
    }


def test_ratios_are_taken_within_rounds():
    # The machine is twice as slow in the second round: ratios of medians would be 300 / 100.
    rows = [rate(KEYS, SAMPLE, 400, 200, 300), rate(TORCHRL, SAMPLE, 100, 50, 150)]
    assert Figures({"throughput": rows}).times_faster(KEYS, SAMPLE, 1, TORCHRL) == 4


def test_ratios_of_calls_of_different_sizes_are_those_of_states():
    rows = [rate(KEYS, RECENT, 100), rate(TORCHRL, SAMPLE, 10)]
    assert Figures({"throughput": rows}).times_faster(KEYS, RECENT, 1, TORCHRL, SAMPLE) == 5


def test_what_was_not_measured_is_neither_met_nor_missed():
    figures = Figures({"throughput": [rate(KEYS, SAMPLE, 100), rate(TORCHRL, SAMPLE, 50)]})
    assert figures.times_faster(PACKED, SAMPLE, 1, TORCHRL) is None
    (aim,) = (aim for aim in aims(figures) if aim.text == f"sample 1,000, beside {TORCHRL}")
    assert aim.reached == {KEYS: 2, PACKED: None}
    assert (aim.verdict(KEYS), aim.verdict(PACKED)) == (False, None)


def test_many_states_are_judged_as_the_mode_auto_runs_them():
    few, many = Work("store", 64), Work("store", 1024)
    queued = f"{PACKED}, queued"
    rows = [rate(one, work, 10) for one in (TORCHRL, KEYS) for work in (few, many)]
    rows += [rate(PACKED, few, 30), rate(PACKED, many, 30), rate(queued, few, 20), rate(queued, many, 50)]
    reached = {aim.text: aim.reached for aim in aims(Figures({"throughput": rows}))}
    assert reached[f"store 64, beside {TORCHRL}"] == {KEYS: 1, PACKED: 3}
    assert reached[f"store 1,024, beside {TORCHRL}"] == {KEYS: 1, PACKED: 5}


@pytest.mark.parametrize(
    ("value", "at_most", "met"), [(3, False, True), (2.9, False, False), (3, True, True), (3.1, True, False)]
)
def test_verdicts(value, at_most, met):
    aim = Aim("", "×", 3, at_most, (KEYS,), {KEYS: value, PACKED: value, f"{KEYS}, 8 clients": value})
    assert aim.verdict(KEYS) is met
    assert aim.verdict(f"{KEYS}, 8 clients") is met
    assert aim.verdict(PACKED) is None


@pytest.mark.parametrize("program", ["evalsha", "evalsha_ro", "fcall", "fcall_ro"])
def test_a_calls_time_is_divided_without_rest(program):
    spent = {program: 100, "ai.dagexecute_ro": 40, "json.set": 10, "set": 15, "zadd": 5, "info": 999}
    stats = {f"cmdstat_{name}": {"usec": us} for name, us in spent.items()}
    assert divided(stats, 2, total_us=300, sending_us=180) == {
        "engine": 20,
        "Redis commands": 10,
        "RedisJSON": 5,
        "Lua": 15,
        "network and redis-py": 40,
        "Python": 60,
    }


def test_time_without_a_program_is_not_divided():
    with pytest.raises(RuntimeError, match="no program ran"):
        divided({"cmdstat_set": {"usec": 1}}, 1, 1, 1)
