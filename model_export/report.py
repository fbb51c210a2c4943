"""Writes what a person needs to judge a codec: one HTML file that needs nothing else, and its figures.

Measures the codec and the simple ways at the same bytes; figures.py draws, templates/report.html lays out.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from model_export import figures, optional
from model_export.alternatives import ALTERNATIVES, Row, compare, measured
from model_export.errors import ConfigError
from model_export.export import ExportedCodec
from model_export.metrics import code_entropy, feature_rmse, span
from model_export.train import as_states
from modules_store import files

BUDGETS_BYTES = (8, 16, 32, 64)
# Sample episodes to draw over time: so many, so many features of each, so many steps.
SAMPLES, SAMPLE_FEATURES, SAMPLE_STEPS = 2, 4, 200
# Of the held-out errors, for histograms.
HISTOGRAM_STATES = 20_000
# Below this, two errors count as equal: a twentieth is less than another seed changes.
TIE = 0.05


class Measured(NamedTuple):
    """A codec's codes int8[N, C] and restored states float32[N, D], and its row of the table."""

    codes: NDArray[np.int8]
    restored: NDArray[np.float32]
    row: Row


def write_report(
    codec: ExportedCodec,
    train: ArrayLike,
    held_out: ArrayLike,
    held_out_episodes: ArrayLike | None,
    folder: str | Path,
    *,
    others: Sequence[ExportedCodec] = (),
    feature_names: Sequence[str] | None = None,
) -> Path:
    """Write `report.html`, and its figures as PNG files beside it.

    Args:
        codec: the one to judge.
        train: numbers[N, D], what it learned from; the simple ways are fitted to it.
        held_out: numbers[M, D], states of other episodes, in order of time.
        held_out_episodes: integers[M], the episode of each; None where they are one recording.
        folder: made if needed.
        others: codecs of the same states, as further points of the rate-distortion curve.
        feature_names: D names; by default `feature 0`, ….

    Returns:
        The path of `report.html`.

    Raises:
        ConfigError: the states do not fit the codec.
        MissingDependencyError: the extra `report` is not installed.
    """
    dim = codec.config.input_dim
    learned = as_states("train", train, dim).numpy()
    states = as_states("held_out", held_out, dim).numpy()
    episodes = np.zeros(len(states), int) if held_out_episodes is None else np.asarray(held_out_episodes)
    if episodes.shape != (len(states),):
        raise ConfigError(f"held_out_episodes must be of shape [{len(states)}], not {list(episodes.shape)}")
    names = list(feature_names or [f"feature {number}" for number in range(dim)])
    if len(names) != dim:
        raise ConfigError(f"feature_names must be {dim} names, not {len(names)}")
    std = _std(learned)
    groups = codec.config.feature_groups
    mine = _measure(codec, states, std)
    points = {other.config.name: _measure(other, states, std).row for other in others}
    budgets = sorted({*BUDGETS_BYTES, mine.row.stored_bytes})
    tables = {size: compare(learned, states, groups, std, size) for size in budgets}
    rivals = tables[mine.row.stored_bytes]

    drawn = _draw(
        codec,
        mine,
        others=points,
        tables=tables,
        states=states,
        episodes=episodes,
        names=names,
        std=std,
    )
    if curves := figures.training_curves(codec.history):
        drawn["training"] = curves
    folder = files.make_folder(folder)
    for name, png in drawn.items():
        files.write(folder / f"{name}.png", png)
    bits, total_bits = code_entropy(mine.codes)
    page = _template().render(
        codec=codec,
        mine=mine.row,
        rows=sorted([mine.row, *rivals], key=lambda row: row.nrmse),
        groups=list(groups),
        verdict=verdict(mine.row, rivals),
        beaten=all(row.nrmse > mine.row.nrmse for row in rivals),
        train_states=len(learned),
        held_out_states=len(states),
        held_out_episodes=len(np.unique(episodes)),
        constant=int((std == 0).sum()),
        total_bits=total_bits,
        unused=int((bits < 0.1).sum()),
        images={name: base64.b64encode(png).decode() for name, png in drawn.items()},
    )
    path = folder / "report.html"
    files.write(path, page)
    return path


