"""The `samdistill` command line. Its commands import what they need when they run, so that help is quick."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ..errors import InputError
from .evaluate import evaluate
from .models import models
from .restore import restore
from .segment import segment
from .web import web

app = typer.Typer(
    name="samdistill",
    help="Image restoration networks that learn semantic priors from the Segment Anything Model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(restore)
app.command()(evaluate)
app.command()(segment)
app.command()(models)
app.command()(web)


def main() -> None:
    """Runs the command line; a mistake in its input is one sentence on stderr and exit code 2."""
    try:
        app()
    except (InputError, FileNotFoundError, FileExistsError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _show_version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        print(f"samdistill {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    pass
