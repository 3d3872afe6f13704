"""`seedcoder sandbox`: run or judge one program from the shell."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from sandbox import cases, doctor, languages
from sandbox.errors import SandboxError, SandboxUnavailable, TestsBroken
from sandbox.fleet.command import fleet_app
from sandbox.outcome import Kind
from sandbox.pool import Pool
from sandbox.program import Limits, Program
from sandbox.server import command as server_command
from sandbox.tests_json import tests_from_json

app = typer.Typer(
    help="Run and judge programs in a box.", no_args_is_help=True, add_completion=False
)
image_app = typer.Typer(help="Images of the docker box.", no_args_is_help=True)
app.add_typer(image_app, name="image")
app.command()(server_command.serve)
app.add_typer(server_command.key_app, name="key")
app.add_typer(fleet_app, name="fleet")

_Source = Annotated[Path, typer.Argument(help="A program; - for standard input.")]
_Language = Annotated[
    str, typer.Option("--language", "-l", help="By default, what the file's suffix tells.")
]
_Cpu = Annotated[float, typer.Option("--cpu-s", help="CPU seconds.")]
_Memory = Annotated[int, typer.Option("--memory-mb", help="MiB of memory.")]
_Box = Annotated[str, typer.Option("--box", help="auto, namespace, restricted, docker:IMAGE, URL.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the whole outcome as JSON.")]


def _read(path: Path) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        typer.echo(f"cannot read {path}: {getattr(error, 'strerror', None) or error}", err=True)
        raise typer.Exit(2) from None


def _program(path: Path, language: str, stdin: str = "") -> Program:
    """Return the program in a file, in the language named or told by its suffix."""
    try:
        if not language:
            language = "python" if str(path) == "-" else languages.guess(path)
        name = languages.canonical(language)
    except ValueError as error:
        typer.echo(f"--language: {error}", err=True)
        raise typer.Exit(2) from None
    return Program(language=name, source=_read(path), stdin=stdin)


def _limits(cpu_s: float, memory_mb: int) -> Limits:
    try:
        return Limits(cpu_s=cpu_s, memory_mb=memory_mb)
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


def _pool(box: str) -> Pool:
    try:
        return Pool(1, box=box)
    except ValueError as error:
        typer.echo(f"--box: {error}", err=True)
        raise typer.Exit(2) from None
    except SandboxError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from None


@contextlib.contextmanager
def _lacks() -> Iterator[None]:
    """Say in a line what this machine lacks."""
    try:
        yield
    except SandboxUnavailable as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from None
    except TestsBroken as error:
        typer.echo(f"the tests are broken: {error}", err=True)
        raise typer.Exit(2) from None


def _tests(
    stdin: Path | None,
    expected: Path | None,
    checker: Path | None,
    interactor: Path | None,
    tests: Path | None,
) -> cases.Tests:
    """Return the tests that the options name."""
    try:
        if tests is not None:
            if stdin or expected or checker or interactor:
                raise ValueError("--tests stands alone: the file says it all")
            return tests_from_json(json.loads(_read(tests)), host_paths=True)
        given, answer = (_read(path) if path else "" for path in (stdin, expected))
        if interactor is not None:
            if checker:
                raise ValueError("--interactor decides alone, without --checker")
            talk = cases.InteractiveCase(input=given, answer=answer)
            return cases.InteractiveTests(interactor=_judge_program(interactor), cases=(talk,))
        if stdin is None or not (expected or checker):
            raise ValueError("--stdin needs --expected or --checker; or give --interactor, --tests")
        case = cases.StdioCase(stdin=given, stdout=answer)
        program = _judge_program(checker) if checker else None
        return cases.StdioTests(cases=(case,), checker=program)
    except (ValueError, RecursionError) as error:
        typer.echo(f"{f'--tests {tests}: ' if tests else ''}{error}", err=True)
        raise typer.Exit(2) from None


def _judge_program(path: Path) -> Program:
    """Return a checker or an interactor, with the headers that lie beside it (testlib.h)."""
    headers = path.parent.glob("*.h") if path.suffix in (".cpp", ".cc", ".c") else ()
    program = _program(path, "")
    return dataclasses.replace(program, files={one.name: one.read_bytes() for one in headers})


@app.command()
def run(
    source: _Source,
    language: _Language = "",
    cpu_s: _Cpu = 10.0,
    memory_mb: _Memory = 512,
    box: _Box = "auto",
    as_json: _Json = False,
    stdin: Annotated[Path | None, typer.Option(help="A file for the program's stdin.")] = None,
) -> None:
    """Run a program; its output is ours, and exit code 1 says it did not end well."""
    program = _program(source, language, _read(stdin) if stdin else "")
    limits = _limits(cpu_s, memory_mb)
    with _pool(box) as pool, _lacks():
        outcome = pool.run(program, limits)
    if as_json:
        typer.echo(json.dumps(outcome.to_json()))
    else:
        sys.stdout.write(outcome.stdout)
        sys.stderr.write(outcome.stderr)
        typer.echo(
            f"{outcome.kind}: {outcome.cpu_s * 1000:.1f} CPU ms, {outcome.wall_s * 1000:.1f} ms, "
            f"{outcome.peak_mb:.1f} MiB",
            err=True,
        )
    raise typer.Exit(0 if outcome.kind is Kind.PASSED else 1)


@app.command()
def judge(
    source: _Source,
    stdin: Annotated[Path | None, typer.Option(help="A file for the program's stdin.")] = None,
    expected: Annotated[Path | None, typer.Option(help="The stdout it must give.")] = None,
    checker: Annotated[Path | None, typer.Option(help="A program that looks at stdout.")] = None,
    interactor: Annotated[Path | None, typer.Option(help="A program that talks to it.")] = None,
    tests: Annotated[Path | None, typer.Option(help="Tests of any kind, as JSON.")] = None,
    language: _Language = "",
    cpu_s: _Cpu = 10.0,
    memory_mb: _Memory = 512,
    box: _Box = "auto",
    as_json: _Json = False,
) -> None:
    """Judge a program: by --tests, or by --stdin with --expected, --checker or --interactor."""
    wanted = _tests(stdin, expected, checker, interactor, tests)
    program, limits = _program(source, language), _limits(cpu_s, memory_mb)
    with _pool(box) as pool, _lacks():
        verdict = pool.judge(program, wanted, limits)
    if as_json:
        typer.echo(json.dumps(verdict.to_json()))
    else:
        failure = verdict.first_failure
        typer.echo(verdict.kind.value)
        if failure:
            both = failure.expected or failure.got
            words = f"; expected {failure.expected}, got {failure.got}" if both else ""
            typer.echo(f"{failure.reason}{words}")
        for one in verdict.subtasks:
            why = f": {one.why}" if one.why else ""
            typer.echo(f"{one.name}: {one.points:g} of {one.points_most:g} points{why}")
        if verdict.subtasks:
            typer.echo(f"{verdict.points:g} of {verdict.points_most:g} points")
    raise typer.Exit(0 if verdict.ok else 1)


@app.command("languages")
def languages_(as_json: _Json = False) -> None:
    """Say which languages this machine has, and what to install for the others."""
    found = languages.found()
    if as_json:
        rows = [
            {"language": x.language, "there": x.there, "version": x.version, "install": x.install}
            for x in found
        ]
        typer.echo(json.dumps(rows))
        return
    for one in found:
        title = languages.LANGUAGES[one.language].title
        typer.echo(
            f"{one.language:<11} {title:<11} "
            + (one.version if one.there else f"not here; to install: {one.install}")
        )
    typer.echo(f"{sum(one.there for one in found)} of {len(found)} languages", err=True)


@image_app.command("build")
def image_build(
    name: Annotated[str, typer.Option(help="What to call the image.")] = "seedcoder-sandbox",
    minimal: Annotated[
        bool, typer.Option("--minimal", help="Python and the C library only, in about a minute.")
    ] = False,
) -> None:
    """Make the image of the docker box: from its Dockerfile, or here of Debian packages."""
    from sandbox.containers import image

    try:
        typer.echo(image.build(name, minimal=minimal, say=lambda line: typer.echo(line, err=True)))
    except SandboxError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from None


@image_app.command("list")
def image_list(as_json: _Json = False) -> None:
    """List the engine's images, ours first."""
    from sandbox.containers import image

    try:
        found = image.images()
    except SandboxError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from None
    if as_json:
        rows = [{"name": x.name, "size_mb": x.size_mb, "ours": x.ours} for x in found]
        typer.echo(json.dumps(rows))
        return
    for one in found:
        typer.echo(f"{one.name:<40} {one.size_mb:>6} MiB{'  ours' if one.ours else ''}")


@app.command()
def box(as_json: _Json = False) -> None:
    """Say which box this machine gets and what each layer holds."""
    try:
        found = doctor.examine()
    except SandboxError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from None
    if as_json:
        layers = [
            {"name": x.name, "held": x.held, "detail": x.detail, "remedy": x.remedy}
            for x in found.layers
        ]
        told = {"box": found.box, "layers": layers, "stronger": found.stronger}
        typer.echo(json.dumps({**told, "containers": found.containers}))
        return
    typer.echo(found.box)
    for layer in found.layers:
        remedy = f" ({layer.remedy})" if layer.remedy else ""
        typer.echo(
            f"  {'held    ' if layer.held else 'NOT held'} {layer.name}: {layer.detail}{remedy}"
        )
    if found.stronger:
        typer.echo(f"a stronger box: {found.stronger}")
    typer.echo(f"docker: {found.containers}")
