"""The subcommands of `model-export` that make a codec: `suggest-groups`, `train`, `export`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from model_export import search
from model_export import train as training
from model_export import verify as verification
from model_export.cli_options import (
    SOURCE_HELP,
    Agents,
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
    Seed,
    Source,
    load,
    say,
)
from model_export.config import CodecConfig, FeatureGroup
from model_export.errors import ConfigError
from model_export.export import ExportedCodec, export
from model_export.recording import Recording
from model_export.schema import StateSchema
from model_export.suggest import suggest_groups, summarize_groups
from model_export.train import TrainedCodec, TrainingOptions
from modules_store import files
from modules_store.urls import without_password

States = Annotated[str | None, typer.Option(metavar="SOURCE", help=SOURCE_HELP)]
Environment = Annotated[
    str | None, typer.Option(metavar="NAME", help="The same as --states, for an environment.")
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="JSON with the fields of CodecConfig.")
]
SchemaFile = Annotated[
    Path | None,
    typer.Option(
        "--schema", metavar="FILE", help="YAML or JSON: features, groups, kinds; suggest-groups writes one."
    ),
]
LatentDim = Annotated[
    int | None, typer.Option(min=1, help="Latent dimensions of --bottleneck rounding; as many as features.")
]
Group = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME:START:END:COMPRESSION", help="A feature group; repeatable."),
]
BaseCompression = Annotated[float, typer.Option(help="Factor on every group's compression.")]
TargetBytes = Annotated[
    int | None, typer.Option(min=1, help="Stored bytes of a state; the best bottleneck for it is found.")
]
MaxError = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GROUP=ERROR",
        help="Find the smallest codec whose held-out error in this group, or in `state`, is no larger; in "
        "standard deviations of each feature; repeatable.",
    ),
]
Bottleneck = Annotated[
    str | None, typer.Option(help="rounding, scalar or codebook; the last two with --target-bytes.")
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Keep the state of training here, and go on from it; not with a search."
    ),
]


def suggest(
    source: Source,
    *,
    groups: Annotated[
        int | None, typer.Option(min=1, help="How many; by default as many as the data suggest.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the schema here: .yaml, .yml or .json.")
    ] = None,
    as_json: AsJson = False,
    kind: Kind = None,
    episodes: Episodes = 50,
    policy: Policy = None,
    max_steps: MaxSteps = None,
    column: Column = None,
    episode_column: EpisodeColumn = None,
    agents: Agents = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Propose groups of features from recorded states: those that belong together and lie side by side."""
    options: dict[str, Any] = {"kind": kind, "policy": policy, "max_steps": max_steps, "seed": seed}
    options |= {"columns": column or None, "episode_column": episode_column, "agents": agents}
    recording = load(source, episodes, quiet, **options)
    schema = suggest_groups(recording, groups)
    summaries = summarize_groups(recording, schema)
    if output is not None:
        schema.save(output)
    if as_json:
        say(True, {"groups": [asdict(summary) for summary in summaries], "schema": schema.to_dict()}, "")
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


