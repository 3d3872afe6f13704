"""`seedcoder sandbox serve` and `seedcoder sandbox key`."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from sandbox.errors import SandboxError
from sandbox.server.config import ServerConfig
from sandbox.server.keys import KEYS_VARIABLE, Keys, KeysFileError, new_key

key_app = typer.Typer(help="Keys for `serve --keys`.", no_args_is_help=True)
_DEFAULT = ServerConfig()
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


def _fail(message: object, code: int) -> NoReturn:
    typer.echo(" ".join(str(message).split()), err=True)
    raise typer.Exit(code)


def serve(
    host: Annotated[str, typer.Option(help="Where to listen.")] = _DEFAULT.host,
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = _DEFAULT.port,
    workers: Annotated[int, typer.Option(help="Boxes; 0 is one a core.")] = 0,
    queue: Annotated[int, typer.Option(help="Programs that may wait.")] = _DEFAULT.queue,
    box: Annotated[str, typer.Option(help="auto, namespace, restricted, docker:IMAGE.")] = "auto",
    require: Annotated[str, typer.Option(help="The weakest kind of box that will do.")] = "",
    keys: Annotated[
        Path | None, typer.Option(help=f"A file of keys; else ${KEYS_VARIABLE}.")
    ] = None,
    is_open: Annotated[
        bool, typer.Option("--open", help="Listen beyond this machine without keys.")
    ] = False,
    datasets: Annotated[Path | None, typer.Option(help="A folder of data sets, *.jsonl.")] = None,
    drain_s: Annotated[
        float, typer.Option("--drain-s", help="Seconds to end what runs and waits.")
    ] = _DEFAULT.drain_s,
    body_mb: Annotated[int, typer.Option("--body-mb", help="MiB of a request.")] = _DEFAULT.body_mb,
    sessions: Annotated[int, typer.Option(help="Sessions alive at once.")] = _DEFAULT.sessions,
    most_cpu_s: Annotated[
        float, typer.Option("--most-cpu-s", help="CPU seconds that a request may ask for.")
    ] = _DEFAULT.most_cpu_s,
    most_memory_mb: Annotated[
        int, typer.Option("--most-memory-mb", help="MiB that a request may ask for.")
    ] = _DEFAULT.most_memory_mb,
    confirm_timeouts: Annotated[
        bool, typer.Option("--confirm-timeouts", help="Run each once more, with nothing else.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No access log.")] = False,
) -> None:
    """Serve the sandbox over HTTP: its own API, SandboxFusion's, and Piston's."""
    named = os.environ.get(KEYS_VARIABLE)
    try:
        config = ServerConfig(
            host=host, port=port, workers=workers, queue=queue, box=box, require=require or None,
            keys_file=keys or (Path(named) if named else None), is_open=is_open, datasets=datasets,
            drain_s=drain_s, body_mb=body_mb, sessions=sessions, most_cpu_s=most_cpu_s,
            most_memory_mb=most_memory_mb, confirm_timeouts=confirm_timeouts,
        )  # fmt: skip
    except ValueError as error:
        _fail(f"seedcoder sandbox serve: {error}", 2)
    if not config.on_loopback and config.keys_file is None and not is_open:
        _fail(
            f"--host {host} is beyond this machine: give --keys FILE (`seedcoder sandbox key new`"
            " makes one), or say --open",
            2,
        )
    try:
        # Only this command needs them.
        from sandbox.server import serving
        from sandbox.server.app import create_app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "sandbox":
            raise
        _fail(
            f"seedcoder sandbox serve needs the 'server' extra: pip install -e '.[server]'"
            f" (no module {error.name!r})",
            3,
        )
    try:
        if config.keys_file is not None:
            Keys.read(config.keys_file)  # before anything is started
        listener = serving.listen(config.host, config.port)
    except KeysFileError as error:
        _fail(error, 2)
    except OSError as error:
        _fail(f"cannot listen on {host} port {port}: {error.strerror or error}", 3)
    try:
        app = create_app(config)
    except ValueError as error:
        _fail(error, 2)
    except SandboxError as error:
        _fail(error, 3)
    _log_requests(quiet)
    house, (address, number) = app.state.house, listener.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else address
    typer.echo(
        f"serving on http://{shown}:{number} box={house.pool.box_name}"
        f" workers={house.pool.workers} keys={'asked' if house.keys else 'none'}",
        err=True,
    )
    serving.serve(
        app, listener, house, drain_s=config.drain_s, code=lambda: 0 if app.state.ended else 1
    )


def _log_requests(quiet: bool) -> None:
    logging.getLogger("sandbox.server").setLevel(logging.INFO)
    if quiet:
        logging.getLogger("sandbox.server.access").setLevel(logging.WARNING)


@key_app.command("new")
def key_new(
    name: Annotated[str, typer.Option(help="Whose key it is; shown in the log.")] = "user",
    keys: Annotated[Path | None, typer.Option(help="Add its line to this file.")] = None,
) -> None:
    """Make a key: it is printed once; only its digest goes into the file of keys."""
    try:
        key, line = new_key(name)
    except ValueError as error:
        _fail(f"--name: {error}", 2)
    if keys is not None:
        try:
            with os.fdopen(os.open(keys, _APPEND, 0o600), "a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            _fail(f"cannot write {keys}: {error.strerror}", 2)
    typer.echo(key)
    if keys is None:
        typer.echo(f"the line for the file of keys:\n{line}", err=True)


@key_app.callback()
def _keys() -> None:
    """Keep `new` a command of its own."""
