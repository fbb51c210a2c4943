"""Draws the figures of a report as PNG bytes. Which numbers they show is decided in report.py."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_export import optional

CODEC_COLOR, OTHER_CODEC_COLOR, ORIGINAL_COLOR = "#1261a0", "#7fb2dc", "#222222"
GROUP_COLORS = ("#1261a0", "#d9822b", "#2e8b57", "#8e4585", "#b03a2e", "#5f6b7a", "#a3a000", "#00838f")
WAY_COLORS = ("#d9822b", "#8e4585", "#2e8b57", "#b03a2e", "#5f6b7a", "#a3a000", "#00838f")
STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6eaee",
    "axes.axisbelow": True,
    "axes.edgecolor": "#8a949e",
    "figure.facecolor": "white",
}
LEAST_ERROR = 1e-6
DOTS_PER_INCH = 110
WIDTH = 9.0
# What a training history may hold, by name, and what its curve is called.
CURVES = {
    "loss": "loss (distortion + rate)",
    "distortion": "distortion",
    "rate_bits": "rate (bits a state)",
    "validation_nrmse": "validation error (normalised RMSE)",
}
# A name on every bar up to so many bars.
MOST_NAMES = 30
# Labels of sizes nearer to one another than this would overlap.
LEAST_TICK_RATIO = 1.15


def training_curves(history: Sequence[Mapping[str, float | None]]) -> bytes | None:
    """Draw every measured quantity of the training history over its steps; None where there is none."""
    names = [name for name in CURVES if any(step.get(name) is not None for step in history)]
    if not names:
        return None
    figure, axes = _figure(len(names), columns=2, height=2.4)
    for axis, name in zip(axes, names, strict=True):
        points = [(h["step"], value) for h in history if (value := h.get(name)) is not None]
        axis.plot(*zip(*points, strict=True), color=CODEC_COLOR)
        if min(value for _, value in points) > 0 and name != "rate_bits":
            axis.set_yscale("log")
        axis.set(title=CURVES[name], xlabel="step")
    return _png(figure)


def rate_distortion(
    ways: Mapping[str, Sequence[tuple[int, float]]], codecs: Mapping[str, tuple[int, float]]
) -> bytes:
    """Draw error over bytes a state: a line for each way, a star for each codec."""
    figure, (axis,) = _figure(1, height=4.2)
    for color, (name, points) in zip(_cycle(WAY_COLORS), ways.items(), strict=False):
        # Errors are rounded to six digits; a logarithmic axis cannot show 0.
        shown = [(size, max(error, LEAST_ERROR)) for size, error in sorted(points)]
        if not shown:
            continue
        axis.plot(*zip(*shown, strict=True), "o-", color=color, label=name, markersize=4, linewidth=1.4)
    for number, (name, (size, error)) in enumerate(codecs.items()):
        color = CODEC_COLOR if number == 0 else OTHER_CODEC_COLOR
        axis.plot(
            size, max(error, LEAST_ERROR), "*", color=color, markersize=17, label=f"codec {name}", zorder=5
        )
    sizes = sorted({size for points in ways.values() for size, _ in points} | {s for s, _ in codecs.values()})
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    sizes = [
        size for size, before in zip(sizes, [0, *sizes], strict=False) if size > LEAST_TICK_RATIO * before
    ]
    axis.set_xticks(sizes, [str(size) for size in sizes])
    axis.minorticks_off()
    axis.set(xlabel="bytes a state", ylabel="normalised RMSE, held out")
    _legend(axis)
    return _png(figure)


def feature_errors(errors: NDArray[np.float64], names: Sequence[str], groups: Mapping[str, slice]) -> bytes:
    """Draw one bar a feature, coloured by group; constant features have none."""
    figure, (axis,) = _figure(1, height=3.2)
    for color, (name, own) in zip(_cycle(GROUP_COLORS), groups.items(), strict=False):
        numbers = np.arange(len(errors))[own]
        axis.bar(numbers, np.nan_to_num(errors[own]), color=color, label=name, width=0.85)
    if len(errors) <= MOST_NAMES:
        axis.set_xticks(range(len(errors)), names, rotation=60, ha="right", fontsize=8)
    axis.grid(axis="x", visible=False)
    axis.set(xlabel="feature", ylabel="error (standard deviations)", xlim=(-0.8, len(errors) - 0.2))
    if len(groups) > 1:
        _legend(axis)
    return _png(figure)


def error_histograms(errors: Mapping[str, NDArray[np.float64]]) -> bytes:
    """Draw how the errors of each group's values are distributed."""
    figure, axes = _figure(len(errors), columns=min(3, len(errors)), height=2.3)
    widest = max(float(np.quantile(np.abs(values), 0.995)) for values in errors.values()) or 1.0
    for axis, color, (name, values) in zip(axes, _cycle(GROUP_COLORS), errors.items(), strict=False):
        weights = np.full(values.size, 100 / values.size)
        axis.hist(
            np.clip(values, -widest, widest), np.linspace(-widest, widest, 61), weights=weights, color=color
        )
        axis.set(title=name, xlabel="error (standard deviations)", ylabel="% of values")
    return _png(figure)


def over_time(samples: Sequence[tuple[str, Sequence[tuple[str, NDArray[Any], NDArray[Any]]]]]) -> bytes:
    """Draw original and restored features over time: a column a sample, a row a feature."""
    rows = len(samples[0][1])
    figure, axes = _figure(rows * len(samples), columns=len(samples), height=1.7)
    for column, (title, features) in enumerate(samples):
        for row, (name, original, restored) in enumerate(features):
            axis = axes[row * len(samples) + column]
            axis.plot(original, color=ORIGINAL_COLOR, linewidth=1.6, label="original")
            axis.plot(restored, color=WAY_COLORS[0], linewidth=1.1, label="restored")
            axis.set_title(f"{title}: {name}", fontsize=9)
            if row == rows - 1:
                axis.set_xlabel("step")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return _png(figure)


def entropy(bits: NDArray[np.float64]) -> bytes:
    """Draw the entropy of each code column against the 8 bits it is stored in."""
    figure, (axis,) = _figure(1, height=2.8)
    axis.bar(range(len(bits)), np.full(len(bits), 8.0), color="#eef1f4", width=0.85, label="stored")
    axis.bar(range(len(bits)), bits, color=CODEC_COLOR, width=0.85, label="used (entropy)")
    axis.grid(axis="x", visible=False)
    axis.set(xlabel="code (stored byte)", ylabel="bits", ylim=(0, 8.4), xlim=(-0.8, len(bits) - 0.2))
    _legend(axis)
    return _png(figure)


def _figure(count: int, columns: int = 1, height: float = 3.0) -> tuple[Any, list[Any]]:
    matplotlib = optional.load("matplotlib", "report")
    with matplotlib.rc_context(STYLE):
        # No pyplot: a figure of its own needs no display and is freed with its last reference.
        rows = -(-count // columns)
        made = optional.load("matplotlib.figure", "report").Figure(
            figsize=(WIDTH, height * rows), layout="constrained"
        )
        axes = list(made.subplots(rows, columns, squeeze=False).ravel())
    for unused in axes[count:]:
        unused.remove()
    return made, axes[:count]


def _legend(axis: Any) -> None:
    """Put the legend to the right of the axes, where it hides nothing."""
    axis.legend(bbox_to_anchor=(1.01, 1), loc="upper left", frameon=False)


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()


def _cycle(colors: Sequence[str]) -> Any:
    return (colors[number % len(colors)] for number in range(10_000))
