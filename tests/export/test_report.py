"""The report: one file that needs nothing else, and says which way to use."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from model_export import alternatives, report
from model_export.alternatives import Row
from model_export.cli import app
from model_export.errors import ConfigError
from tests.export.conftest import CONFIG

FIGURES = {"training", "rate_distortion", "features", "histograms", "over_time", "entropy"}


@pytest.fixture(scope="module")
def written(tmp_path_factory, exported, states, held_out):
    """The folder of a report of one episode out of five held out."""
    folder = tmp_path_factory.mktemp("report")
    # Two sizes are enough to draw a curve; the codec's own is a third.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "BUDGETS_BYTES", (2, 4))
        path = report.write_report(
            exported, states[:4000], held_out, np.repeat([8, 9], 500), folder, others=[_renamed(exported)]
        )
    assert path == folder / "report.html"
    return folder


def _renamed(exported):
    return replace(exported, config=replace(exported.config, name="second"))


def test_the_page_needs_nothing_else(written):
    page = (written / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|<link|<script|@import|url\(", page)
    sources = re.findall(r'src="([^"]{0,40})', page)
    assert len(sources) == len(FIGURES)
    assert all(source.startswith("data:image/png;base64,iVBOR") for source in sources)


def test_figures_lie_beside_it(written):
    assert {path.stem for path in written.glob("*.png")} == FIGURES
    for path in written.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_the_table_has_the_figures(written, exported, states, held_out):
    page = (written / "report.html").read_text(encoding="utf-8")
    std = report._std(states[:4000])
    rows = alternatives.compare(states[:4000], held_out, CONFIG.feature_groups, std, CONFIG.codes)
    assert len(rows) >= 3
    for row in rows:
        assert row.name in page
        assert f"<td>{row.nrmse:.4f}</td>" in page
    for group in CONFIG.feature_groups:
        assert f"error,<br>{group}" in page
        assert f"<td>{exported.metrics[f'nrmse_{group}']:.4f}</td>" in page
    assert f"<dd>{CONFIG.codes}</dd>" in page
    assert f"<dd>{exported.metrics['nrmse']:.4f}</dd>" in page
    assert "4,000 states of 12 features" in page
    assert "1,000 states of 2 other episodes" in page


def test_without_a_history_there_are_no_curves(tmp_path, monkeypatch, exported, states, held_out):
    monkeypatch.setattr(report, "BUDGETS_BYTES", ())
    untold = replace(exported, history=())
    page = report.write_report(untold, states[:4000], held_out, None, tmp_path).read_text()
    assert not (tmp_path / "training.png").exists()
    assert "<h2>Training</h2>" not in page


def test_the_command(tmp_path, monkeypatch, exported, states):
    monkeypatch.setattr(report, "BUDGETS_BYTES", ())
    exported.save(tmp_path / "codec")
    np.savez(tmp_path / "states.npz", states=states, episodes=np.repeat(np.arange(10), 500))
    options = ["--states", str(tmp_path / "states.npz"), "--output", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["report", str(tmp_path / "codec"), *options])
    assert result.exit_code == 0, result.output
    assert "states of 2 other episodes" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("mine", "best", "said"),
    [
        (0.1, 0.25, "Use this codec: PQ, .* in 8 bytes with 2.50 times the error"),
        (0.3, 0.2, "Use PQ instead: .* in 8 bytes, .* 1.50 times as large"),
        (0.2, 0.201, "Use PQ instead unless .* about the same error"),
        (0.2, 0.0, "Use PQ instead: .* many times as large"),
    ],
)
def test_verdict(mine, best, said):
    rivals = [Row("worse", 8, best + 1), Row("PQ", 8, best)]
    assert re.search(said, report.verdict(Row("codec", 8, mine), rivals))


def test_verdict_without_rivals():
    assert "No simple way" in report.verdict(Row("codec", 8, 0.1), [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"held_out_episodes": [1]}, "held_out_episodes"), ({"feature_names": ["a"]}, "feature_names")],
)
def test_bad_arguments(tmp_path, exported, states, arguments, said):
    call = {"held_out_episodes": None, **arguments}
    with pytest.raises(ConfigError, match=said):
        report.write_report(exported, states, states, folder=tmp_path, **call)
