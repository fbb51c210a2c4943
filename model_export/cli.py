"""The command `model-export`: one function a subcommand, in cli_train.py, here and in cli_redis.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

try:
    import typer

    from model_export import cli_redis, cli_train
    from model_export import publish as publishing
    from model_export import report as reporting
    from model_export import verify as verification
    from model_export.cli_options import (
        AsJson,
        Column,
        EpisodeColumn,
        Episodes,
        Folder,
        Kind,
        MaxSteps,
        Name,
        Policy,
        Quiet,
        RedisUrl,
        Seed,
        States,
        errors_without_traceback,
        load,
        say,
    )
except ImportError as error:
    raise SystemExit(f"model-export: {error}; pip install 'modules-store[export]'") from error

from model_export.errors import ConfigError
from model_export.export import ExportedCodec

app = typer.Typer(
    help="Learned codecs for agents' states: train one, verify it, report on it, publish it into Redis.",
    no_args_is_help=True,
    add_completion=False,
)


def verify(
    folder: Folder,
    *,
    states: States,
    episodes: Episodes = 50,
    kind: Kind = None,
    column: Column = None,
    redis_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Check the published codec on this server, too.")
    ] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Its version on the server.")] = None,
    name: Name = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check that a saved codec's TorchScript, its ONNX and a server's answers are the same, code by code."""
    exported = ExportedCodec.load(folder)
    rows = load(states, episodes, quiet or as_json, kind=kind, columns=column or None).states
    result = verification.verify_exported(exported, rows)
    if redis_url is not None:
        if version is None:
            raise ConfigError("--redis-url needs --version")
        result = verification.verify_in_redis(redis_url, exported, rows, version, name)
    cli_train.show(exported, result, as_json)


def publish(folder: Folder, *, redis_url: RedisUrl, name: Name = None, as_json: AsJson = False) -> None:
    """Store a saved codec in Redis as the next version of its name."""
    exported = ExportedCodec.load(folder)
    version = publishing.publish(exported, redis_url, name)
    name = name or exported.config.name
    say(as_json, {"name": name, "version": version}, f"published {name} as version {version}")


def report(
    folder: Folder,
    *,
    states: States,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where report.html and its figures go.")],
    other: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="A codec of the same states, for the curve; repeatable."),
    ] = None,
    kind: Kind = None,
    episodes: Episodes = 400,
    policy: Policy = None,
    max_steps: MaxSteps = None,
    column: Column = None,
    episode_column: EpisodeColumn = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a report for people: a codec's error, held against the simple ways in the same bytes.

    Give the states that it was trained on: their last episodes are those it never saw.
    """
    exported = ExportedCodec.load(folder)
    recording = load(
        states,
        episodes,
        quiet or as_json,
        kind=kind,
        policy=policy,
        max_steps=max_steps,
        columns=column or None,
        episode_column=episode_column,
        seed=seed,
    )
    learned, held_out = recording.split()
    page = reporting.write_report(
        exported,
        learned.states,
        held_out.states,
        held_out.episodes,
        output,
        others=[ExportedCodec.load(own) for own in other or ()],
        feature_names=recording.feature_names,
    )
    say(as_json, {"report": str(page)}, f"wrote {page}")


def main() -> None:
    """Run the command line; the entry point of `model-export`."""
    app()


COMMANDS: list[tuple[str, Callable[..., None]]] = [
    *cli_train.COMMANDS,
    ("verify", verify),
    ("report", report),
    ("publish", publish),
    *cli_redis.COMMANDS,
]
for command_name, command in COMMANDS:
    app.command(command_name)(errors_without_traceback()(command))
