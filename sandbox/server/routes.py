"""The table of routes, and what `/openapi.json` says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sandbox.server import batch, bodies, cells, fusion, fusion_sets, native, piston, refusal
from sandbox.server.door import Act
from sandbox.server.refusal import Family

_REF = "#/components/schemas/{model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One route. takes, gives: models of its bodies; lines: they are lines of JSON.

    gives may be the name of a schema written here, where no model stands for it.
    """

    method: str
    path: str
    act: Act
    tag: str
    takes: type[BaseModel] | None = None
    gives: type[BaseModel] | str = ""
    lines: bool = False
    family: Family = refusal.native
    open_to_all: bool = False
    counts: bool = True


WAYS: tuple[Way, ...] = (
    Way(method="POST", path="/v1/run", act=native.run, tag="sandbox",
        takes=bodies.RunBody, gives="Outcome"),
    Way(method="POST", path="/v1/judge", act=native.judge, tag="sandbox",
        takes=bodies.JudgeBody, gives="Verdict"),
    Way(method="POST", path="/v1/batch", act=batch.batch, tag="sandbox",
        takes=bodies.LineBody, gives="BatchLine", lines=True),
    Way(method="POST", path="/v1/sessions", act=cells.open_session, tag="sessions",
        takes=bodies.OpenSessionBody, gives="SessionId"),
    Way(method="POST", path="/v1/sessions/{id}/cells", act=cells.run_cell, tag="sessions",
        takes=bodies.CellBody, gives="CellResult"),
    Way(method="DELETE", path="/v1/sessions/{id}", act=cells.close_session, tag="sessions"),
    Way(method="GET", path="/v1/languages", act=native.languages, tag="sandbox",
        gives="Languages"),
    Way(method="GET", path="/healthz", act=native.healthz, tag="health", gives="Health",
        open_to_all=True, counts=False),
    Way(method="GET", path="/readyz", act=native.readyz, tag="health", open_to_all=True,
        counts=False),
    Way(method="GET", path="/metrics", act=native.metrics, tag="health", counts=False),
    Way(method="GET", path="/v1/ping", act=fusion.ping, tag="SandboxFusion", open_to_all=True,
        counts=False, family=refusal.fusion),
    Way(method="POST", path="/run_code", act=fusion.run_code, tag="SandboxFusion",
        takes=fusion.RunCodeBody, gives=fusion.RunCodeAnswer, family=refusal.fusion),
    Way(method="POST", path="/run_jupyter", act=fusion.run_jupyter, tag="SandboxFusion",
        takes=fusion.RunJupyterBody, gives="RunJupyterAnswer", family=refusal.fusion),
    Way(method="POST", path="/submit", act=fusion_sets.submit, tag="SandboxFusion",
        takes=fusion_sets.SubmitBody, gives=fusion_sets.SubmitAnswer, family=refusal.fusion),
    Way(method="POST", path="/get_prompts", act=fusion_sets.get_prompts, tag="SandboxFusion",
        takes=fusion_sets.PromptsBody, gives="Prompts", family=refusal.fusion),
    Way(method="POST", path="/get_prompt_by_id", act=fusion_sets.get_prompt_by_id,
        tag="SandboxFusion", takes=fusion_sets.PromptBody, gives=fusion_sets.PromptAnswer,
        family=refusal.fusion),
    Way(method="GET", path="/list_datasets", act=fusion_sets.list_datasets, tag="SandboxFusion",
        gives="Names", family=refusal.fusion),
    Way(method="POST", path="/list_ids", act=fusion_sets.list_ids, tag="SandboxFusion",
        takes=fusion_sets.PromptsBody, gives="Names", family=refusal.fusion),
    Way(method="POST", path="/get_metrics", act=fusion_sets.get_metrics, tag="SandboxFusion",
        takes=fusion_sets.MetricsBody, gives="Counts", family=refusal.fusion),
    Way(method="POST", path="/get_metrics_function", act=fusion_sets.get_metrics_function,
        tag="SandboxFusion", takes=fusion_sets.PromptsBody, gives="Counts", family=refusal.fusion),
    Way(method="POST", path="/api/v2/execute", act=piston.execute, tag="Piston",
        takes=piston.ExecuteBody, gives=piston.ExecuteAnswer, family=refusal.piston),
    Way(method="GET", path="/api/v2/runtimes", act=piston.runtimes, tag="Piston",
        gives="Runtimes", family=refusal.piston),
    Way(method="GET", path="/api/v2/packages", act=piston.packages, tag="Piston",
        gives="Runtimes", family=refusal.piston),
)  # fmt: skip


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_TEXT, _WHOLE, _NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}
_FLAG = {"type": "boolean"}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(model=name)}


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


