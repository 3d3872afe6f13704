"""What clients may send on our own routes, checked: each field's type, names, sizes, limits.

Whatever is wrong is a Refusal of one line that names the field and never shows the program.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)

from sandbox.jobs import Job
from sandbox.languages import canonical
from sandbox.program import Limits, Program
from sandbox.server.config import ServerConfig
from sandbox.server.refusal import Refusal, invalid
from sandbox.tests_json import tests_from_json

_PART_BYTES = 255  # of a file's name, as Linux has it
_PATH_BYTES = 1024  # ours
_LEAST_CPU_S, _LEAST_WALL_S = 0.01, 0.2  # ours: less may pass before a box has set a run up
_ARGUMENTS = 256  # ours
_ARGUMENT_BYTES = 64 << 10  # ours; Linux takes 128 KiB at most in one


def _text(value: object) -> str:
    if type(value) is not str:
        raise ValueError("must be a text")
    return value


# A text may hold lone surrogates, which stand for bytes; pydantic's own type takes none.
Text = Annotated[str, PlainValidator(_text), WithJsonSchema({"type": "string"})]
_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_Model = TypeVar("_Model", bound=BaseModel)


class ProgramBody(BaseModel):
    """A program; `files` maps relative paths to base64."""

    model_config = _STRICT
    source: Text
    language: Text = "python"
    files: dict[str, Text] = Field(default_factory=dict)
    argv: list[Text] = Field(default_factory=list)
    stdin: Text = ""


class LimitsBody(BaseModel):
    """What one run may use; see `Limits`."""

    model_config = _STRICT
    cpu_s: float = 10.0
    wall_s: float = 0.0
    memory_mb: int = 512
    processes: int = 64
    output_kb: int = 4096
    disk_mb: int = 64
    network: bool = False
    compile_cpu_s: float = 0.0


class RunBody(BaseModel):
    """A program to run."""

    model_config = _STRICT
    program: ProgramBody
    limits: LimitsBody | None = None
    collect: list[Text] = Field(default_factory=list)


class JudgeBody(BaseModel):
    """A program to judge; `tests` as `tests_to_json` writes them."""

    model_config = _STRICT
    program: ProgramBody
    tests: dict[str, Any]
    limits: LimitsBody | None = None


class LineBody(BaseModel):
    """A line of a batch: judged where it has tests, else run."""

    model_config = _STRICT
    key: Text
    program: ProgramBody
    tests: dict[str, Any] | None = None
    limits: LimitsBody | None = None
    collect: list[Text] = Field(default_factory=list)


class OpenSessionBody(BaseModel):
    """A session to open; cell_s: CPU seconds of a cell."""

    model_config = _STRICT
    limits: LimitsBody | None = None
    cell_s: float = 10.0
    cell_wall_s: float = 0.0
    language: Text = "python"


class CellBody(BaseModel):
    """A cell to run."""

    model_config = _STRICT
    source: Text


def checked(model: type[_Model], data: Any) -> _Model:
    """Return data as the model has it. Raises Refusal that names the first wrong field."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        # A name that the client chose may be a program.
        place = tuple(x if isinstance(x, int) else shown(x) for x in first["loc"])
        where = ".".join(map(str, place)) or "the body"
        raise invalid(f"{where}: {first['msg']}", place) from None


def shown(name: str) -> str:
    """Return a name of a client's as it may stand in messages."""
    short = name if len(name) <= 60 else f"{name[:60]}..."
    return short.encode("utf-8", "backslashreplace").decode()


def limits_of(body: LimitsBody | None, config: ServerConfig) -> Limits:
    """Return the limits that a request asks for. Raises Refusal for more than it may have."""
    if body is None:
        return Limits()
    try:
        limits = Limits(**dict(body))
    except ValueError as error:
        raise invalid(f"limits: {error}", ("limits",)) from None
    return allowed(limits, config)


def allowed(limits: Limits, config: ServerConfig) -> Limits:
    """Return limits that a request may have. Raises Refusal that says what is too much."""
    for name, least in (("cpu_s", _LEAST_CPU_S), ("wall_s", _LEAST_WALL_S)):
        if getattr(limits, name) < least:
            raise invalid(f"limits.{name}: {least:g} is the least here", ("limits", name))
    for name, most in (
        ("cpu_s", config.most_cpu_s),
        ("compile_cpu_s", config.most_cpu_s),
        ("wall_s", config.most_wall_s),
        ("memory_mb", config.most_memory_mb),
        ("disk_mb", config.most_disk_mb),
        ("output_kb", config.most_output_mb * 1024),
        ("processes", config.most_processes),
    ):
        if getattr(limits, name) > most:
            raise invalid(
                f"limits.{name}: {getattr(limits, name):g} is more than {most:g}, the most here",
                ("limits", name),
            )
    return limits


