"""Holds our codec against the simple ways, at equal stored bytes, on recordings of environments of others.

Each set is played with random actions, split by episode, and stored in 8, 16, 32 and 64 bytes a state by
every way. Ours is `search.train_for_bytes` with one group, since nothing is more important than anything else
here; it is measured as exported, through its TorchScript. Recordings and results are kept in
`build/bench-codec`, so that a run that was cut off goes on; `--fresh` measures anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from model_export.alternatives import compare, measured
from model_export.config import CodecConfig
from model_export.export import export
from model_export.recording import Recording
from model_export.search import train_for_bytes
from model_export.sources import load_recording
from model_export.train import TrainingOptions
from model_export.verify import verify_exported
from modules_store import files

FOLDER = Path("build/bench-codec")
BUDGETS_BYTES = (8, 16, 32, 64)
# What a codec is to stay under, as a share of the best simple way's error.
AIM = 0.8
OPTIONS = TrainingOptions(steps=4000, batch_size=512, learning_rate=8e-3, hidden_dim=256, patience=20)


@dataclass(frozen=True)
class DataSet:
    """An environment, how much of it to play, and the parts that its documentation divides states into."""

    environment: str
    episodes: int
    max_steps: int
    groups: dict[str, tuple[int, int]]


SETS = {
    "Ant": DataSet(
        "Ant-v5", 2000, 200, {"positions": (0, 13), "velocities": (13, 27), "contact forces": (27, 105)}
    ),
    "Humanoid": DataSet(
        "Humanoid-v5",
        12000,
        200,
        {
            "positions": (0, 22),
            "velocities": (22, 45),
            "inertias": (45, 175),
            "body velocities": (175, 253),
            "actuators": (253, 270),
            "contact forces": (270, 348),
        },
    ),
    "BipedalWalker": DataSet(
        "BipedalWalker-v3", 700, 400, {"hull": (0, 4), "joints": (4, 14), "lidar": (14, 24)}
    ),
    "HalfCheetah": DataSet("HalfCheetah-v5", 800, 400, {"positions": (0, 8), "velocities": (8, 17)}),
}

console = Console()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, and write it as JSON and Markdown where asked to."""
    parser = argparse.ArgumentParser(prog="make bench-codec", description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), metavar="SET")
    parser.add_argument("--bytes", nargs="+", type=int, default=list(BUDGETS_BYTES), dest="budgets")
    parser.add_argument("--steps", type=int, default=OPTIONS.steps, help="of the training of each codec")
    parser.add_argument("--fresh", action="store_true", help="forget earlier recordings and results")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables here")
    given = parser.parse_args(arguments)
    if given.fresh:
        shutil.rmtree(FOLDER, ignore_errors=True)
    results = []
    for name in given.sets:
        recording = recorded(name)
        for total_bytes in given.budgets:
            result = measure_once(name, recording, total_bytes, given.steps)
            results.append(result)
            show(result)
    console.print(f"\nAim: at most {AIM} of the best simple way's error in 8, 16 and 32 bytes")
    for result in results:
        console.print(f"   {verdict(result)}")
    if given.json:
        files.write(given.json, json.dumps(results, indent=1) + "\n")
    if given.markdown:
        files.write(given.markdown, as_markdown(results))


