"""The subcommand `doctor`: facts.py asks the server, modules_store/doctor.py judges, this prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import typer

from modules_store import checks
from modules_store.cli import facts
from modules_store.cli.common import DEFAULT_URL, AsJson, RedisUrl, connected, print_table, say
from modules_store.doctor import PROBLEM, diagnose


def doctor(
    *,
    redis_url: RedisUrl = DEFAULT_URL,
    agent: Annotated[
        str, typer.Option(help="Judge the user's rights to this agent's keys; it need not exist.")
    ] = "doctor",
    as_json: AsJson = False,
) -> None:
    """Look a server over: version, modules, memory, eviction, persistence, rights, codecs; say what to do.

    Exits with 1 where there is a problem. What the server does not let the user see is unknown.

    Example: modules-store doctor --redis-url redis://127.0.0.1:6379
    """
    with connected(redis_url) as client:
        diagnoses = diagnose(facts.gather(client, checks.agent_id(agent)))
    if as_json:
        say(True, [asdict(diagnosis) for diagnosis in diagnoses], "")
    else:
        rows = [[one.state, one.subject, one.found, one.advice] for one in diagnoses]
        print_table(["state", "subject", "found", "what to do"], rows, wrap=True)
    if any(diagnosis.state == PROBLEM for diagnosis in diagnoses):
        raise typer.Exit(1)


COMMANDS: list[tuple[str, Callable[..., None]]] = [("doctor", doctor)]
"""For the app, which reports their errors."""
