"""Draws the figures of the report as PNG bytes, by file name."""

from __future__ import annotations

import io
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.cases import latency, profile, throughput
from benchmarks.clients import Work
from benchmarks.peers import (
    BARE_KEYS,
    BARE_PACKED,
    BLUEPRINT,
    CODEC_ALONE,
    KEYS,
    PACKED,
    RAW,
    ROUND_TRIP,
    TORCHRL,
    TORCHRL_SLICES,
)
from benchmarks.report.figures import Figures, in_order
from benchmarks.report.markdown import parts_us
from model_export import optional
from model_export.figures import DOTS_PER_INCH, STYLE

COLORS = {
    BLUEPRINT: "#b03a2e",
    RAW: "#a3a000",
    TORCHRL: "#d9822b",
    TORCHRL_SLICES: "#f0b678",
    KEYS: "#1261a0",
    f"{KEYS}, queued": "#7fb2dc",
    PACKED: "#2e8b57",
    f"{PACKED}, queued": "#8fcbaa",
    ROUND_TRIP: "#5f6b7a",
    BARE_KEYS: "#939ca6",
    BARE_PACKED: "#b5bcc4",
    CODEC_ALONE: "#d5dade",
}
PART_COLORS = ("#2e8b57", "#1261a0", "#8e4585", "#d9822b", "#939ca6", "#b03a2e")
WIDTH = 10.0


def plots(figures: Figures, order: Sequence[str]) -> dict[str, dict[str, bytes]]:
    """Return PNGs by file name for each case that was run. Raises MissingDependencyError."""
    draw: dict[str, Callable[[Figures, Sequence[str]], dict[str, bytes]]] = {
        "throughput": _throughput,
        "latency": _latency,
        "bytes": _bytes,
        "growth": _growth,
        "profile": _profile,
    }
    return {case: drawn(figures, order) for case, drawn in draw.items() if figures.cases.get(case)}


def _throughput(figures: Figures, order: Sequence[str]) -> dict[str, bytes]:
    stores = [work for work in throughput.WORKS if work.kind == "store"]
    recalls = [work for work in throughput.WORKS if work.kind != "store"]
    return {
        "stores.png": _rates(figures, order, stores, "states stored a second"),
        "recalls.png": _rates(figures, order, recalls, "states recalled a second"),
    }


def _rates(figures: Figures, order: Sequence[str], works: Sequence[Work], title: str) -> bytes:
    counts = figures.process_counts()
    figure, axes = _figure(len(counts), height=3.2)
    for axis, processes in zip(axes, counts, strict=True):
        shown = [
            name
            for name in order
            if any(figures.states_per_second(name, work, processes) is not None for work in works)
        ]
        width = 0.86 / len(shown)
        for place, name in enumerate(shown):
            rates = [figures.states_per_second(name, work, processes) or float("nan") for work in works]
            at = [group + (place - (len(shown) - 1) / 2) * width for group in range(len(works))]
            axis.bar(at, rates, width * 0.92, color=COLORS[name], label=name)
        axis.set_yscale("log")
        _only_powers(axis.yaxis)
        axis.set_xticks(range(len(works)), [work.name.replace(" with", "\nwith") for work in works])
        axis.grid(axis="x", visible=False)
        axis.set(title=f"{title}, {processes} client{'s' * (processes > 1)}")
    _legend(figure, axes[0])
    return _png(figure)


def _latency(figures: Figures, order: Sequence[str]) -> dict[str, bytes]:
    figure, axes = _figure(len(latency.WORKS), columns=2, height=4.0)
    for axis, work in zip(axes, latency.WORKS, strict=True):
        found = {row["system"]: row for row in figures.rows("latency", work=work.kind, count=work.count)}
        shown = in_order(found, order)[::-1]
        for place, name in enumerate(shown):
            points = [statistics.median(found[name][percentile]) for percentile in latency.PERCENTILES]
            axis.plot(points, [place] * len(points), color=COLORS[name], linewidth=2)
            for point, marker in zip(points, "o|D", strict=True):
                axis.plot(point, place, marker, color=COLORS[name], markersize=9 if marker == "|" else 5)
        axis.set_xscale("log")
        _only_powers(axis.xaxis)
        axis.set_yticks(range(len(shown)), shown)
        axis.set(title=f"{work.name}: p50 ●, p99 |, p99.9 ◆", xlabel="µs a call")
    return {"latency.png": _png(figure)}


