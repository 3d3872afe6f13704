"""seedcoder serve"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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


@app.command("up")
def serve_up(
    recipe: Annotated[Path, typer.Argument(help="recipes/serve/NAME.toml")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change a value: gateway.port=9000.")
    ] = None,
    is_quiet: Annotated[bool, typer.Option("--quiet", help="No line for each request.")] = False,
    is_dry: Annotated[
        bool, typer.Option("--dry-run", help="Start nothing: print the commands, and what fits.")
    ] = False,
    gpu_gb: Annotated[
        float | None, typer.Option(min=1, help="Of each GPU, for --dry-run; else this machine's.")
    ] = None,
    is_json: Annotated[bool, typer.Option("--json", help="JSON, for --dry-run.")] = False,
) -> None:
    """Start the engines of a recipe, and the gateway before them."""
    if is_dry:
        from serve.dry_run_command import show_plan

        show_plan(recipe, overrides or (), gpu_gb=gpu_gb, is_json=is_json)
        return
    from serve.up import up

    up(recipe, overrides or (), is_quiet=is_quiet)


@app.command("check")
def serve_check(
    card: Annotated[str, typer.Argument(help="A card's name, or its FILE.toml")],
    source: Annotated[
        Path | None, typer.Option(help="The checkpoint's folder, where the card's is not here.")
    ] = None,
    is_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Render a card's template on sample turns, and compare the card with its checkpoint."""
    from serve.check_command import check_card

    check_card(card, source=source, is_json=is_json)


@app.command("playground")
def serve_playground(
    recipe: Annotated[
        Path | None, typer.Argument(help="recipes/serve/NAME.toml, to start a service with it.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="A service that runs already.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change a value: gateway.port=9000.")
    ] = None,
    key_env: Annotated[
        str | None, typer.Option(help="The variable with the service's key, for --url.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page, for --url.")] = 7860,
    runs: Annotated[Path, typer.Option(help="Runs of eval to browse, for --url.")] = Path("runs"),
) -> None:
    """Open the page: chat, complete, test and compare, with a Run button on each code block."""
    from serve.playground.command import show_playground

    show_playground(recipe, overrides or (), url=url, key_env=key_env, port=port, runs_dir=runs)
