"""SandboxFusion's routes on data sets: prompts out, completions in, judged by tests kept here.

A client may bring its problems along as `config.provided_data`, in the form of a data set's line
(see `datasets`). Code of the client's that would run in the server itself
(`custom_extract_logic`) is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from sandbox.jobs import Job, Result
from sandbox.outcome import Kind, Outcome
from sandbox.program import Limits
from sandbox.server import bodies, fusion
from sandbox.server.config import ServerConfig
from sandbox.server.datasets import Problem, problem_of
from sandbox.server.exchange import Exchange, parsed
from sandbox.server.extraction import Extracted, extract
from sandbox.server.house import House
from sandbox.server.native import body_of
from sandbox.server.refusal import Refusal, Reply, invalid, reply_json
from sandbox.verdict import Verdict

_LOOSE = ConfigDict(extra="ignore", allow_inf_nan=False)


class ConfigBody(BaseModel):
    """What of the API's TestConfig counts here."""

    model_config = _LOOSE
    compile_timeout: Annotated[float | None, Field(gt=0)] = None
    run_timeout: Annotated[float | None, Field(gt=0)] = None
    custom_extract_logic: str | None = None
    provided_data: list[dict[str, Any]] | dict[str, Any] | None = None


class PromptsBody(BaseModel):
    """A request of `/get_prompts`, `/list_ids` and `/get_metrics_function`."""

    model_config = _LOOSE
    dataset: str
    config: ConfigBody = ConfigBody()
    offset: int = Field(0, ge=0)
    limit: int = Field(1_000_000, ge=0)


class PromptBody(BaseModel):
    """A request of `/get_prompt_by_id`."""

    model_config = _LOOSE
    dataset: str
    id: int | str
    config: ConfigBody = ConfigBody()


class SubmitBody(PromptBody):
    """A request of `/submit`."""

    completion: str


class ResultBody(BaseModel):
    """One result of `/submit`, as far as it counts in `/get_metrics`."""

    model_config = _LOOSE
    id: int | str
    accepted: bool


class MetricsBody(BaseModel):
    """A request of `/get_metrics`."""

    model_config = _LOOSE
    dataset: str
    config: ConfigBody = ConfigBody()
    results: list[ResultBody]


class PromptAnswer(BaseModel):
    """A prompt."""

    id: int | str
    prompt: str
    labels: dict[str, Any] = {}


class TestAnswer(BaseModel):
    """One test of a submission."""

    __test__ = False
    passed: bool
    exec_info: fusion.RunCodeAnswer
    test_info: dict[str, Any] | None = None


class SubmitAnswer(BaseModel):
    """The answer of `/submit`."""

    id: int | str
    accepted: bool
    extracted_code: str
    full_code: str | None = None
    test_code: str | None = None
    tests: list[TestAnswer]
    extracted_type: str | None = None
    extra: dict[str, Any] | None = None


def _problems(house: House, dataset: str, config: ConfigBody) -> Mapping[str, Problem]:
    """Return the problems of a data set, or those that came along. Raises Refusal."""
    if config.provided_data is not None:
        given = config.provided_data
        rows = given if isinstance(given, list) else [given]
        try:
            problems = [problem_of(row) for row in rows]
        except (ValueError, RecursionError) as error:
            raise invalid(
                f"config.provided_data: {error}"[:400], ("config", "provided_data")
            ) from None
        return {str(problem.key): problem for problem in problems}
    if dataset not in house.datasets.found:
        raise Refusal(
            404, "UnknownDataset", f"no data set has the name {bodies.shown(dataset)!r} here"
        )
    return house.datasets.found[dataset]


def _problem(house: House, body: PromptBody) -> Problem:
    problem = _problems(house, body.dataset, body.config).get(str(body.id))
    if problem is None:
        raise Refusal(
            404, "UnknownProblem", f"no problem has the id {bodies.shown(str(body.id))!r} there"
        )
    return problem


def _prompt(problem: Problem) -> dict[str, Any]:
    return {"id": problem.key, "prompt": problem.prompt, "labels": dict(problem.labels)}


async def list_datasets(house: House, exchange: Exchange) -> Reply:
    """Say which data sets there are."""
    return reply_json(list(house.datasets.found))


async def list_ids(house: House, exchange: Exchange) -> Reply:
    """Say which problems a data set has."""
    body = bodies.checked(PromptsBody, parsed(await body_of(house, exchange)))
    return reply_json([x.key for x in _page(house, body)])


async def get_prompts(house: House, exchange: Exchange) -> Reply:
    """Hand out prompts."""
    body = bodies.checked(PromptsBody, parsed(await body_of(house, exchange)))
    return reply_json([_prompt(x) for x in _page(house, body)])


