"""What the subcommands of `model-export` share: options, loading with a progress bar, output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from model_export.errors import ModelExportError
from model_export.recording import Recording
from model_export.sources import load_recording
from modules_store.cli import common

Folder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="Where the codec is: encoder.pt, decoder.pt, manifest.json.")
]
SOURCE_HELP = (
    "A file (.npy .npz .parquet .arrow .feather .ipc .csv), a folder or pattern of them, "
    "an environment of Gymnasium (Ant-v5) or "
    "PettingZoo (mpe2.simple_tag_v3) to play, or redis://HOST:PORT to read memories from."
)
Source = Annotated[str, typer.Argument(metavar="SOURCE", help=SOURCE_HELP)]
States = Annotated[str, typer.Option(metavar="SOURCE", help=SOURCE_HELP)]
Kind = Annotated[str | None, typer.Option(help="Which kind of its agents, where it has several.")]
Episodes = Annotated[int, typer.Option(min=2, help="Episodes to play in an environment.")]
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
Seed = Annotated[int, typer.Option(help="The same seed plays the same episodes and gives the same codec.")]
Name = Annotated[str | None, typer.Option(help="Name of the codec, where not that of its configuration.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars.")]
AsJson = common.AsJson
RedisUrl = Annotated[str, typer.Option(metavar="URL", help=common.URL_FORMS)]

say = common.say


@contextmanager
def errors_without_traceback() -> Iterator[None]:
    """End the program with one line on standard error where this project's errors come up."""
    with common.errors_without_traceback("model-export", (ModelExportError,)):
        yield


def load(source: str, episodes: int, quiet: bool, **options: Any) -> Recording:
    """Return the recording; a bar goes by the episodes that are played for it."""
    with Progress(console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task(f"Playing {source}", total=episodes, visible=False)

        def advance() -> None:
            bar.update(task, advance=1, visible=True)

        return load_recording(source, episodes=episodes, on_episode=advance, **options)