def _bytes(figures: Figures, order: Sequence[str]) -> dict[str, bytes]:
    size = figures.largest("bytes", "asked")
    figure, axes = _figure(2, columns=2, height=3.2)
    for axis, described in zip(axes, (False, True), strict=True):
        found = {
            row["system"]: row["bytes"] for row in figures.rows("bytes", asked=size, described=described)
        }
        shown = in_order(found, order)[::-1]
        bars = axis.barh(shown, [found[name] for name in shown], color=[COLORS[name] for name in shown])
        axis.bar_label(bars, fmt="{:,.0f}", padding=3)
        axis.set_xscale("log")
        _only_powers(axis.xaxis)
        axis.set_xlim(10, 2 * max(found.values()))
        axis.grid(axis="y", visible=False)
        axis.set(
            title=f"{'three fields of metadata' if described else 'no metadata'}", xlabel="bytes a memory"
        )
    return {"bytes.png": _png(figure)}


def _growth(figures: Figures, order: Sequence[str]) -> dict[str, bytes]:
    figure, axes = _figure(4, columns=2, height=3.0)
    panels = [(axis, work) for work in ("store", "sample") for axis in ("agents", "memories")]
    for panel, (axis, work) in zip(axes, panels, strict=True):
        rows = figures.rows("growth", axis=axis, work=work)
        for name in in_order((row["system"] for row in rows), order):
            sizes = sorted(row["size"] for row in rows if row["system"] == name)
            ratios = [figures.growth(name, axis, work, size) for size in sizes]
            panel.plot(sizes, ratios, "o-", color=COLORS[name], label=name, markersize=4)
        panel.axhline(1.3, color="#8a949e", linestyle=":", linewidth=1)
        panel.set_xscale("log")
        _only_powers(panel.xaxis)
        panel.set_ylim(bottom=0)
        call = "store 1" if work == "store" else "sample 256"
        panel.set(
            title=f"{call}: times the small server's",
            xlabel="agents" if axis == "agents" else "memories an agent",
        )
    _legend(figure, axes[0])
    return {"growth.png": _png(figure)}


def _profile(figures: Figures, order: Sequence[str]) -> dict[str, bytes]:
    bars = []
    for work in profile.WORKS:
        for name in in_order((row["system"] for row in figures.rows("profile")), order):
            rows = figures.rows(
                "profile", system=name, work=work.kind, count=work.count, described=work.described
            )
            bars += [(f"{work.name}, {name}", parts_us(row)) for row in rows]
    figure, (axis,) = _figure(1, height=1.2 + 0.34 * len(bars))
    for place, (_, parts) in enumerate(reversed(bars)):
        total, left = sum(parts.values()), 0.0
        for (part, us), color in zip(parts.items(), PART_COLORS, strict=True):
            label = part if place == 0 else None
            axis.barh(place, 100 * us / total, left=left, color=color, label=label, height=0.75)
            left += 100 * us / total
        axis.text(101, place, f"{total:,.0f} µs", va="center", fontsize=9)
    axis.set_yticks(range(len(bars)), [name for name, _ in reversed(bars)])
    axis.grid(axis="y", visible=False)
    axis.set(xlim=(0, 112), xlabel="% of a call's time", xticks=range(0, 101, 20))
    _legend(figure, axis)
    return {"profile.png": _png(figure)}


def _figure(count: int, columns: int = 1, height: float = 3.0) -> tuple[Any, list[Any]]:
    matplotlib = optional.load("matplotlib", "report")
    rows = -(-count // columns)
    with matplotlib.rc_context(STYLE):
        # No pyplot: a figure of its own needs no display and is freed with its last reference.
        figure = optional.load("matplotlib.figure", "report").Figure(
            figsize=(WIDTH, height * rows + 0.5), layout="constrained"
        )
        axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    return figure, axes


def _only_powers(axis: Any) -> None:
    """Leave a logarithmic axis the ticks at powers of ten; the others take seconds to draw."""
    axis.set_minor_locator(optional.load("matplotlib.ticker", "report").NullLocator())


def _legend(figure: Any, axis: Any) -> None:
    figure.legend(
        *axis.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False, fontsize=9
    )


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()
