"""Piston's `/api/v2`: execute, runtimes, packages, in its shapes.

What differs from it: `run_timeout` is CPU milliseconds with a wall clock behind it; the first file
lies under the name its language gives it, whatever it is called; languages are what this machine
has, and cannot be installed over HTTP.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import signal
from functools import partial
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sandbox.jobs import Job, Result
from sandbox.language import Found
from sandbox.languages import ALIASES, LANGUAGES, canonical
from sandbox.outcome import Kind, Outcome
from sandbox.program import Limits
from sandbox.server import bodies
from sandbox.server.config import ServerConfig
from sandbox.server.exchange import Exchange, parsed
from sandbox.server.fusion import backstop_s
from sandbox.server.house import House
from sandbox.server.native import body_of
from sandbox.server.refusal import Reply, invalid, reply_json

_LOOSE = ConfigDict(extra="ignore", allow_inf_nan=False)
_STATUS = {Kind.TIMEOUT: "TO", Kind.OUTPUT: "OL"}
_SELECTOR = re.compile(r"(\^|~|>=|<=|>|<|=|v)?\s*(\d+(?:\.\d+)*)(?:\.[x*])*")
_COMPILE_MS = 10_000
_LEAST_S = 0.05  # ours: a box needs some milliseconds to set a run up


class FileBody(BaseModel):
    """One file of a program."""

    model_config = _LOOSE
    name: str | None = None
    content: str
    encoding: Literal["utf8", "base64", "hex"] = "utf8"


class ExecuteBody(BaseModel):
    """A request of `/api/v2/execute`. Times in ms, memory in bytes; -1 is as much as is given."""

    model_config = _LOOSE
    language: str
    version: str
    files: list[FileBody] = Field(min_length=1)
    stdin: str = ""
    args: list[str] = []
    compile_timeout: float = Field(_COMPILE_MS, gt=0)
    run_timeout: float = Field(3000, gt=0)
    run_cpu_time: float | None = Field(None, gt=0)
    run_memory_limit: int = -1


class StageAnswer(BaseModel):
    """What one stage did."""

    stdout: str
    stderr: str
    output: str
    code: int | None
    signal: str | None
    message: str | None = None
    status: str | None = None
    cpu_time: int | None = None
    wall_time: int | None = None
    memory: int | None = None


class ExecuteAnswer(BaseModel):
    """The answer of `/api/v2/execute`."""

    language: str
    version: str
    run: StageAnswer
    compile: StageAnswer | None = None


async def execute(house: House, exchange: Exchange) -> Reply:
    """Run a program."""
    body = bodies.checked(ExecuteBody, parsed(await body_of(house, exchange)))
    runtime = _runtime(await house.languages(), body.language, body.version)
    job = _job(body, runtime.language, house.config)
    return Reply(await house.settle(exchange, lambda: job, partial(_rendered, runtime=runtime)))


async def runtimes(house: House, exchange: Exchange) -> Reply:
    """Say which languages are here."""
    return reply_json(
        [
            {"language": x.language, "version": _version(x), "aliases": _aliases(x.language)}
            for x in await house.languages()
            if x.there
        ]
    )


async def packages(house: House, exchange: Exchange) -> Reply:
    """Say which languages there are, and whether they are here."""
    return reply_json(
        [
            {"language": x.language, "language_version": _version(x), "installed": x.there}
            for x in await house.languages()
        ]
    )


def _aliases(language: str) -> list[str]:
    return [alias for alias, name in ALIASES.items() if name == language]


def _version(found: Found) -> str:
    match = re.search(r"\d+(?:\.\d+)*", found.version)
    return match[0] if match else "0"


def _runtime(found: tuple[Found, ...], language: str, selector: str) -> Found:
    """Return the runtime that a request means. Raises Refusal."""
    try:
        name = canonical(language)
    except ValueError:
        name = ""
    for one in found:
        if one.language == name and one.there and fits(_version(one), selector):
            return one
    said = f"{bodies.shown(language)}-{bodies.shown(selector)}"
    raise invalid(f"{said} runtime is unknown", ("language",))


def fits(version: str, selector: str) -> bool:
    """Return whether a version is one that a selector means: `*`, `3`, `3.x`, `^3.1`, `>=3`."""
    selector = selector.strip()
    if selector in ("*", "x", "latest"):
        return True
    match = _SELECTOR.fullmatch(selector)
    if match is None:
        return False
    have, want = (tuple(map(_number, text.split("."))) for text in (version, match[2]))
    sign = match[1]
    if sign == "^":
        return have[:1] == want[:1] and have >= want
    if sign == "~":
        return have[: min(2, len(want))] == want[:2] and have >= want
    if sign in (">=", ">"):
        return have >= want if sign == ">=" else have[: len(want)] > want
    if sign in ("<=", "<"):
        return have[: len(want)] <= want if sign == "<=" else have < want
    return have[: len(want)] == want


def _number(digits: str) -> int:
    return int(digits[:9])


def _job(body: ExecuteBody, language: str, config: ServerConfig) -> Job:
    texts = [_content(index, file) for index, file in enumerate(body.files)]
    try:
        source = texts[0].decode()
    except UnicodeDecodeError:
        raise invalid("files[0].content must be a program's text in UTF-8", ("files", 0)) from None
    others = {
        file.name or f"file{index}.code": base64.b64encode(text).decode()
        for index, (file, text) in enumerate(zip(body.files, texts, strict=True))
        if index
    }
    run_s = max(_LEAST_S, (body.run_cpu_time or body.run_timeout) / 1000)
    given, most_mb = body.run_memory_limit, config.most_memory_mb
    if body.run_timeout / 1000 > config.most_cpu_s:
        most_ms = 1000 * config.most_cpu_s
        raise invalid(
            f"run_timeout cannot exceed the configured limit of {most_ms:g}", ("run_timeout",)
        )
    limits = Limits(
        cpu_s=run_s,
        wall_s=backstop_s(max(_LEAST_S, body.run_timeout / 1000)),
        memory_mb=most_mb if given <= 0 else max(1, min(given >> 20, most_mb)),
        processes=min(256, config.most_processes),
        disk_mb=min(256, config.most_disk_mb),
        compile_cpu_s=0 if body.compile_timeout == _COMPILE_MS else body.compile_timeout / 1000,
    )
    return Job(
        program=bodies.program_of(
            config, source, language, files=others, argv=body.args, stdin=body.stdin
        ),
        limits=bodies.allowed(limits, config),
    )


def _content(index: int, file: FileBody) -> bytes:
    try:
        if file.encoding == "base64":
            return base64.b64decode(file.content, validate=True)
        if file.encoding == "hex":
            return bytes.fromhex(file.content)
        return file.content.encode()
    except (binascii.Error, ValueError):
        raise invalid(
            f"files[{index}].content is no {file.encoding}", ("files", index, "content")
        ) from None


def _rendered(result: Result, runtime: Found) -> bytes:
    assert isinstance(result, Outcome)  # the job has no tests
    data: dict[str, Any] = {"language": runtime.language, "version": _version(runtime)}
    if LANGUAGES[runtime.language].compile:
        if result.kind is Kind.COMPILE_ERROR:
            data |= {"run": _nothing(None), "compile": _stage(result)}
            return json.dumps(data).encode()
        data["compile"] = _nothing(0)
    data["run"] = _stage(result)
    return json.dumps(data).encode()


def _nothing(code: int | None) -> dict[str, Any]:
    return {
        "stdout": "", "stderr": "", "output": "", "code": code, "signal": None, "message": None,
        "status": None, "cpu_time": None, "wall_time": None, "memory": None,
    }  # fmt: skip


def _stage(outcome: Outcome) -> dict[str, Any]:
    late = outcome.kind is Kind.TIMEOUT
    name = None
    if outcome.signal is not None or late:
        name = _signal_name(outcome.signal or signal.SIGKILL)
    status, message = _STATUS.get(outcome.kind), None
    if outcome.kind is not Kind.PASSED:
        status = status or ("SG" if name else "RE")
        message = "Time limit exceeded" if late else f"{outcome.kind.value}"
    code = None if name else outcome.exit_code
    return {
        "stdout": outcome.stdout,
        "stderr": outcome.stderr,
        "output": outcome.stdout + outcome.stderr,
        "code": 1 if code == 0 and outcome.kind is not Kind.PASSED else code,
        "signal": name,
        "message": message,
        "status": status,
        "cpu_time": round(1000 * outcome.cpu_s),
        "wall_time": round(1000 * outcome.wall_s),
        "memory": round(outcome.peak_mb * (1 << 20)),
    }


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal between the named ones
        return f"SIG{number}"
