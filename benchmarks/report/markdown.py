"""Writes the report: the aims and what was reached, floors, then every figure, then what was measured how."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.cases import latency, profile, throughput
from benchmarks.cases.common import Row
from benchmarks.clients import Work
from benchmarks.peers import BARE_KEYS, BARE_PACKED, CODEC_ALONE, KEYS, PACKED, ROUND_TRIP
from benchmarks.report.aims import OURS, Aim, as_by_default, columns
from benchmarks.report.figures import Figures, in_order
from modules_store.flows.modes import MANY_ROWS

NOTHING = "–"
BARE_OF = {KEYS: BARE_KEYS, PACKED: BARE_PACKED}


def markdown(
    *,
    about: Mapping[str, Any],
    systems: Mapping[str, str],
    skipped: Mapping[str, str],
    figures: Figures,
    aims: Sequence[Aim],
    plots: Mapping[str, Sequence[str]],
) -> str:
    """Return the report.

    Args:
        about: facts about the machine and the run.
        systems: what each system does, by name, in order.
        skipped: systems that could not run here, and why.
        plots: names of the PNG files of each case.
    """
    order = list(systems)
    parts = [["# The same work, side by side"], *([_aims(figures, aims, skipped)] if aims else [])]
    sections = {
        "throughput": lambda: [*_floors(figures, aims), *_throughput(figures, order)],
        "latency": lambda: _latency(figures, order),
        "bytes": lambda: _bytes(figures, order),
        "growth": lambda: _growth(figures, order),
        "profile": lambda: _profile(figures, order),
    }
    for case, section in sections.items():
        if case in figures.cases:
            parts.append([*section(), "", *(f"![{case}]({name})" for name in plots.get(case, ()))])
    parts.append(_about(about, systems, skipped))
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table; all columns but the first are numbers."""
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (headings, rule, *rows)]


def _aims(figures: Figures, aims: Sequence[Aim], skipped: Mapping[str, str]) -> list[str]:
    shown = columns(figures)
    rows = []
    for aim in aims:
        limit = (
            NOTHING if aim.limit is None else f"{'≤' if aim.at_most else '≥'} {_value(aim.limit, aim.unit)}"
        )
        rows.append([aim.text, limit, *(_reached(aim, column) for column in shown)])
    lines = table(["work", "aim", *shown], rows)
    lines += [
        "",
        "**Bold** where the aim is met; × are ratios of states a second, or of times where they grow. Models "
        f"run where a client's mode *auto* runs them: *queued* from {MANY_ROWS:,} states a call on.",
    ]
    missing = [f"{name}: {skipped[name]}" for name in OURS if name in skipped]
    return [*lines, *(f"Not measured: {text}." for text in missing)]


def _reached(aim: Aim, column: str) -> str:
    value = aim.reached.get(column)
    if value is None:
        return NOTHING
    met = aim.verdict(column)
    text = _value(value, aim.unit)
    return text if met is None else f"**{text}**" if met else f"{text}, missed"


def _value(value: float, unit: str) -> str:
    return f"{value:,.0f} B" if unit == "B" else f"{value:.2f}{unit}"


def _floors(figures: Figures, aims: Sequence[Aim]) -> list[str]:
    """Show, for each work with an aim, the least that it can cost, and whether the aim is missed."""
    rows = []
    works = dict.fromkeys(aim.work for aim in aims if aim.work is not None and aim.limit is not None)
    for work in works:
        for system in OURS:
            ours = figures.call_us(as_by_default(figures, system, work), work)
            parts = [figures.call_us(name, work) for name in (ROUND_TRIP, CODEC_ALONE, BARE_OF[system])]
            if ours is None or None in parts:
                continue
            trip, codec, bare = (part for part in parts if part is not None)
            missed = any(aim.work == work and aim.verdict(system) is False for aim in aims)
            rows.append(
                [
                    f"{work.name}, {system}",
                    *(f"{us:,.0f}" for us in (ours, trip, codec, trip + codec)),
                    f"{ours / (trip + codec):.1f}",
                    f"{bare:,.0f}",
                    f"{ours / bare:.1f}",
                    "missed" if missed else "",
                ]
            )
    headings = ["one client, µs a call", "here", ROUND_TRIP, CODEC_ALONE, "both: the floor", "of it"]
    return [
        "## How near the floor",
        "",
        "A client's call cannot take less than its bytes there and back and its run of the codec. The bare "
        "commands write or read the same bytes from Python, the codes being ready; where a program in the "
        "server beats them, that is because Python need not make a command for each memory.",
        "",
        *table([*headings, "bare commands", "of them", "an aim"], rows),
    ]


def _throughput(figures: Figures, order: Sequence[str]) -> list[str]:
    lines = []
    stores = [work for work in throughput.WORKS if work.kind == "store"]
    recalls = [work for work in throughput.WORKS if work.kind != "store"]
    for processes in figures.process_counts():
        clients = "1 client" if processes == 1 else f"{processes} clients"
        for title, works in (("Stored", stores), ("Recalled", recalls)):
            rows = []
            for system in order:
                rates = [figures.states_per_second(system, work, processes) for work in works]
                if any(rate is not None for rate in rates):
                    rows.append([system, *(_number(rate) for rate in rates)])
            lines += ["", f"## {title}: states a second, {clients}", ""]
            lines += table(["", *(_short(work) for work in works)], rows)
    return lines