_FILES = {"type": "object", "additionalProperties": {"type": "string", "format": "byte"}}
# What `to_json` of our own values writes, for which there are no models.
_SCHEMAS: Mapping[str, Any] = {
    "Error": _object(error=_object(type=_TEXT, message=_TEXT)),
    "Outcome": _object(
        kind=_TEXT, exit_code=_or_null(_WHOLE), signal=_or_null(_WHOLE), stdout=_TEXT,
        stderr=_TEXT, truncated=_FLAG, cpu_s=_NUMBER, wall_s=_NUMBER, peak_mb=_NUMBER,
        files=_FILES,
    ),
    "Failure": _object(index=_WHOLE, test=_TEXT, expected=_TEXT, got=_TEXT, reason=_TEXT),
    "Verdict": _object(
        kind=_TEXT, passed=_WHOLE, total=_WHOLE, first_failure=_or_null(_ref("Failure")),
        outcomes=_list(_ref("Outcome")), mode=_TEXT, points=_NUMBER, points_most=_NUMBER,
        subtasks=_list({"type": "object"}),
    ),
    "BatchLine": {
        "type": "object",
        "required": ["key"],
        "properties": {
            "key": _or_null(_TEXT),
            "outcome": _ref("Outcome"),
            "verdict": _ref("Verdict"),
            "error": _object(type=_TEXT, message=_TEXT),
        },
    },
    "SessionId": _object(id=_TEXT),
    "CellResult": _object(
        kind=_TEXT, stdout=_TEXT, stderr=_TEXT, truncated=_FLAG, value=_or_null(_TEXT),
        error=_or_null(_object(name=_TEXT, message=_TEXT, traceback=_TEXT)),
        displays=_list({"type": "object"}), cpu_s=_NUMBER, wall_s=_NUMBER, number=_WHOLE,
        over=_TEXT,
    ),
    "Languages": _object(
        languages=_list(_object(language=_TEXT, version=_TEXT, there=_FLAG, install=_TEXT))
    ),
    "Health": _object(
        box=_TEXT, kind=_TEXT, version=_TEXT, workers=_WHOLE, instance=_TEXT
    ),
    "RunJupyterAnswer": _object(
        status=_TEXT, message=_TEXT, driver=_or_null(_ref("CommandResult")),
        cells=_list(
            _object(
                stdout=_TEXT, stderr=_TEXT, display=_list({"type": "object"}),
                error=_list({"type": "object"}),
            )
        ),
        executor_pod_name=_or_null(_TEXT), files=_FILES,
    ),
    "Prompts": _list(_ref("PromptAnswer")),
    "Names": _list({"anyOf": [_TEXT, _WHOLE]}),
    "Counts": {"type": "object"},
    "Runtimes": _list({"type": "object"}),
}  # fmt: skip


def openapi(version: str) -> dict[str, Any]:
    """Return the OpenAPI document of all routes."""
    models = {m for way in WAYS for m in (way.takes, way.gives) if isinstance(m, type)}
    modes = [(model, "validation") for model in sorted(models, key=lambda m: m.__name__)]
    _, definitions = models_json_schema(modes, ref_template=_REF)  # type: ignore[arg-type]
    paths: dict[str, dict[str, Any]] = {}
    for way in WAYS:
        paths.setdefault(way.path, {})[way.method.lower()] = _operation(way)
    security = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {"type": "http", "scheme": "basic"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "seedcoder sandbox",
            "version": version,
            "description": "Runs and judges programs. Speaks its own API, SandboxFusion's, and"
            " Piston's.",
        },
        "paths": paths,
        "components": {
            "schemas": {**definitions.get("$defs", {}), **_SCHEMAS},
            "securitySchemes": security,
        },
    }


def _operation(way: Way) -> dict[str, Any]:
    kind = "application/x-ndjson" if way.lines else "application/json"
    status = "200" if way.gives or way.method == "GET" else "204"
    answer: dict[str, Any] = {"description": "Done."}
    if way.gives:
        name = way.gives if isinstance(way.gives, str) else way.gives.__name__
        answer["content"] = {kind: {"schema": _ref(name)}}
    summary = (way.act.__doc__ or "").partition("\n")[0].rstrip(".")
    refused = {"application/json": {"schema": _ref("Error")}}
    operation: dict[str, Any] = {
        "tags": [way.tag],
        "summary": summary,
        "operationId": f"{way.method}{way.path}".lower().translate(_AS_NAME),
        "responses": {
            status: answer,
            "default": {"description": "Refused, or our failure.", "content": refused},
        },
    }
    if not way.open_to_all:
        operation["security"] = [{}, {"bearer": []}, {"basic": []}, {"header": []}]
    if way.takes is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {kind: {"schema": _ref(way.takes.__name__)}},
        }
    if "{id}" in way.path:
        operation["parameters"] = [
            {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
        ]
    if way.path in ("/v1/run", "/v1/judge", "/v1/batch"):
        operation.setdefault("parameters", []).append(
            {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}
        )
    return operation


_AS_NAME = str.maketrans({"/": "_", "{": None, "}": None, ".": "_"})
