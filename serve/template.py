"""Render a conversation as a model's chat template has it, the way transformers renders.

    render(card, [{"role": "user", "content": "hi"}])

The engines render chats themselves; this is for what goes to /v1/completions instead, and for
looking at a template (`seedcoder serve check`). jinja2 in its sandbox, blocks trimmed, loop
controls, `raise_exception`, `tojson`, `strftime_now`, `{% generation %}` passed through; the same
text as `apply_chat_template(tokenize=False)` of transformers 5.19, which the tests compare with.
Content given in parts is joined by new lines, as vLLM joins it for templates that want strings.

Guards against a template that reaches for Python. Does not guard against one that loops for ever:
a template comes with a card or a checkpoint, never with a request.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from seedcoder.errors import UsageError
from serve.card import ModelCard
from serve.fault import Fault

if TYPE_CHECKING:
    import jinja2

# As transformers marks where the last message ends; the space tells whether spaces were trimmed.
_END_MARK: Final = "CONTINUE_FINAL_MESSAGE_TAG "


def render(
    card: ModelCard,
    messages: Sequence[Mapping[str, Any]],
    *,
    add_generation_prompt: bool = True,
    continue_final: bool = False,
    tools: Sequence[Mapping[str, Any]] | None = None,
    tokenizer_folder: Path | None = None,
    **variables: Any,
) -> str:
    """Return the prompt, BOS and all that the template writes; a tokenizer must add none to it.

    continue_final: leave the last message open, for the model to go on with; takes the place of
        the generation prompt.
    tokenizer_folder: of the checkpoint, for a card that leaves the template to it; else the card's
        own folder, where it is on this machine.
    variables: what else the template knows (`enable_thinking`...).
    Raises Fault 400 for messages that are none and for a template that raises; UsageError for a
    template that is not there or is not jinja.
    """
    folder = tokenizer_folder or card.local_folder()
    source = template_text(card, folder, with_tools=bool(tools))
    spoken = _spoken(messages)
    if continue_final:
        spoken = _marked(spoken)
    text = _filled(
        source,
        {
            **special_tokens(card, folder),
            **variables,
            "messages": spoken,
            "tools": [dict(tool) for tool in tools] if tools else None,
            "documents": None,
            "add_generation_prompt": add_generation_prompt and not continue_final,
        },
    )
    return _cut(text) if continue_final else text


def template_text(card: ModelCard, folder: Path | None, *, with_tools: bool = False) -> str:
    """Return the template's source: the card's file, or the checkpoint's own.

    Raises UsageError where there is none.
    """
    file = card.template_file()
    if file is not None:
        return _read(file)
    if folder is None:
        raise UsageError(
            f"the chat template of {card.name!r} is its checkpoint's, which is not on this machine"
        )
    own = own_template(folder, with_tools=with_tools)
    if own is None:
        raise UsageError(f"{folder} holds no chat template")
    return own


def own_template(folder: Path, *, with_tools: bool = False) -> str | None:
    """Return the template that a checkpoint's folder brings; None where it brings none.

    It lies in chat_template.jinja, or in tokenizer_config.json: a text, or several with names.
    """
    file = folder / "chat_template.jinja"
    if file.is_file():
        return _read(file)
    found = read_json(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(found, list):
        entries = [entry for entry in found if isinstance(entry, dict)]
        named = {entry.get("name"): entry.get("template") for entry in entries}
        found = (with_tools and named.get("tool_use")) or named.get("default")
    return found if isinstance(found, str) else None


def special_tokens(card: ModelCard, folder: Path | None) -> dict[str, str]:
    """Return `bos_token`, `eos_token` and the like, as templates know them; the card's win."""
    tokens = {} if folder is None else special_tokens_of(folder)
    said = {"bos_token": card.bos, "eos_token": card.eos}
    # One that nobody sets is an empty text, not an error: a template adds it to others.
    return {"bos_token": "", "eos_token": "", **tokens, **{k: v for k, v in said.items() if v}}


