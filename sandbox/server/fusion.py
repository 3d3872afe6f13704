"""SandboxFusion's `/run_code`, `/run_jupyter` and ping, in its shapes.

What differs from it, each on purpose: `run_timeout` is CPU seconds, with a wall clock behind it
that does not decide on a busy machine; `memory_limit_MB` is memory that is held, not addresses, so
that threads and numpy work under it; files that lead out of the work folder are refused; a full
queue is 504 at once. Where the sandbox itself failed the status is SandboxError, with 200.
"""

from __future__ import annotations

import base64
import json
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sandbox import reasons
from sandbox.errors import SandboxError
from sandbox.jobs import Job, Result
from sandbox.languages import LANGUAGES, canonical
from sandbox.outcome import Kind, Outcome
from sandbox.program import Limits
from sandbox.server import bodies
from sandbox.server.cells import asked
from sandbox.server.config import ServerConfig
from sandbox.server.exchange import Exchange, parsed
from sandbox.server.house import House
from sandbox.server.native import body_of
from sandbox.server.refusal import Reply, invalid, reply_json
from sandbox.session.many import Sessions
from sandbox.session.result import CellResult, SessionOver
from sandbox.session.session import Session

_LEAST_S = 0.05  # ours: a box needs some milliseconds to set a run up
_USUAL_COMPILE_S = 10.0  # the API's default: then a language has what it is known to need
_LOOSE = ConfigDict(extra="ignore", allow_inf_nan=False)  # its clients send what it ignores
# Modes of the API that are no language of ours.
_NOT_HERE = frozenset((
    "python2", "go_test", "cuda", "pytest", "junit", "jest", "verilog", "python_gpu", "lean",
    "gtest", "react",
))  # fmt: skip


class RunCodeBody(BaseModel):
    """A request of `/run_code`. memory_limit_MB: -1 is as much as this server gives."""

    model_config = _LOOSE
    code: str
    language: str
    compile_timeout: float = Field(_USUAL_COMPILE_S, gt=0)
    run_timeout: float = Field(10.0, gt=0)
    memory_limit_mb: int = Field(-1, alias="memory_limit_MB")
    stdin: str | None = None
    files: dict[str, str | None] = Field(default_factory=dict)
    fetch_files: list[str] = Field(default_factory=list)
    args: list[str] = Field(default_factory=list)


class RunJupyterBody(BaseModel):
    """A request of `/run_jupyter`. cell_timeout: 0 is what is left of total_timeout."""

    model_config = _LOOSE
    cells: list[str]
    cell_timeout: float = Field(0.0, ge=0)
    total_timeout: float = Field(45.0, gt=0)
    memory_limit_mb: int = Field(-1, alias="memory_limit_MB")
    kernel: str = "python3"
    files: dict[str, str | None] = Field(default_factory=dict)
    fetch_files: list[str] = Field(default_factory=list)


class CommandResult(BaseModel):
    """What one command did. status: Finished, TimeLimitExceeded or Error."""

    status: str
    execution_time: float | None = None
    cpu_time: float | None = None
    return_code: int | None = None
    stdout: str | None = None
    stderr: str | None = None


class RunCodeAnswer(BaseModel):
    """The answer of `/run_code`. status: Success, Failed or SandboxError."""

    status: str
    message: str
    compile_result: CommandResult | None = None
    run_result: CommandResult | None = None
    executor_pod_name: str | None = None
    files: dict[str, str] = {}


def backstop_s(run_s: float) -> float:
    """Return the wall clock behind a limit of CPU seconds.

    Generous, and short enough for clients that wait for `compile_timeout + run_timeout + 10`.
    """
    return run_s + min(8.0, run_s + 1.0)


def limits_of(run_s: float, compile_s: float, memory_mb: int, config: ServerConfig) -> Limits:
    """Return the limits of a run. Raises Refusal for times that this server does not give.

    Memory beyond what this server gives is cut to that: clients ask for more than they need.
    """
    most_mb = config.most_memory_mb
    run_s = max(run_s, _LEAST_S)
    limits = Limits(
        cpu_s=run_s,
        wall_s=backstop_s(run_s),
        memory_mb=most_mb if memory_mb <= 0 else min(memory_mb, most_mb),
        processes=min(256, config.most_processes),
        disk_mb=min(256, config.most_disk_mb),
        compile_cpu_s=0.0 if compile_s == _USUAL_COMPILE_S else compile_s,
    )
    return bodies.allowed(limits, config)


async def ping(house: House, exchange: Exchange) -> Reply:
    """Say pong."""
    return Reply(b'"pong"')


async def run_code(house: House, exchange: Exchange) -> Reply:
    """Run a program."""
    raw = await body_of(house, exchange)
    body = bodies.checked(RunCodeBody, parsed(raw))
    if body.language in _NOT_HERE:
        return reply_json(sandbox_error(f"{body.language} is not served here"), note="SandboxError")
    job = _job(body, house.config)
    try:
        answer = await house.settle(
            exchange, lambda: job, partial(_rendered, language=job.program.language)
        )
    except SandboxError as error:
        return reply_json(sandbox_error(f"{type(error).__name__}: {error}"), note="SandboxError")
    return Reply(answer)


def _job(body: RunCodeBody, config: ServerConfig) -> Job:
    try:
        language = canonical(body.language)
    except ValueError as error:
        raise invalid(str(error), ("language",)) from None
    return Job(
        program=bodies.program_of(
            config,
            body.code,
            language,
            files={name: text for name, text in body.files.items() if text is not None},
            argv=body.args,
            stdin=body.stdin or "",
        ),
        limits=limits_of(body.run_timeout, body.compile_timeout, body.memory_limit_mb, config),
        collect=bodies.collected(body.fetch_files, config),
    )


