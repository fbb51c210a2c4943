"""The command `model-export`: one function a subcommand. The work is in train.py, verify.py, publish.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

from model_export import publish as publishing
from model_export import train as training
from model_export import verify as verification
from model_export.config import CodecConfig, FeatureGroup
from model_export.errors import ConfigError, ModelExportError
from model_export.export import ExportedCodec, export
from model_export.recording import Recording
from model_export.sources import load_recording
from model_export.suggest import suggest_groups, summarize_groups
from modules_store.errors import MemoryStoreError

try:
    import typer
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    from model_export import cli_redis
except ImportError as error:
    raise SystemExit("model-export needs typer and rich: pip install 'modules-store[export]'") from error

Folder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="Where the codec is: encoder.pt, decoder.pt, manifest.json.")
]
States = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help=".npy [N, D], or .npz with `states` and perhaps `episodes` [N]."),
]
Environment = Annotated[
    str | None, typer.Option(metavar="MODULE", help="PettingZoo parallel environment: mpe2.simple_tag_v3.")
]
Kind = Annotated[str | None, typer.Option(help="Which kind of its agents, where it has several.")]
Episodes = Annotated[int, typer.Option(min=2, help="Episodes to play in the environment.")]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="JSON with the fields of CodecConfig.")
]
Name = Annotated[str | None, typer.Option(help="Name of the codec, where not that of its configuration.")]
LatentDim = Annotated[
    int | None, typer.Option(min=1, help="Latent dimensions; by default as many as features.")
]
Group = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME:START:END:COMPRESSION", help="A feature group; repeatable."),
]
BaseCompression = Annotated[float, typer.Option(help="Factor on every group's compression.")]
Steps = Annotated[int, typer.Option(min=1, help="Batches to learn from.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same codec.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars.")]
RedisUrl = Annotated[
    str, typer.Option(metavar="URL", help="redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH")
]

app = typer.Typer(
    help="Learned codecs for agents' states: train one, verify it, publish it into Redis.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command()
def train(
    folder: Folder,
    *,
    states: States = None,
    environment: Environment = None,
    kind: Kind = None,
    episodes: Episodes = 400,
    config: ConfigFile = None,
    name: Name = None,
    latent_dim: LatentDim = None,
    group: Group = None,
    base_compression: BaseCompression = 1.0,
    steps: Steps = training.TrainingOptions.steps,
    seed: Seed = training.TrainingOptions.seed,
    quiet: Quiet = False,
) -> None:
    """Train a codec on states from a file or an environment, verify its export and save it in FOLDER.

    Without --config and --group it has one group and one byte a feature.
    """
    with _errors_without_traceback():
        if (states is None) == (environment is None):
            raise ConfigError("give either --states or --environment")
        if states is not None:
            recording = load_recording(states)
        else:
            recording = _load(str(environment), episodes, quiet, kind=kind, seed=seed)
        learned, held_out = (part.states for part in recording.split())
        if config is not None:
            codec = _read_config(config, name)
        else:
            features = learned.shape[1]
            groups = _parse_groups(group) if group else {"state": FeatureGroup(0, features, 1.0)}
            codec = CodecConfig(
                name or kind or "", features, latent_dim or features, groups, base_compression
            )
        options = training.TrainingOptions(steps=steps, seed=seed)
        trained = training.train(codec, learned, held_out, options, progress=not quiet)
        exported = export(trained, codec.name, onnx=True)
        result = verification.verify(trained.vae, exported, held_out)
        exported.save(folder)
        _show(exported, result)
        typer.echo(f"saved in {folder}")


@app.command()
def verify(
    folder: Folder,
    *,
    states: Annotated[Path, typer.Option(metavar="FILE", help="As for train; best states it never saw.")],
    redis_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Check the published codec on this server, too.")
    ] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Its version on the server.")] = None,
    name: Name = None,
) -> None:
    """Check that a saved codec answers the same once the engine has optimised it, and on a server."""
    with _errors_without_traceback():
        exported = ExportedCodec.load(folder)
        rows = load_recording(states).states
        result = verification.verify_exported(exported, rows)
        if redis_url is not None:
            if version is None:
                raise ConfigError("--redis-url needs --version")
            result = verification.verify_in_redis(redis_url, exported, rows, version, name)
        _show(exported, result)


@app.command()
def publish(folder: Folder, *, redis_url: RedisUrl, name: Name = None) -> None:
    """Store a saved codec in Redis as the next version of its name."""
    with _errors_without_traceback():
        exported = ExportedCodec.load(folder)
        version = publishing.publish(exported, redis_url, name)
        typer.echo(f"published {name or exported.config.name} as version {version}")


def main() -> None:
    """Run the command line; the entry point of `model-export`."""
    app()


@contextmanager
def _errors_without_traceback() -> Iterator[None]:
    try:
        yield
    except (ModelExportError, MemoryStoreError) as error:
        typer.echo(f"model-export: {error}", err=True)
        raise typer.Exit(1) from error


for redis_command in cli_redis.COMMANDS:
    app.command()(_errors_without_traceback()(redis_command))


def _load(source: str | Path, episodes: int, quiet: bool, **options: Any) -> Recording:
    """Return the recording; a bar goes by the episodes that are played for it."""
    with Progress(console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task(f"Playing {source}", total=episodes, visible=False)

        def advance() -> None:
            bar.update(task, advance=1, visible=True)

        return load_recording(source, episodes=episodes, on_episode=advance, **options)


def _read_config(file: Path, name: str | None) -> CodecConfig:
    try:
        config = CodecConfig.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} holds no configuration of a codec: {error}") from error
    return replace(config, name=name) if name else config


def _parse_groups(groups: list[str]) -> dict[str, FeatureGroup]:
    parsed = {}
    for text in groups:
        try:
            name, start, end, compression = text.split(":")
            parsed[name] = FeatureGroup(int(start), int(end), float(compression))
        except ValueError as error:
            raise ConfigError(f"--group must be NAME:START:END:COMPRESSION, not {text!r}") from error
    return parsed


def _show(exported: ExportedCodec, result: verification.Verification) -> None:
    config = exported.config
    table = Table(title=f"{config.name}: {config.input_dim} features in {config.codes} bytes")
    for column in ("group", "features", "latents", "codes", "held-out error"):
        table.add_column(column, justify="left" if column == "group" else "right")
    for name, own in config.dimensions.items():
        error = exported.metrics.get(f"nrmse_{name}")
        shown = "" if error is None else f"{error:.4f}"
        table.add_row(name, str(own.features), str(own.latents), str(own.codes), shown)
    Console().print(table)
    typer.echo(
        "error: root mean square, in standard deviations of each feature\n"
        f"verified on {result.states} states: {result.codes_apart} of {result.codes} codes apart by one at a "
        f"rounding boundary, restored states equal to {result.largest_difference:.1g}"
    )


Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A file (.npy .npz .parquet .arrow .feather .ipc .csv), an environment of Gymnasium (Ant-v5) or "
        "PettingZoo (mpe2.simple_tag_v3) to play, or redis://HOST:PORT to read memories from.",
    ),
]
Policy = Annotated[
    str | None,
    typer.Option(metavar="MODULE:CALLABLE", help="Chooses the actions to play; random where not given."),
]
MaxSteps = Annotated[int | None, typer.Option(min=1, help="Cut episodes that are played off here.")]
Column = Annotated[list[str] | None, typer.Option(help="A table's column of features; repeatable.")]
EpisodeColumn = Annotated[
    str | None, typer.Option(help="A table's column of episodes, where not `episode` or `episodes`.")
]
Agents = Annotated[
    str | None, typer.Option(metavar="PATTERN", help="Whose memories to read from Redis, say drone-*.")
]


@app.command("suggest-groups")
def suggest(
    source: Source,
    *,
    groups: Annotated[
        int | None, typer.Option(min=1, help="How many; by default as many as the data suggest.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the schema here: .yaml, .yml or .json.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    kind: Kind = None,
    episodes: Episodes = 50,
    policy: Policy = None,
    max_steps: MaxSteps = None,
    column: Column = None,
    episode_column: EpisodeColumn = None,
    agents: Agents = None,
    seed: Annotated[int, typer.Option(help="The same seed plays the same episodes.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Propose groups of features from recorded states: those that belong together and lie side by side."""
    with _errors_without_traceback():
        options: dict[str, Any] = {"kind": kind, "policy": policy, "max_steps": max_steps, "seed": seed}
        options |= {"columns": column or None, "episode_column": episode_column, "agents": agents}
        recording = _load(source, episodes, quiet, **options)
        schema = suggest_groups(recording, groups)
        summaries = summarize_groups(recording, schema)
        if output is not None:
            schema.save(output)
        if as_json:
            document = {"groups": [asdict(summary) for summary in summaries], "schema": schema.to_dict()}
            typer.echo(json.dumps(document, ensure_ascii=False))
            return
        table = Table(title=f"{recording.features} features of {len(recording):,} states")
        for heading in ("group", "features", "kinds", "correlation"):
            table.add_column(heading, justify="right" if heading == "correlation" else "left")
        for own in summaries:
            kinds = ", ".join(f"{count} {name}" for name, count in own.kinds.items())
            shown = "" if own.correlation is None else f"{own.correlation:.2f}"
            table.add_row(own.name, f"{own.start} to {own.end - 1}", kinds, shown)
        Console().print(table)
        typer.echo("correlation: mean absolute rank correlation of two features of the group")
        if output is not None:
            typer.echo(f"schema saved in {output}")
