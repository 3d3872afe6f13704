"""seedcoder serve"""

from __future__ import annotations

import typer

from serve.keys_command import keys_app

app = typer.Typer(
    help="Serve models behind one OpenAI-compatible address.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(keys_app, name="keys")


@app.callback()
def _serve() -> None:
    """Serve models behind one OpenAI-compatible address."""
