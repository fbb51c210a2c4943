"""`make bench` runs, on a few systems and for a moment, and its report has all that it is to have."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cases import latency, profile, throughput
from benchmarks.clients import Work
from benchmarks.peers import BARE_PACKED, CODEC_ALONE, PACKED, RAW, ROUND_TRIP
from benchmarks.run import CASES, QUICK
from tests import helpers

ROOT = Path(__file__).parents[2]
FLOORS = (ROUND_TRIP, BARE_PACKED, CODEC_ALONE)
CHOSEN = (RAW, PACKED, *FLOORS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the report was written to."""
    output = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "-m", "benchmarks.run", "--quick", "--output", output, "--systems", *CHOSEN]
    command += ["--engine", engine] if (engine := helpers.engine()) else []
    ended = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return output


@pytest.fixture(scope="module")
def report(folder) -> dict:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def rows(report: dict, case: str, *names: str) -> set[tuple]:
    return {tuple(row[name] for name in names) for row in report["cases"][case]}


def test_each_case_has_all_its_rows(report):
    assert set(report["cases"]) == set(CASES)
    works = [(work.kind, work.count, work.described) for work in throughput.WORKS]
    assert rows(report, "throughput", "system", "processes", "work", "count", "described") == {
        (system, processes, *work)
        for system in CHOSEN
        for processes in (1, QUICK["processes"])
        for work in works
    }
    assert rows(report, "latency", "system", "work", "count") == {
        (system, work.kind, work.count)
        for system in CHOSEN
        if system != CODEC_ALONE
        for work in latency.WORKS
    }
    assert rows(report, "bytes", "system", "memories", "described") == {
        (system, size, described)
        for system in (RAW, PACKED, BARE_PACKED)
        for size in QUICK["sizes"]
        for described in (False, True)
    }
    assert rows(report, "growth", "system", "axis", "size", "work") == {
        (system, axis, size, work)
        for system in (RAW, PACKED)
        for axis in ("agents", "memories")
        for size in QUICK[axis]
        for work in ("store", "sample")
    }
    assert rows(report, "profile", "system", "work", "count", "described") == {
        (PACKED, work.kind, work.count, work.described) for work in profile.WORKS
    }


def test_figures_are_plausible(report):
    for row in report["cases"]["throughput"]:
        assert min(row["calls_per_second"]) > 0
    for row in report["cases"]["latency"]:
        assert 0 < row["p50"][0] <= row["p99"][0] <= row["p99.9"][0]
    weighed = {(row["system"], row["described"]): row["bytes"] for row in report["cases"]["bytes"]}
    assert 32 < weighed[PACKED, False] < weighed[RAW, False] < weighed[RAW, True]
    for row in report["cases"]["profile"]:
        parts = {name: us[0] for name, us in row["us"].items()}
        assert set(parts) == set(profile.PARTS)
        assert parts["engine"] > 0
        assert parts["Redis commands"] > 0
        assert min(parts.values()) >= 0


def test_the_report_begins_with_the_aims_and_names_machine_and_versions(folder, report):
    text = (folder / "report.md").read_text(encoding="utf-8")
    head = text.partition("## ")[0]
    for aim in report["aims"]:
        assert f"| {aim['text']} |" in head
    assert {f"bytes a memory, packed, of {max(QUICK['sizes']):,}"} <= {aim["text"] for aim in report["aims"]}
    for work in throughput.WORKS:
        if work.kind == "store" or work == Work("recent", 1000):
            assert f"| {work.name}, {PACKED} | " in text.partition("## How near the floor")[2]
    for fact in ("processor", "kernel", "redis-server", "torch", "hiredis", "persistence"):
        assert f"| {fact} | {report['about'][fact]} |" in text
    for system in CHOSEN:
        assert report["systems"][system] in text
    plots = sorted(path.name for path in folder.glob("*.png"))
    assert plots == ["bytes.png", "growth.png", "latency.png", "profile.png", "recalls.png", "stores.png"]
    for name in plots:
        assert f"]({name})" in text
