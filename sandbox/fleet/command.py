"""`seedcoder sandbox fleet`: what a fleet has, whether each node judges rightly, and a batch."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from sandbox.errors import SandboxError, SandboxUnavailable
from sandbox.fleet.front import Fleet
from sandbox.jobs import Job, Result
from sandbox.outcome import Outcome

fleet_app = typer.Typer(help="Judge on all nodes of a Ray cluster.", invoke_without_command=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    address: str
    workers_per_node: int | None
    box: str
    require: str | None
    start_s: float
    reserve_cpus: float | None


def _fail(message: object, code: int) -> typer.Exit:
    typer.echo(" ".join(str(message).split()), err=True)
    return typer.Exit(code)


@contextlib.contextmanager
def _opened(options: _Options) -> Iterator[Fleet]:
    try:
        fleet = Fleet(
            options.address,
            workers_per_node=options.workers_per_node,
            box=options.box,
            require=options.require,
            start_s=options.start_s,
            reserve_cpus=options.reserve_cpus,
        )
    except ValueError as error:
        raise _fail(f"seedcoder sandbox fleet: {error}", 2) from None
    except SandboxError as error:
        raise _fail(error, 3) from None
    with fleet:
        try:
            yield fleet
        except SandboxUnavailable as error:
            raise _fail(error, 3) from None


@fleet_app.callback()
def fleet(
    context: typer.Context,
    address: Annotated[
        str, typer.Option(help="auto: this machine's Ray cluster; HOST:PORT of its head; or local.")
    ] = "auto",
    workers_per_node: Annotated[
        int, typer.Option("--workers-per-node", help="Boxes of a node; 0 is one a CPU.")
    ] = 0,
    box: Annotated[str, typer.Option(help="The box on each node; auto is its strongest.")] = "auto",
    require: Annotated[str, typer.Option(help="The weakest kind of box that will do.")] = "",
    start_s: Annotated[
        float, typer.Option("--start-s", help="Seconds that nodes get to start.")
    ] = 60.0,
    share: Annotated[
        bool, typer.Option("--share", help="Set no CPUs aside: others of the cluster use them too.")
    ] = False,
    programs: Annotated[int, typer.Option(help="Small programs to measure the speed with.")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="Print all that is known.")] = False,
) -> None:
    """Show the nodes, judge known programs on each, measure the speed."""
    context.obj = options = _Options(
        address=address,
        workers_per_node=workers_per_node or None,
        box=box,
        require=require or None,
        start_s=start_s,
        reserve_cpus=0.0 if share else None,
    )
    if context.invoked_subcommand is not None:
        return
    if programs < 1:
        raise _fail(f"--programs must be positive, got {programs}", 2)
    from sandbox.fleet.check import check, programs_per_s

    with _opened(options) as opened:
        checks = {one.node_id: one for one in check(opened)}
        speed = programs_per_s(opened, programs)
        nodes = opened.nodes()
        ok = all(one.ok for one in checks.values()) and len(checks) == len(nodes)
        rows = [
            dataclasses.asdict(node)
            | {
                "check": dataclasses.asdict(checks[node.node_id])
                if node.node_id in checks
                else None
            }
            for node in nodes
        ]
        found = {
            "box": opened.box_name,
            "workers": opened.workers,
            "programs_per_s": round(speed, 1),
            "ok": ok,
            "nodes": rows,
        }
    if as_json:
        typer.echo(json.dumps(found))
    else:
        _show(found)
    raise typer.Exit(0 if ok else 1)


def _show(found: dict[str, Any]) -> None:
    for node in found["nodes"]:
        checked = node["check"]
        said = node["detail"] or "not checked"
        if checked is not None:
            said = "judges rightly" if checked["ok"] else f"WRONG: {checked['detail']}"
        typer.echo(
            f"{node['hostname']} {node['address']} {node['node_id'][:8]}  {node['state']}"
            f"  {node['box'] or '-'}  workers {node['workers']}  in flight {node['in_flight']}"
            f"  done {node['done']}  {node['programs_per_s']:g}/s  {said}"
        )
    typer.echo(
        f"{found['box']}: {len(found['nodes'])} nodes, {found['workers']} workers,"
        f" {found['programs_per_s']:g} programs/s"
    )


@fleet_app.command()
def run(
    context: typer.Context,
    jobs: Annotated[Path, typer.Argument(help="A job a line, as for /v1/batch; - for stdin.")],
) -> None:
    """Run or judge a file of jobs; results as they complete, a line each, known by their keys."""
    read = _read(jobs)
    failed = 0
    with _opened(context.obj) as opened:
        for job, result in opened.map_jobs(read, ordered=False):
            failed += isinstance(result, SandboxError)
            typer.echo(json.dumps({"key": job.key} | _shown(result)))
    typer.echo(f"{len(read)} jobs, {failed} without a result", err=True)
    raise typer.Exit(1 if failed else 0)


def _shown(result: Result | SandboxError) -> dict[str, Any]:
    if isinstance(result, SandboxError):
        return {"error": {"type": type(result).__name__, "message": str(result)}}
    return {"outcome" if isinstance(result, Outcome) else "verdict": result.to_json()}


def _read(path: Path) -> list[Job]:
    """Return the jobs of a file, all read before any is run."""
    from sandbox.server.bodies import line_job
    from sandbox.server.config import ServerConfig
    from sandbox.server.refusal import Refusal

    config, read, keys = ServerConfig(), [], set()
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise _fail(f"cannot read {path}: {getattr(error, 'strerror', None) or error}", 2) from None
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
            job = line_job(data, config)
            key = data["key"]
        except (ValueError, Refusal, RecursionError) as error:
            raise _fail(f"{path}:{number}: {error}", 2) from None
        if key in keys:
            raise _fail(f"{path}:{number}: the key {key!r} came before", 2)
        keys.add(key)
        read.append(dataclasses.replace(job, key=key))
    return read