def train(
    folder: Folder,
    *,
    states: States = None,
    environment: Environment = None,
    kind: Kind = None,
    episodes: Episodes = 400,
    policy: Policy = None,
    max_steps: MaxSteps = None,
    column: Column = None,
    episode_column: EpisodeColumn = None,
    agents: Agents = None,
    config: ConfigFile = None,
    schema: SchemaFile = None,
    name: Name = None,
    group: Group = None,
    target_bytes: TargetBytes = None,
    max_error: MaxError = None,
    bottleneck: Bottleneck = None,
    latent_dim: LatentDim = None,
    base_compression: BaseCompression = 1.0,
    steps: Annotated[int, typer.Option(min=0, help="Batches to learn from.")] = TrainingOptions.steps,
    batch_size: Annotated[int, typer.Option(min=1, help="States a batch.")] = TrainingOptions.batch_size,
    hidden_dim: Annotated[
        int, typer.Option(min=1, help="Width of the model; a call costs more with it.")
    ] = TrainingOptions.hidden_dim,
    learning_rate: Annotated[float, typer.Option(help="At its peak.")] = TrainingOptions.learning_rate,
    rate_weight: Annotated[
        float, typer.Option(help="Price of a bit a feature, in its variance; rounding only.")
    ] = TrainingOptions.rate_weight,
    device: Annotated[str, typer.Option(help="cpu, or cuda.")] = TrainingOptions.device,
    checkpoint: Checkpoint = None,
    seed: Seed = TrainingOptions.seed,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train a codec on recorded states, verify its exports and save it in FOLDER.

    Say how large it may be (--target-bytes) or how far off (--max-error), and the rest is found. With neither
    it has a rounded INT8 a code, one a feature unless --group, --schema or --config says otherwise.
    """
    if (states is None) == (environment is None):
        raise ConfigError("give either --states or --environment")
    described = None if schema is None else StateSchema.load(schema)
    given = None if config is None else _read_config(config, replaced=group or described)
    if given is None and not (name or kind):
        raise ConfigError("--name must name the codec: give it, or --kind or --config, which have one")
    largest_errors = _errors_of(max_error)
    _check_search(bottleneck, target_bytes, max_error, checkpoint)
    recording = load(
        str(states or environment),
        episodes,
        quiet or as_json,
        kind=kind,
        policy=policy,
        max_steps=max_steps,
        columns=column or None,
        episode_column=episode_column,
        agents=agents,
        schema=described,
        seed=seed,
    )
    options = TrainingOptions(
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        rate_weight=rate_weight,
        hidden_dim=hidden_dim,
        device=device,
        seed=seed,
    )
    wanted = _config(
        recording,
        schema=described,
        given=given,
        name=name or kind,
        groups=group,
        latent_dim=latent_dim,
        base_compression=base_compression,
    )
    trained = _train(
        wanted,
        recording,
        options=options,
        bottleneck=bottleneck,
        target_bytes=target_bytes,
        max_error=largest_errors,
        checkpoint=checkpoint,
        quiet=quiet or as_json,
    )
    details: dict[str, Any] = {
        "training": {
            "source": without_password(str(states or environment)),
            "data_sha256": recording.sha256,
            "states": len(recording),
            "options": asdict(options),
        }
    }
    if described is not None:
        details["schema"] = described.to_dict()
    exported = export(trained, wanted.name, onnx=True, details=details)
    result = verification.verify(trained.vae, exported, recording.split()[1].states)
    exported.save(folder)
    show(exported, result, as_json)
    if not as_json:
        typer.echo(f"saved in {folder}")


def export_files(
    folder: Folder,
    output: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go; made if needed.")],
    *,
    form: Annotated[str, typer.Option("--format", help="torchscript, onnx or all.")] = "all",
    as_json: AsJson = False,
) -> None:
    """Copy a codec's TorchScript or ONNX, and its manifest, for use outside of Redis."""
    suffixes = {"torchscript": (".pt",), "onnx": (".onnx",), "all": (".pt", ".onnx")}
    if form not in suffixes:
        raise ConfigError(f"format must be one of {', '.join(suffixes)}, not {form!r}")
    exported = ExportedCodec.load(folder)
    blobs = {name: blob for name, blob in exported.files.items() if name.endswith(suffixes[form])}
    if not blobs:
        raise ConfigError(f"{folder} holds no {form}; train the codec again to get it")
    files.make_folder(output)
    for name, blob in blobs.items():
        files.write(output / name, blob)
    files.write(output / "manifest.json", json.dumps(exported.manifest, indent=2) + "\n")
    written = [*blobs, "manifest.json"]
    say(as_json, {"folder": str(output), "files": written}, f"wrote {', '.join(written)} to {output}")


COMMANDS: list[tuple[str, Callable[..., None]]] = [
    ("suggest-groups", suggest),
    ("train", train),
    ("export", export_files),
]
"""For cli.py, which reports their errors."""


def show(exported: ExportedCodec, result: verification.Verification, as_json: bool) -> None:
    """Print what a codec is and how far its forms agree."""
    config = exported.config
    if as_json:
        document = {"config": config.to_dict(), "metrics": exported.metrics, "verification": asdict(result)}
        say(True, document, "")
        return
    kind = f"{config.bottleneck}, linear" if exported.metrics.get("linear") else config.bottleneck
    table = Table(title=f"{config.name}: {config.input_dim} features in {config.codes} bytes ({kind})")
    for column in ("group", "features", "latents", "codes", "held-out error"):
        table.add_column(column, justify="left" if column == "group" else "right")
    for name, own in config.dimensions.items():
        error = exported.metrics.get(f"nrmse_{name}")
        shown = "" if error is None else f"{error:.4f}"
        table.add_row(name, str(own.features), str(own.latents), str(own.codes), shown)
    Console().print(table)
    typer.echo(
        "error: root mean square, in standard deviations of each feature\n"
        f"verified on {result.states} states: {result.codes_apart} of {result.codes} codes apart, halfway "
        f"between two; restored states equal to {result.largest_difference:.1g}"
    )


def _read_config(file: Path, replaced: object) -> CodecConfig:
    """Read --config; `replaced` is what must not be given with it."""
    if replaced:
        raise ConfigError("--config has groups of its own; give neither --group nor --schema with it")
    try:
        return CodecConfig.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file} holds no configuration of a codec: {error}") from error