def special_tokens_of(folder: Path) -> dict[str, str]:
    """Return the tokens that a checkpoint's folder gives a name: `bos_token`, `pad_token`..."""
    tokens: dict[str, str] = {}
    for file in ("special_tokens_map.json", "tokenizer_config.json"):
        for name, value in read_json(folder / file).items():
            text = value.get("content") if isinstance(value, dict) else value
            if name.endswith("_token") and isinstance(text, str):
                tokens[name] = text
    return tokens


def read_json(file: Path) -> dict[str, Any]:
    """Return what a JSON file holds; nothing where it is absent. UsageError for a broken one."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from None
    if not isinstance(data, dict):
        raise UsageError(f"{file} must hold a JSON object")
    return data


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"the chat template {file} cannot be read: {error}") from None


def _spoken(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if not messages:
        raise Fault(400, "messages must hold at least one message", param="messages")
    spoken = []
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise Fault(400, f"{where} must be an object with a role", param=where)
        plain = dict(message)
        plain["content"] = _text_of(message.get("content"), where)
        if plain.get("tool_calls"):
            plain["tool_calls"] = [_opened(call) for call in plain["tool_calls"]]
        spoken.append(plain)
    return spoken


def _text_of(content: Any, where: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, Mapping) else part for part in content]
        texts = [part for part in parts if isinstance(part, str)]
        if len(texts) == len(parts):
            return "\n".join(texts)
    raise Fault(400, f"{where}.content must be a text, or parts of text", param=f"{where}.content")


def _opened(call: Any) -> Any:
    """Return a tool call with its arguments as an object: templates write them out themselves."""
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("arguments"), str):
        return call
    try:
        arguments = json.loads(function["arguments"])
    except ValueError:
        return call
    return {**call, "function": {**function, "arguments": arguments}}


def _marked(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    last = messages[-1]
    return [*messages[:-1], {**last, "content": f"{last['content']}{_END_MARK}"}]


def _cut(text: str) -> str:
    at = text.rfind(_END_MARK.strip())
    if at < 0:
        raise Fault(400, "the chat template drops the last message: it cannot be continued")
    kept = text[:at]
    return kept if text[at:].startswith(_END_MARK) else kept.rstrip()


def _filled(source: str, variables: Mapping[str, Any]) -> str:
    from jinja2 import TemplateError, TemplateSyntaxError

    try:
        text: str = _compiled(source).render(**variables)
    except TemplateSyntaxError as error:
        raise UsageError(
            f"the chat template is not jinja: line {error.lineno}: {error.message}"
        ) from None
    except TemplateError as error:
        raise Fault(400, f"the chat template: {error.message}", param="messages") from None
    except RecursionError:
        raise Fault(400, "the chat template calls itself without end", param="messages") from None
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        # What a template does to values of kinds that it does not expect.
        raise Fault(400, f"the chat template cannot take these messages: {error}") from None
    return text


@functools.lru_cache(maxsize=32)
def _compiled(source: str) -> jinja2.Template:
    return _environment().from_string(source)


@functools.cache
def _environment() -> jinja2.Environment:
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):  # type: ignore[misc]  # jinja2 is not followed by mypy here
        """`{% generation %}` marks what a model writes; for a prompt it is what it holds."""

        tags: ClassVar[set[str]] = {"generation"}

        def parse(self, parser: Parser) -> list[nodes.Node]:
            next(parser.stream)
            held: list[nodes.Node] = parser.parse_statements(
                ("name:endgeneration",), drop_needle=True
            )
            return held

    def raise_exception(message: str) -> NoReturn:
        raise TemplateError(message)

    def strftime_now(form: str) -> str:
        return datetime.now().strftime(form)

    def tojson(
        value: Any,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        # jinja's own escapes what HTML would not like
        return json.dumps(
            value,
            ensure_ascii=ensure_ascii,
            indent=indent,
            separators=separators,
            sort_keys=sort_keys,
        )

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = strftime_now
    return environment
