"""`make bench`: one report of the same work done by a naive blueprint, raw pipelines, TorchRL and this store.

Writes report.md, report.json and plots to a folder; the report begins with the aims and what was reached.
Each case can be run by itself, on some of the systems. `--quick` takes a minute or two and checks that
everything works: its figures are not to be quoted.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.status import Status

from benchmarks import material
from benchmarks.cases import bytes as bytes_case
from benchmarks.cases import growth, latency, profile, throughput
from benchmarks.cases.common import Bench, Plan, Row, Tick
from benchmarks.peers import ALL, SYSTEMS
from benchmarks.peers.system import System
from benchmarks.report.about import about
from benchmarks.report.aims import Aim, aims
from benchmarks.report.figures import Figures
from benchmarks.report.markdown import markdown
from benchmarks.report.plots import plots
from benchmarks.stage import Stage
from modules_store import files

ON_STAGE: dict[str, Callable[[Stage], list[Row]]] = {
    "throughput": throughput.measure,
    "latency": latency.measure,
    "profile": profile.measure,
}
ON_THEIR_OWN: dict[str, Callable[[Bench], list[Row]]] = {
    "bytes": bytes_case.measure,
    "growth": growth.measure,
}
CASES = (*ON_STAGE, *ON_THEIR_OWN)
QUICK = {
    "rounds": 1,
    "seconds": 0.02,
    "latency_seconds": 0.1,
    "processes": 2,
    "sizes": (1000,),
    "look_every_s": 0.05,
    "agents": (10, 50),
    "memories": (100, 2000),
}
TOLD_EVERY_S = 30

console = Console(highlight=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the report."""
    given = _options(arguments)
    # A client has one thread: with more, encoders in the client would take the server's core.
    torch.set_num_threads(1)
    chosen = [SYSTEMS[name] for name in SYSTEMS if name in (given.systems or SYSTEMS)]
    skipped = {system.name: reason for system in chosen if (reason := system.missing())}
    plan = Plan(
        [system for system in chosen if system.name not in skipped],
        engine=given.engine,
        appendonly=given.appendonly,
        **(QUICK if given.quick else {}),
    )
    if given.rounds:
        plan = dataclasses.replace(plan, rounds=given.rounds)
    for name, reason in skipped.items():
        console.print(f"{name} is skipped: {reason}")
    started = time.monotonic()
    facts = {**about(plan.engine), **_run_facts(plan, given.quick)}
    cases = _measure(plan, given.cases)
    facts["minutes"] = round((time.monotonic() - started) / 60, 1)
    _write(given.output, facts, plan.systems, skipped, cases)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("build/bench"), metavar="FOLDER")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, metavar="CASE")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, metavar="SYSTEM", help=", ".join(SYSTEMS))
    parser.add_argument(
        "--quick", action="store_true", help="for a minute or two, to see that everything works"
    )
    parser.add_argument("--rounds", type=int, help="medians are of so many")
    parser.add_argument("--appendonly", action="store_true", help="all servers log every write (AOF)")
    parser.add_argument(
        "--engine",
        default=os.environ.get("MODULES_STORE_TEST_ENGINE"),
        help="another redisai.so; by default that of MODULES_STORE_TEST_ENGINE, or the installed one",
    )
    return parser.parse_args(arguments)


def _run_facts(plan: Plan, quick: bool) -> dict[str, Any]:
    persistence = "AOF" if plan.appendonly else "off"
    rounds = f"{plan.rounds} of {plan.seconds:g} s a measurement"
    return {"persistence": persistence, "rounds": f"{rounds}: quick, not to be quoted" if quick else rounds}


def _measure(plan: Plan, names: Sequence[str]) -> dict[str, list[Row]]:
    """Run the cases, telling what each does."""
    cases: dict[str, list[Row]] = {}

    def run(name: str, measure: Callable[[], list[Row]]) -> None:
        started = time.monotonic()
        cases[name] = measure()
        console.print(f"{name}: {time.monotonic() - started:,.0f} s")

    with tempfile.TemporaryDirectory() as folder, console.status("Training the codec") as status:
        bench = Bench(plan, material.make(Path(folder)), _teller(status))
        if on_stage := [name for name in ON_STAGE if name in names]:
            with Stage(bench) as stage:
                for name in on_stage:
                    run(name, partial(ON_STAGE[name], stage))
        for name, measure in ON_THEIR_OWN.items():
            if name in names:
                run(name, partial(measure, bench))
    return cases


def _teller(status: Status) -> Tick:
    """Return what shows what comes next; where output is no terminal, as a line now and then."""
    last_told = time.monotonic()

    def tell(text: str) -> None:
        nonlocal last_told
        status.update(text)
        if not console.is_terminal and time.monotonic() - last_told > TOLD_EVERY_S:
            last_told = time.monotonic()
            console.print(f"   {text}")

    return tell


def _write(
    folder: Path,
    facts: dict[str, Any],
    systems: Sequence[System],
    skipped: dict[str, str],
    cases: dict[str, list[Row]],
) -> None:
    """Write the report's files, and print the aims."""
    figures = Figures(cases)
    found = aims(figures)
    order = [system.name for system in ALL]
    drawn = plots(figures, order)
    notes = {system.name: system.notes for system in systems}
    folder.mkdir(parents=True, exist_ok=True)
    for case in drawn.values():
        for name, png in case.items():
            files.write(folder / name, png)
    document = {
        "about": facts,
        "systems": notes,
        "skipped": skipped,
        "aims": [aim.to_dict() for aim in found],
        "cases": cases,
    }
    files.write(folder / "report.json", json.dumps(document, indent=1) + "\n")
    text = markdown(
        about=facts,
        systems=notes,
        skipped=skipped,
        figures=figures,
        aims=found,
        plots={case: list(files) for case, files in drawn.items()},
    )
    files.write(folder / "report.md", text)
    _print_aims(found)
    console.print(f"The report is {folder / 'report.md'}")


def _print_aims(found: Sequence[Aim]) -> None:
    for aim in found:
        reached = [
            f"{column}: {value:,.2f} {'' if met is None else 'met' if met else 'missed'}".strip()
            for column, value in aim.reached.items()
            if value is not None
            for met in (aim.verdict(column),)
        ]
        limit = "" if aim.limit is None else f" ({'at most' if aim.at_most else 'at least'} {aim.limit:g})"
        if reached:
            console.print(f"   {aim.text}{limit}: {'; '.join(reached)}", soft_wrap=True)


if __name__ == "__main__":
    main()
