"""Turn what pydantic says of a recipe into one line: the place, and what would be right there."""

from __future__ import annotations

import difflib
import json
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from seedcoder.recipe_layers import Layers

_KEYS_LISTED = 12
_VALUE_SHOWN_CHARS = 60
# pydantic speaks of JSON, the reader has written TOML
_IN_TOML = {
    "an object": "a table",
    "a valid dictionary": "a table",
    "a valid array": "a list",
    "a valid boolean": "true or false",
    "a valid string": "a string",
    "a valid number": "a number",
    "a valid integer": "a whole number",
}


def complain(error: ValidationError, schema: type[BaseModel], layers: Layers) -> str:
    """Return the line for the first thing wrong, and how many more there are.

    An unknown key comes first: it is often why another one is missing.
    """
    found: dict[tuple[object, ...], ErrorDetails] = {}
    for details in error.errors(include_url=False):
        found.setdefault(_place(details, layers.data), details)
    order = {"extra_forbidden": 0, "missing": 2}
    place, details = min(found.items(), key=lambda item: order.get(item[1]["type"], 1))
    said = _sentence(place, details, schema, layers)
    more = len(found) - 1
    return f"{said} (and {more} more)" if more else said


def _sentence(
    place: tuple[object, ...], details: ErrorDetails, schema: type[BaseModel], layers: Layers
) -> str:
    *table, key = place or ("",)
    source = layers.source_of(place if details["type"] != "missing" else table)
    named = ".".join(str(part) for part in table)
    where = f"{source}:{named}" if named and not source.startswith("--set ") else source
    if details["type"] == "extra_forbidden":
        return f"{where}: no key {str(key)!r}{_right_key(str(key), table, schema)}"
    if details["type"] == "missing":
        return f"{where}: key {str(key)!r} is missing"
    if details["type"] == "json_invalid":
        return f"{where}: {details['msg']}"
    message = details["msg"]
    if details["type"] in ("value_error", "assertion_error"):
        said = message.partition(", ")[2] or message
        return f"{where}: {key}: {said}"
    wanted = message.removeprefix("Input should be ")
    if wanted == message:
        return f"{where}: {key}: {message[:1].lower()}{message[1:]}, got {_shown(details['input'])}"
    wanted = _IN_TOML.get(wanted, wanted)
    line = f"{where}: {key} must be {wanted}, got {_shown(details['input'])}"
    return line + _right_value(details, source, key)


def _right_key(key: str, table: Sequence[object], schema: type[BaseModel]) -> str:
    known = _keys_at(schema, table)
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    here = _dotted(table)
    homes = [name for name, keys in _tables(schema).items() if name != here and key in keys]
    if homes:
        return f"; it belongs in [{homes[0]}]" if homes[0] else "; it belongs above the tables"
    if not known:
        return ""
    listed = ", ".join(known[:_KEYS_LISTED])
    return f"; the keys are {listed}{', ...' if len(known) > _KEYS_LISTED else ''}"


def _right_value(details: ErrorDetails, source: str, key: object) -> str:
    value = details["input"]
    if details["type"] in ("literal_error", "enum"):
        choices = str(details.get("ctx", {}).get("expected", ""))
        words = [word.strip(" '\"") for word in choices.replace(" or ", ", ").split(",")]
        close = difflib.get_close_matches(str(value), words, n=1)
        return f"; did you mean {close[0]!r}?" if close else ""
    if details["type"] == "string_type" and source.startswith("--set "):
        quoted = json.dumps(_shown(value) if not isinstance(value, str) else value)
        return f"; quote it: --set '{key}={quoted}'" if isinstance(value, int | float) else ""
    return ""


def _place(details: ErrorDetails, data: Mapping[str, Any]) -> tuple[object, ...]:
    """Return where in the file the error lies.

    pydantic puts in the names of union members; what is no key or index of the data is dropped,
    but for the last part of a missing key.
    """
    at: Any = data
    place: list[object] = []
    parts = details["loc"]
    for number, part in enumerate(parts):
        if isinstance(at, Mapping) and part in at:
            at = at[part]
        elif isinstance(at, Sequence) and not isinstance(at, str) and isinstance(part, int):
            if part >= len(at):
                continue
            at = at[part]
        elif not (details["type"] == "missing" and number == len(parts) - 1):
            continue
        place.append(part)
    return tuple(place)


def _keys_at(schema: type[BaseModel], table: Sequence[object]) -> list[str]:
    """Return the keys that the schema knows in a table, in its order."""
    models = [schema]
    for part in table:
        below: list[type[BaseModel]] = []
        for model in models:
            field = model.model_fields.get(str(part))
            if field is not None:
                below.extend(_models_in(field.annotation))
        # An index into a list of tables: the models are those of the list itself.
        models = models if isinstance(part, int) else below
    return list(dict.fromkeys(name for model in models for name in model.model_fields))


def _tables(schema: type[BaseModel], at: str = "", depth: int = 0) -> dict[str, list[str]]:
    """Return the keys of every table of the schema by its dotted name."""
    tables = {at: list(schema.model_fields)}
    if depth < 8:  # a schema may hold itself
        for name, field in schema.model_fields.items():
            for model in _models_in(field.annotation):
                tables.update(_tables(model, f"{at}.{name}" if at else name, depth + 1))
    return tables


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    origin = get_origin(annotation)
    if origin is Annotated:
        return _models_in(get_args(annotation)[0])
    if origin in (Union, types.UnionType, list, tuple, dict):
        return [model for inner in get_args(annotation) for model in _models_in(inner)]
    return []


def _dotted(table: Sequence[object]) -> str:
    return ".".join(str(part) for part in table if not isinstance(part, int))


def _shown(value: object) -> str:
    said = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return said if len(said) <= _VALUE_SHOWN_CHARS else f"{said[: _VALUE_SHOWN_CHARS - 3]}..."