def verdict(mine: Row, rivals: Sequence[Row]) -> str:
    """Return one sentence: whether to use the codec or the best of the simple ways, and why."""
    if not rivals:
        return f"No simple way can use {mine.stored_bytes} bytes a state for these states."
    best = min(rivals, key=lambda row: row.nrmse)
    if mine.nrmse <= best.nrmse * (1 - TIE):
        return (
            f"Use this codec: {best.name}, the best of the simple ways, stores the same states in "
            f"{best.stored_bytes} bytes with {_times(best.nrmse, mine.nrmse)} the error."
        )
    if best.nrmse <= mine.nrmse * (1 - TIE):
        return (
            f"Use {best.name} instead: it stores the same states in {best.stored_bytes} bytes, and the error "
            f"of this codec is {_times(mine.nrmse, best.nrmse)} as large."
        )
    return (
        f"Use {best.name} instead unless you need the codec inside Redis: it stores the same states in "
        f"{best.stored_bytes} bytes with about the same error ({best.nrmse:.4f} against {mine.nrmse:.4f})."
    )


def _times(larger: float, smaller: float) -> str:
    return f"{larger / smaller:.2f} times" if smaller > 0 else "many times"


def _std(states: NDArray[np.float32]) -> NDArray[np.float64]:
    varies = states.max(axis=0) > states.min(axis=0)
    std: NDArray[np.float64] = np.where(varies, states.std(axis=0, dtype=np.float64), 0.0)
    return std


def _measure(codec: ExportedCodec, states: NDArray[np.float32], std: NDArray[np.float64]) -> Measured:
    encoder, decoder = codec.modules()
    with torch.inference_mode():
        codes = encoder(torch.from_numpy(states))
        restored = decoder(codes).numpy()
    codes = codes.numpy()
    groups = codec.config.feature_groups
    row = measured(f"codec {codec.config.name}", states, codes, restored, groups=groups, std=std)
    return Measured(codes, restored, row)


def _draw(
    codec: ExportedCodec,
    mine: Measured,
    *,
    others: Mapping[str, Row],
    tables: Mapping[int, Sequence[Row]],
    states: NDArray[np.float32],
    episodes: NDArray[Any],
    names: Sequence[str],
    std: NDArray[np.float64],
) -> dict[str, bytes]:
    # In the order of the list, so that a way has the same colour in every report.
    ways: dict[str, set[tuple[int, float]]] = {way.name: set() for way in ALTERNATIVES}
    for rows in tables.values():
        for row in rows:
            ways[row.name].add((row.stored_bytes, row.nrmse))
    codecs = {codec.config.name: mine.row, **others}
    groups = {name: span(group) for name, group in codec.config.feature_groups.items()}
    drawn = {
        "rate_distortion": figures.rate_distortion(
            {name: sorted(points) for name, points in ways.items()},
            {name: (row.stored_bytes, row.nrmse) for name, row in codecs.items()},
        ),
        "features": figures.feature_errors(feature_rmse(states, mine.restored, std), names, groups),
    }
    errors = {name: _errors(states, mine.restored, std, own) for name, own in groups.items()}
    if varying := {name: values for name, values in errors.items() if values.size}:
        drawn["histograms"] = figures.error_histograms(varying)
    drawn["over_time"] = figures.over_time(_samples(states, mine.restored, episodes, names, std))
    drawn["entropy"] = figures.entropy(code_entropy(mine.codes)[0])
    return drawn


def _errors(
    states: NDArray[np.float32], restored: NDArray[np.float32], std: NDArray[np.float64], own: slice
) -> NDArray[np.float64]:
    """Return the errors of one group's varying features in standard deviations, float64[any]."""
    columns = np.arange(len(std))[own]
    columns = columns[std[columns] > 0]
    rows = slice(0, HISTOGRAM_STATES)
    error: NDArray[np.float64] = (restored[rows, columns].astype(np.float64) - states[rows, columns]) / std[
        columns
    ]
    return error.ravel()


def _samples(
    states: NDArray[np.float32],
    restored: NDArray[np.float32],
    episodes: NDArray[Any],
    names: Sequence[str],
    std: NDArray[np.float64],
) -> list[tuple[str, list[tuple[str, NDArray[Any], NDArray[Any]]]]]:
    """Return the longest held-out episodes with the features that move most in them, beside their scale."""
    numbers, lengths = np.unique(episodes, return_counts=True)
    samples = []
    for number in numbers[np.argsort(-lengths, kind="stable")[:SAMPLES]]:
        rows = np.flatnonzero(episodes == number)[:SAMPLE_STEPS]
        movement = np.where(std > 0, states[rows].std(axis=0) / np.where(std > 0, std, 1), -1)
        most = np.argsort(-movement, kind="stable")[:SAMPLE_FEATURES]
        features = [(names[f], states[rows, f], restored[rows, f]) for f in most]
        samples.append((f"episode {number}", features))
    return samples


def _template() -> Any:
    jinja2 = optional.load("jinja2", "report")
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True).get_template("report.html")
