"""Open somebody's git repository for reading, so that nothing of it can act.

Its own configuration is never read: git is given a folder made by us with a plain config, and only
the repository's object store beside it. So hooks, filters, aliases, fsmonitor, sshCommand, diff
drivers, includes, replacements, grafts, attributes and promisor remotes are out of reach; branches
are read by us, as text. Protocols are off, and the user's own config too.

Refused: a `.git` that is a link or names another folder, links among the objects, objects that are
borrowed from elsewhere (alternates). Does not guard: a fault in git's own reading of objects. Its
memory is limited.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from seedcoder.errors import MachineLacks

_MEMORY_BYTES: Final = 8 << 30  # ours: of a git process; packs are mapped into it
_REFS_BYTES: Final = 64 << 20  # ours: of packed-refs
_LOOSE_REFS: Final = 100_000  # ours
_ID: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF: Final = re.compile(r"refs/[^\x00-\x20\x7f~^:?*\[\\]+")
_BUNDLE: Final = (b"# v2 git bundle\n", b"# v3 git bundle\n")
_OFF: Final = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null", "core.commitGraph=false", "core.multiPackIndex=false",
    "core.packedGitLimit=1g", "core.quotePath=false", "core.pager=cat", "protocol.allow=never",
    "safe.directory=*", "log.showSignature=false", "gc.auto=0", "maintenance.auto=false",
    "diff.external=", "uploadpack.allowFilter=false", "pack.threads=1",
)  # fmt: skip


class NotReadable(Exception):
    """A repository that cannot be read, or that we do not read. Says why, in a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitDir:
    """A repository that was opened. folder: ours. objects: its object store. head: the commit or
    tag that HEAD names, "" for none. shallow: commits whose parents are not there."""

    folder: Path
    objects: Path
    head: str
    refs: Mapping[str, str] = field(default_factory=dict)
    shallow: frozenset[str] = frozenset()
    is_sha256: bool = False

    def resolve(self, revision: str) -> str:
        """Return the object id that HEAD, a branch, a tag, a whole ref or an id names.

        No expressions (HEAD~3). NotReadable: there is none.
        """
        if revision == "HEAD":
            found = self.head
        elif _ID.fullmatch(revision):
            found = revision
        else:
            places = ("", "refs/heads/", "refs/tags/", "refs/remotes/origin/")
            names = [place + revision for place in places]
            found = next((self.refs[name] for name in names if name in self.refs), "")
        if not found:
            raise NotReadable("it has no commits" if revision == "HEAD" else "no such revision")
        return found

    def start(
        self, *words: str, stdin: int | IO[bytes] = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start git on it; its errors are thrown away, its output is a pipe."""
        options = [part for setting in _OFF for part in ("-c", setting)]
        process = subprocess.Popen(
            [_git(), "--no-pager", "--no-replace-objects", *options, *words],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            env=self._environment(),
            start_new_session=True,
        )
        try:
            resource.prlimit(process.pid, resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
            resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
        except (ProcessLookupError, PermissionError):
            pass  # it has ended already, or this user may not: the limit is a second line
        return process

    def _environment(self) -> dict[str, str]:
        """Nothing of the caller's own environment but where programs are."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder),
            "LC_ALL": "C",
            "GIT_DIR": str(self.folder),
            "GIT_OBJECT_DIRECTORY": str(self.objects),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_ASKPASS": "false",
            "SSH_ASKPASS": "false",
            "GIT_SSH_COMMAND": "false",
            "GIT_EDITOR": "false",
        }


@contextmanager
def opened(path: Path) -> Iterator[GitDir]:
    """Open a repository: a working copy, a bare one or a bundle. NotReadable: why not."""
    with tempfile.TemporaryDirectory(prefix="curate-git-") as made:
        folder = Path(made)
        if path.is_file():
            yield _bundle(path.resolve(), folder)
        else:
            yield _repository(located(path), folder)


def is_repository(path: Path) -> bool:
    """Whether a path looks like a repository or a bundle."""
    if path.is_symlink():
        return False
    if path.is_file():
        return path.suffix == ".bundle" or _magic(path) in _BUNDLE
    return os.path.lexists(path / ".git") or _is_bare(path)


def located(path: Path) -> Path:
    """Return the folder that holds a repository's objects and refs."""
    inside = path / ".git"
    if inside.is_symlink() or inside.is_file():
        raise NotReadable("its .git names another folder")
    found = inside if inside.is_dir() else path
    if not _is_bare(found):
        raise NotReadable("no git repository")
    return found.resolve()


