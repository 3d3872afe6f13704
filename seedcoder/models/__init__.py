"""Model clients: `open_model(url)` gives something that completes prompts.

    smollm2:                       SmolLM2-135M-Instruct, fetched and converted once
    hf:PATH-OR-ID[?dtype=NAME]     a Hugging Face checkpoint, run here by transformers
    openai:http://HOST/v1#NAME     any server that speaks the OpenAI protocol
    scripted:FILE.jsonl            answers from a file

Importing this package imports none of the engines; opening a model does.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from urllib.parse import parse_qsl

from seedcoder.completion import Model
from seedcoder.errors import MachineLacks, UsageError

__all__ = ["open_model"]

_SCHEMES = "smollm2:, hf:PATH-OR-ID, openai:http://HOST/v1#NAME or scripted:FILE.jsonl"


def open_model(url: str, *, threads: int | None = None, batch: int = 32) -> Model:
    """Open the model that `url` names.

    threads: of a model run here; None takes every core this process may use.
    batch: replies in progress at once, for models run here and for servers alike.
    Raises UsageError for a URL or checkpoint that cannot be used, MachineLacks for a missing
    extra or a download that failed; each message is one line.
    """
    if batch < 1:
        raise UsageError(f"model batch must be 1 or more, got {batch}")
    if threads is not None and threads < 1:
        raise UsageError(f"model threads must be 1 or more, got {threads}")
    scheme, colon, rest = url.partition(":")
    match scheme if colon else "":
        case "scripted":
            return _open_scripted(url, rest)
        case "openai":
            from seedcoder.models.remote import RemoteModel

            return RemoteModel.from_url(rest, concurrency=batch)
        case "hf":
            return _open_checkpoint(url, rest, threads=threads, batch=batch)
        case "smollm2":
            return _open_smollm2(url, rest, threads=threads, batch=batch)
    raise UsageError(f"no such kind of model: {url!r}; say {_SCHEMES}")


def _open_scripted(url: str, rest: str) -> Model:
    if not rest:
        raise UsageError(f"{url!r} names no file; say scripted:FILE.jsonl")
    from seedcoder.models.scripted import ScriptedModel

    return ScriptedModel(Path(rest))


def _open_checkpoint(url: str, rest: str, *, threads: int | None, batch: int) -> Model:
    source, dtype = _dtype_of(url, rest)
    if not source:
        raise UsageError(f"{url!r} names no checkpoint; say hf:FOLDER or hf:ORG/NAME")
    _need("torch", "transformers")
    from seedcoder.models.local import LocalModel

    return LocalModel.load(source, threads=threads, batch=batch, dtype=dtype)


def _open_smollm2(url: str, rest: str, *, threads: int | None, batch: int) -> Model:
    source, dtype = _dtype_of(url, rest)
    if source:
        raise UsageError(f"{url!r}: smollm2: is one fixed model and takes no path")
    _need("torch", "transformers", "gguf", "accelerate")
    from seedcoder.models.local import LocalModel
    from seedcoder.models.smollm2 import NAME, checkpoint

    folder = str(checkpoint())
    return LocalModel.load(folder, threads=threads, batch=batch, dtype=dtype, name=NAME)


def _dtype_of(url: str, rest: str) -> tuple[str, str | None]:
    source, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    dtype = options.pop("dtype", None)
    if options:
        raise UsageError(f"{url!r}: no option {next(iter(options))!r}; there is dtype")
    if dtype not in (None, "float32", "bfloat16", "float16"):
        raise UsageError(f"{url!r}: dtype is float32, bfloat16 or float16, not {dtype!r}")
    return source, dtype


def _need(*packages: str) -> None:
    if any(importlib.util.find_spec(package) is None for package in packages):
        raise MachineLacks("seedcoder eval needs the 'hf' extra: pip install -e '.[hf]'")
