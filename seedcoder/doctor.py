"""What this machine can do for the suite, what it lacks, and how to get it.

Looks and changes nothing. It reads which packages are installed, not whether they work.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import platform
import re
import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from seedcoder import machine

if TYPE_CHECKING:
    from rich.console import Console

ROOMS: Final = ("seedcoder", "sandbox", "evals", "curate", "train", "serve")
# The box that recipes ask for by default (the strongest that needs no container engine).
DEFAULT_BOX: Final = "namespace"
_REQUIREMENT: Final = re.compile(
    r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)(?:.*?extra\s*==\s*['\"]([^'\"]+))?"
)


def diagnose() -> dict[str, Any]:
    """Return everything as plain data; `ready` says whether the default box can run here."""
    sandbox = _sandbox()
    return {
        "ready": sandbox.get("box") == DEFAULT_BOX,
        "version": machine.versions(["seedcoder"]).get("seedcoder"),
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "machine": machine.facts(),
        "memory_mb": machine.memory_mb(),
        "disk_free_mb": _disk_free_mb(),
        "rooms": _rooms(),
        "extras": _extras(),
        "sandbox": sandbox,
    }


def report(*, as_json: bool = False) -> int:
    """Print the diagnosis on stdout; return 0 if the default box can run here, else 3."""
    found = diagnose()
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        from rich.console import Console

        _show(found, Console(highlight=False, soft_wrap=not sys.stdout.isatty()))
    return 0 if found["ready"] else 3


def _rooms() -> list[dict[str, Any]]:
    here = Path(__file__).resolve().parent.parent
    rooms = []
    for name in ROOMS:
        spec = importlib.util.find_spec(name)
        # A package without __init__.py has no origin, only places.
        places = list(spec.submodule_search_locations or []) if spec else []
        folder = Path(places[0]).resolve() if places else None
        rooms.append(
            {
                "name": name,
                "folder": str(folder) if folder else None,
                # Generic names: another distribution may have put its own `train` in front.
                "ours": folder is not None and folder.parent == here,
            }
        )
    return rooms


def _extras() -> list[dict[str, Any]]:
    try:
        wanted = metadata.requires("seedcoder") or []
    except metadata.PackageNotFoundError:
        return []
    by_extra: dict[str, list[str]] = {}
    for line in wanted:
        match = _REQUIREMENT.match(line)
        if match and match[2]:
            by_extra.setdefault(match[2], []).append(match[1])
    extras = []
    for name, packages in by_extra.items():
        present = machine.versions(packages)
        extras.append(
            {
                "name": name,
                "present": present,
                "missing": [package for package in packages if package not in present],
                "install": f"pip install -e '.[{name}]'",
            }
        )
    return extras


def _disk_free_mb() -> dict[str, int | None]:
    places = {"here": Path(), "home": Path("~"), "temporary": Path(tempfile.gettempdir())}
    free: dict[str, int | None] = {}
    for label, place in places.items():
        try:
            free[label] = shutil.disk_usage(place.expanduser()).free >> 20
        except (OSError, RuntimeError):  # RuntimeError: the user has no home
            free[label] = None
    return free


def _sandbox() -> dict[str, Any]:
    try:
        errors: Any = importlib.import_module("sandbox.errors")
        doctor: Any = importlib.import_module("sandbox.doctor")
    except ImportError as error:  # another package of its name stands in front, or hides half of it
        if (error.name or "").partition(".")[0] != "sandbox":
            raise
        return {"error": f"the sandbox cannot be examined: {error}"}
    try:
        examination = doctor.examine()
    except errors.SandboxError as error:
        return {"error": " ".join(str(error).split())}
    return {
        "box": examination.box,
        "layers": [
            {
                "name": layer.name,
                "held": layer.held,
                "detail": layer.detail,
                "remedy": layer.remedy,
            }
            for layer in examination.layers
        ],
        "stronger": examination.stronger,
        "containers": examination.containers,
    }


def _show(found: dict[str, Any], console: Console) -> None:
    from rich.text import Text

    facts = found["machine"]
    memory = found["memory_mb"]
    _heading(console, f"seedcoder {found['version'] or '(not installed)'}")
    _pairs(
        console,
        [
            ("python", f"{facts['python']} at {found['python']['executable']}"),
            ("system", f"{facts['os']}, {facts['kernel']}, {facts['arch']}"),
            ("cpu", f"{facts['cpu'] or 'unknown'}, {facts['cores']} cores usable{_quota(facts)}"),
            ("memory", f"{_gib(memory['available'])} free of {_gib(memory['total'])}{_cap(facts)}"),
            ("gpu", ", ".join(facts["gpus"]) or "none"),
            ("commit", _commit(facts["git"])),
            ("disk free", ", ".join(f"{_gib(v)} {k}" for k, v in found["disk_free_mb"].items())),
        ],
    )
    _heading(console, "Rooms")
    _marked(
        console,
        [
            (room["ours"], room["name"], room["folder"] or "not found", _shadow(room))
            for room in found["rooms"]
        ],
    )
    _heading(console, "Extras")
    _marked(
        console,
        [
            (
                not extra["missing"],
                extra["name"],
                "installed" if not extra["missing"] else f"lacks {', '.join(extra['missing'])}",
                "" if not extra["missing"] else extra["install"],
            )
            for extra in found["extras"]
        ],
        miss="-",
    )
    sandbox = found["sandbox"]
    _heading(console, f"Sandbox: {sandbox.get('box') or 'no box'}")
    if "error" in sandbox:
        console.print(Text(f"  {sandbox['error']}", style="red"))
    _marked(
        console,
        [
            (layer["held"], layer["name"], layer["detail"], layer["remedy"])
            for layer in sandbox.get("layers", [])
        ],
    )
    if sandbox.get("stronger"):
        console.print(Text(f"  A stronger box: {sandbox['stronger']}"))
    if sandbox.get("containers"):
        console.print(Text(f"  Docker: {sandbox['containers']}"))
    console.print()
    said = (
        "Ready: programs run in the default box."
        if found["ready"]
        else f"Not ready: the default box ({DEFAULT_BOX}) cannot run here; see above."
    )
    console.print(Text(said, style="bold green" if found["ready"] else "bold red"))


def _heading(console: Console, text: str) -> None:
    from rich.text import Text

    console.print()
    console.print(Text(text, style="bold"))


def _pairs(console: Console, pairs: list[tuple[str, str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(f"  {name}", Text(value))
    console.print(table)


def _marked(console: Console, rows: list[tuple[bool, str, str, str]], *, miss: str = "✗") -> None:
    """Print rows of (held, name, detail, what to do), each with a mark."""
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for held, name, detail, remedy in rows:
        style = "green" if held else ("red" if miss == "✗" else "dim")
        said = Text(detail or "")
        if remedy and not held:
            said.append(f"\n{remedy}", style="yellow")
        table.add_row(Text(f"  {'✓' if held else miss}", style=style), Text(name), said)
    console.print(table)


def _shadow(room: dict[str, Any]) -> str:
    if room["folder"] is None:
        return "reinstall: pip install -e ."
    return "another package of that name stands in front: use a fresh virtual environment"


def _gib(megabytes: int | None) -> str:
    return "unknown" if megabytes is None else f"{megabytes / 1024:.1f} GiB"


def _commit(git: dict[str, Any] | None) -> str:
    if git is None:
        return "not run from its checkout"
    return f"{git['commit'][:12]}{', with changes' if git['dirty'] else ''}"


def _quota(facts: dict[str, Any]) -> str:
    quota = facts["cpu_quota_cores"]
    return f", the container allows {quota:g}" if quota else ""


def _cap(facts: dict[str, Any]) -> str:
    limit = facts["memory_limit_mb"]
    return f", the container allows {_gib(limit)}" if limit else ""
