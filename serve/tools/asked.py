"""What a chat request asks of `run_code`, and what its messages tell of earlier calls.

A client asks for the tool in one of these ways; each needs a key that may run code:

- `"run_code": true`, or an object of options, beside the messages;
- an entry `{"type": "run_code", ...options}` of `tools`;
- an entry `{"type": "code_interpreter"}` of `tools`, as OpenAI's newer route writes it; its
  `container`, where it is a string, names a session.

Options: `session`, the id of an earlier session to go on with; `max_rounds`, how often the model
may call. A conversation that brings its `code_runs` back in the assistant's messages goes on in
their session, and the model reads what it had run.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from serve.card import ModelCard
from serve.fault import Fault
from serve.tools import fenced
from serve.tools.arguments import NAME, definition

Convention = Literal["native", "text"]

ROUNDS: Final = 8  # ours
_ROUNDS_MOST = 32  # ours
_TYPES = (NAME, "code_interpreter")
_KEY = "run_code"
_RUNS = "code_runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """How one chat may run code.

    convention: how the model calls: "native" where its engine parses calls, else "text".
    session: the id of an earlier session; "" for none. rounds: how often it may call.
    """

    convention: Convention
    session: str = ""
    rounds: int = ROUNDS


def take(
    body: Mapping[str, Any], card: ModelCard, features: Collection[str], *, may_run_code: bool
) -> tuple[dict[str, Any], Tools | None]:
    """Return the body as an engine may read it, and how code may be run; None where it may not.

    Raises Fault: 403 for a key without the right, 400 for what makes no sense.
    """
    kept = dict(body)
    options = _options(kept)
    convention: Convention = "native" if card.tools == "native" and "tools" in features else "text"
    session = _history(kept, convention)
    if options is None:
        return kept, None
    if not may_run_code:
        raise Fault(
            403, "code is run for keys that may have it run: `seedcoder serve keys add --run-code`",
            kind="permission_error", code="run_code_not_allowed", param=_KEY,
        )  # fmt: skip
    if card.tools == "none":
        raise _wrong(f"is not for {card.name}: its card says that it calls no tools")
    if kept.get("n") not in (None, 1):
        raise Fault(400, "'n' must be 1 where code may be run", param="n")
    if kept.get("continue_final_message"):
        raise _wrong("cannot be used with continue_final_message")
    if any(_name(tool) == NAME for tool in kept.get("tools") or ()):
        raise Fault(400, f"a tool of your own is called {NAME!r}; so is ours", param="tools")
    if kept.get("tool_choice") == "none":
        return kept, None
    rounds = options.get("max_rounds", ROUNDS)
    if isinstance(rounds, bool) or not isinstance(rounds, int) or not 1 <= rounds <= _ROUNDS_MOST:
        raise _wrong(f"has a max_rounds that is not a number from 1 to {_ROUNDS_MOST}")
    named = options.get("session", "")
    if not isinstance(named, str):
        raise _wrong("has a session that is not a text")
    tools = Tools(convention=convention, session=named or session, rounds=rounds)
    if convention == "native":
        kept["tools"] = [*(kept.get("tools") or ()), definition()]
        if _is_ours(kept.get("tool_choice")):
            kept["tool_choice"] = {"type": "function", "function": {"name": NAME}}
    else:
        if _is_ours(kept.get("tool_choice")):
            del kept["tool_choice"]
        kept["messages"] = fenced.with_words(kept["messages"])
    return kept, tools


def _options(body: dict[str, Any]) -> dict[str, Any] | None:
    """Take what asks for the tool out of a body; None where nothing does."""
    options: dict[str, Any] | None = None
    asked = body.pop(_KEY, None)
    if isinstance(asked, Mapping):
        options = dict(asked)
    elif asked is True:
        options = {}
    elif asked not in (None, False):
        raise _wrong("must be true, false or an object of options")
    tools = body.get("tools")
    if not isinstance(tools, list):
        return _known(options)
    others = [tool for tool in tools if not _is_ours(tool)]
    for tool in tools:
        if _is_ours(tool):
            said = {
                name: value for name, value in tool.items() if name not in ("type", "container")
            }
            if isinstance(tool.get("container"), str):
                said["session"] = tool["container"]
            options = {**(options or {}), **said}
    if len(others) != len(tools):
        body["tools"] = others
        if not others:
            del body["tools"]
            if body.get("tool_choice") in ("auto", "required"):
                del body["tool_choice"]
    return _known(options)


def _known(options: dict[str, Any] | None) -> dict[str, Any] | None:
    for name in options or ():
        if name not in ("session", "max_rounds"):
            raise _wrong(f"has no option {str(name)[:40]!r}; there are session and max_rounds")
    return options


def _history(body: dict[str, Any], convention: Convention) -> str:
    """Write earlier calls as the model reads them; return their session, "" where there is none."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        return ""
    told: list[Any] = []
    session = ""
    for message in messages:
        if not isinstance(message, Mapping) or _RUNS not in message:
            told.append(message)
            continue
        runs = message[_RUNS]
        bare = {name: value for name, value in message.items() if name != _RUNS}
        for number, run in enumerate(runs if isinstance(runs, list) else ()):
            if not isinstance(run, Mapping):
                continue
            session = str(run.get("session") or session)
            told += _retold(run, number, convention)
        told.append(bare)
    body["messages"] = told
    return session


def _retold(run: Mapping[str, Any], number: int, convention: Convention) -> list[dict[str, Any]]:
    given = run.get("arguments")
    given = given if isinstance(given, Mapping) else {}
    answer = {
        name: run[name]
        for name in ("status", "stdout", "stderr", "value", "error", "note")
        if run.get(name)
    }
    if convention == "native":
        call_id = str(run.get("id") or f"call_{number}")
        function = {"name": NAME, "arguments": json.dumps(dict(given))}
        call = {"id": call_id, "type": "function", "function": function}
        return [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call_id, "content": json.dumps(answer)},
        ]
    code, language = str(given.get("code") or ""), str(given.get("language") or "python")
    return [
        {"role": "assistant", "content": fenced.block(code, language)},
        {"role": "user", "content": f"Output of run_code:\n{json.dumps(answer)}"},
    ]


def _is_ours(tool: object) -> bool:
    return isinstance(tool, Mapping) and tool.get("type") in _TYPES


def _name(tool: object) -> object:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    return function.get("name") if isinstance(function, Mapping) else None


def _wrong(why: str) -> Fault:
    return Fault(400, f"{_KEY} {why}", param=_KEY)
