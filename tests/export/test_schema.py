"""Schemas of states: what they say, what they refuse, and their files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_export.config import CodecConfig
from model_export.errors import ConfigError
from model_export.recording import Recording
from model_export.schema import GroupSchema, SchemaEntry, StateSchema
from modules_store.errors import InvalidInputError

TEXT = """
features:
  - {name: joint, count: 3, group: body, unit: rad, range: [-3.2, 3.2]}
  - {name: contact, group: body, kind: binary}
  - {name: goal, count: 4, group: task, kind: one_hot}
  - {name: height, group: other, unit: m, range: [0, null]}
groups:
  body: {compression: 0.5, importance: 2}
  task: {importance: 3}
"""
STATES = np.array([[0, 1, 3.2, 1, 0, 0, 1, 0, 9], [-3.2, 1, 2, 0, 1, 0, 0, 0, 0]], dtype=np.float32)


@pytest.fixture
def schema(tmp_path):
    (tmp_path / "schema.yaml").write_text(TEXT)
    return StateSchema.load(tmp_path / "schema.yaml")


def test_what_it_says(schema):
    joints, goals = [f"joint[{i}]" for i in range(3)], [f"goal[{i}]" for i in range(4)]
    assert schema.feature_names == (*joints, "contact", *goals, "height")
    assert schema.feature_groups() == {"body": (0, 4, 0.5), "task": (4, 8, 1.0), "other": (8, 9, 1.0)}
    assert schema.importance == {"body": 2, "task": 3, "other": 1}
    assert schema.binary == (3,)
    assert schema.one_hot == ((4, 8),)
    assert [entry.unit for entry in schema.entries] == ["rad", None, None, "m"]
    assert [entry.range for entry in schema.entries] == [(-3.2, 3.2), None, None, (0.0, None)]
    assert CodecConfig("c", 9, 9, schema.feature_groups()).feature_groups["task"].start == 4


@pytest.mark.parametrize("name", ["again.yaml", "again.yml", "again.json"])
def test_saved_and_loaded(schema, tmp_path, name):
    schema.save(tmp_path / name)
    assert StateSchema.load(tmp_path / name) == schema
    assert StateSchema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


printable = st.text(max_size=8).filter(str.isprintable)
entries = st.builds(
    SchemaEntry,
    name=printable.filter(bool),
    group=st.just("all"),
    unit=st.none() | printable,
    range=st.none() | st.tuples(st.floats(-1e9, 0), st.none() | st.floats(0.5, 1e9)),
    count=st.integers(1, 5),
)


@given(st.lists(entries, min_size=1, max_size=5, unique_by=lambda entry: entry.name))
def test_any_schema_is_read_as_it_was_written(tmp_path_factory, made):
    try:
        schema = StateSchema(tuple(made), {"all": GroupSchema(0.3, 7)})
    except ConfigError as error:
        assert "is there twice" in str(error)  # `a[0]` beside an `a` of several
        return
    for name in ("schema.yaml", "schema.json"):
        path = tmp_path_factory.getbasetemp() / name
        schema.save(path)
        assert StateSchema.load(path) == schema


def test_states_that_fit(schema):
    schema.check(STATES)
    named = schema.apply(Recording(STATES, [1, 2], kind="arm"))
    assert (named.feature_names, named.kind) == (schema.feature_names, "arm")
    assert named.episodes.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("feature", "value", "said"),
    [
        (1, 3.3, r"'joint\[1\]' must be within \[-3.2, 3.2\], but is 3.29.* in row 1"),
        (0, -4, r"'joint\[0\]' must be within"),
        (3, 0.5, "'contact' must be 0 or 1, as a binary, but is 0.5"),
        (5, 2, r"'goal\[1\]' must be 0 or 1, as a one_hot, but is 2"),
        (4, 0, "one-hot 'goal' must have one 1 in each state, but has 0 in row 1"),
        (6, 1, "one-hot 'goal' must have one 1 in each state, but has 2 in row 1"),
        (8, -0.1, r"'height' must be within \[0, open\]"),
    ],
)
def test_states_that_do_not_fit(schema, feature, value, said):
    changed = STATES.copy()
    changed[1, feature] = value
    with pytest.raises(ConfigError, match=said):
        schema.check(changed)


def test_columns_name_the_features_of_an_entry():
    given = {"name": "goal", "group": "task", "kind": "one_hot", "columns": ["red", "green"]}
    schema = StateSchema.from_dict({"features": [given]})
    assert schema.feature_names == ("red", "green")
    assert schema.one_hot == ((0, 2),)
    assert schema.to_dict()["features"] == [given]
    with pytest.raises(ConfigError, match="one-hot 'goal'"):
        schema.check(np.ones((1, 2)))
    for columns, count in (("red", 1), ([], 0), ([1, 2], 2), (["red", "green"], 3)):
        with pytest.raises(ConfigError, match="'goal': co"):
            SchemaEntry("goal", "task", columns=columns, count=count)


def test_states_of_another_width(schema):
    for states in (STATES[:, :8], STATES[0]):
        with pytest.raises(ConfigError, match="the schema's 9 features"):
            schema.check(states)


def test_a_binary_of_other_values():
    schema = StateSchema((SchemaEntry("side", "all", range=(-1, 0.1), kind="binary"),))
    schema.check(np.array([[-1], [0.1]], dtype=np.float32))
    with pytest.raises(ConfigError, match="'side' must be -1 or 0.1"):
        schema.check(np.zeros((1, 1), dtype=np.float32))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "a mapping with a list of features"),
        ({"features": "x"}, "a mapping with a list of features"),
        ({"features": []}, "features must be a list of at least one"),
        ({"features": ["x"]}, r"features\[0\] must be a mapping"),
        ({"features": [{"name": "x"}]}, r"features\[0\] needs a name and a group"),
        ({"features": [{"name": "x", "group": "g"}], "units": {}}, "not 'units'"),
        ({"features": [{"name": "x", "group": "g", "units": "m"}]}, "unknown field 'units'"),
        ({"features": [{"name": True, "group": "g"}]}, r"features\[0\]: name .* in quotes .* not True"),
        ({"features": [{"name": "x", "group": ""}]}, "group of a feature must be printable text"),
        ({"features": [{"name": "a\nb", "group": "g"}]}, "name of a feature must be printable text"),
        ({"features": [{"name": "x", "group": "g", "unit": 1}]}, "'x': unit"),
        ({"features": [{"name": "x", "group": "g", "kind": "angle"}]}, "'x': kind must be one of"),
        ({"features": [{"name": "x", "group": "g", "count": 0}]}, "'x': count .* at least 1"),
        ({"features": [{"name": "x", "group": "g", "kind": "one_hot"}]}, "'x': count .* at least 2"),
        ({"features": [{"name": "x", "group": "g", "range": [1]}]}, "'x': range must be"),
        ({"features": [{"name": "x", "group": "g", "range": [1, 0]}]}, "'x': range must be"),
        ({"features": [{"name": "x", "group": "g", "range": ["1e3", 2]}]}, "'x': range .* not '1e3'"),
        ({"features": [{"name": "x", "group": "g", "range": [0, float("nan")]}]}, "'x': range"),
        (
            {"features": [{"name": "x", "group": "g", "kind": "binary", "range": [0, None]}]},
            "range of a binary is its two values",
        ),
        (
            {"features": [{"name": "x", "group": "g", "kind": "one_hot", "count": 2, "range": [0, 1]}]},
            "a one-hot has no range",
        ),
        ({"features": [{"name": "x", "group": "g"}] * 2}, "feature 'x' is there twice"),
        (
            {"features": [{"name": n, "group": g} for n, g in ("xa", "yb", "za")]},
            "feature 'z' comes back to group 'a'",
        ),
        ({"features": [{"name": "x", "group": "g"}], "groups": []}, "groups"),
        ({"features": [{"name": "x", "group": "g"}], "groups": {"h": {}}}, "no feature is of group 'h'"),
        (
            {"features": [{"name": "x", "group": "g"}], "groups": {"g": {"compression": 0}}},
            r"groups\['g'\]: compression of a group must be a number above 0",
        ),
        (
            {"features": [{"name": "x", "group": "g"}], "groups": {"g": {"importance": True}}},
            r"groups\['g'\]: importance",
        ),
        ({"features": [{"name": "x", "group": "g"}], "groups": {"g": {"weight": 1}}}, "field 'weight'"),
    ],
)
def test_errors_name_what_is_wrong(document, said):
    with pytest.raises(ConfigError, match=said):
        StateSchema.from_dict(document)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("broken.yaml", "features: ["),
        ("broken.json", "{"),
        ("empty.yaml", ""),
        ("schema.txt", TEXT),
        ("bad.yaml", "features: [{name: on, group: g}]"),
    ],
)
def test_errors_name_the_file(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=name):
        StateSchema.load(tmp_path / name)


def test_files_out_of_reach(schema, tmp_path):
    with pytest.raises(ConfigError, match=r"missing\.yaml"):
        StateSchema.load(tmp_path / "missing.yaml")
    with pytest.raises(InvalidInputError, match="cannot write .*no-folder"):
        schema.save(tmp_path / "no-folder" / "schema.json")


@pytest.mark.parametrize("name", ["schema.json", "schema.yaml"])
def test_a_schema_of_brackets(tmp_path, name):
    (tmp_path / name).write_text("[" * 100_000)
    with pytest.raises(ConfigError, match="cannot read a schema"):
        StateSchema.load(tmp_path / name)
