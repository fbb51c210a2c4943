"""Recordings from every source: files that pyarrow and numpy wrote, environments, memories in Redis."""

from __future__ import annotations

import datetime
import decimal
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, feather, parquet
from typer.testing import CliRunner

from model_export.cli import app
from model_export.errors import ConfigError, MissingDependencyError
from model_export.publish import publish
from model_export.schema import SchemaEntry, StateSchema
from model_export.sources import load_recording
from modules_store import RedisAgentMemory
from modules_store.errors import ConnectionLostError, InvalidInputError

STATES = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
EPISODES = [4, 4, 4, 5, 5, 5]


def write_ipc_file(table, path):
    with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def write_ipc_stream(table, path):
    with pa.OSFile(path, "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


WRITERS = {
    "states.parquet": parquet.write_table,
    "states.feather": feather.write_feather,
    "states.arrow": write_ipc_file,
    "stream.arrow": write_ipc_stream,
    "states.ipc": write_ipc_file,
    "states.csv": csv.write_csv,
}
NOT_CSV = [name for name in WRITERS if name != "states.csv"]


@pytest.fixture
def save(tmp_path):
    """Write columns into a table, by default of Parquet, and return its path."""

    def write(columns, name="states.parquet"):
        WRITERS[name](pa.table(columns), str(tmp_path / name))
        return tmp_path / name

    return write


def scalars(**others):
    return {**{name: STATES[:, i] for i, name in enumerate("xyz")}, **others}


def lists(size=3):
    return pa.FixedSizeListArray.from_arrays(pa.array(STATES.ravel()), size)


@pytest.mark.parametrize("name", WRITERS)
def test_a_column_a_feature(save, name):
    recording = load_recording(save(scalars(episode=EPISODES), name))
    assert np.array_equal(recording.states, STATES)
    assert recording.episodes.tolist() == EPISODES
    assert recording.feature_names == ("x", "y", "z")


@pytest.mark.parametrize("name", NOT_CSV)
@pytest.mark.parametrize("made", [lists(), lists().cast(pa.list_(pa.float32())), pa.array(STATES.tolist())])
def test_a_column_of_lists(save, name, made):
    # What else there is belongs to no state.
    path = save({"reward": ["high"] * 6, "state": made, "episodes": list("aabbcc")}, name)
    recording = load_recording(str(path))
    assert np.array_equal(recording.states, STATES)
    assert recording.episodes.tolist() == [0, 0, 1, 1, 2, 2]
    assert recording.feature_names is None


def test_columns_are_chosen_in_order(save):
    path = save(scalars(label=["a"] * 6, run=EPISODES, pose=lists(), flag=[True, False] * 3))
    recording = load_recording(path, columns=["z", "flag", "pose"], episode_column="run")
    assert np.array_equal(recording.states[:, 0], STATES[:, 2])
    assert recording.states[:, 1].tolist() == [1, 0] * 3
    assert np.array_equal(recording.states[:, 2:], STATES)
    assert recording.feature_names == ("z", "flag", "pose[0]", "pose[1]", "pose[2]")
    assert recording.episodes.tolist() == EPISODES


def test_a_slice_of_a_column_of_lists(save):
    path = save({"state": pa.table({"state": lists()}).slice(1, 3).column(0)})
    assert np.array_equal(load_recording(path).states, STATES[1:4])


def test_a_folder_is_no_column(tmp_path):
    (tmp_path / "episode=7").mkdir()
    path = tmp_path / "episode=7" / "states.parquet"
    parquet.write_table(pa.table(scalars()), path)
    recording = load_recording(path)
    assert recording.feature_names == ("x", "y", "z")
    assert recording.episodes.tolist() == [0] * 6


def test_numbers_of_every_type(save):
    columns = {
        "int": pa.array([1, 2], pa.int8()),
        "half": pa.array(np.array([0.5, 2], np.float16)),
        "decimal": [decimal.Decimal("1.25"), decimal.Decimal("-3.5")],
        "flag": [False, True],
    }
    assert load_recording(save(columns)).states.tolist() == [[1, 0.5, 1.25, 0], [2, 2, -3.5, 1]]


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        (scalars(label=["a"] * 6), {}, "column 'label' .* is not numeric"),
        (scalars(at=[datetime.datetime(2024, 1, 1)] * 6), {}, "column 'at' .* is not numeric"),
        (scalars(w=[1.0, None] * 3), {}, "column 'w' .* 3 empty cells"),
        (scalars(w=[1.0, float("nan")] * 3), {}, "feature 'w' is nan in row 1"),
        (scalars(), {"columns": ["x", "speed"]}, "one column 'speed', not 0"),
        (scalars(), {"episode_column": "run"}, "one column 'run', not 0"),
        (scalars(episode=[1, None] * 3), {}, "column 'episode' .* 3 empty cells"),
        (scalars(episode=[0.5] * 6), {}, "episodes must be integers"),
        (scalars(episode=[[1]] * 6), {}, "column 'episode' .* an episode is an integer or text"),
        ({"state": [[1.0], [1.0, 2.0]]}, {}, "column 'state' .* of one length, not of 1 to 2"),
        ({"state": [[1.0], None]}, {}, "column 'state' .* 1 empty cells"),
        ({"state": [["a"], ["b"]]}, {}, "column 'state' .* is not numeric"),
        ({"": [0, 1], "x": [1.0, 2.0]}, {}, "column 0 .* seems to be an index"),
        ({"x": [1.0, 2.0], "__index_level_0__": [3, 5]}, {}, "column 1 .* seems to be an index"),
        ({"episode": [1, 2]}, {}, "no column of features"),
        (scalars(), {"kind": "drone"}, "kind does not apply"),
        (scalars(), {"agents": ["drone"]}, "agents does not apply"),
    ],
)
def test_tables_that_cannot_be_used(save, columns, options, said):
    with pytest.raises(ConfigError, match=said):
        load_recording(save(columns), **options)


