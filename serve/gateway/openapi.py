"""What `/openapi.json` says of the table of routes.

Bodies are described as far as the gateway reads them; everything else in a body goes on to the
engine, so that no schema forbids it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serve.gateway.routes import Way

Schema = Mapping[str, Any]

_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer"}
_FLAG: Schema = {"type": "boolean"}
_OBJECT: Schema = {"type": "object"}


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _number(low: float, high: float) -> Schema:
    return {"type": "number", "minimum": low, "maximum": high}


def _body(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


_STOP: Schema = {"anyOf": [_TEXT, _list(_TEXT, maxItems=256), {"type": "null"}]}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_DRAW: Mapping[str, Schema] = {
    "model": _TEXT,
    "stream": _FLAG,
    "stream_options": _body(include_usage=_FLAG),
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "max_tokens": _COUNT,
    "n": {"type": "integer", "minimum": 1, "maximum": 128},
    "seed": _WHOLE,
    "stop": _STOP,
}
_PIECE = _body(("type", "text"), type={"enum": ["text"]}, text=_TEXT)
_MESSAGE = _body(
    ("role", "content"),
    role={"enum": ["system", "developer", "user", "assistant", "tool"]},
    content={"anyOf": [_TEXT, _list(_PIECE), {"type": "null"}]},
)
_TOKENS = _list({"type": "integer", "minimum": 0})
_PROMPT: Schema = {"anyOf": [_TEXT, _list(_TEXT, minItems=1), _TOKENS, _list(_TOKENS)]}
_EXTRA = _list(_body(("filename", "text"), filename=_TEXT, text=_TEXT))
_END: Schema = {"enum": ["syntax", "line", "none"]}

_BODIES: Mapping[str, Schema] = {
    "/v1/chat/completions": _body(
        ("messages",),
        **_DRAW,
        messages=_list(_MESSAGE, minItems=1),
        max_completion_tokens=_COUNT,
        tools=_list(_OBJECT),
        thinking_budget=_COUNT,
        reasoning_effort=_TEXT,
        include_reasoning=_FLAG,
    ),
    "/v1/completions": _body(
        ("prompt",), **_DRAW, prompt=_PROMPT, suffix=_TEXT, input_extra=_EXTRA, end=_END
    ),
    "/v1/fim/completions": _body(
        ("prompt",), **_DRAW, prompt=_TEXT, suffix=_TEXT, input_extra=_EXTRA, end=_END
    ),
    "/infill": _body(
        ("input_prefix", "input_suffix"),
        input_prefix=_TEXT,
        input_suffix=_TEXT,
        input_extra=_EXTRA,
        n_predict=_WHOLE,
        stream=_FLAG,
        end=_END,
    ),
    "/v1/embeddings": _body(
        ("input",), model=_TEXT, input=_PROMPT, encoding_format={"enum": ["float", "base64"]}
    ),
    "/v1/responses": _body(
        ("input",), model=_TEXT, input={"anyOf": [_TEXT, _list(_OBJECT)]}, stream=_FLAG
    ),
    "/v1/messages": _body(
        ("messages", "max_tokens"),
        model=_TEXT,
        messages=_list(_MESSAGE),
        max_tokens=_COUNT,
        stream=_FLAG,
    ),
    "/v1/messages/count_tokens": _body(("messages",), model=_TEXT, messages=_list(_MESSAGE)),
    "/tokenize": _body((), model=_TEXT, prompt=_TEXT, messages=_list(_MESSAGE)),
    "/detokenize": _body(("tokens",), model=_TEXT, tokens=_TOKENS),
    "/v1/batches": _body(
        ("input_file_id", "endpoint", "completion_window"),
        input_file_id=_TEXT,
        endpoint=_TEXT,
        completion_window={"enum": ["24h"]},
        metadata=_OBJECT,
    ),
}
_FORM = _body(("file", "purpose"), file={"type": "string", "format": "binary"}, purpose=_TEXT)
_QUERIES: Mapping[str, tuple[str, ...]] = {
    "/ready": ("model",),
    "/v1/files": ("purpose", "order", "limit", "after"),
    "/v1/batches": ("limit", "after"),
}
_ERROR = _body(
    ("error",),
    error=_body(
        ("message", "type"),
        message=_TEXT,
        type=_TEXT,
        param={"type": ["string", "null"]},
        code={"type": ["string", "null"]},
    ),
)
_NAMED = re.compile(r"\{(\w+)(?::path)?\}")


def describe(version: str) -> dict[str, Any]:
    """Return the document."""
    from serve.gateway.routes import WAYS  # which describes itself through this module

    paths: dict[str, dict[str, Any]] = {}
    for way in WAYS:
        path = _NAMED.sub(r"{\1}", way.path)
        paths.setdefault(path, {})[way.method.lower()] = _operation(way)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "seedcoder serve",
            "version": version,
            "description": "Several models behind one OpenAI-compatible address.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _operation(way: Way) -> dict[str, Any]:
    given: dict[str, Any] = {way.gives: {"schema": _OBJECT if "json" in way.gives else _TEXT}}
    body = _BODIES.get(way.path) if way.takes == "json" else None
    if body is not None and "stream" in body["properties"]:
        given["text/event-stream"] = {"schema": _TEXT}
    refused = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    name = (way.method + _NAMED.sub(r"\1", way.path)).lower()
    operation: dict[str, Any] = {
        "tags": [way.tag],
        "summary": (way.handler.__doc__ or "").partition("\n")[0].rstrip("."),
        "operationId": re.sub(r"\W+", "_", name),
        "responses": {
            "200": {"description": "Done.", "content": given},
            "default": {"description": "Refused, or our failure.", "content": refused},
        },
        "parameters": _parameters(way),
    }
    if way.guard != "none":
        operation["security"] = [{}, {"bearer": []}, {"header": []}]
    if way.takes == "json":
        content = {"application/json": {"schema": body or _OBJECT}}
        operation["requestBody"] = {"required": True, "content": content}
    elif way.takes == "form":
        operation["requestBody"] = {
            "required": True,
            "content": {"multipart/form-data": {"schema": _FORM}},
        }
    return operation


def _parameters(way: Way) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT}
        for name in _NAMED.findall(way.path)
    ]
    if way.method == "GET":
        found += [
            {"name": name, "in": "query", "schema": _TEXT} for name in _QUERIES.get(way.path, ())
        ]
    return found
