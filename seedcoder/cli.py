"""The command line: `seedcoder sandbox|eval|curate|train|serve|doctor`.

Each room brings its own commands, imported only when one of them is called; this module knows the
rooms by name and imports none. Results go to stdout, logs and progress to stderr.
Exit codes: 0 done, 1 the job ended but missed its bar, 2 bad usage or recipe, 3 the machine lacks
something, 130 interrupted.
"""

from __future__ import annotations

import importlib
import io
import logging
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated, Any, Final, TextIO

import typer
from typer.core import TyperCommand
from typer.main import get_command

from seedcoder.errors import MachineLacks, SeedcoderError

# verb: module and its app, the extra it may need, the line that --help shows
ROOMS: Final = {
    "sandbox": ("sandbox.cli:app", "", "Run and judge programs in the sandbox."),
    "eval": ("evals.cli:app", "hf", "Measure a model on a benchmark, from a recipe."),
    "curate": ("curate.cli:app", "curate", "Turn raw code and web pages into training data."),
    "train": ("train.cli:app", "train", "Train a model: pretraining, SFT, DPO, GRPO."),
    "serve": ("serve.cli:app", "serve", "Serve models behind one OpenAI-compatible address."),
}
_OURS: Final = frozenset({"seedcoder", "sandbox", "evals", "curate", "train", "serve"})

app = typer.Typer(
    name="seedcoder",
    help="Curate data with code models, train them, measure them in a sandbox, and serve them.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class RoomCommand(TyperCommand):
    """A command that hands every word after its name to a room, options and --help too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the words as they stand."""
        words = list(args)
        ctx.args = words
        return words


def main() -> None:
    """Run the command line and exit with its code."""
    # What a model or a program wrote is printed, too: it may have no place in the terminal's
    # encoding. stderr is made like this by Python itself.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        get_command(app).main(prog_name="seedcoder")
    except SeedcoderError as error:
        sys.exit(_complain(error, error.exit_code))
    except KeyboardInterrupt:
        sys.exit(130)
    except _sandbox_errors() as error:
        sys.exit(_complain(error, MachineLacks.exit_code))


def call_room(verb: str, args: Sequence[str]) -> None:
    """Import the room of `verb` and run its app on `args`.

    MachineLacks where this version has no such room, or a package that it needs is not installed.
    The app exits by itself (SystemExit) with its code.
    """
    target, extra, _ = ROOMS[verb]
    module_name, _, name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing in (module_name, module_name.partition(".")[0]):
            raise MachineLacks(
                f"seedcoder {verb} is not part of this version yet ({_version()})"
            ) from None
        if missing.partition(".")[0] in _OURS:
            raise
        needs = f"the {extra!r} extra: pip install -e '.[{extra}]'" if extra else missing
        raise MachineLacks(f"seedcoder {verb} needs {needs} (no module {missing!r})") from None
    room: Any = getattr(module, name)
    # A Typer app sets an excepthook of its own when called; its command does not.
    command: Any = get_command(room) if isinstance(room, typer.Typer) else room
    command.main(args=list(args), prog_name=f"seedcoder {verb}")


def _open_door(verb: str) -> None:
    @app.command(verb, cls=RoomCommand, help=ROOMS[verb][2], add_help_option=False)
    def enter(ctx: typer.Context) -> None:
        call_room(verb, ctx.args)


for _verb in ROOMS:
    _open_door(_verb)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print plain data.")] = False,
) -> None:
    """Say what this machine can run, what it lacks, and how to get it."""
    from seedcoder import doctor as examination

    raise typer.Exit(examination.report(as_json=as_json))


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"seedcoder {_version()}")
        raise typer.Exit


@app.callback()
def _before(
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            show_default=False,
            help="Log more on stderr; twice, everything.",
        ),
    ] = 0,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    _start_logging(verbose)


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what sys.stderr is now: a progress bar puts itself in between while it shows."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def _start_logging(verbose: int) -> None:
    handler = _Stderr()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    for room in _OURS:
        logging.getLogger(room).setLevel(level)


def _sandbox_errors() -> tuple[type[Exception], ...]:
    # The hall does not import the sandbox; where nobody did, it raised nothing either.
    module: Any = sys.modules.get("sandbox.errors")
    return (module.SandboxError,) if module is not None else ()


def _complain(error: Exception, exit_code: int) -> int:
    said = " ".join(f"{type(error).__name__}: {error}".split())
    # A file name or a server's answer may hold sequences that a terminal would obey.
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in said)
    sys.stderr.write(shown + "\n")
    return exit_code


def _version() -> str:
    try:
        return metadata.version("seedcoder")
    except metadata.PackageNotFoundError:
        return "not installed"