def test_csv_needs_a_line_of_names(tmp_path):
    np.savetxt(tmp_path / "bare.csv", STATES, delimiter=",")
    with pytest.raises(ConfigError, match="first line"):
        load_recording(tmp_path / "bare.csv")
    np.savetxt(tmp_path / "numbered.csv", STATES, delimiter=",", header="0,1,2", comments="")
    assert np.allclose(load_recording(tmp_path / "numbered.csv").states, STATES)


def test_a_schema_names_columns_and_is_checked(save):
    path = save(scalars(label=["a"] * 6))
    entries = [SchemaEntry(name, "all", range=(-5, 5)) for name in ("z", "x")]
    recording = load_recording(path, schema=StateSchema(tuple(entries)))
    assert recording.feature_names == ("z", "x")
    assert np.array_equal(recording.states, STATES[:, [2, 0]])
    with pytest.raises(ConfigError, match=r"'z' must be within \[0, 0.1\]"):
        load_recording(path, schema=StateSchema((SchemaEntry("z", "all", range=(0, 0.1)),)))
    with pytest.raises(ConfigError, match="one column 'w'"):
        load_recording(path, schema=StateSchema((SchemaEntry("z", "all"), SchemaEntry("w", "all"))))


@pytest.mark.parametrize(
    "schema",
    [
        StateSchema((SchemaEntry("pose", "all", count=3),)),
        StateSchema((SchemaEntry("a", "all"), SchemaEntry("b", "all", count=2))),
    ],
)
def test_a_schema_for_a_column_of_lists(save, schema):
    name = "pose" if schema.entries[0].name == "pose" else "state"
    recording = load_recording(save({name: lists(), "time": [0.5] * 6}), schema=schema)
    assert np.array_equal(recording.states, STATES)
    assert recording.feature_names == schema.feature_names


def test_arrays(tmp_path):
    np.save(tmp_path / "s.npy", STATES)
    np.savez(tmp_path / "s.npz", states=STATES, episodes=EPISODES)
    np.savez(tmp_path / "bare.npz", states=STATES)
    np.savez(tmp_path / "other.npz", observations=STATES)
    np.save(tmp_path / "flat.npy", STATES.ravel())
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 and no more")
    for name, episodes in (("s.npy", [0] * 6), ("bare.npz", [0] * 6), ("s.npz", EPISODES)):
        recording = load_recording(tmp_path / name)
        assert np.array_equal(recording.states, STATES)
        assert recording.episodes.tolist() == episodes
    for name in ("other.npz", "flat.npy", "missing.npy", "broken.npz", "missing.parquet", "missing.arrow"):
        with pytest.raises(ConfigError, match=name):
            load_recording(tmp_path / name)
    with pytest.raises(ConfigError, match="columns does not apply"):
        load_recording(tmp_path / "s.npy", columns=["x"])
    with pytest.raises(ConfigError, match="the schema.s 4 features"):
        load_recording(tmp_path / "s.npy", schema=StateSchema((SchemaEntry("x", "all", count=4),)))


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".csv", ".feather"])
def test_files_that_are_no_tables(tmp_path, suffix):
    (tmp_path / f"broken{suffix}").write_bytes(b"a,b\n1,2,3\n\x00")
    with pytest.raises(ConfigError, match=f"broken{suffix}"):
        load_recording(tmp_path / f"broken{suffix}")


