"""The command line: its options, its commands, its help."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from repro import __version__
from repro.cli import commands

EPILOG = (
    "Exit codes: 0 done or reproduced; 1 not reproduced; 2 usage; 3 project or repro.yml; "
    "4 archive damaged or hostile; 5 the run failed; 6 no usable engine; 7 network; "
    "8 access refused; 70 a bug of repro; 130 interrupted."
)


def build_app(words: Sequence[str] = ()) -> typer.Typer:
    """The command line: whole, or only the command that ``words`` begin with."""
    app = typer.Typer(
        name="repro",
        help="Snapshot an analysis into one hashed archive, rerun it sealed, "
        "and say whether it gives the same results.",
        epilog=EPILOG,
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback(invoke_without_command=True)
    def top(
        version: bool = typer.Option(False, "--version", help="Print the version and exit."),
    ) -> None:
        if version:
            print(f"repro {__version__}")
            raise typer.Exit

    commands.register(app, words)
    return app


def command_line() -> None:
    """Read the command line and perform it. Raises what a command raises, SystemExit at its end."""
    build_app(sys.argv[1:])()
