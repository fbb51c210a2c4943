"""The command `modules-store`: one function a subcommand, one file a subject."""

from __future__ import annotations

try:
    import typer

    from modules_store.cli import agents, doctor, keeping, recalling, serving, statistics, transfer
    from modules_store.cli.common import errors_without_traceback
except ImportError as error:
    if error.name and error.name.partition(".")[0] not in ("typer", "rich"):
        raise
    raise SystemExit("modules-store needs typer and rich: pip install 'modules-store[cli]'") from error

app = typer.Typer(
    help="Agents' memories in Redis, compressed inside the server: start one, look into it, keep it well.",
    no_args_is_help=True,
    add_completion=False,
)
for subject in (serving, agents, statistics, recalling, keeping, transfer, doctor):
    for name, command in subject.COMMANDS:
        app.command(name)(errors_without_traceback()(command))


def main() -> None:
    """Run the command line; the entry point of `modules-store`."""
    app()
