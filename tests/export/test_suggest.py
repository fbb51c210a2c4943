"""Groups that are proposed: made-up structure is found again, and a real environment's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_export.errors import ConfigError
from model_export.recording import Recording
from model_export.sources import load_recording
from model_export.suggest import MOST_GROUPS, suggest_groups, summarize_groups

COUNT = 2000


def block(random, features, noise=0.3):
    """Return [COUNT, features] that follow one hidden factor, on different scales and bent."""
    factor = random.standard_normal((COUNT, 1))
    features = factor + noise * random.standard_normal((COUNT, features))
    return np.exp(features) * np.logspace(-3, 3, features.shape[1])


def one_hot(random, size):
    return np.eye(size)[random.integers(size, size=COUNT)]


@pytest.fixture
def random():
    return np.random.default_rng(1)


def spans(schema):
    return [(start, end) for start, end, _ in schema.feature_groups().values()]


def test_blocks_are_found(random):
    recording = Recording(np.hstack([block(random, size) for size in (4, 7, 3)]))
    schema = suggest_groups(recording)
    assert schema.feature_groups() == {
        "group_1": (0, 4, 1.0),
        "group_2": (4, 11, 1.0),
        "group_3": (11, 14, 1.0),
    }
    assert schema.importance == {"group_1": 1, "group_2": 1, "group_3": 1}
    assert schema.feature_names == tuple(f"feature_{index}" for index in range(14))
    assert all(summary.correlation > 0.8 for summary in summarize_groups(recording, schema))
    assert spans(suggest_groups(recording, 1)) == [(0, 14)]
    assert len(spans(suggest_groups(recording, 14))) == 14
    assert {4, 11} < {start for start, _ in spans(suggest_groups(recording, 4))}


def test_without_structure_there_is_one_group(random):
    assert spans(suggest_groups(Recording(random.standard_normal((COUNT, 20))))) == [(0, 20)]
    assert spans(suggest_groups(Recording(block(random, 20)))) == [(0, 20)]


def test_many_blocks_become_no_more_than_a_few_groups(random):
    recording = Recording(np.hstack([block(random, 3) for _ in range(20)]))
    assert len(spans(suggest_groups(recording))) == MOST_GROUPS
    assert spans(suggest_groups(recording, 20)) == [(start, start + 3) for start in range(0, 60, 3)]


def test_kinds_are_found(random):
    coin = random.integers(2, size=(COUNT, 2))
    states = np.hstack(
        [block(random, 3), coin[:, :1], one_hot(random, 5), coin[:, 1:] * 4 - 1, np.full((COUNT, 1), 0.1)]
    )
    recording = Recording(states)
    schema = suggest_groups(recording)
    assert schema.binary == (3, 9)
    assert schema.one_hot == ((4, 9),)
    assert [entry.range for entry in schema.entries if entry.kind == "binary"] == [None, (-1, 3)]
    schema.check(recording.states)
    kinds = {}
    for summary in summarize_groups(recording, schema):
        kinds = {kind: kinds.get(kind, 0) + summary.kinds.get(kind, 0) for kind in {*kinds, *summary.kinds}}
    assert kinds == {"continuous": 3, "binary": 2, "one_hot": 5, "constant": 1}


def test_a_class_that_never_came_is_part_of_the_one_hot(random):
    classes = one_hot(random, 4)
    empty = np.zeros((COUNT, 1))
    recording = Recording(np.hstack([empty, classes[:, :2], empty, classes[:, 2:], empty]))
    assert suggest_groups(recording).one_hot == ((1, 6),)


def test_opposites_are_a_one_hot_and_the_longer_run_counts(random):
    coin = random.integers(2, size=(COUNT, 1))
    # Features 0 to 3 are of one class each; 2 + 3 together are the opposite of 4.
    classes = one_hot(random, 4)
    opposite = 1 - classes[:, 2:].sum(axis=1, keepdims=True)
    assert suggest_groups(Recording(np.hstack([coin, 1 - coin]))).one_hot == ((0, 2),)
    assert suggest_groups(Recording(np.hstack([classes, opposite]))).one_hot == ((0, 4),)
    assert suggest_groups(Recording(np.hstack([coin, 1 - coin, coin]))).one_hot == ((0, 2),)


def test_what_was_seen_in_one_fall_alone_is_no_binary(random):
    clipped = np.zeros((COUNT, 1))
    clipped[100:200] = 1
    assert suggest_groups(Recording(np.hstack([clipped, block(random, 2)]))).binary == ()


def test_no_cut_parts_a_one_hot(random):
    recording = Recording(np.hstack([one_hot(random, 6), one_hot(random, 6)]))
    assert spans(suggest_groups(recording, 2)) == [(0, 6), (6, 12)]
    with pytest.raises(ConfigError, match="groups must be from 1 to 2 for this recording, not 3"):
        suggest_groups(recording, 3)
    with pytest.raises(ConfigError, match="groups"):
        suggest_groups(recording, 0)


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["arm[0]", "arm[1]", "arm[2]", "wheel.left", "wheel.right"], ["arm", "wheel"]),
        (["velocity_x", "vertical", "vx", "leg_1", "leg_12"], ["group_1", "leg"]),
        (["leg_1", "leg_2", "leg_3", "leg_4", "leg_5"], ["group_1", "group_2"]),
        (["group_2", "group_2a", "group_2b", "x", "y"], ["group", "group_2"]),
    ],
)
def test_groups_are_called_by_what_their_features_share(random, names, groups):
    recording = Recording(np.hstack([block(random, 3), block(random, 2)]), feature_names=names)
    schema = suggest_groups(recording)
    assert schema.feature_names == tuple(names)
    assert list(schema.feature_groups()) == groups


def test_a_group_of_one_has_its_features_name(random):
    recording = Recording(
        np.hstack([block(random, 3), random.standard_normal((COUNT, 1))]),
        feature_names=["a1", "a2", "a3", "x"],
    )
    assert list(suggest_groups(recording, 2).feature_groups()) == ["a", "x"]


def test_a_named_one_hot_keeps_its_names(random, tmp_path):
    names = ["color_red", "color_green", "color_blue"]
    schema = suggest_groups(Recording(one_hot(random, 3), feature_names=names))
    assert [entry.name for entry in schema.entries] == ["color"]
    assert schema.feature_names == tuple(names)
    schema.save(tmp_path / "schema.yaml")
    assert type(schema).load(tmp_path / "schema.yaml") == schema


columns = st.one_of(
    st.just("constant"), st.just("coin"), st.just("one_hot"), st.just("normal"), st.just("steps")
)


@settings(deadline=None, max_examples=30)
@given(st.lists(columns, min_size=1, max_size=8), st.integers(1, 60), st.integers(0, 1000))
def test_any_recording_fits_what_is_proposed_for_it(made, count, seed):
    random = np.random.default_rng(seed)
    make = {
        "constant": lambda: np.full((count, 1), random.integers(3)),
        "coin": lambda: random.integers(2, size=(count, 1)),
        "one_hot": lambda: np.eye(3)[random.integers(3, size=count)],
        "normal": lambda: random.standard_normal((count, 1)),
        "steps": lambda: random.integers(3, size=(count, 1)),
    }
    recording = Recording(np.hstack([make[name]() for name in made]))
    schema = suggest_groups(recording)
    schema.check(recording.states)
    assert schema == suggest_groups(recording)
    assert len(schema.feature_names) == recording.features
    assert spans(schema)[0][0] == 0
    assert spans(schema)[-1][1] == recording.features
    assert sum(sum(own.kinds.values()) for own in summarize_groups(recording, schema)) == recording.features


def test_an_environments_parts_are_found():
    # simple_tag: own velocity and position, landmarks, the others' positions, and the prey's velocity.
    recording = load_recording("mpe2.simple_tag_v3", kind="adversary", episodes=60, seed=2)
    assert spans(suggest_groups(recording))[-1] == (14, 16)
    assert spans(suggest_groups(recording))[0] == (0, 2)
