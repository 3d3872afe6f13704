"""The arguments of a call of `run_code`: their schema, and what a model is told of wrong ones."""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.installed import Missing, tools
from sandbox.languages import LANGUAGES

NAME: Final = "run_code"
_COMPLAINTS_MOST = 3
_SOURCE_MOST = 200_000  # characters; ours
_STDIN_MOST = 1_000_000  # characters; ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One call that can be run. stdin: None leaves it empty, and Python within the session."""

    code: str
    language: str = "python"
    stdin: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the arguments as the model might have written them."""
        shown: dict[str, Any] = {"language": self.language, "code": self.code}
        return shown if self.stdin is None else {**shown, "stdin": self.stdin}


class WrongCall(ValueError):
    """The model's arguments do not fit the schema; the message is for the model."""


@functools.cache
def languages() -> tuple[str, ...]:
    """Return the languages whose tools this machine has; Python first, for its state is kept."""
    there = []
    for name in LANGUAGES:
        try:
            tools(name)
        except Missing:
            continue
        there.append(name)
    return ("python", *(name for name in sorted(there) if name != "python"))


@functools.cache
def schema() -> Mapping[str, Any]:
    """Return the JSON schema of a call's arguments."""
    return {
        "type": "object",
        "properties": {
            "code": {
                "type": "string",
                "minLength": 1,
                "maxLength": _SOURCE_MOST,
                "description": "The whole program, or the next cell of Python.",
            },
            "language": {
                "type": "string",
                "enum": list(languages()),
                "description": "What it is written in; python where nothing is said.",
            },
            "stdin": {
                "type": "string",
                "maxLength": _STDIN_MOST,
                "description": "Standard input of a program. With it Python runs by itself,"
                " without what earlier cells left.",
            },
        },
        "required": ["code"],
        "additionalProperties": False,
    }


@functools.cache
def definition() -> Mapping[str, Any]:
    """Return the tool as a request to an engine lists it."""
    return {
        "type": "function",
        "function": {
            "name": NAME,
            "description": (
                "Run a program in a sandbox without a network and get what it printed. Python cells"
                " share their state, as in a notebook: the value of the last expression comes back"
                " too. Programs in other languages run by themselves."
            ),
            "parameters": schema(),
        },
    }


def wanted(arguments: str | Mapping[str, Any]) -> Wanted:
    """Return what a call asks for. Raises WrongCall."""
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError as error:
            raise WrongCall(f"the arguments are no JSON: {error}") from None
    found = [_complaint(error) for error in _validator().iter_errors(arguments)]
    if found:
        raise WrongCall("; ".join(found[:_COMPLAINTS_MOST]))
    if not isinstance(arguments, Mapping):  # the schema says so too
        raise WrongCall("the arguments must be an object")
    code = arguments["code"]
    if not code.strip():
        raise WrongCall("code: is empty")
    return Wanted(
        code=code, language=arguments.get("language", "python"), stdin=arguments.get("stdin")
    )


def _complaint(error: Any) -> str:
    """Return what is wrong and where, in a line's length: a complaint begins with the value."""
    where = ".".join(str(part) for part in error.path)
    why = str(error.message)
    why = why if len(why) <= 300 else f"{why[:100]}...{why[-150:]}"
    return f"{where}: {why}" if where else why


@functools.cache
def _validator() -> Any:
    jsonschema = importlib.import_module("jsonschema")  # heavy, and without types
    return jsonschema.Draft202012Validator(schema())