def _page(house: House, body: PromptsBody) -> list[Problem]:
    problems = list(_problems(house, body.dataset, body.config).values())
    return problems[body.offset : body.offset + body.limit]


async def get_prompt_by_id(house: House, exchange: Exchange) -> Reply:
    """Hand out one prompt."""
    body = bodies.checked(PromptBody, parsed(await body_of(house, exchange)))
    return reply_json(_prompt(_problem(house, body)))


async def submit(house: House, exchange: Exchange) -> Reply:
    """Judge a completion by its problem's tests."""
    body = bodies.checked(SubmitBody, parsed(await body_of(house, exchange)))
    if body.config.custom_extract_logic:
        raise invalid(
            "config.custom_extract_logic: code of clients is not run in the server",
            ("config", "custom_extract_logic"),
        )
    problem = _problem(house, body)
    language = problem.language
    extracted = extract(body.completion, language)
    job = Job(
        program=bodies.program_of(house.config, extracted.code, language),
        tests=problem.tests,
        limits=_limits(body.config, problem, house.config),
    )
    answer = await house.settle(
        exchange, lambda: job, partial(_rendered, problem=problem, extracted=extracted)
    )
    return Reply(answer)


def _limits(config: ConfigBody, problem: Problem, ours: ServerConfig) -> Limits:
    if config.run_timeout is None and config.compile_timeout is None and problem.limits:
        return problem.limits
    given = problem.limits or Limits()
    return fusion.limits_of(
        config.run_timeout or given.cpu_s,
        config.compile_timeout or given.compile_cpu_s or 10.0,
        given.memory_mb,
        ours,
    )


def _rendered(result: Result, problem: Problem, extracted: Extracted) -> bytes:
    assert isinstance(result, Verdict)  # the job has tests
    failure = result.first_failure
    data = {
        "id": problem.key,
        "accepted": result.ok,
        "extracted_code": extracted.code,
        "full_code": extracted.code,
        "test_code": None,
        "tests": _tests(result, problem.language),
        "extracted_type": extracted.how,
        "extra": {
            "kind": result.kind.value,
            "passed": result.passed,
            "total": result.total,
            "points": result.points,
            "points_most": result.points_most,
            "mode": result.mode,
            "first_failure": failure.to_json() if failure else None,
        },
    }
    return json.dumps(data).encode()


def _tests(verdict: Verdict, language: str) -> list[dict[str, Any]]:
    """Return an item a case, where cases were run up to the first that failed; else one."""
    outcomes = verdict.outcomes
    if verdict.mode == "stdio" and verdict.passed + (not verdict.ok) == len(outcomes):
        return [
            {
                "passed": index < verdict.passed,
                "exec_info": fusion.answer_of(outcome, language),
                "test_info": None,
            }
            for index, outcome in enumerate(outcomes)
        ]
    worst = next((x for x in outcomes if x.kind is not Kind.PASSED), None)
    shown = worst or (outcomes[0] if outcomes else _NOTHING)
    return [
        {
            "passed": verdict.ok,
            "exec_info": fusion.answer_of(shown, language),
            "test_info": {"passed": verdict.passed, "total": verdict.total},
        }
    ]


_NOTHING = Outcome(
    kind=Kind.NO_CODE, exit_code=None, signal=None, stdout="", stderr="", truncated=False,
    cpu_s=0.0, wall_s=0.0, peak_mb=0.0,
)  # fmt: skip


async def get_metrics(house: House, exchange: Exchange) -> Reply:
    """Say how many of the results were accepted, and of how many problems."""
    body = bodies.checked(MetricsBody, parsed(await body_of(house, exchange)))
    _problems(house, body.dataset, body.config)
    by_problem: dict[str, list[bool]] = {}
    for result in body.results:
        by_problem.setdefault(str(result.id), []).append(result.accepted)
    total, accepted = len(body.results), sum(x.accepted for x in body.results)
    shares = [sum(tries) / len(tries) for tries in by_problem.values()]
    return reply_json(
        {
            "total": total,
            "accepted": accepted,
            "accuracy": accepted / total if total else 0.0,
            "problems": len(shares),
            "pass@1": sum(shares) / len(shares) if shares else 0.0,
        }
    )


async def get_metrics_function(house: House, exchange: Exchange) -> Reply:
    """Say that no data set here has a function of its own for its metrics."""
    body = bodies.checked(PromptsBody, parsed(await body_of(house, exchange)))
    _problems(house, body.dataset, body.config)
    return reply_json({"function": None})
