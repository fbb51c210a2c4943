"""`modules-store export` and `import`: files of memories, and codecs trained on them."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from model_export.sources import load_recording
from modules_store import KeepAll, Policy, PrecisionWarning, RedisAgentMemory, keys
from modules_store.cli import app
from tests.cli.conftest import FIRST
from tests.store import toy_codec


@pytest.fixture
def file(tmp_path):
    return tmp_path / "memories.parquet"


def memories_of(memory, agent):
    return [(one.timestamp, one.state.tolist(), one.metadata) for one in memory.iterate_memories(agent)]


def test_the_file(run, filled, file):
    assert run("export", "drone-*", "rover", "--to", file) == f"wrote 13 memories of 3 agents to {file}\n"
    table = parquet.read_table(file)
    assert table.schema.field("state").type == pa.list_(pa.float32(), 6)
    assert table.schema.field("timestamp").type == pa.int64()
    assert table["agent"].to_pylist() == ["drone-1"] * 5 + ["drone-2"] * 5 + ["rover"] * 3
    assert table["timestamp"].to_pylist() == [*range(FIRST, FIRST + 5)] * 2 + [1, 2, 3]
    assert json.loads(table["metadata"][4].as_py()) == {"n": 4, "note": "[bold]é"}
    assert table["metadata"].to_pylist()[-3:] == [None] * 3
    assert np.array_equal(table["state"].to_pylist()[:5], toy_codec.states(5))
    assert list(file.parent.iterdir()) == [file]


def test_there_and_back(run, filled, file, redis_client):
    before = {agent: memories_of(filled, agent) for agent in filled.agent_ids()}
    result = json.loads(run("export", "--all", "--to", file, "--json"))
    assert result == {"file": str(file), "agents": 3, "memories": 13}
    for agent in before:
        filled.delete_agent(agent)
    filled.bind("drone-*", "toy")
    stored = json.loads(run("import", file, "--json"))
    assert stored == {"agents": 3, "memories": 13, "skipped": 0}
    assert {agent: memories_of(filled, agent) for agent in filled.agent_ids()} == before
    assert [_codec_of(redis_client, agent) for agent in ("drone-1", "rover")] == ["toy", "float16"]


def test_codec_that_is_named(run, filled, file, redis_client):
    run("export", "rover", "--to", file)
    filled.delete_agent("rover")
    assert run("import", file, "--codec", "toy") == "stored 3 memories of 1 agents\n"
    assert _codec_of(redis_client, "rover") == "toy"
    assert "'none' is not published" in run("import", file, "--codec", "none", code=1)


def test_timestamps_that_are_taken(run, filled, file):
    run("export", "--all", "--to", file)
    filled.delete_memories("drone-1", [FIRST + 1])
    filled.delete_memories("drone-2", [FIRST, FIRST + 4])
    refusal = run("import", file, code=1)
    assert f"agent drone-1 already has a memory at {FIRST}" in refusal
    assert "stored 0 memories before it; --on-conflict skip passes over such" in refusal
    expected = "stored 3 memories of 3 agents, passed over 10\n"
    assert run("import", file, "--on-conflict", "skip") == expected
    assert [filled.count_memories(agent) for agent in ("drone-1", "drone-2", "rover")] == [5, 5, 3]
    assert "--on-conflict is 'x', not one of error, skip" in run("import", file, "--on-conflict", "x", code=1)


def test_packed_agents_go_out_and_in(run, filled, file):
    before = {agent: memories_of(filled, agent) for agent in ("drone-1", "rover")}
    for agent in before:
        filled.convert_agent(agent, "packed")
    run("export", "--all", "--to", file)
    filled.delete_memories("rover", [2])
    filled.delete_agent("drone-1")
    stored = "stored 6 memories of 3 agents, passed over 7\n"
    assert run("import", file, "--on-conflict", "skip", "--layout", "packed") == stored
    assert {agent: memories_of(filled, agent) for agent in before} == before
    layouts = {one.agent_id: one.layout for one in filled.agent_summaries(sorted(filled.agent_ids()))}
    assert layouts == {"drone-1": "packed", "drone-2": "keys", "rover": "packed"}
    assert "--layout is 'x', not one of keys, packed" in run("import", file, "--layout", "x", code=1)


def test_more_than_a_row_group_and_a_threshold(run, redis_client, file):
    memory = RedisAgentMemory(redis_client, policy=Policy(KeepAll()))
    states = np.arange(40_000, dtype=np.float32).reshape(20_000, 2) % 1000
    for start in range(0, 20_000, 10_000):
        some = range(start, start + 10_000)
        memory.store_agent_memories("a", states[start : start + 10_000], timestamps=some)
    run("export", "a", "--to", file)
    assert parquet.ParquetFile(file).num_row_groups == 2
    redis_client.flushall()
    run("import", file)
    assert memory.count_memories("a") == 20_000
    recalled = [one.state for one in memory.iterate_memories("a", fields="states")]
    assert np.array_equal(recalled, states)


def test_a_file_of_other_tools(run, redis_client, file):
    table = pa.table(
        {
            "state": pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], pa.list_(pa.float64())),
            "agent": pa.array(["b", "a", "b"]).dictionary_encode(),
            "timestamp": pa.array([1, 1, 2], pa.int32()),
            "reward": [0.5, 0.5, 0.5],
        }
    )
    parquet.write_table(table, file)
    assert run("import", file) == "stored 3 memories of 2 agents\n"
    memory = RedisAgentMemory(redis_client)
    assert memories_of(memory, "b") == [(1, [1.0, 2.0], None), (2, [5.0, 6.0], None)]


def columns(**other):
    return {"agent": ["a"], "timestamp": [1], "state": [[1.0]], **other}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"agent": ["a"], "state": [[1.0]]}, "must have one column 'timestamp'; it has agent, state"),
        (columns(agent=["a", None], timestamp=[1, 2], state=[[1.0]] * 2), "row 1, column 'agent'"),
        (columns(timestamp=[None]), "row 0, column 'timestamp'"),
        (columns(agent=["{a}"]), "braces and control characters are illegal"),
        (columns(timestamp=[-1]), "column 'timestamp': timestamp is -1, not an integer"),
        (columns(timestamp=["x"]), "column 'timestamp' of"),
        (columns(timestamp=[0.5]), "holds double; it must hold integers, which are milliseconds, or times"),
        (columns(state=[[float("nan")]]), "not a finite float32"),
        (columns(state=[1.0]), "column 'state'"),
        (columns(state=[["x"]]), "cannot read memories"),
        (columns(state=[None]), "column 'state'"),
        (columns(metadata=["{"]), "must hold JSON; row 0: "),
        (columns(metadata=["[" * 5000]), "must hold JSON; row 0: "),
        (columns(metadata=['{"a":' * 5000 + "1" + "}" * 5000]), "must hold JSON; row 0: "),
        (columns(metadata=[5]), "column 'metadata' of"),
        (columns(metadata=["5"]), "column 'metadata': metadata is of type int, not a mapping"),
        (columns(metadata=[[1]]), "it must hold JSON text, structs or maps"),
        (
            columns(metadata=[{"at": datetime.date(2020, 1, 1)}]),
            "column 'metadata': metadata['at']: a value of type date",
        ),
        (
            columns(metadata=pa.array([[(1, 2)]], pa.map_(pa.int8(), pa.int8()))),
            "the key 1, which is not text",
        ),
        (columns(metadata=pa.array([[("a", 2)] * 2], pa.map_(pa.string(), pa.int8()))), "keys that differ"),
        (columns(metadata=["[1]"]), "not a mapping"),
        (
            {"agent": ["a", "a"], "timestamp": [1, 2], "state": [[1.0], [1.0, 2.0]]},
            "lists of numbers, all of one length",
        ),
    ],
)
def test_files_that_cannot_be_imported(run, redis_client, file, table, says):
    parquet.write_table(pa.table(table), file)
    refusal = run("import", file, code=1)
    assert says in refusal
    assert refusal.count("\n") == 1
    assert redis_client.zcard(keys.index("a")) == 0


def test_errors_name_agent_row_and_column(run, redis_client, file):
    count = 1100
    table = {
        "agent": ["a"] * 1090 + ["b"] * 10,
        "timestamp": pa.array(range(count)),
        "state": pa.array([[1.0, 2.0]] * 1095 + [[1.0, float("nan")]] + [[1.0, 2.0]] * 4),
    }
    parquet.write_table(pa.table(table), file)
    refusal = run("import", file, code=1)
    assert f"agent 'b', row 1095 of {file}, column 'state': state[1] is nan, not a finite float32" in refusal
    table["state"] = [[1.0, 2.0]] * count
    table["timestamp"] = [*range(count - 2), 1097, 1097]
    parquet.write_table(pa.table(table), file)
    refusal = run("import", file, "--on-conflict", "skip", code=1)
    assert f"agent 'b', rows 1090 to 1099 of {file}: timestamps gives 1097 more than once" in refusal
    table["state"] = [[1.0, 2.0]] * 1098 + [[1.0], [1.0]]
    parquet.write_table(pa.table(table), file)
    assert "row 1098 has 1 and row 1024 has 2" in run("import", file, "--on-conflict", "skip", code=1)


@pytest.mark.parametrize(
    "kind",
    [
        pa.int64(),
        pa.uint64(),
        *(
            pa.timestamp(unit, zone)
            for unit in ("s", "ms", "us", "ns")
            for zone in (None, "UTC", "Asia/Tokyo")
        ),
        *(pa.duration(unit) for unit in ("s", "ms", "us", "ns")),
        pa.date64(),
        pa.date32(),
    ],
    ids=str,
)
def test_timestamps_of_every_unit(run, redis_client, file, kind):
    day = 86_400_000
    times = [FIRST // day * day, FIRST // day * day + day]
    column = pa.array(times).cast(pa.timestamp("ms"))
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp(kind.unit)).cast(pa.int64()).cast(kind)
    elif pa.types.is_date(kind):
        column = column.cast(kind)
    else:
        column = column.cast(pa.int64()).cast(pa.duration("ms") if pa.types.is_duration(kind) else kind)
        column = column.cast(kind)
    parquet.write_table(pa.table({"agent": ["a"] * 2, "timestamp": column, "state": [[1.0], [2.0]]}), file)
    run("import", file)
    assert [one[0] for one in memories_of(RedisAgentMemory(redis_client), "a")] == times


def test_parts_of_a_millisecond(run, redis_client, file):
    times = pa.array([1_999, 2_000, 3_001]).cast(pa.timestamp("us"))
    parquet.write_table(pa.table({"agent": ["a"] * 3, "timestamp": times, "state": [[1.0]] * 3}), file)
    run("import", file)
    assert [one[0] for one in memories_of(RedisAgentMemory(redis_client), "a")] == [1, 2, 3]
    times = pa.array([5_001, 5_002]).cast(pa.timestamp("us"))
    parquet.write_table(pa.table({"agent": ["a"] * 2, "timestamp": times, "state": [[1.0]] * 2}), file)
    assert "timestamps gives 5 more than once" in run("import", file, code=1)


@pytest.mark.parametrize(
    "metadata",
    [
        pa.array([{"n": 1, "in": {"x": [1.5, None]}}, None]),
        pa.array(['{"n": 1, "in": {"x": [1.5, null]}}', None]).dictionary_encode(),
        pa.array(['{"n": 1, "in": {"x": [1.5, null]}}', None], pa.large_binary()),
    ],
)
def test_forms_of_metadata(run, redis_client, file, metadata):
    parquet.write_table(
        pa.table(columns(agent=["a"] * 2, timestamp=[1, 2], state=[[1.0]] * 2, metadata=metadata)), file
    )
    run("import", file)
    found = [one[2] for one in memories_of(RedisAgentMemory(redis_client), "a")]
    assert found == [{"n": 1, "in": {"x": [1.5, None]}}, None]


def test_maps_are_metadata(run, redis_client, file):
    metadata = pa.array([[("a", 1), ("b", 2)]], pa.map_(pa.string(), pa.int32()))
    parquet.write_table(pa.table(columns(metadata=metadata)), file)
    run("import", file)
    assert memories_of(RedisAgentMemory(redis_client), "a") == [(1, [1.0], {"a": 1, "b": 2})]


def test_what_float16_loses_is_said(server, redis_client, file):
    def warned(*options):
        arguments = ["import", str(file), "--redis-url", server.url, "--on-conflict", "skip", *options]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0
        return result.stderr

    toy_codec.publish(redis_client)
    states = [[1.0, 47.37 + i / 1000, 8.5, 0, 0, 0] for i in range(20)]
    table = {"agent": ["a"] * 10 + ["b"] * 10, "timestamp": range(20), "state": states}
    parquet.write_table(pa.table(table), file)
    assert warned("--codec", "toy") == ""
    redis_client.flushall()
    said = warned()
    assert (
        "warning: the built-in codec float16 keeps 11 bits of a value: feature 1, from 47.37 to 47.389"
        in said
    )
    assert "is off by up to 0.014; --codec names another codec" in said
    assert said.count("\n") == 1
    assert warned() == ""  # nothing more was stored
    redis_client.flushall()
    table["state"] = [[0.5, 1024.0]] * 20
    parquet.write_table(pa.table(table), file)
    assert warned() == ""


def test_files_that_are_none(run, redis_client, file):
    assert f"cannot read memories from {file}" in run("import", file, code=1)
    file.write_text("x")
    assert f"cannot read memories from {file}" in run("import", file, code=1)


def test_states_that_are_equal_in_float32_are_warned_of(run, redis_client, file):
    rows = (1e9 + np.arange(300)[:, None] / 100 * np.ones(6)).tolist()
    states = pa.array(rows, pa.list_(pa.float64()))
    parquet.write_table(pa.table({"agent": ["a"] * 300, "timestamp": range(1, 301), "state": states}), file)
    toy_codec.publish(redis_client)
    with pytest.warns(PrecisionWarning, match="agent_states: .*subtract an offset"):
        run("import", file, "--codec", "toy")


def test_what_export_refuses(run, filled, file, redis_client):
    assert "no agent that has memories matches 'x*'" in run("export", "x*", "--to", file, code=1)
    assert "there are no memories to write" in run("export", "nobody", "--to", file, code=1)
    assert f"cannot write {file}/x" in run("export", "rover", "--to", file / "x", code=1)
    file.write_text("before")
    RedisAgentMemory(redis_client).store_agent_memory("short", [1.0])
    refusal = run("export", "rover", "short", "--to", file, code=1)
    assert "states of 'short' have 1 features and those before 6" in refusal
    assert file.read_text() == "before"
    assert list(file.parent.iterdir()) == [file]


def test_an_export_is_what_a_codec_is_trained_on(run, filled, file):
    run("export", "--all", "--to", file)
    recording = load_recording(file, episode_column="agent")
    assert np.array_equal(recording.states[:5], toy_codec.states(5))
    assert recording.episodes.tolist() == [0] * 5 + [1] * 5 + [2] * 3


def _codec_of(client, agent):
    return json.loads(client.execute_command("JSON.GET", keys.agent_memory_system(agent)))["name"]