def sandbox_error(message: str) -> dict[str, Any]:
    """Return the answer that says that the sandbox failed."""
    return {
        "status": "SandboxError",
        "message": message,
        "compile_result": None,
        "run_result": None,
        "executor_pod_name": None,
        "files": {},
    }


def _rendered(result: Result, language: str) -> bytes:
    assert isinstance(result, Outcome)  # the job has no tests
    return json.dumps(answer_of(result, language)).encode()


def answer_of(outcome: Outcome, language: str) -> dict[str, Any]:
    """Return an outcome in the API's shape."""
    compiles = bool(LANGUAGES[language].compile) if language in LANGUAGES else False
    compiled, ran = None, None
    if compiles and outcome.kind is Kind.COMPILE_ERROR:
        compiled = _command(outcome)
    else:
        ran = _command(outcome)
        if compiles:
            compiled = {
                "status": "Finished",
                "execution_time": None,  # it may have been compiled for an earlier request
                "cpu_time": None,
                "return_code": 0,
                "stdout": "",
                "stderr": "",
            }
    return {
        "status": "Success" if outcome.kind is Kind.PASSED else "Failed",
        "message": "" if outcome.kind is Kind.PASSED else _why(outcome),
        "compile_result": compiled,
        "run_result": ran,
        "executor_pod_name": None,
        "files": {name: base64.b64encode(raw).decode() for name, raw in outcome.files.items()},
    }


def _why(outcome: Outcome) -> str:
    """Return what its clients cannot see in a return code."""
    if outcome.kind in (Kind.MEMORY, Kind.OUTPUT, Kind.FORBIDDEN, Kind.TIMEOUT):
        return f"{outcome.kind.value}: {reasons.why(outcome)}"
    return ""


def _command(outcome: Outcome) -> dict[str, Any]:
    late = outcome.kind is Kind.TIMEOUT
    code = outcome.exit_code if outcome.signal is None else -outcome.signal
    if outcome.kind is not Kind.PASSED and code == 0:
        code = 1  # it ended well by its own account, over one of its limits
    return {
        "status": "TimeLimitExceeded" if late else "Finished",
        "execution_time": outcome.wall_s,
        "cpu_time": outcome.cpu_s,
        "return_code": None if late else code,
        "stdout": outcome.stdout,
        "stderr": outcome.stderr,
    }


async def run_jupyter(house: House, exchange: Exchange) -> Reply:
    """Run the cells of a notebook."""
    body = bodies.checked(RunJupyterBody, parsed(await body_of(house, exchange)))
    if body.kernel not in ("python3", "python"):
        raise invalid("kernel: there is python3 only", ("kernel",))
    limits = limits_of(body.total_timeout, _USUAL_COMPILE_S, body.memory_limit_mb, house.config)
    files = bodies.files_of({k: v for k, v in body.files.items() if v is not None}, house.config)
    fetch = bodies.collected(body.fetch_files, house.config)
    sessions = house.sessions()
    try:
        data = await asked(house, _notebook, sessions, body, limits, files, fetch)
    except SandboxError as error:
        data = sandbox_error(f"{type(error).__name__}: {error}")
        del data["compile_result"], data["run_result"]
        data |= {"driver": None, "cells": []}
        return reply_json(data, note="SandboxError")
    return reply_json(data)


def _notebook(
    sessions: Sessions,
    body: RunJupyterBody,
    limits: Limits,
    files: dict[str, bytes],
    fetch: tuple[str, ...],
) -> dict[str, Any]:
    """Run a notebook in a session of its own, and return the answer's data."""
    cell_s = body.cell_timeout or body.total_timeout
    with sessions.borrowed(limits, cell_s, backstop_s(cell_s)) as session:
        for name, content in files.items():
            session.put(name, content)
        done: list[CellResult] = []
        for source in body.cells:
            try:
                done.append(session.run(source))
            except SessionOver:
                break
            if done[-1].over or done[-1].kind is Kind.TIMEOUT:
                break
        fetched = _fetched(session, fetch)
    last = done[-1] if done else None
    late = last is not None and last.kind is Kind.TIMEOUT
    whole = len(done) == len(body.cells) and not late and not (last is not None and last.over)
    why = (last.over or (last.error.message if last.error else "")) if last and not whole else ""
    return {
        "status": "Success" if whole else "Failed",
        "message": why,
        "driver": {
            "status": "TimeLimitExceeded" if late else "Finished",
            "execution_time": sum(cell.wall_s for cell in done),
            "cpu_time": sum(cell.cpu_s for cell in done),
            "return_code": None if late else 0 if whole else 1,
            "stdout": "",
            "stderr": why,
        },
        "cells": [_cell(cell) for cell in done],
        "executor_pod_name": None,
        "files": fetched,
    }


def _fetched(session: Session, names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = base64.b64encode(session.get(name)).decode()
        except (OSError, SessionOver):
            continue  # as the API has it: what is not there is left out
    return found


def _cell(cell: CellResult) -> dict[str, Any]:
    display: list[dict[str, Any]] = [dict(one) for one in cell.displays]
    if cell.value is not None and not any(x.get("text/plain") == cell.value for x in display):
        display.append({"text/plain": cell.value})
    error = []
    if cell.error is not None:
        error.append(
            {
                "ename": cell.error.name,
                "evalue": cell.error.message,
                "traceback": cell.error.traceback.splitlines(),
            }
        )
    return {"stdout": cell.stdout, "stderr": cell.stderr, "display": display, "error": error}
