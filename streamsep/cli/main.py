"""The command line, assembled. Each command is a module of its own, and imports what is heavy when it runs."""

import errno
import io
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import streamsep
from streamsep.cli.bench import bench
from streamsep.cli.check import check
from streamsep.cli.console import print_error
from streamsep.cli.demo import demo
from streamsep.cli.devices import devices
from streamsep.cli.doctor import doctor
from streamsep.cli.evaluate import evaluate
from streamsep.cli.latency import latency
from streamsep.cli.live import live
from streamsep.cli.models import models
from streamsep.cli.quality import quality
from streamsep.cli.scenes import scenes
from streamsep.cli.score import score
from streamsep.cli.separate import separate
from streamsep.errors import StreamsepError


class Commands(TyperGroup):
    """The commands; what goes wrong in the ways we know ends them with one red line and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was typed."""
        try:
            return super().invoke(ctx)
        except StreamsepError as error:
            print_error(str(error))
            raise typer.Exit(1) from None


app = typer.Typer(name="streamsep", cls=Commands, no_args_is_help=True, rich_markup_mode="rich", add_completion=False)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"streamsep {streamsep.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Separate sound while it is heard: speech from noise, vocals from music, within a hearing aid's delay."""


for command in (
    demo,
    separate,
    live,
    latency,
    score,
    devices,
    doctor,
    models,
    check,
    quality,
    scenes,
    evaluate,
    bench,
):
    app.command()(command)


def main() -> None:
    """What the installed `streamsep` runs."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that the terminal has no letters for ends nothing
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is left to be written at the end
        print_error(f"standard output: cannot be written: {error.strerror}")
        sys.exit(1)
