"""`modules-store stats`."""

from __future__ import annotations

import json

import pytest

from modules_store import Oldest, Policy


def test_stats_of_one_agent_as_json(run, filled):
    (stats,) = json.loads(run("stats", "drone-1", "--json"))
    expected = filled.agent_stats("drone-1")
    assert stats["agent"] == "drone-1"
    assert stats["codec"] == {"name": "toy", "version": 1}
    assert stats["versions"] == [{"name": "toy", "version": 1, "memories": 5}]
    assert stats["policy"] == json.loads(Policy(Oldest()).to_json())
    assert stats["compression_ratio"] == pytest.approx(24 / 9)
    for name in ("layout", "memories", "oldest", "newest", "raw_bytes", "stored_bytes", "sampled"):
        assert stats[name] == getattr(expected, name)
    assert stats["bytes"] == expected.bytes
    assert stats["counters"] == expected.counters


def test_stats_as_a_table_with_a_sum(run, filled):
    rows = [row.split() for row in run("stats", "--all").replace("raw / stored", "ratio").splitlines()]
    table = {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[1:]}
    assert list(table) == ["drone-1", "drone-2", "rover", "all"]
    assert [own["memories"] for own in table.values()] == ["5", "5", "3", "13"]
    assert {own["ratio"] for own in table.values()} == {"2.66667"}
    for name in ("bytes", "values", "index", "stored"):
        *single, total = (int(own[name]) for own in table.values())
        assert total == sum(single) > 0
    families = filled.agent_stats("rover").bytes
    assert table["rover"]["bytes"] == str(sum(families.values()))


def test_stats_of_several_layouts(run, filled):
    filled.convert_agent("rover", "packed")
    rows = [row.split() for row in run("stats", "--all").replace("raw / stored", "ratio").splitlines()]
    place = rows[0].index("layout")
    assert [row[place] for row in rows[1:]] == ["keys", "keys", "packed", "several"]
    assert rows[-1][rows[0].index("memories")] == "13"


def test_an_agent_without_memories_has_none(run, filled):
    (stats,) = json.loads(run("stats", "nobody", "--json"))
    assert (stats["memories"], stats["codec"], stats["compression_ratio"]) == (0, None, None)
    assert run("stats", "nobody").splitlines()[1].split()[:3] == ["nobody", "keys", "0"]


def test_what_stats_refuses(run, filled):
    assert "give either ids or patterns of agents, or --all" in run("stats", code=1)
