"""`seedcoder serve up RECIPE`: engines, and the gateway before them."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import typer

from seedcoder.errors import MachineLacks, UsageError
from serve.config import GatewayTable, read_serve_recipe

_EXTRA = frozenset(("fastapi", "uvicorn", "httptools", "aiohttp", "orjson", "prometheus_client"))


def up(recipe_file: Path, overrides: Sequence[str] = (), *, is_quiet: bool = False) -> None:
    """Serve a recipe until a signal ends it; does not return.

    The address is printed on stdout once the gateway listens; engines become ready after that, as
    /ready tells. Raises UsageError for a recipe that makes no sense, MachineLacks for an address
    that cannot be had and for what an engine needs and is not here.
    """
    recipe = read_serve_recipe(recipe_file, overrides)
    config = recipe.gateway
    check_guarded(config)
    try:
        from serve.gateway import serving
        from serve.gateway.app import create_app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise MachineLacks(
            f"seedcoder serve up needs the 'serve' extra: pip install -e '.[serve]'"
            f" (no module {error.name!r})"
        ) from None
    runtime_dir = make_runtime_dir()
    try:
        app = create_app(recipe, runtime_dir=runtime_dir, beside=recipe_file.parent)
        try:
            listener = serving.listen(config)
        except OSError as error:
            raise MachineLacks(
                f"cannot listen on {config.host} port {config.port}: {error.strerror or error}"
            ) from None
        log_requests(is_quiet)
        address, port = listener.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        names = ",".join(app.state.house.served)
        typer.echo(
            f"serving on http://{shown}:{port} models={names}"
            f" keys={'asked' if config.keys_file else 'none'}"
        )
        serving.serve(app, listener, config, on_exit=lambda: _remove(runtime_dir))
    finally:
        _remove(runtime_dir)


def check_guarded(config: GatewayTable) -> None:
    """Raise UsageError for a gateway that others could use unasked."""
    from serve.gateway.browsers import is_loopback

    if config.keys_file is None and not config.is_open and not is_loopback(config.host):
        raise UsageError(
            f"gateway.host {config.host} is beyond this machine: give gateway.keys_file"
            " (`seedcoder serve keys add` makes one), or say gateway.is_open = true"
        )


def make_runtime_dir() -> Path:
    """Return a new folder for the engines' sockets and logs, short enough for a socket's path."""
    beneath = os.environ.get("XDG_RUNTIME_DIR")
    where = beneath if beneath and os.access(beneath, os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="seedcoder-", dir=where))


def log_requests(is_quiet: bool) -> None:
    """Write the gateway's lines into the log; without `is_quiet` one for each request."""
    logging.getLogger("serve").setLevel(logging.INFO)
    if is_quiet:
        logging.getLogger("serve.access").setLevel(logging.WARNING)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