def test_environments_by_name():
    told = []
    recording = load_recording(
        "Pendulum-v1", episodes=3, seed=1, max_steps=5, on_episode=lambda: told.append(1)
    )
    assert recording.states.shape == (15, 3)
    assert (recording.kind, len(told)) == ("agent", 3)
    again = load_recording("Pendulum-v1", episodes=3, seed=1, max_steps=5)
    other = load_recording("Pendulum-v1", episodes=3, seed=2, max_steps=5)
    assert recording.sha256 == again.sha256 != other.sha256
    tag = load_recording("mpe2.simple_tag_v3", kind="adversary", episodes=2, max_steps=4)
    assert tag.states.shape == (2 * 3 * 4, 16)
    assert sorted(set(tag.episodes)) == [0, 1]
    two = load_recording(
        "mpe2.simple_tag_v3", kind="adversary", episodes=1, environment_options={"num_adversaries": 2}
    )
    assert two.features == 14
    with pytest.raises(ConfigError, match="kind must be one of adversary, agent, not None"):
        load_recording("mpe2.simple_tag_v3", episodes=1, max_steps=1)
    with pytest.raises(ConfigError, match="columns does not apply"):
        load_recording("Pendulum-v1", columns=["x"])


@pytest.mark.parametrize("source", ["states.h5?", "", "http://example/states", "/no/such/states.pickle"])
def test_what_is_no_source_is_refused(source):
    with pytest.raises(ConfigError, match="source must be a file"):
        load_recording(source)


def test_a_file_of_another_kind_is_no_environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "states.txt").write_text("1 2 3")
    with pytest.raises(ConfigError, match="source must be a file"):
        load_recording("states.txt")
    with pytest.raises(MissingDependencyError, match="others"):
        load_recording("others.txt")