def _check_search(
    bottleneck: str | None, target_bytes: int | None, max_error: object, checkpoint: Path | None
) -> None:
    """Refuse options that exclude each other, before anything is played."""
    if target_bytes is not None and max_error:
        raise ConfigError("give either --target-bytes or --max-error")
    searching = max_error or (target_bytes is not None and bottleneck is None)
    if searching and checkpoint is not None:
        raise ConfigError("--checkpoint keeps one training; give --bottleneck with --target-bytes")


def _config(
    recording: Recording,
    *,
    schema: StateSchema | None,
    given: CodecConfig | None,
    name: str | None,
    groups: list[str] | None,
    latent_dim: int | None,
    base_compression: float,
) -> CodecConfig:
    """Return the configuration that the options describe, its bottleneck aside."""
    if given is not None:
        return replace(given, name=name) if name else given
    return CodecConfig(
        name or "",
        recording.features,
        latent_dim,
        _groups(recording, schema, groups),
        base_compression,
        **_exact_features(recording, schema),
    )


def _exact_features(recording: Recording, schema: StateSchema | None) -> dict[str, Any]:
    """Return the features that the schema calls binary or one-hot, and others that the environment does."""
    if schema is None:
        return {"binary": recording.binary, "one_hot": recording.one_hot}
    said = {*schema.binary, *(feature for run in schema.one_hot for feature in range(*run))}
    groups = schema.feature_groups().values()
    runs = [
        (start, end)
        for start, end in recording.one_hot
        if said.isdisjoint(range(start, end)) and any(g[0] <= start and end <= g[1] for g in groups)
    ]
    flags = [feature for feature in recording.binary if feature not in said]
    return {"binary": (*schema.binary, *flags), "one_hot": (*schema.one_hot, *runs)}


def _groups(
    recording: Recording, schema: StateSchema | None, groups: Sequence[str] | None
) -> dict[str, FeatureGroup]:
    if schema is not None:
        if groups:
            raise ConfigError("--schema has groups of its own; do not give --group with it")
        importance = schema.importance
        return {
            name: FeatureGroup(start, end, compression, importance[name])
            for name, (start, end, compression) in schema.feature_groups().items()
        }
    if not groups:
        return {"state": FeatureGroup(0, recording.features)}
    parsed = {}
    for text in groups:
        try:
            name, start, end, *factors = text.split(":")
            parsed[name] = FeatureGroup(int(start), int(end), *map(float, factors))
        except (ValueError, TypeError) as error:
            raise ConfigError(
                f"--group must be NAME:START:END, then COMPRESSION and IMPORTANCE or not, not {text!r}"
            ) from error
    return parsed


def _errors_of(max_error: Sequence[str] | None) -> dict[str, float]:
    parsed = {}
    for text in max_error or ():
        try:
            name, error = text.rsplit("=", 1)
            parsed[name] = float(error)
        except ValueError as problem:
            raise ConfigError(f"--max-error must be GROUP=ERROR, not {text!r}") from problem
    return parsed


def _train(
    config: CodecConfig,
    recording: Recording,
    *,
    options: TrainingOptions,
    bottleneck: str | None,
    target_bytes: int | None,
    max_error: dict[str, float],
    checkpoint: Path | None,
    quiet: bool,
) -> TrainedCodec:
    """Train what the options ask for: one configuration, or the best of a search."""
    learned, held_out = (part.states for part in recording.split())
    searching = bool(max_error) or (target_bytes is not None and bottleneck is None)

    def note(text: str) -> None:
        if not quiet:
            typer.echo(text, err=True)

    if max_error:
        return search.train_for_error(
            config, learned, held_out, max_error, options, progress=not quiet, note=note
        )
    if searching:
        assert target_bytes is not None
        return search.train_for_bytes(
            config, learned, held_out, target_bytes, options, progress=not quiet, note=note
        )
    if bottleneck is not None or target_bytes is not None:
        config = replace(config, bottleneck=bottleneck or config.bottleneck, total_bytes=target_bytes)
    return training.train(config, learned, held_out, options, progress=not quiet, checkpoint=checkpoint)
