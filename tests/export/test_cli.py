"""The command `model-export`, from states to a published codec."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from model_export.cli import app
from model_export.export import ExportedCodec
from model_export.schema import StateSchema
from tests.export.conftest import CONFIG


@pytest.fixture
def run():
    def call(*arguments: object):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return call


@pytest.fixture
def states_file(tmp_path, states):
    np.save(tmp_path / "states.npy", states)
    return tmp_path / "states.npy"


def test_from_a_file_to_redis(run, tmp_path, states_file, server, redis_client):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG.to_dict()))
    folder = tmp_path / "codec"
    options = ["--states", states_file, "--config", tmp_path / "config.json", "--steps", 50, "--quiet"]
    trained = run("train", folder, *options, "--name", "mine")
    assert trained.exit_code == 0, trained.output
    assert f"mine: 12 features in {CONFIG.codes} bytes" in trained.output
    assert ExportedCodec.load(folder).config.feature_groups == CONFIG.feature_groups

    published = run("publish", folder, "--redis-url", server.url)
    assert published.output == "published mine as version 1\n"
    verified = run("verify", folder, "--states", states_file, "--redis-url", server.url, "--version", 1)
    assert verified.exit_code == 0, verified.output
    assert "verified on" in verified.output


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "--name must name the codec"),
        (["--name", "a", "--max-error", "pose"], "--max-error must be GROUP=ERROR"),
        (["--name", "a", "--max-error", "state=1", "--target-bytes", 4], "either --target-bytes or --max"),
        (["--name", "a", "--target-bytes", 4, "--checkpoint", "x"], "--checkpoint keeps one training"),
        (["--config", "missing.json"], "missing.json holds no configuration"),
    ],
)
def test_options_are_refused_before_anything_is_played(run, tmp_path, monkeypatch, options, says):
    monkeypatch.setattr("model_export.cli_train.load", lambda *_, **__: pytest.fail("played"))
    result = run("train", tmp_path / "codec", "--environment", "Ant-v5", *options)
    assert result.exit_code == 1
    assert says in result.stderr


def test_groups_as_options(run, tmp_path, states_file):
    folder = tmp_path / "codec"
    groups = ["--group", "a:0:4:0.5", "--group", "b:4:12:2", "--latent-dim", 9, "--base-compression", 0.5]
    result = run("train", folder, "--states", states_file, "--name", "g", *groups, "--steps", 5, "--quiet")
    assert result.exit_code == 0, result.output
    config = ExportedCodec.load(folder).config
    assert [own.codes for own in config.dimensions.values()] == [12, 6]
    assert run("verify", folder, "--states", states_file).exit_code == 0


def test_from_a_simulation(run, tmp_path):
    options = ["--environment", "mpe2.simple_tag_v3", "--episodes", 5, "--steps", 5]
    result = run("train", tmp_path, *options, "--kind", "agent")
    assert result.exit_code == 0, result.output
    assert ExportedCodec.load(tmp_path).config.name == "agent"
    result = run("train", tmp_path, *options, "--name", "a")
    assert result.exit_code == 1
    assert "kind must be one of adversary, agent" in result.output


def test_groups_suggested_from_a_table(run, tmp_path, states):
    columns = {f"arm_{i}": states[:, i] for i in range(3)} | {"label": ["a"] * len(states)}
    parquet.write_table(pa.table(columns), tmp_path / "states.parquet")
    options = [tmp_path / "states.parquet", "--column", "arm_2", "--column", "arm_0", "--groups", 1]
    result = run("suggest-groups", *options, "--output", tmp_path / "schema.yaml")
    assert result.exit_code == 0, result.output
    assert "2 features of 5,000 states" in result.output
    assert "arm" in result.output
    schema = StateSchema.load(tmp_path / "schema.yaml")
    assert schema.feature_names == ("arm_2", "arm_0")
    assert schema.feature_groups() == {"arm": (0, 2, 1.0)}


def test_groups_suggested_from_an_environment_as_json(run):
    result = run("suggest-groups", "Pendulum-v1", "--episodes", 2, "--max-steps", 20, "--groups", 2, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert [group["name"] for group in document["groups"]] == ["group_1", "group_2"]
    assert StateSchema.from_dict(document["schema"]).feature_names == ("feature_0", "feature_1", "feature_2")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "x"], "either --states or --environment"),
        (["train", "x", "--name", "a", "--states", "no.npy"], "no.npy"),
        (["train", "x", "--name", "a", "--environment", "no_such_env"], "no_such_env"),
        (["verify", "no-folder", "--states", "no.npy"], "no-folder"),
        (["suggest-groups", "no.npy"], "no.npy"),
        (["suggest-groups", "no-such-source?"], "source must be a file"),
        (["suggest-groups", "Pendulum-v1", "--policy", "no_such:act"], "policy"),
        (["suggest-groups", "Pendulum-v1", "--column", "x"], "columns does not apply"),
        (["publish", "no-folder", "--redis-url", "redis://127.0.0.1"], "no-folder"),
    ],
)
def test_errors_are_one_line(run, arguments, said):
    result = run(*arguments)
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output


def test_installed_command():
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", "from model_export.cli import main; main()", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert {"train", "verify", "publish", "suggest-groups"} <= set(answer.stdout.split())


def test_a_size_is_all_that_must_be_said(run, tmp_path, states_file):
    folder = tmp_path / "codec"
    options = ["--name", "sized", "--steps", 20, "--json"]
    trained = run("train", folder, "--states", states_file, "--target-bytes", 6, *options)
    assert trained.exit_code == 0, trained.output
    document = json.loads(trained.stdout)
    assert document["config"]["total_bytes"] == 6
    assert document["config"]["bottleneck"] in ("scalar", "codebook")
    assert document["verification"]["states"] > 1000
    saved = ExportedCodec.load(folder)
    assert saved.config.codes == 6
    assert set(saved.onnx) == {"encoder", "decoder", "latents"}
    assert saved.details["training"]["data_sha256"]
    verified = run("verify", folder, "--states", states_file, "--json")
    assert json.loads(verified.stdout)["verification"]["codes_apart"] == 0


def test_an_error_is_all_that_must_be_said(run, tmp_path, states_file):
    options = ["--name", "good", "--steps", 20, "--json", "--max-error", "state=0.3"]
    trained = run("train", tmp_path, "--states", states_file, *options)
    assert trained.exit_code == 0, trained.output
    document = json.loads(trained.stdout)
    assert document["metrics"]["nrmse"] <= 0.3
    assert document["config"]["total_bytes"] < 12


def test_a_schema_gives_groups_and_kinds(run, tmp_path, states_file):
    schema = tmp_path / "schema.yaml"
    schema.write_text(
        "features:\n"
        "  - {name: joint, count: 4, group: moving}\n"
        "  - {name: rest, count: 8, group: fixed}\n"
        "groups:\n"
        "  moving: {importance: 4.0}\n"
    )
    options = ["--schema", schema, "--name", "s", "--steps", 10, "--bottleneck", "scalar", "--quiet"]
    trained = run("train", tmp_path / "c", "--states", states_file, *options, "--target-bytes", 8)
    assert trained.exit_code == 0, trained.output
    config = ExportedCodec.load(tmp_path / "c").config
    assert config.feature_groups["moving"].importance == 4.0
    assert sum(config.group_bytes.values()) == 8
    assert ExportedCodec.load(tmp_path / "c").details["schema"]["features"]


def test_a_training_goes_on_from_its_checkpoint(run, tmp_path, states_file):
    options = ["--states", states_file, "--name", "c", "--steps", 20, "--quiet"]
    first = run("train", tmp_path / "a", *options, "--checkpoint", tmp_path / "kept")
    assert first.exit_code == 0, first.output
    again = run("train", tmp_path / "b", *options, "--checkpoint", tmp_path / "kept")
    assert again.exit_code == 0, again.output
    assert ExportedCodec.load(tmp_path / "b").sha256 == ExportedCodec.load(tmp_path / "a").sha256
    other = run("train", tmp_path / "b", *options, "--seed", 1, "--checkpoint", tmp_path / "kept")
    assert other.exit_code == 1
    assert "of another training" in other.output


def test_files_for_use_elsewhere(run, tmp_path, states_file):
    run("train", tmp_path / "c", "--states", states_file, "--name", "c", "--steps", 5, "--quiet")
    written = run("export", tmp_path / "c", tmp_path / "out", "--format", "onnx", "--json")
    assert written.exit_code == 0, written.output
    names = ["encoder.onnx", "decoder.onnx", "latents.onnx", "manifest.json"]
    assert json.loads(written.stdout)["files"] == names
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(names)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--target-bytes", 8, "--max-error", "state=0.1"], "either --target-bytes or --max-error"),
        (["--max-error", "elsewhere=0.1"], "elsewhere"),
        (["--max-error", "much"], "GROUP=ERROR"),
        (["--target-bytes", 8, "--checkpoint", "kept"], "--checkpoint"),
        (["--bottleneck", "scalar"], "total_bytes"),
        (["--bottleneck", "squeeze"], "bottleneck must be one of"),
        (["--group", "a:0"], "--group must be"),
    ],
)
def test_options_that_do_not_fit_are_named(run, tmp_path, states_file, options, said):
    result = run("train", tmp_path, "--states", states_file, "--name", "n", "--quiet", *options)
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output
