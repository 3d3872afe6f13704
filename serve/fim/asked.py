"""A request for a middle, in the three shapes that editors send.

OpenAI's      POST /v1/completions with `suffix`
Mistral's     POST /v1/fim/completions: `prompt`, `suffix`, `random_seed`; mistralai/client-python,
              src/mistralai/models/fimcompletionrequest.py
llama.cpp's   POST /infill: `input_prefix`, `input_suffix`, `input_extra`, `prompt` (typed already
              on the cursor's line), `n_predict`, `n_indent`, `t_max_predict_ms`, `response_fields`
              and the options of its /completion; ggml-org/llama.cpp, tools/server/README.md

All three take our own keys beside: `end` ("syntax", "line", "none"), `language`, `path` (of the
file being filled), `repository`, `input_extra` (other files, the nearest last), `extra_tokens`
(what these may take of the context). What is not named here goes to the engine as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast, get_args

from serve.fault import Fault
from serve.fim.ending import Mode
from serve.fim.languages import BY_NAME
from serve.gateway import asked as fields

Shape = Literal["openai", "mistral", "infill"]

_OURS: Final = (
    "end", "language", "path", "filename", "repository", "input_extra", "extra_tokens",
)  # fmt: skip
# How llama.cpp's server works, not what it draws; other engines have no such switches.
_OF_LLAMA_CPP: Final = (
    "cache_prompt", "id_slot", "samplers", "t_max_prompt_ms", "n_keep", "n_discard",
    "n_cache_reuse", "timings_per_token", "return_progress", "return_tokens", "sse_ping_interval",
    "post_sampling_probs", "min_keep",
)  # fmt: skip
_FILES_MOST: Final = 256  # ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Middle:
    """What is asked for.

    after: None where nothing is said of what follows: the text is simply gone on with.
    files: (name, text) of other files, the nearest last; extra_tokens bounds them.
    end: None leaves it to the card. indent: a line less indented ends the middle. predict_s: a
    middle of more than a line ends when so much time has passed since its first token.
    may_cut: leave out of a text that is too long what is furthest from the cursor, as llama.cpp.
    body: what goes on to the engine.
    """

    shape: Shape
    before: str
    after: str | None
    files: tuple[tuple[str, str], ...] = ()
    path: str = ""
    repository: str = ""
    language: str = ""
    extra_tokens: int | None = None
    end: Mode | None = None
    indent: int = 0
    predict_s: float | None = None
    may_cut: bool = False
    is_warming: bool = False
    response_fields: tuple[str, ...] = ()
    body: dict[str, Any] = field(default_factory=dict)


def of_openai(body: Mapping[str, Any]) -> Middle:
    """Read a request of /v1/completions that has a `suffix`. Raises Fault 400."""
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise Fault(400, "with 'suffix', 'prompt' must be one text", param="prompt")
    for name in ("echo", "logprobs"):
        if body.get(name) not in (None, False):
            raise Fault(400, f"{name!r} cannot be had together with 'suffix'", param=name)
    rest = _without(body, "prompt", "suffix", "echo", "logprobs")
    return _middle("openai", body, rest, before=prompt, after=_text(body, "suffix"))


def of_mistral(body: Mapping[str, Any]) -> Middle:
    """Read a request of /v1/fim/completions. Raises Fault 400."""
    if body.get("prompt") is None:
        raise Fault(400, "'prompt' is missing: the text before the cursor", param="prompt")
    rest = _without(body, "prompt", "suffix", "random_seed", "metadata")
    if body.get("random_seed") is not None:
        rest["seed"] = body["random_seed"]
    after = None if body.get("suffix") is None else _text(body, "suffix")
    return _middle("mistral", body, rest, before=_text(body, "prompt"), after=after)


def of_infill(body: Mapping[str, Any]) -> Middle:
    """Read a request of /infill. Raises Fault 400."""
    for name in ("input_prefix", "input_suffix"):
        if body.get(name) is None:
            raise Fault(400, f"{name!r} is missing", param=name)
    rest = _without(
        body, "input_prefix", "input_suffix", "prompt", "n_predict", "n_indent", "n_cmpl",
        "t_max_predict_ms", "response_fields", "repeat_penalty", "n_probs", *_OF_LLAMA_CPP,
    )  # fmt: skip
    predict = _count(body, "n_predict", least=-1)
    if predict == 0:
        rest["max_tokens"] = 1
    elif predict is not None and predict > 0:
        rest["max_tokens"] = predict
    if (number := _count(body, "n_cmpl", least=1)) is not None and number > 1:
        rest["n"] = number
    if rest.get("seed") == -1:
        del rest["seed"]
    if body.get("repeat_penalty") is not None:
        rest["repetition_penalty"] = body["repeat_penalty"]
    limit_ms = _count(body, "t_max_predict_ms", least=-1)
    shown = body.get("response_fields")
    if shown is not None and not _are_texts(shown):
        raise fields.wrong("response_fields", "must be a list of names", shown)
    return _middle(
        "infill",
        body,
        rest,
        before=_text(body, "input_prefix") + _text(body, "prompt"),
        after=_text(body, "input_suffix"),
        indent=_count(body, "n_indent", least=0) or 0,
        predict_s=limit_ms / 1000 if limit_ms is not None and limit_ms > 0 else None,
        may_cut=True,
        is_warming=predict == 0,
        response_fields=tuple(shown or ()),
    )


def _middle(shape: Shape, body: Mapping[str, Any], rest: dict[str, Any], **values: Any) -> Middle:
    end = body.get("end")
    if end is not None and end not in get_args(Mode):
        raise fields.wrong("end", f"must be one of {', '.join(get_args(Mode))}", end)
    language = _text(body, "language").lower()
    return Middle(
        shape=shape,
        files=_files(body.get("input_extra")),
        path=_text(body, "path") or _text(body, "filename"),
        repository=_text(body, "repository"),
        # An editor may name a language we know nothing of: then it is guessed like none.
        language=language if language in BY_NAME else "",
        extra_tokens=_count(body, "extra_tokens", least=0),
        end=cast(Mode | None, end),
        body=rest,
        **values,
    )


def _files(said: object) -> tuple[tuple[str, str], ...]:
    if said is None:
        return ()
    if not isinstance(said, list):
        raise fields.wrong("input_extra", "must be a list of {filename, text}", said)
    if len(said) > _FILES_MOST:
        raise Fault(400, f"'input_extra' may have {_FILES_MOST} files", param="input_extra")
    files = []
    for at, one in enumerate(said):
        where = f"input_extra[{at}]"
        if not isinstance(one, Mapping):
            raise fields.wrong(where, "must be an object with filename and text", one)
        name, text = one.get("filename") or f"snippet {at + 1}", one.get("text")
        if not isinstance(text, str):
            raise fields.wrong(f"{where}.text", "must be a string", text)
        if not isinstance(name, str):
            raise fields.wrong(f"{where}.filename", "must be a string", name)
        files.append((" ".join(name.split()), text))
    return tuple(files)


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise fields.wrong(name, "must be a string", value)
    return value


def _count(body: Mapping[str, Any], name: str, *, least: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if not fields.is_whole(value) or not least <= value < 1 << 31:
        raise fields.wrong(name, f"must be a whole number from {least}", value)
    return int(value)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _without(body: Mapping[str, Any], *names: str) -> dict[str, Any]:
    left_out = {*names, *_OURS}
    return {name: value for name, value in body.items() if name not in left_out}
