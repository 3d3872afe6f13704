"""seedcoder serve playground"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import typer

from seedcoder.errors import MachineLacks, UsageError
from serve.config import SandboxTable

_HOST = "127.0.0.1"


def show_playground(
    recipe: Path | None,
    overrides: Sequence[str],
    *,
    url: str | None,
    key_env: str | None,
    port: int,
    runs_dir: Path,
) -> None:
    """Serve the page until a signal ends it.

    With a recipe, its engines and its gateway are started, and the page is at /playground of it.
    With `url`, the page alone is served on loopback, for a gateway or any other OpenAI server.
    Raises UsageError where not exactly one of both is given, MachineLacks for a missing extra.
    """
    if (recipe is None) == (url is None):
        raise UsageError(
            "say which service: a recipe (recipes/serve/NAME.toml) to start one,"
            " or --url http://HOST:PORT of one that runs; not both"
        )
    _check_extra()
    if recipe is not None:
        from serve.up import up

        up(recipe, (*overrides, "gateway.playground=true"))
        return
    assert url is not None
    if overrides:
        raise UsageError("--set changes a recipe; there is none with --url")
    _serve_alone(_checked(url), _key(key_env), port, runs_dir)


def _serve_alone(url: str, key: str | None, port: int, runs_dir: Path) -> None:
    import uvicorn

    from serve.playground.mount import alone

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
    except OSError as error:
        raise MachineLacks(f"cannot listen on {_HOST} port {port}: {error.strerror}") from None
    app = alone(url, key=key, runs_dir=runs_dir, sandbox=SandboxTable())
    typer.echo(f"playground on http://{_HOST}:{listener.getsockname()[1]} for {url}")
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
    uvicorn.Server(config).run([listener])


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"--url must be like http://127.0.0.1:8000, got {url!r}")
    return url


def _key(name: str | None) -> str | None:
    """Return the key that a variable holds: on a command line everyone could read it."""
    if name is None:
        return None
    key = os.environ.get(name)
    if not key:
        raise UsageError(f"--key-env {name}: there is no such variable, or it is empty")
    return key


def _check_extra() -> None:
    from importlib.util import find_spec

    for module in ("gradio", "uvicorn"):
        if find_spec(module) is None:
            raise MachineLacks(
                "seedcoder serve playground needs the 'serve' extra: pip install -e '.[serve]'"
                f" (no module {module!r})"
            )