def repositories(roots: Sequence[Path], each: bool) -> Iterator[tuple[str, Path]]:
    """Yield name and path of the repositories that roots are or, with `each`, that they hold.

    One folder down they are called NAME, two folders down OWNER/NAME.
    """
    for root in roots:
        if not each:
            yield _name(root.resolve()), root
            continue
        for one in sorted(root.iterdir()):
            if is_repository(one):
                yield _name(one), one
            elif one.is_dir() and not one.is_symlink():
                for two in sorted(one.iterdir()):
                    if is_repository(two):
                        yield f"{one.name}/{_name(two)}", two


def _name(path: Path) -> str:
    if path.name == ".git":
        return path.parent.name
    return path.name.removesuffix(".bundle").removesuffix(".git") or path.name


def _is_bare(path: Path) -> bool:
    return (path / "HEAD").is_file() and (path / "objects").is_dir()


def _git() -> str:
    found = shutil.which("git")
    if found is None:
        raise MachineLacks("reading git repositories needs git")
    return found


def _repository(there: Path, folder: Path) -> GitDir:
    objects = there / "objects"
    if objects.is_symlink():
        raise NotReadable("its objects are links")
    for at, folders, names in os.walk(objects):
        for name in (*folders, *names):
            mode = Path(at, name).lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise NotReadable("its objects are links")
    for name in ("alternates", "http-alternates"):
        if (objects / "info" / name).exists():
            raise NotReadable("it borrows objects from elsewhere")
    is_sha256 = _is_sha256(there / "config")
    _make(folder, is_sha256)
    shallow = frozenset(_ID.findall(_text(there / "shallow")))
    if shallow:
        (folder / "shallow").write_text("".join(f"{one}\n" for one in sorted(shallow)))
    refs = _refs(there)
    head = _text(there / "HEAD").strip()
    for _ in range(5):  # as git: a name of a name, no deeper
        if not head.startswith("ref:"):
            break
        head = refs.get(head[4:].strip(), "")
    return GitDir(
        folder=folder,
        objects=objects,
        head=head if _ID.fullmatch(head) else "",
        refs={name: value for name, value in refs.items() if _ID.fullmatch(value)},
        shallow=shallow,
        is_sha256=is_sha256,
    )


def _bundle(path: Path, folder: Path) -> GitDir:
    if _magic(path) not in _BUNDLE:
        raise NotReadable("no git bundle")
    _make(folder, False)
    empty = GitDir(folder=folder, objects=folder / "objects", head="")
    process = empty.start("bundle", "unbundle", str(path))
    out, _ = process.communicate()
    if process.returncode:
        raise NotReadable("a bundle that cannot be unpacked by itself")
    lines = out.decode("utf-8", "replace").splitlines()
    refs = {name: value for value, _, name in (line.partition(" ") for line in lines)}
    refs = {name: value for name, value in refs.items() if _ID.fullmatch(value)}
    likely = ("HEAD", "refs/heads/main", "refs/heads/master", *sorted(refs))
    head = next((refs[name] for name in likely if name in refs), "")
    return GitDir(folder=folder, objects=folder / "objects", head=head, refs=refs)


def _make(folder: Path, is_sha256: bool) -> None:
    for name in ("objects/info", "objects/pack", "refs"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/none\n")
    version, extension = (1, "[extensions]\n\tobjectFormat = sha256\n") if is_sha256 else (0, "")
    (folder / "config").write_text(
        f"[core]\n\trepositoryFormatVersion = {version}\n\tbare = true\n{extension}"
    )


def _is_sha256(config: Path) -> bool:
    return bool(re.search(r"(?im)^\s*objectformat\s*=\s*sha256\s*$", _text(config)))


def _refs(there: Path) -> dict[str, str]:
    """Return what each ref names: an id, or "ref: NAME". Links and odd names are left out."""
    found: dict[str, str] = {}
    for line in _text(there / "packed-refs").splitlines():
        value, _, name = line.partition(" ")
        if _ID.fullmatch(value) and _REF.fullmatch(name):
            found[name] = value
    read = 0
    for at, folders, names in os.walk(there / "refs"):
        folders.sort()
        for file in sorted(names):
            path = Path(at, file)
            name = path.relative_to(there).as_posix()
            read += 1
            if read > _LOOSE_REFS:
                raise NotReadable(f"more than {_LOOSE_REFS} loose refs")
            if _REF.fullmatch(name) and not name.endswith(".lock"):
                found[name] = _text(path).strip()
    return found


def _text(path: Path) -> str:
    """Return what a plain file says, "" where there is none."""
    try:
        facts = path.lstat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > _REFS_BYTES:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _magic(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(_BUNDLE[0]))
