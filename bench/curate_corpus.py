"""A corpus for bench/curate_peers.py: real files, and the real duplicates among them.

From releases of the same projects (PyPI sdists through pip, Debian sources through apt-get, with
the sources that the machine's own apt knows) and from files of the machine itself. What cannot be
fetched is left out and told. Files of one content are kept three times at most, so that a machine
with many copies of an environment does not make a corpus of nothing else; a seed puts them in
their order, so that the first N are a fair sample of all.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SDISTS: Final = (
    "Django==4.2.16", "Django==5.0.9", "Django==5.1.3", "sympy==1.12", "sympy==1.13.3",
    "Pygments==2.17.2", "Pygments==2.18.0",
)  # fmt: skip
DEBIAN: Final = (
    "golang-1.19=1.19.4-1", "golang-1.19=1.19.8-2", "redis", "curl", "symfony",
    "libcommons-lang3-java", "libspring-java", "netty", "jquery", "sqlite3", "lua5.4",
)  # fmt: skip
SUFFIXES: Final = frozenset(
    f".{name}"
    for name in (
        "py", "pyi", "js", "mjs", "ts", "tsx", "go", "java", "c", "h", "cc", "cpp", "hpp", "cxx",
        "rs", "php", "rb", "html", "htm", "css", "pl", "pm", "sh", "sql", "lua", "scala", "kt",
        "swift", "md", "rst", "cmake", "m4",
    )
)  # fmt: skip
MOST_BYTES: Final = 200_000
LEAST_BYTES: Final = 200
COPIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file: of which repository, its path and its text."""

    repo: str
    path: str
    text: str


def fetch(folder: Path) -> list[Path]:
    """Fetch the releases that are not there yet; return all archives that are."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SDISTS:
        done = folder / f".{name}"
        if not done.exists():
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                       "--no-binary", ":all:", "--dest", str(folder), name]  # fmt: skip
            _try(command, folder, done, name)
    debian = (
        _apt(folder / ".apt") if any(not (folder / f".{name}").exists() for name in DEBIAN) else []
    )
    for name in DEBIAN if debian else ():
        done = folder / f".{name}"
        if not done.exists():
            _try([*debian, "source", "--download-only", "-q", name], folder, done, name)
    return sorted(
        path for path in folder.iterdir()
        if ".tar." in path.name and "debian.tar" not in path.name and not path.name.endswith(".asc")
    )  # fmt: skip


def _try(command: list[str], folder: Path, done: Path, name: str) -> None:
    try:
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"left out of the corpus: {name}: {type(error).__name__}", file=sys.stderr)
        return
    if ended.returncode == 0:
        done.touch()
    else:
        why = (ended.stderr.strip().splitlines() or ["?"])[-1]
        print(f"left out of the corpus: {name}: {why[:150]}", file=sys.stderr)


def _apt(folder: Path) -> list[str]:
    """Return an apt-get of its own lists that knows the sources of the machine's releases."""
    (folder / "lists/partial").mkdir(parents=True, exist_ok=True)
    (folder / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
    etc = Path("/etc/apt")
    kept = folder / "sources.d"
    kept.mkdir(exist_ok=True)
    for path in (etc / "sources.list.d").glob("*.sources"):
        text = "\n".join(
            "Types: deb-src" if line.startswith("Types:") else line
            for line in path.read_text().splitlines()
        )
        (kept / path.name).write_text(text + "\n")
    old = etc / "sources.list"
    lines = old.read_text().splitlines() if old.exists() else []
    (kept / "old.list").write_text(
        "".join(f"deb-src{line[3:]}\n" for line in lines if line.startswith("deb "))
    )
    command = ["apt-get"]
    for name, value in (
        ("Dir::Etc::sourcelist", "/dev/null"), ("Dir::Etc::sourceparts", str(kept)),
        ("Dir::State::lists", str(folder / "lists")), ("Dir::Cache", str(folder / "cache")),
        ("APT::Sandbox::User", ""),
    ):  # fmt: skip
        command += ["-o", f"{name}={value}"]
    try:
        subprocess.run([*command, "-qq", "update"], capture_output=True, timeout=120, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"no Debian sources: {type(error).__name__}", file=sys.stderr)
        return []
    return command


def gather(
    archives: list[Path], path: Path, *, machine: bool, most_bytes: int, seed: int = 7
) -> tuple[int, float]:
    """Write files as JSON lines (id, content, repo, path, lang), `most_bytes` of text or less, in
    an order drawn by lot; return how many and their MB. machine: with those of the machine."""
    from curate.languages import language_of

    seen: Counter[bytes] = Counter()
    ends = [0]
    held = 0
    plain = path.with_suffix(".plain")
    with plain.open("wb") as out:
        for one in _all(archives, machine, seed):
            content = one.text.encode()
            digest = hashlib.sha256(content).digest()
            if seen[digest] >= COPIES:
                continue
            seen[digest] += 1
            row = {"id": len(ends) - 1, "content": one.text, "repo": one.repo, "path": one.path,
                   "lang": language_of(one.path, one.text)}  # fmt: skip
            ends.append(ends[-1] + out.write(json.dumps(row).encode() + b"\n"))
            held += len(content)
            if held >= most_bytes:
                break
    order = list(range(len(ends) - 1))
    random.Random(seed).shuffle(order)
    with plain.open("rb") as lines, path.with_suffix(".part").open("wb") as out:
        for number in order:
            lines.seek(ends[number])
            out.write(lines.read(ends[number + 1] - ends[number]))
    path.with_suffix(".part").rename(path)
    plain.unlink()
    return len(order), held / 1e6


def _all(archives: list[Path], machine: bool, seed: int) -> Iterator[File]:
    for archive in archives:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = member.name
                if member.isfile() and Path(name).suffix in SUFFIXES and _fits(member.size):
                    content = tar.extractfile(member)
                    if content and (text := _text(content.read())):
                        yield File(repo=archive.name, path=name, text=text)
    if machine:
        yield from _machine(seed)


def _machine(seed: int) -> Iterator[File]:
    """Yield files of the machine's installations, not of people's homes, folders by lot."""
    roots = [Path("/usr"), Path("/opt"), Path(sys.prefix), Path(sys.base_prefix), *_toolchains()]
    found: dict[str, tuple[Path, list[str]]] = {}
    for root in roots:
        for folder, folders, names in os.walk(root):
            folders.sort()
            if folder in found:
                folders.clear()
                continue
            found[folder] = (root, sorted(names))
    order = list(found)
    random.Random(seed).shuffle(order)  # whole folders: neighbours are alike
    for folder in order:
        root, names = found[folder]
        for name in names:
            path = Path(folder, name)
            if path.suffix not in SUFFIXES or path.is_symlink():
                continue
            try:
                text = _text(path.read_bytes()) if _fits(path.stat().st_size) else None
            except OSError:
                continue
            if text:
                yield File(repo=str(root), path=str(path), text=text)


def _toolchains() -> list[Path]:
    """Where the compilers on the path keep their libraries and documentation."""
    found = []
    for command in (["go", "env", "GOROOT"], ["rustc", "--print", "sysroot"]):
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if said.returncode == 0 and said.stdout.strip():
            found.append(Path(said.stdout.strip()))
    return found


def _fits(size: int) -> bool:
    return LEAST_BYTES <= size <= MOST_BYTES


def _text(data: bytes) -> str | None:
    try:
        return data.decode() if b"\0" not in data else None
    except UnicodeDecodeError:
        return None