def _latency(figures: Figures, order: Sequence[str]) -> list[str]:
    rows = []
    for system in order:
        cells = []
        for work in latency.WORKS:
            found = figures.rows("latency", system=system, work=work.kind, count=work.count)
            cells += [
                _number(statistics.median(found[0][name])) if found else NOTHING
                for name in latency.PERCENTILES
            ]
        if set(cells) != {NOTHING}:
            rows.append([system, *cells])
    headings = [f"{work.name}: {name}" for work in latency.WORKS for name in latency.PERCENTILES]
    processes = figures.largest("latency", "processes")
    calls = min(statistics.median(row["calls"]) for row in figures.rows("latency"))
    return [
        f"## Latency: microseconds of a call, {processes} clients at once",
        "",
        "Each client calls again as soon as it has its answer. A round of the slowest system has "
        f"{calls:,.0f} calls; of fewer than a thousand, p99.9 is the slowest.",
        "",
        *table(["", *headings], rows),
    ]


def _bytes(figures: Figures, order: Sequence[str]) -> list[str]:
    sizes = sorted({row["asked"] for row in figures.rows("bytes")})
    rows, fewer = [], []
    for system in order:
        found = {(row["asked"], row["described"]): row for row in figures.rows("bytes", system=system)}
        if not found:
            continue
        rows.append(
            [
                system,
                *(f"{found[size, described]['bytes']:,.0f}" for size in sizes for described in (False, True)),
            ]
        )
        fewer += [
            f"{system} was weighed with {row['memories']:,} instead of {size:,}, by its size."
            for (size, described), row in found.items()
            if row["memories"] != size and not described
        ]
    headings = [f"{size:,}{text}" for size in sizes for text in ("", " with metadata")]
    return [
        "## Bytes of the server's memory a memory",
        "",
        "Keys, index and hash tables count. An agent has 10,000 memories, a codec's codes are 32 bytes, the "
        "raw state 200; metadata have three fields. The bare commands, which keep no documents of agents, "
        "are the floor of the layouts.",
        "",
        *table(["", *headings], rows),
        *(["", *fewer] if fewer else []),
    ]


def _growth(figures: Figures, order: Sequence[str]) -> list[str]:
    lines = [
        "## How the cost of a call grows",
        "",
        "Microseconds of a call of one client, and in parentheses how many times that of a small server, "
        "which was measured in turn with it: 10 agents of 100 memories, or 100 agents of the fewest. Blanks "
        "are sizes at which a system was not measured: it would take too long, or too much memory. A sample "
        "of 256 has only about 92 different memories where there are 100.",
    ]
    for axis, title in (("agents", "agents of 100 memories"), ("memories", "memories an agent")):
        sizes = sorted({row["size"] for row in figures.rows("growth", axis=axis)})
        rows = []
        for work, name in (("store", "store 1"), ("sample", "sample 256")):
            for system in in_order((row["system"] for row in figures.rows("growth", axis=axis)), order):
                cells = []
                for size in sizes:
                    found = figures.rows("growth", system=system, axis=axis, work=work, size=size)
                    ratio = figures.growth(system, axis, work, size)
                    cells.append(f"{statistics.median(found[0]['us']):,.0f} ({ratio:.2f})" if found else "")
                rows.append([f"{name}, {system}", *cells])
        lines += ["", *table([title, *(f"{size:,}" for size in sizes)], rows)]
    return lines


def _profile(figures: Figures, order: Sequence[str]) -> list[str]:
    rows = []
    for work in profile.WORKS:
        for system in in_order((row["system"] for row in figures.rows("profile")), order):
            for row in figures.rows(
                "profile", system=system, work=work.kind, count=work.count, described=work.described
            ):
                parts = parts_us(row)
                total = sum(parts.values())
                shares = [f"{us:,.0f} ({us / total:.0%})" for us in parts.values()]
                rows.append([f"{work.name}, {system}", f"{total:,.0f}", *shares])
    return [
        "## Where the time goes",
        "",
        "Microseconds of a call of one client, codec inline: the server's parts by INFO commandstats, which "
        "counts Lua as what a program takes beside the commands that it calls; the others by the client's "
        "clock. Network and redis-py include the server's reading of the command and writing of the reply.",
        "",
        *table(["", "a call", *profile.PARTS], rows),
    ]


def parts_us(row: Row) -> dict[str, float]:
    """Return the median microseconds of each part of a row of the profile."""
    return {name: statistics.median(row["us"][name]) for name in profile.PARTS}


def _about(about: Mapping[str, Any], systems: Mapping[str, str], skipped: Mapping[str, str]) -> list[str]:
    return [
        "## What was measured",
        "",
        *(
            f"- **{', '.join(name for name in systems if systems[name] == notes)}**: {notes}."
            for notes in dict.fromkeys(systems.values())
        ),
        *(f"- **{name}** was skipped: {reason}." for name, reason in skipped.items()),
        "",
        "Each system has a redis-server of its own, all started in the same way, on TCP of the same machine. "
        "States have 50 float32. All that have a codec have the same one of 32 codes. Systems take turns "
        "within each round, ratios are taken within rounds, and figures are medians of the rounds. Client "
        "processes start at the same moment, each with one thread, and each measures its own calls; stores "
        "go to 100 agents a client in turn, which have memories already.",
        "",
        *table(["", "here"], [[name, str(value)] for name, value in about.items()]),
    ]


def _short(work: Work) -> str:
    return work.name.removeprefix("store ")


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f}"
