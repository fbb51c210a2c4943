"""`make bench-engine`: what the engine adds to PING and to the bare model, measured in the same run.

The load comes from engine/bench/load.cc, a process of its own, over a Unix socket; the bare model's times
from engine/bench/bare_model.cc. engine/bench/build.sh builds both.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import redis
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.engine_cases import (
    BARE_ROWS,
    FEATURES,
    Aim,
    Case,
    Figures,
    Round,
    aims,
    bare_name,
    cases,
    encoder,
    setup_commands,
    share_of_bare,
    share_of_rate,
)
from benchmarks.measure import interleaved
from modules_store import files
from modules_store.server import EmbeddedServer

PROGRAMS = Path(__file__).parent.parent / "build" / "bench"
TABLE_WIDTH = 130
IDLE_S = 5.0
IDLE_LIMIT_PERCENT = 0.5
"""More than this would not be shown as 0 % of a core; the server's own timers take about half of it."""


def main() -> None:
    """Measure, print the aims, then the figures."""
    options = _options()
    console = Console()
    console.width = max(console.width, TABLE_WIDTH)
    load_before = os.getloadavg()[0]
    archive, measured = encoder(), cases()
    with tempfile.TemporaryDirectory() as folder, console.status("Measuring, about two minutes"):
        with EmbeddedServer(port=0, modules=()) as server, redis.Redis.from_url(server.url) as client:
            idle_percent = {"without the engine": _idle_percent(client)}
        with (
            EmbeddedServer(port=0, modules=["engine"], engine=options.engine) as server,
            redis.Redis.from_url(server.url) as client,
        ):
            for command in setup_commands(archive):
                client.execute_command(*command)
            measurements = {
                **_loads(server, measured, Path(folder), options.seconds),
                **_bare_calls(archive, Path(folder), options.seconds),
            }
            rounds = interleaved(measurements, rounds=options.rounds)
            idle_percent["with a model and its worker"] = _idle_percent(client)
            about = {**_about(client), "load average before": round(load_before, 2)}
    console.print(_aims_table(rounds, idle_percent))
    console.print(_loads_table(rounds, measured))
    console.print(_bare_table(rounds))
    console.print("; ".join(f"{name} {value}" for name, value in about.items()))
    if options.json:
        report = {"about": about, "idle_percent": idle_percent, "aims": _verdicts(rounds), "rounds": rounds}
        files.write(options.json, json.dumps(report, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures the engine beside PING and the bare model.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write each round's figures there")
    parser.add_argument("--rounds", type=int, default=5, help="medians are of so many")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement, in each round")
    parser.add_argument(
        "--engine",
        default=os.environ.get("MODULES_STORE_TEST_ENGINE"),
        help="another redisai.so; by default that of MODULES_STORE_TEST_ENGINE, or the installed one",
    )
    return parser.parse_args()


def _loads(
    server: EmbeddedServer, measured: list[Case], folder: Path, seconds: float
) -> dict[str, Callable[[], Figures]]:
    loads = {}
    for number, case in enumerate(measured):
        request = folder / f"request-{number}"
        request.write_bytes(case.request)
        arguments = (server.unix_socket, request, case.connections, case.pipeline, seconds)
        loads[case.name] = functools.partial(_run, "load", *arguments)
    return loads


def _bare_calls(archive: bytes, folder: Path, seconds: float) -> dict[str, Callable[[], Figures]]:
    model = folder / "encoder.pt"
    model.write_bytes(archive)

    def measure(rows: int) -> Figures:
        figures = _run("bare_model", model, rows, FEATURES, seconds)
        return {"us": min(figures["as_loaded_us"], figures["frozen_us"]), **figures}

    return {bare_name(rows): functools.partial(measure, rows) for rows in BARE_ROWS}


def _run(program: str, *arguments: object) -> Figures:
    answer = subprocess.run(
        [PROGRAMS / program, *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(answer.stdout)


def _idle_percent(client: redis.Redis) -> float:
    """Return the share of a core that the server takes while nobody asks it anything."""
    client.ping()
    before, start = _processor_s(client), time.monotonic()
    time.sleep(IDLE_S)
    return 100 * (_processor_s(client) - before) / (time.monotonic() - start)


def _processor_s(client: redis.Redis) -> float:
    info = client.info("cpu")
    return info["used_cpu_user"] + info["used_cpu_sys"]


def _median(rounds: list[Round], figure: Callable[[Round], float]) -> float:
    return statistics.median(figure(each) for each in rounds)


def _verdicts(rounds: list[Round]) -> list[dict[str, object]]:
    def verdict(aim: Aim) -> dict[str, object]:
        ratio = _median(rounds, aim.ratio)
        return {"aim": aim.text, "ratio": ratio, "limit": aim.limit, "is_met": aim.is_met_by(ratio)}

    return [verdict(aim) for aim in aims()]


def _aims_table(rounds: list[Round], idle_percent: dict[str, float]) -> Table:
    shown = Table("aim", title="Ratios, medians over the rounds", title_justify="left")
    for heading in ("measured", "aim", "the model alone", "verdict"):
        shown.add_column(heading, justify="right")
    for aim in aims():
        ratio = _median(rounds, aim.ratio)
        limit = f"{'≤' if aim.at_most else '≥'} {aim.limit:.2f}"
        bound = f"{_median(rounds, aim.bound):.2f}" if aim.bound else ""
        shown.add_row(aim.text, f"{ratio:.2f}", limit, bound, "met" if aim.is_met_by(ratio) else "missed")
    bare, idle = idle_percent.values()
    verdict = "met" if idle < IDLE_LIMIT_PERCENT else "missed"
    text = f"idle: share of a core (a server without the engine: {bare:.2f} %)"
    shown.add_row(text, f"{idle:.2f} %", "0 %", "", verdict)
    return shown


def _loads_table(rounds: list[Round], measured: list[Case]) -> Table:
    """Return the figures of each load; those of a case beside what PING made with the same connections."""
    shown = Table("case", title="Loads over a Unix socket", title_justify="left")
    for heading in ("of PING's requests/s", "of bare rows/s", "requests/s", "rows/s"):
        shown.add_column(heading, justify="right")
    for heading in ("p50 µs", "p99 µs", "generator"):
        shown.add_column(heading, justify="right")

    for case in measured:

        def median(name: str, case: Case = case) -> float:
            return _median(rounds, lambda figures: figures[case.name][name])

        shown.add_row(
            case.name,
            f"{_median(rounds, share_of_rate(case.name, case.ping)):.2f}" if case.name != case.ping else "",
            f"{_median(rounds, share_of_bare(case.name, case.rows)):.2f}" if case.rows else "",
            f"{median('requests_per_second'):,.0f}",
            f"{median('requests_per_second') * case.rows:,.0f}" if case.rows else "",
            f"{median('p50_us'):,.0f}",
            f"{median('p99_us'):,.0f}",
            f"{100 * median('generator_processor_share'):.0f} %",
        )
    return shown


def _bare_table(rounds: list[Round]) -> Table:
    shown = Table("rows", title="The bare model, one thread", title_justify="left")
    for heading in ("µs as loaded", "µs frozen", "rows/s of the better"):
        shown.add_column(heading, justify="right")
    for rows in BARE_ROWS:
        name = bare_name(rows)
        loaded, frozen, best = (
            _median(rounds, lambda figures, name=name, key=key: figures[name][key])
            for key in ("as_loaded_us", "frozen_us", "us")
        )
        shown.add_row(f"{rows:,}", f"{loaded:,.1f}", f"{frozen:,.1f}", f"{rows * 1e6 / best:,.0f}")
    return shown


def _about(client: redis.Redis) -> dict[str, object]:
    """Return the machine and the versions."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    server = client.info("everything")
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "server": server["redis_version"],
        "torch": torch.__version__,
        "engine": server.get("ai_git_sha", "unknown"),
        "date": time.strftime("%Y-%m-%d"),
    }


if __name__ == "__main__":
    main()
