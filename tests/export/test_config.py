"""The dimension rule, and what a configuration refuses."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_export.config import CodecConfig, FeatureGroup, GroupDimensions, reference_config
from model_export.errors import ConfigError
from model_export.vae import FeatureGroupedVAE

REFERENCE_GROUPS = {
    "critical": (0, 10, 0.3),
    "spatial": (10, 20, 0.5),
    "social": (20, 30, 0.4),
    "other": (30, 50, 0.8),
}
BUDGET_GROUPS = {"a": (0, 3), "b": (3, 8)}


@st.composite
def configs(draw: st.DrawFn) -> CodecConfig:
    sizes = draw(st.lists(st.integers(1, 20), min_size=1, max_size=6))
    groups, start = {}, 0
    for number, size in enumerate(sizes):
        groups[f"g{number}"] = (start, start + size, draw(st.floats(0.05, 4)))
        start += size
    return CodecConfig("any", start, draw(st.integers(1, 80)), groups, draw(st.floats(0.05, 4)))


def test_reference_configuration_has_103_codes():
    config = reference_config()
    assert {name: own.codes for name, own in config.dimensions.items()} == {
        "critical": 33,
        "spatial": 20,
        "social": 25,
        "other": 25,
    }
    assert [own.latents for own in config.dimensions.values()] == [5, 5, 5, 10]
    assert config.codes == 103
    assert FeatureGroupedVAE(50, 25, REFERENCE_GROUPS, 0.5).codes == 103


def test_left_over_latents_go_to_the_least_compressed_groups():
    config = CodecConfig("n", 9, 8, {"a": (0, 3, 0.9), "b": (3, 6, 0.1), "c": (6, 9, 0.5)})
    assert {name: own.latents for name, own in config.dimensions.items()} == {"a": 2, "b": 3, "c": 3}


@given(configs())
def test_dimension_rule(config: CodecConfig):
    dimensions = config.dimensions
    shares = {n: int(config.latent_dim * g.size / config.input_dim) for n, g in config.feature_groups.items()}
    for name, group in config.feature_groups.items():
        own = dimensions[name]
        assert own.features == group.size
        assert own.latents - max(1, shares[name]) in (0, 1)
        assert own.codes == max(1, int(own.latents / (group.compression * config.base_compression_level)))
    total = sum(own.latents for own in dimensions.values())
    assert total == max(config.latent_dim, sum(max(1, share) for share in shares.values()))
    favoured = [
        g.compression for n, g in config.feature_groups.items() if dimensions[n].latents > max(1, shares[n])
    ]
    others = [
        g.compression for n, g in config.feature_groups.items() if dimensions[n].latents == max(1, shares[n])
    ]
    assert not favoured or not others or max(favoured) <= min(others)


@given(configs())
def test_json_round_trip(config: CodecConfig):
    assert CodecConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("bottleneck", ["scalar", "codebook"])
@pytest.mark.parametrize(
    "divided", [{}, {"group_bytes": {"a": 3, "b": 0}, "group_latents": {"a": 6, "b": 0}}]
)
def test_json_round_trip_of_a_budget_and_of_discrete_features(bottleneck: str, divided: dict):
    config = CodecConfig(
        "any",
        8,
        feature_groups={"a": (0, 3, 1.0, 2.5), "b": (3, 8)},
        bottleneck=bottleneck,
        total_bytes=4,
        binary=(0, 2),
        one_hot=((3, 5), (5, 8)),
        **divided,
    )
    again = CodecConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert again.feature_groups["a"] == FeatureGroup(0, 3, 1.0, 2.5)
    assert (again.codes, again.one_hot) == (4, ((3, 5), (5, 8)))


def test_a_divided_budget_is_what_each_group_owns():
    divided = {"group_bytes": {"b": 3, "a": 1}, "group_latents": {"b": 9, "a": 2}}
    config = CodecConfig("any", 8, None, BUDGET_GROUPS, bottleneck="scalar", total_bytes=4, **divided)
    assert config.dimensions == {"a": GroupDimensions(3, 2, 1), "b": GroupDimensions(5, 9, 3)}


def test_a_budget_that_is_not_divided_yet_has_no_dimensions():
    config = CodecConfig("any", 8, None, BUDGET_GROUPS, bottleneck="scalar", total_bytes=4)
    assert config.codes == 4
    with pytest.raises(ConfigError, match="not divided"):
        _ = config.dimensions


def test_groups_are_ordered_by_start():
    config = CodecConfig("n", 4, 4, {"late": (2, 4, 1.0), "early": (0, 2, 1.0)})
    assert list(config.feature_groups) == ["early", "late"]
    assert config.feature_groups["early"] == FeatureGroup(0, 2, 1.0)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": "a:b"}, "name"),
        ({"name": ""}, "name"),
        ({"input_dim": 0}, "input_dim"),
        ({"input_dim": 5}, "features 4 to 5"),
        ({"latent_dim": 0}, "latent_dim"),
        ({"latent_dim": 2.5}, "latent_dim"),
        ({"base_compression_level": 0}, "base_compression_level"),
        ({"base_compression_level": float("nan")}, "base_compression_level"),
        ({"feature_groups": {}}, "feature_groups"),
        ({"feature_groups": {"a": (0, 4, 0.0)}}, "compression"),
        ({"feature_groups": {"a": (0, 4, -1.0)}}, "compression"),
        ({"feature_groups": {"a": (0,)}}, "importance"),
        ({"feature_groups": {"a": (0, 5, 1.0)}}, "outside"),
        ({"feature_groups": {"a": (2, 2, 1.0)}}, "empty"),
        ({"feature_groups": {"a": (0.0, 4, 1.0)}}, "integers"),
        ({"feature_groups": {"a": (0, 3, 1.0), "b": (2, 4, 1.0)}}, "overlaps"),
        ({"feature_groups": {"a": (0, 1, 1.0), "b": (2, 4, 1.0)}}, "features 1 to 2"),
        ({"feature_groups": {"a": (0, 4, 1.0, 0.0)}}, "importance"),
        ({"feature_groups": {"a": (0, 4, 1.0, 1001)}}, "importance"),
        ({"feature_groups": {"a": {"start": 0, "end": 4, "importance": "much"}}}, "importance"),
        ({"unheard_of": 1}, "unheard_of"),
    ],
)
def test_refusals_name_what_is_wrong(change: dict, named: str):
    fields = {"name": "n", "input_dim": 4, "latent_dim": 2, "feature_groups": {"a": (0, 4, 1.0)}}
    with pytest.raises(ConfigError, match=named):
        CodecConfig.from_dict({**fields, **change})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"bottleneck": "vector"}, "bottleneck must be one of rounding, scalar, codebook"),
        ({"bottleneck": None}, "bottleneck"),
        ({"bottleneck": "rounding"}, "total_bytes"),
        ({"bottleneck": "rounding", "total_bytes": None, "group_bytes": {"a": 1, "b": 3}}, "group_bytes"),
        ({"bottleneck": "rounding", "total_bytes": None, "group_latents": {"a": 1, "b": 3}}, "group_latents"),
        ({"total_bytes": None}, "total_bytes"),
        ({"total_bytes": 0}, "total_bytes"),
        ({"total_bytes": 1}, "total_bytes is 1, but 2 groups"),
        ({"total_bytes": 2.0}, "total_bytes"),
        ({"total_bytes": True}, "total_bytes"),
        ({"group_bytes": {"a": 4}}, "group_bytes must name each of the groups a, b"),
        ({"group_bytes": {"a": 1, "b": 2, "c": 1}}, "group_bytes must name"),
        ({"group_bytes": [1, 3]}, "group_bytes must name"),
        ({"group_bytes": {"a": 0, "b": 4}}, r"group_bytes\['a'\]"),
        ({"group_bytes": {"a": 1, "b": 4}}, "add up to 5, not to total_bytes 4"),
        ({"group_latents": {"a": 1}}, "group_latents must name"),
        ({"group_latents": {"a": 1, "b": 1.5}}, r"group_latents\['b'\]"),
        ({"binary": 3}, "binary must be a sequence"),
        ({"binary": (0.5,)}, "binary must be a sequence"),
        ({"binary": (8,)}, "binary names feature 8, outside"),
        ({"binary": (-1,)}, "binary names feature -1, outside"),
        ({"binary": (1, 1)}, "binary names feature 1, which is named before"),
        ({"one_hot": (0, 3)}, "one_hot must be a sequence"),
        ({"one_hot": ((0, 1, 2),)}, "one_hot must be a sequence"),
        ({"one_hot": ((0, 9),)}, "one_hot names feature 8, outside"),
        ({"one_hot": ((0, 1),)}, "fewer than two features"),
        ({"one_hot": ((1, 1),)}, "fewer than two features"),
        ({"one_hot": ((2, 5),)}, "within one group"),
        ({"one_hot": ((3, 6), (5, 8))}, "one_hot names feature 5, which is named before"),
        ({"one_hot": ((0, 3),), "binary": (2,)}, "one_hot names feature 2, which is named before"),
    ],
)
def test_refusals_of_a_budget_and_of_kinds_name_what_is_wrong(change: dict, named: str):
    fields = {"name": "n", "input_dim": 8, "feature_groups": BUDGET_GROUPS}
    budget = {"bottleneck": "scalar", "total_bytes": 4}
    with pytest.raises(ConfigError, match=named):
        CodecConfig.from_dict({**fields, **budget, **change})


@pytest.mark.parametrize("latents", [{"a": 2, "b": 7}, {"a": 2, "b": 9}])
def test_each_byte_of_a_codebook_has_equally_many_latents(latents: dict):
    divided = {"group_bytes": {"a": 1, "b": 3}, "group_latents": latents}
    with pytest.raises(ConfigError, match="group_latents"):
        CodecConfig("n", 8, None, BUDGET_GROUPS, bottleneck="codebook", total_bytes=4, **divided)


def test_more_features_than_a_codec_can_be_fitted_to_are_refused():
    assert CodecConfig("image", 4096, 8, {"all": (0, 4096)}).codes == 8
    with pytest.raises(ConfigError, match="100,800 features; a codec takes at most 4,096"):
        CodecConfig("image", 100_800, 8, {"all": (0, 100_800)})
