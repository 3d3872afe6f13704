"""The command line of the own engines."""

from __future__ import annotations

import logging
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from seedcoder.errors import MachineLacks, SeedcoderError

app = typer.Typer(
    help="One model behind OpenAI's protocol, for the gateway to ask.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_Name = Annotated[
    list[str],
    typer.Option("--name", help="What requests call the model; more than one may be said."),
]
_Socket = Annotated[Path | None, typer.Option("--socket", help="Listen on this unix socket.")]
_Port = Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Listen on loopback.")]
_Drain = Annotated[
    float, typer.Option("--drain-s", min=0, help="For answers under way, after SIGTERM.")
]


@app.callback()
def _own() -> None:
    """One model behind OpenAI's protocol, for the gateway to ask."""


@app.command()
def scripted(
    name: _Name,
    socket: _Socket = None,
    port: _Port = None,
    drain_s: _Drain = 30.0,
    file: Annotated[Path | None, typer.Option(help="JSON lines with the answers.")] = None,
    mode: Annotated[
        Literal["lorem", "echo"], typer.Option(help="What is said without a file.")
    ] = "lorem",
    tokens: Annotated[
        int | None, typer.Option(min=1, help="Of filler; else what the request allows.")
    ] = None,
    tokens_per_s: Annotated[
        float | None, typer.Option(min=0.001, help="Of all streams together; else unpaced.")
    ] = None,
    tick_ms: Annotated[
        float, typer.Option(min=1, help="How often the tokens that are due are given out.")
    ] = 2.0,
    first_token_ms: Annotated[float, typer.Option(min=0, help="Before a first token.")] = 0.0,
    piece_chars: Annotated[
        int | None, typer.Option(min=1, help="Characters of a token; else words.")
    ] = None,
    context_tokens: Annotated[int, typer.Option(min=16, help="Prompt and reply.")] = 32_768,
    dimensions: Annotated[int, typer.Option(min=1, help="Of embeddings.")] = 64,
) -> None:
    """Answer from a file, with an echo or with filler, at an exact pace."""
    from serve.engines.own.pace import Pacer
    from serve.engines.own.script import Script, ScriptedSpeaker
    from serve.engines.own.serving import Place, serve

    script = Script(
        file=file,
        mode=mode,
        tokens=tokens,
        piece_chars=piece_chars,
        context_tokens=context_tokens,
        dimensions=dimensions,
    )

    def make() -> ScriptedSpeaker:
        pacer = Pacer(
            tokens_per_s=tokens_per_s, tick_s=tick_ms / 1000, first_token_s=first_token_ms / 1000
        )
        return ScriptedSpeaker(script, pacer)

    serve(make, name, Place(path=socket, port=port, drain_s=drain_s))


@app.command()
def transformers(
    name: _Name,
    source: Annotated[str, typer.Option(help="A folder, a hub id, or smollm2:.")],
    socket: _Socket = None,
    port: _Port = None,
    drain_s: _Drain = 30.0,
    revision: Annotated[str | None, typer.Option(help="Of a hub id.")] = None,
    chat_template: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Else the checkpoint's own.")
    ] = None,
    context_tokens: Annotated[
        int | None, typer.Option(min=16, help="Prompt and reply; else the checkpoint's.")
    ] = None,
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"] | None, typer.Option(help="Of the weights.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch; else one a core.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Replies under way at once.")] = 16,
    cache_gb: Annotated[float, typer.Option(min=0.01, help="For their keys and values.")] = 4.0,
) -> None:
    """Run a checkpoint here, many replies at once."""
    if any(find_spec(package) is None for package in ("torch", "transformers")):
        raise MachineLacks("this engine needs the 'hf' extra: pip install -e '.[hf]'")
    from serve.engines.own.checkpoint_speaker import CheckpointSpeaker, Setup
    from serve.engines.own.serving import Place, serve

    setup = Setup(
        source=source,
        revision=revision,
        template=chat_template,
        context_tokens=context_tokens,
        dtype=dtype,
        threads=threads,
        batch=batch,
        cache_gb=cache_gb,
    )
    place = Place(path=socket, port=port, drain_s=drain_s)
    serve(lambda: CheckpointSpeaker(setup), name, place)


def main() -> None:
    """Run the command line; errors that a person can mend are one line."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    for room in ("serve", "seedcoder"):
        logging.getLogger(room).setLevel(logging.INFO)
    try:
        app()
    except SeedcoderError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        raise SystemExit(error.exit_code) from None
