"""Which parts of this machine programs may see: the interpreter, system libraries, chosen packages.

Hidden on purpose: every folder where Python packages are installed. They may hold benchmarks with
their solutions, and the program under test has no business there.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from sandbox import installed

_TOP_LEVEL = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
PREIMPORT = (
    "abc", "array", "bisect", "collections", "collections.abc", "contextlib", "copy", "dataclasses",
    "datetime", "decimal", "enum", "fractions", "functools", "hashlib", "heapq", "io", "itertools",
    "json", "math", "operator", "os", "random", "re", "statistics", "string", "struct", "sys",
    "threading", "time", "traceback", "typing", "linecache",
)  # fmt: skip
# Test code needs less, and a fork pays for its parent's size.
PREIMPORT_TESTS = (
    "ast", "collections", "copy", "functools", "itertools", "json", "math", "operator", "random",
    "re", "string", "typing",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """Folders of the host by their role; see `inside.settings.Settings` for what each means."""

    interpreter: str
    trees: tuple[str, ...]
    hidden: tuple[str, ...]
    packages: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    sys_path: tuple[str, ...]
    environment: dict[str, str]


def find(packages: tuple[str, ...], shelf: str = "", engine: str = "python") -> Toolchain:
    """Return the toolchain of the running interpreter, with `packages`.

    For the engine "command", those of all other languages on this machine, and no packages.
    shelf: the folder of the box where packages will lie; without one, where they are installed (a
    virtual environment below /tmp could not be shown in place: programs have that to themselves).
    packages: names, or absolute paths of folders that are shown as they are and put on no path.
    A package that is not installed is left out: programs that import it fail as they would on any
    machine without it.
    """
    interpreter = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    base = os.path.realpath(sys.base_prefix)
    trees = {"/usr", base}
    trees |= {path for path in _TOP_LEVEL if Path(path).is_dir() and not Path(path).is_symlink()}
    hidden = _hidden(base)
    if engine == "command":
        packages = ()
        wanted = _of_languages()
        trees |= wanted
        hidden = {path for place in hidden for path in _around(place, wanted)}
    outermost = {tree for tree in trees if not any(_below(tree, other) for other in trees)}
    folders, extra_paths = _package_folders(packages)
    if shelf and folders:
        extra_paths = [shelf]
    stdlib = [path for path in _stdlib(base) if Path(path).exists()]
    environment = {
        "PATH": f"{Path(interpreter).parent}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    if extra_paths:
        environment["PYTHONPATH"] = ":".join(extra_paths)
    return Toolchain(
        interpreter=interpreter,
        trees=tuple(sorted(outermost)),
        hidden=tuple(sorted(hidden)),
        packages=tuple(folders),
        links=tuple(
            (path, str(Path(path).readlink())) for path in _TOP_LEVEL if Path(path).is_symlink()
        ),
        sys_path=(*stdlib, *extra_paths),
        environment=environment,
    )


def _of_languages() -> set[str]:
    """Return what the tools of languages need beside the system's own folders."""
    wanted = {tree for name in installed.there() for tree in installed.tools(name).trees}
    # Scripts of Debian's call each other by names that are links to there.
    return wanted | {path for path in ("/etc/alternatives",) if Path(path).is_dir()}


def _around(place: str, wanted: set[str]) -> set[str]:
    """Return what to hide so that of `place` only what is wanted can be seen.

    Files that lie beside a wanted folder stay visible: only folders can be hidden.
    """
    if place in wanted or not any(_below(path, place) for path in wanted):
        return set() if place in wanted else {place}
    beside = (str(entry) for entry in Path(place).iterdir() if entry.is_dir())
    return {path for folder in beside for path in _around(folder, wanted)}


def open_to_all(path: str) -> bool:
    """Return whether every folder on the way to `path` may be passed by any user."""
    return all(parent.stat().st_mode & 0o001 for parent in Path(path).parents)


def _below(path: str, other: str) -> bool:
    return path != other and Path(path).is_relative_to(other)


def _stdlib(base: str) -> list[str]:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = sysconfig.get_path("stdlib", vars={"installed_base": base, "base": base})
    folder = os.path.realpath(library)
    zipped = f"{Path(folder).parent}/{version.replace('.', '').replace('python', 'python')}.zip"
    return [zipped, folder, f"{folder}/lib-dynload"]


def _hidden(base: str) -> set[str]:
    """Return the folders that hold installed packages, other environments and sources."""
    found = {"/usr/src", "/usr/games", f"{base}/envs", f"{base}/pkgs"}  # the last two: conda's
    for prefix in {base, "/usr", "/usr/local"}:
        for library in ("lib", "lib64"):
            for name in ("site-packages", "dist-packages"):
                found |= set(map(str, Path(prefix, library).glob(f"python*/{name}")))
    if not Path(base).is_relative_to("/usr/local"):
        found.add("/usr/local")
    there = {path for path in found if Path(path).is_dir()}
    return {path for path in there if not any(_below(path, other) for other in there)}


def _package_folders(packages: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return the packages' own folders (with the libraries beside them) and their sys.path."""
    folders: list[str] = []
    paths: list[str] = []
    for name in packages:
        if name.startswith("/"):
            folders.append(os.path.realpath(name))
            continue
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            continue
        folder = Path(os.path.realpath(next(iter(spec.submodule_search_locations))))
        folders.append(str(folder))
        libraries = folder.parent / f"{name}.libs"
        if libraries.is_dir():
            folders.append(str(libraries))
        if str(folder.parent) not in paths:
            paths.append(str(folder.parent))
    return folders, paths
