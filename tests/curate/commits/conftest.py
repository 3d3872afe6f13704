"""Git histories made for the tests, and the real ones that are at hand."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

DAY_S = 86_400
START_S = 1_600_000_000

Tree = Mapping[str, bytes | str | None]


def _git(folder: Path, *words: str, data: bytes | None = None) -> bytes:
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder),
        "GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.org",
        "GIT_COMMITTER_NAME": "Ann", "GIT_COMMITTER_EMAIL": "ann@example.org",
        "GIT_AUTHOR_DATE": f"{START_S} +0000", "GIT_COMMITTER_DATE": f"{START_S} +0000",
    }  # fmt: skip
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", *words],
        cwd=folder, env=env, input=data, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"git {words}: {done.stderr.decode('utf-8', 'replace')}")
    return done.stdout


@pytest.fixture
def git() -> Callable[..., bytes]:
    """Run git in a folder, as someone with a plain configuration."""
    if shutil.which("git") is None:
        pytest.skip("no git on this machine")
    return _git


@pytest.fixture
def make(git: Callable[..., bytes], tmp_path: Path) -> Callable[..., Path]:
    """Make a bare repository of commits: (message, {path: content or None}, author), a day apart.
    A tuple as content is (mode, bytes)."""

    def made(
        commits: Sequence[tuple[str | bytes, Mapping[str, Any], str]], name: str = "made"
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        git(folder, "init", "-q", "--bare", "-b", "main", ".")
        stream = io.BytesIO()
        for number, (message, files, author) in enumerate(commits):
            said = message.encode() if isinstance(message, str) else message
            when = f"{author} {START_S + number * DAY_S} +0000".encode()
            stream.write(b"commit refs/heads/main\nauthor %s\ncommitter %s\n" % (when, when))
            stream.write(b"data %d\n%s\n" % (len(said), said))
            for path, content in files.items():
                quoted = json.dumps(path).encode()
                if content is None:
                    stream.write(b"D %s\n" % quoted)
                    continue
                mode, content = content if isinstance(content, tuple) else ("100644", content)
                data = content.encode() if isinstance(content, str) else content
                stream.write(b"M %s inline %s\ndata %d\n" % (mode.encode(), quoted, len(data)))
                stream.write(data + b"\n")
        git(folder, "fast-import", "--quiet", data=stream.getvalue())
        return folder

    return made


@pytest.fixture(scope="session")
def quilt(curate_data: Path) -> list[dict[str, Any]]:
    """Real commits with the files before and after, as Debian's patches have them."""
    path = curate_data / "commits_debian_quilt.jsonl.zst"
    zstandard = pytest.importorskip("zstandard")
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        rows = [json.loads(line) for line in io.TextIOWrapper(stream, encoding="utf-8")]
    return [row for row in rows if row["before"] is not None and row["after"] is not None]


@pytest.fixture(scope="session")
def own_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The end of this project's own history, as a shallow bare clone."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").is_dir() or shutil.which("git") is None:
        pytest.skip("this checkout has no history")
    count = int(_git(root, "rev-list", "--count", "HEAD"))
    if count < 50:
        pytest.skip(f"this checkout's history is shallow: {count} commits")
    clone = tmp_path_factory.mktemp("own") / "own.git"
    _git(root, "clone", "-q", "--bare", "--depth", "25", f"file://{root}", str(clone))
    return clone