@pytest.fixture
def memories(server, redis_client, exported, states):
    """Memories of two agents in Redis, the second's in episodes; their states by agent, oldest first."""
    publish(exported, server.url)
    described = [{"episode": number // 10, "step": number} for number in range(20)]
    with RedisAgentMemory(server.url, codec="small") as memory:
        memory.store_agent_memories("drone-1", states[:30])
        memory.store_agent_memories("drone-2", states[30:50], described)
        return {
            agent: np.stack([m.state for m in memory.get_recent_memories(agent, 100)])[::-1]
            for agent in ("drone-1", "drone-2")
        }


def test_memories_by_pattern_and_by_id(server, memories):
    everyone = load_recording(server.url)
    assert np.array_equal(everyone.states, np.concatenate([memories["drone-1"], memories["drone-2"]]))
    assert everyone.episodes.tolist() == [0] * 30 + [1] * 10 + [2] * 10
    some = load_recording(server.url, agents="*-2")
    assert np.array_equal(some.states, memories["drone-2"])
    assert some.episodes.tolist() == [0] * 10 + [1] * 10
    named = load_recording(server.url, agents=["drone-2", "drone-1"])
    assert np.array_equal(named.states, np.concatenate([memories["drone-2"], memories["drone-1"]]))


def test_agents_that_met_share_an_episode(server, memories, states):
    with RedisAgentMemory(server.url, codec="small") as memory:
        memory.store_agent_memories("drone-3", states[:10], [{"episode": 1}] * 10)
    recording = load_recording(server.url, agents=["drone-2", "drone-3"])
    assert recording.episodes.tolist() == [0] * 10 + [1] * 20


def test_memories_that_cannot_be_used(server, memories, states):
    with pytest.raises(ConfigError, match=r"agents: no memories of 'boat-\*'"):
        load_recording(server.url, agents="boat-*")
    with pytest.raises(ConfigError, match="agents: no memories of boat-1"):
        load_recording(server.url, agents=["drone-1", "boat-1"])
    with pytest.raises(ConfigError, match="policy does not apply"):
        load_recording(server.url, policy="a:b")
    with RedisAgentMemory(server.url, codec="small") as memory:
        memory.store_agent_memory("odd", states[0], {"episode": [1]})
    with pytest.raises(ConfigError, match="'odd' .* neither integer nor text"):
        load_recording(server.url, agents="odd")
    with pytest.raises(InvalidInputError):
        load_recording("redis://127.0.0.1:port")
    with pytest.raises(ConnectionLostError):
        load_recording("unix:///no/such/socket")


def npy(shape="(2, 3)", descr="'<f4'", rest="}\n"):
    """Return a file of NumPy with this header, and 24 bytes."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, {rest}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(24)


@pytest.mark.parametrize("name", ["states.npy", "states.npz"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        npy("(100000000000, 3)"),
        npy(f"({10**18}, {10**9})"),
        npy("(-5, 3)"),
        npy(descr="('a',)"),
        npy(descr="(" * 30_000),
        npy(rest="\n\0"),
        npy()[:-1],
        b"PK\x03\x04" + bytes(50),
    ],
    ids=range(9),
)
def test_forged_arrays_are_one_error(tmp_path, name, content):
    path = tmp_path / name
    if name.endswith(".npz") and not content.startswith(b"PK"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("states.npy", content)
    else:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="cannot read states from"):
        load_recording(path)
    result = CliRunner().invoke(app, ["suggest-groups", str(path)])
    assert (result.exit_code, result.stderr.strip().count("\n")) == (1, 0)


@pytest.mark.parametrize(("offset", "value"), [(6, 1), (8, 99)], ids=["encrypted", "unknown compression"])
def test_archives_that_cannot_be_unpacked(tmp_path, offset, value):
    np.savez(tmp_path / "states.npz", states=STATES)
    content = bytearray((tmp_path / "states.npz").read_bytes())
    content[content.rindex(b"PK\x01\x02") + offset + 2] = content[offset] = value
    (tmp_path / "states.npz").write_bytes(content)
    with pytest.raises(ConfigError, match="cannot read states from"):
        load_recording(tmp_path / "states.npz")


LEROBOT = {
    "observation.state": STATES.tolist(),
    "action": [[0.5, 1.5]] * 6,
    "timestamp": [0.0, 0.1, 0.2] * 2,
    "frame_index": [0, 1, 2] * 2,
    "episode_index": EPISODES,
    "index": range(6),
    "task_index": [0] * 6,
    "next.reward": [0.0] * 6,
}


def test_a_table_of_lerobot(save):
    with pytest.warns(UserWarning, match="features are observation.state; left out are action, timestamp"):
        recording = load_recording(save(LEROBOT))
    assert np.array_equal(recording.states, STATES)
    assert recording.episodes.tolist() == EPISODES
    chosen = load_recording(save(LEROBOT), columns=["observation.state", "action"])
    assert chosen.features == 5
    others = {name: values for name, values in LEROBOT.items() if name != "observation.state"}
    with pytest.warns(UserWarning, match="features are x, y, z; left out are action"):
        recording = load_recording(save(scalars(**others)))
    assert recording.feature_names == ("x", "y", "z")


@pytest.mark.parametrize("form", ["", "*.parquet", "**/*.parquet"])
def test_folders_and_patterns(tmp_path, form):
    for number in (2, 1):
        folder = tmp_path / "data" / f"part-{number}" if form[:3] != "*.p" else tmp_path / "data"
        folder.mkdir(parents=True, exist_ok=True)
        parquet.write_table(
            pa.table(scalars(x=STATES[:, 0] + number, episode=EPISODES)), folder / f"{number}.parquet"
        )
    (tmp_path / "data" / "README.md").touch()
    recording = load_recording(f"{tmp_path}/data/{form}")
    assert np.array_equal(recording.states[:, 0], np.concatenate([STATES[:, 0] + 1, STATES[:, 0] + 2]))
    assert recording.episodes.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert recording.feature_names == ("x", "y", "z")


def test_files_that_do_not_go_together(save, tmp_path):
    with pytest.raises(ConfigError, match="has no file of"):
        load_recording(tmp_path)
    with pytest.raises(ConfigError, match="no file matches"):
        load_recording(tmp_path / "*.csv")
    save(scalars(), "states.parquet")
    save({"x": STATES[:, 0]}, "states.csv")
    with pytest.raises(ConfigError, match=r"same features, but those of .*parquet and .*csv differ"):
        load_recording(tmp_path)


def test_an_archive_of_observations(tmp_path):
    np.savez(tmp_path / "states.npz", obs=STATES, episode_starts=[True, False, False, True, False, False])
    recording = load_recording(tmp_path / "states.npz")
    assert np.array_equal(recording.states, STATES)
    assert recording.episodes.tolist() == [1, 1, 1, 2, 2, 2]
    np.savez(tmp_path / "states.npz", obs=STATES, episode_starts=[0.5] * 6)
    with pytest.raises(ConfigError, match="episode_starts must be booleans"):
        load_recording(tmp_path / "states.npz")