def recorded(name: str) -> Recording:
    """Return a set's recording, playing it if that was not done yet."""
    kept = FOLDER / f"{name}.npz"
    if kept.exists():
        return load_recording(kept)
    own = SETS[name]
    console.print(f"Playing {own.episodes:,} episodes of {own.environment}")
    recording = load_recording(own.environment, episodes=own.episodes, max_steps=own.max_steps, seed=0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with files.writing(kept) as file:
        np.savez(file, states=recording.states, episodes=recording.episodes)
    return recording


def measure_once(name: str, recording: Recording, total_bytes: int, steps: int) -> dict[str, Any]:
    """Return the figures of one set in one size, measuring them if that was not done yet."""
    kept = FOLDER / f"{name}-{total_bytes}-{steps}.json"
    if kept.exists():
        result: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return result
    result = measure(name, recording, total_bytes, steps)
    files.write(kept, json.dumps(result))
    return result


def measure(name: str, recording: Recording, total_bytes: int, steps: int) -> dict[str, Any]:
    """Train ours, fit the others, measure all on the held-out episodes."""
    learned, held_out = (part.states for part in recording.split())
    groups = SETS[name].groups
    std = learned.std(axis=0, dtype=np.float64)
    std[np.ptp(learned, axis=0) == 0] = 0
    config = CodecConfig(name, recording.features, None, {"state": (0, recording.features)})
    options = TrainingOptions(**{**asdict(OPTIONS), "steps": steps})
    started = time.perf_counter()
    trained = train_for_bytes(config, learned, held_out, total_bytes, options, note=console.print)
    seconds = time.perf_counter() - started
    codec = export(trained, name)
    verify_exported(codec, held_out[:2000])
    encoder, decoder = codec.modules()
    with torch.inference_mode():
        batches = torch.from_numpy(held_out).split(4096)
        codes = torch.cat([encoder(batch) for batch in batches])
        restored = torch.cat([decoder(batch) for batch in codes.split(4096)]).numpy()
    ours = measured("ours", held_out, codes.numpy(), restored, groups=groups, std=std)
    others = compare(learned, held_out, groups, std, total_bytes)
    return {
        "set": name,
        "environment": SETS[name].environment,
        "features": recording.features,
        "varying": int((std > 0).sum()),
        "states": len(learned),
        "held_out": len(held_out),
        "bytes": total_bytes,
        "bottleneck": codec.config.bottleneck,
        "linear": bool(trained.metrics["linear"]),
        "steps": steps,
        "seconds": round(seconds),
        "rows": [asdict(row) for row in (ours, *others)],
    }


def best_other(result: dict[str, Any]) -> dict[str, Any]:
    """Return the row of the simple way of least error."""
    best: dict[str, Any] = min(result["rows"][1:], key=lambda row: row["nrmse"])
    return best


def ratio_to(best: dict[str, Any], ours: dict[str, Any]) -> float:
    """Return how many times the other's error ours has; infinity where the other has none."""
    if best["nrmse"]:
        return float(ours["nrmse"] / best["nrmse"])
    return float("inf") if ours["nrmse"] else 1.0


def kind_of(result: dict[str, Any]) -> str:
    """Name the bottleneck that ours ended with, and say whether training did not help."""
    return f"{result['bottleneck']}{', linear' if result['linear'] else ''}"


def verdict(result: dict[str, Any]) -> str:
    """Say in a sentence how ours compares."""
    ours, best = result["rows"][0], best_other(result)
    ratio = ratio_to(best, ours)
    text = (
        f"{result['set']} in {result['bytes']} bytes: {ratio:.2f} of the error of {best['name']} "
        f"({kind_of(result)})"
    )
    if ratio > 1:
        return f"{text}; use that instead"
    return text if ratio <= AIM else f"{text}; the aim is missed"


def show(result: dict[str, Any]) -> None:
    """Print one set in one size."""
    groups = list(SETS[result["set"]].groups)
    table = Table(title=f"{result['set']}: {result['features']} features in {result['bytes']} bytes")
    for heading in ("way", "bytes", "error", *groups, "zstd, a block"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    for row in result["rows"]:
        errors = [f"{row['group_nrmse'][group]:.4f}" for group in groups]
        table.add_row(
            row["name"],
            str(row["stored_bytes"]),
            f"{row['nrmse']:.4f}",
            *errors,
            f"{row['zstd_block_bytes']:.1f}",
        )
    console.print(table)


def as_markdown(results: Sequence[dict[str, Any]]) -> str:
    """Return the tables of the documentation: what ours comes to, then every way on every set."""
    lines = [*summary_lines(results), ""]
    for name in dict.fromkeys(result["set"] for result in results):
        lines += [*set_lines(name, [result for result in results if result["set"] == name]), ""]
    return "\n".join(lines)


def summary_lines(results: Sequence[dict[str, Any]]) -> list[str]:
    """Return a table of ours and the best other in each set and size."""
    lines = ["| set | bytes | ours | bottleneck | best other | | ratio |", f"|{' --- |' * 7}"]
    for result in results:
        ours, best = result["rows"][0]["nrmse"], best_other(result)
        reached = ours <= AIM * best["nrmse"]
        ratio = f"{'**' * reached}{ratio_to(best, result['rows'][0]):.2f}{'**' * reached}"
        lines.append(
            f"| {result['set']} | {result['bytes']} | {ours:.3g} | {kind_of(result)} "
            f"| {best['nrmse']:.3g} | {best['name']} | {ratio} |"
        )
    return lines


def set_lines(name: str, results: Sequence[dict[str, Any]]) -> list[str]:
    """Return a set's heading, what was learned from, and a table of every way in each size."""
    first, groups = results[0], list(SETS[name].groups)
    lines = [
        f"### {first['environment']}: {first['features']} features, {first['varying']} of them varying",
        "",
        f"Learned from {first['states']:,} states, measured on {first['held_out']:,} of other episodes.",
        "",
        f"| bytes | way | error | {' | '.join(groups)} | after zstd |",
        f"|{' --- |' * (4 + len(groups))}",
    ]
    for result in results:
        for row in result["rows"]:
            errors = " | ".join(f"{row['group_nrmse'][group]:.3g}" for group in groups)
            lines.append(
                f"| {row['stored_bytes']} | {row['name']} | {row['nrmse']:.3g} | {errors} "
                f"| {row['zstd_block_bytes']:.1f} |"
            )
    return lines


if __name__ == "__main__":
    main()