def path_of(name: str, field: str) -> str:
    """Return a relative path inside the work folder. Raises Refusal for what leads elsewhere."""
    try:
        raw = name.encode()
    except UnicodeEncodeError:
        raise invalid(f"{field}: {shown(name)!r} is no UTF-8", (field,)) from None
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or b"\0" in raw:
        raise invalid(
            f"{field}: {shown(name)!r} is not a relative path inside the work folder", (field,)
        )
    if len(raw) > _PATH_BYTES or any(len(part.encode()) > _PART_BYTES for part in path.parts):
        raise invalid(f"{field}: the path {shown(name)!r} is too long", (field,))
    return name


def files_of(files: Mapping[str, str], config: ServerConfig) -> dict[str, bytes]:
    """Return files out of base64, by path. Raises Refusal."""
    if len(files) > config.files:
        raise invalid(f"files: {len(files)} are more than {config.files}", ("files",))
    found: dict[str, bytes] = {}
    for name, text in files.items():
        path_of(name, "files")
        try:
            found[name] = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise invalid(f"files: {shown(name)!r} holds no base64", ("files",)) from None
        if len(found[name]) > config.file_mb << 20:
            raise invalid(f"files: {shown(name)!r} is larger than {config.file_mb} MiB", ("files",))
    folders = {str(parent) for name in found for parent in PurePosixPath(name).parents}
    for name in found:
        if str(PurePosixPath(name)) in folders:
            raise invalid(f"files: {shown(name)!r} is a file and a folder", ("files",))
    return found


def program_of(
    config: ServerConfig,
    source: str,
    language: str,
    *,
    files: Mapping[str, str] | None = None,
    argv: Iterable[str] = (),
    stdin: str = "",
) -> Program:
    """Return a program. Raises Refusal."""
    words = tuple(argv)
    if len(words) > _ARGUMENTS or sum(map(len, words)) > _ARGUMENT_BYTES:
        raise invalid(f"argv: more than {_ARGUMENTS} words or {_ARGUMENT_BYTES >> 10} KiB")
    try:
        return Program(
            language=language if language == "diff" else canonical(language),
            source=source,
            files=files_of(files or {}, config),
            argv=words,
            stdin=stdin,
        )
    except ValueError as error:
        raise invalid(f"program: {shown_line(error)}", ("program",)) from None


def shown_line(error: ValueError) -> str:
    """Return an error's words, in one line that is not long."""
    return " ".join(str(error).encode("utf-8", "backslashreplace").decode().split())[:400]


def _native(body: ProgramBody, config: ServerConfig) -> Program:
    return program_of(
        config, body.source, body.language, files=body.files, argv=body.argv, stdin=body.stdin
    )


def run_job(data: Any, config: ServerConfig) -> Job:
    """Return the job of a body of /v1/run. Raises Refusal."""
    body = checked(RunBody, data)
    return Job(
        program=_runnable(_native(body.program, config)),
        limits=limits_of(body.limits, config),
        collect=collected(body.collect, config),
    )


def judge_job(data: Any, config: ServerConfig) -> Job:
    """Return the job of a body of /v1/judge. Raises Refusal."""
    body = checked(JudgeBody, data)
    return _judged(_native(body.program, config), body.tests, body.limits, config)


def line_job(data: Any, config: ServerConfig) -> Job:
    """Return the job of a line of a batch. Raises Refusal."""
    body = checked(LineBody, data)
    program = _native(body.program, config)
    if body.tests is not None:
        return _judged(program, body.tests, body.limits, config)
    return Job(
        program=_runnable(program),
        limits=limits_of(body.limits, config),
        collect=collected(body.collect, config),
    )


def _judged(
    program: Program, tests: dict[str, Any], limits: LimitsBody | None, config: ServerConfig
) -> Job:
    try:
        return Job(program=program, tests=tests_from_json(tests), limits=limits_of(limits, config))
    except ValueError as error:
        raise invalid(shown_line(error), ("tests",)) from None
    except RecursionError:
        raise Refusal(422, "InvalidRequest", "tests: they nest too deep") from None


def _runnable(program: Program) -> Program:
    if program.language == "diff":
        raise invalid("program: a patch is judged by tests of its project, not run", ("program",))
    return program


def collected(names: list[str], config: ServerConfig) -> tuple[str, ...]:
    """Return the names of files to bring back. Raises Refusal."""
    if len(names) > config.files:
        raise invalid(f"collect: {len(names)} names are more than {config.files}", ("collect",))
    return tuple(path_of(name, "collect") for name in names)
