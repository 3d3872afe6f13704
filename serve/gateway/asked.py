"""What the gateway itself must understand of a request: checked here, the rest is the engine's.

Checked are the fields that decide what the gateway does, and those whose nonsense would cost an
engine dear. Every other field goes on as it came; an engine refuses what it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serve.card import ModelCard
from serve.fault import Fault

STOPS_OF_ENGINES = 4  # OpenAI's bound, and vLLM's over HTTP
_STOPS_MOST = 256  # ours
_STOP_MOST_CHARACTERS = 4096  # ours
_N_MOST = 128  # OpenAI's

# Name: lowest, highest value; as OpenAI's reference has them.
_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0.0, 2.0),
    "top_p": (0.0, 1.0),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
}
_COUNTS: Mapping[str, int] = {"max_tokens": 1 << 31, "max_completion_tokens": 1 << 31}
_LARGEST = 1 << 63


def check_writes(card: ModelCard) -> None:
    """Raise Fault 400 for a model that writes no text."""
    if card.role == "embedding":
        raise Fault(
            400, f"{card.name} makes embeddings: ask /v1/embeddings",
            code="unsupported_endpoint", param="model",
        )  # fmt: skip


def check(body: Mapping[str, Any]) -> None:
    """Raise Fault 400 for a field that chat and completions share and that makes no sense."""
    for name in ("stream", "echo"):
        value = body.get(name)
        if value is not None and not isinstance(value, bool):
            raise wrong(name, "must be true or false", value)
    options = body.get("stream_options")
    if options is not None:
        if not isinstance(options, Mapping):
            raise wrong("stream_options", "must be an object", options)
        if not body.get("stream"):
            raise Fault(400, "'stream_options' needs 'stream'", param="stream_options")
    for name, (low, high) in _RANGES.items():
        value = body.get(name)
        if value is None:
            continue
        if not is_number(value) or not low <= value <= high:
            raise wrong(name, f"must be a number from {low:g} to {high:g}", value)
    for name, most in _COUNTS.items():
        value = body.get(name)
        if value is not None and (not is_whole(value) or not 0 <= value <= most):
            raise wrong(name, "must be a number of tokens", value)
    n = body.get("n")
    if n is not None and (not is_whole(n) or not 1 <= n <= _N_MOST):
        raise wrong("n", f"must be a whole number from 1 to {_N_MOST}", n)
    seed = body.get("seed")
    if seed is not None and (not is_whole(seed) or not -_LARGEST <= seed < _LARGEST):
        raise wrong("seed", "must be a whole number", seed)
    stops_of(body)


def stops_of(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a request's stop strings, empty ones left out. Raises Fault 400 for what is none."""
    stop = body.get("stop")
    if stop is None:
        return ()
    strings = [stop] if isinstance(stop, str) else stop
    if not isinstance(strings, list) or not all(isinstance(one, str) for one in strings):
        raise wrong("stop", "must be a string or a list of strings", stop)
    if len(strings) > _STOPS_MOST or any(len(one) > _STOP_MOST_CHARACTERS for one in strings):
        raise Fault(
            400,
            f"'stop' may have {_STOPS_MOST} strings of {_STOP_MOST_CHARACTERS} characters each",
            param="stop",
        )
    return tuple(dict.fromkeys(one for one in strings if one))


def with_defaults(card: ModelCard, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with the card's sampling where the request leaves it open."""
    filled = dict(body)
    for name, value in card.sampling.model_dump(exclude_none=True).items():
        if name == "max_tokens" and body.get("max_completion_tokens") is not None:
            continue
        if filled.get(name) is None:
            filled[name] = value
    if not body.get("stream"):
        filled.pop("stream_options", None)
    return filled


def is_whole(value: object) -> bool:
    """Whether it is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether it is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def wrong(name: str, must: str, value: object) -> Fault:
    """Return the refusal of a field's value."""
    said = repr(value)
    shown = said if len(said) <= 80 else f"{said[:77]}..."
    return Fault(400, f"{name!r} {must}, got {shown}", param=name)
