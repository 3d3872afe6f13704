"""A tiny project with two issues, as rows of the official format; a server that plays replies."""

from __future__ import annotations

import compileall
import hashlib
import importlib.metadata
import importlib.util
import io
import json
import shutil
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from evals.recipe import EvalRecipe
from evals.swe.diff import git_diff
from evals.swe.environments import packages_folder, sdists_folder
from sandbox.project.shell import Change

FILES = {
    "tiny/__init__.py": "",
    "tiny/sums.py": '"""Sums."""\n\n\ndef add(a, b):\n    """Return the sum."""\n'
    "    return a - b\n\n\ndef double(a):\n    return 2 * a\n",
    "tiny/words.py": 'def shout(text):\n    """Return text in capitals."""\n'
    "    return text.lower()\n",
    "tests/test_sums.py": "from tiny.sums import add, double\n\n\n"
    "def test_zero():\n    assert add(1, 0) == 1\n\n\n"
    "def test_double():\n    assert double(2) == 4\n",
    "tests/test_words.py": "from tiny.words import shout\n\n\n"
    "def test_empty():\n    assert shout('') == ''\n",
    "README": "A project.\n",
}
RIGHT = {
    "tiny__tiny-1": {"tiny/sums.py": FILES["tiny/sums.py"].replace("a - b", "a + b")},
    "tiny__tiny-2": {"tiny/words.py": FILES["tiny/words.py"].replace("lower", "upper")},
}
NEW_TESTS = {
    "tiny__tiny-1": {
        "tests/test_sums.py": FILES["tests/test_sums.py"]
        + "\n\ndef test_add_secretly():\n    assert add(2, 3) == 5\n"
    },
    "tiny__tiny-2": {
        "tests/test_words.py": FILES["tests/test_words.py"]
        + "\n\ndef test_shout_secretly():\n    assert shout('a') == 'A'\n"
    },
}
ISSUES = {
    "tiny__tiny-1": "add() of tiny.sums subtracts: add(2, 3) is -1.",
    "tiny__tiny-2": "shout() whispers: it gives small letters.",
}
IDS = {
    "tiny__tiny-1": (
        ["tests/test_sums.py::test_add_secretly"],
        ["tests/test_sums.py::test_zero", "tests/test_sums.py::test_double"],
    ),
    "tiny__tiny-2": (
        ["tests/test_words.py::test_shout_secretly"],
        ["tests/test_words.py::test_empty"],
    ),
}


def change_of(files: Mapping[str, str]) -> dict[str, Change]:
    """Return texts as the shell has files."""
    return {name: Change(content=text.encode()) for name, text in files.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiny:
    """The tiny project. rows: its instances, by key. path: of them as JSON lines."""

    rows: Mapping[str, Mapping[str, Any]]
    path: Path

    @staticmethod
    def patch(files: Mapping[str, str]) -> str:
        """Return the patch that gives the project these files."""
        return git_diff(change_of(FILES), change_of(files))

    def gold(self, key: str) -> str:
        """Return an instance's gold patch."""
        return str(self.rows[key]["patch"])


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds the project's release, and pytest as its packages: nothing is fetched."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEDCODER_CACHE", str(cache))
        shelf, packages = sdists_folder(), packages_folder(["pytest"])
    shelf.mkdir(parents=True)
    with tarfile.open(shelf / "tiny-1.0.tar.gz", "w:gz") as tar:
        for name, text in FILES.items():
            member = tarfile.TarInfo(f"tiny-1.0/{name}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    copy_pytest(packages)
    compileall.compile_dir(packages, quiet=1)
    return cache


def copy_pytest(folder: Path) -> None:
    """Copy pytest and what it needs out of this environment."""
    for name in ("pytest", "pluggy", "iniconfig", "packaging", "pygments"):
        for file in importlib.metadata.files(name) or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), target)


@pytest.fixture
def tiny(tiny_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """The tiny project's two instances, as a file of rows."""
    monkeypatch.setenv("SEEDCODER_CACHE", str(tiny_cache))
    sha256 = hashlib.sha256((sdists_folder() / "tiny-1.0.tar.gz").read_bytes()).hexdigest()
    rows = {
        key: {
            "repo": "tiny/tiny",
            "instance_id": key,
            "base_commit": "0" * 40,
            "patch": Tiny.patch(RIGHT[key]),
            "test_patch": Tiny.patch(NEW_TESTS[key]),
            "problem_statement": ISSUES[key],
            "hints_text": "",
            "created_at": "2024-01-02T00:00:00Z",
            "version": "1.0",
            "FAIL_TO_PASS": json.dumps(IDS[key][0]),
            "PASS_TO_PASS": json.dumps(IDS[key][1]),
            "source": {"kind": "pypi-sdist", "name": "tiny", "version": "1.0", "sha256": sha256},
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
            "pip": ["pytest"],
            "pythonpath": ["."],
            "test_files": sorted(NEW_TESTS[key]),
        }
        for key in RIGHT
    }
    path = tmp_path / "instances.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows.values()))
    return Tiny(rows=rows, path=path)


@pytest.fixture
def swe_recipe(tiny: Tiny, tmp_path: Path) -> Callable[..., EvalRecipe]:
    """Make a recipe over the tiny instances; `replies` are a scripted model's, by turn."""

    def make(
        scaffold: str, replies: Mapping[str, str] | None = None, model: str = "", **more: Any
    ) -> EvalRecipe:
        path = tmp_path / "replies.jsonl"
        lines = [
            json.dumps({"key": key, "text": text, "tokens": 7})
            for key, text in (replies or {}).items()
        ]
        path.write_text("\n".join(lines))
        options = {"path": str(tiny.path), "scaffold": scaffold, **more.pop("options", {})}
        said = {
            "bench": "swe-mini",
            "model": model or f"scripted:{path}",
            "protocol": "chat",
            "options": options,
            "pool": {"workers": 1},
            **more,
        }
        return EvalRecipe.model_validate(said)

    return make


class Server:
    """A server of OpenAI's protocol: each request is answered by `answer(messages)`.

    answer: returns the text, or None to hang until the server is closed; a pair of status and
    error is refused with those. asked: the messages of each request so far.
    """

    def __init__(self, answer: Callable[[list[dict[str, str]]], Any]) -> None:
        self.answer = answer
        self.asked: list[list[dict[str, str]]] = []
        self.closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked.append(body["messages"])
                said = outer.answer(body["messages"])
                if said is None:
                    outer.closing.wait(60)
                    return
                status, data = 200, {
                    "id": "x",
                    "object": "chat.completion",
                    "created": 0,
                    "model": "m",
                    "choices": [
                        {
                            "index": 0,
                            "message": {"role": "assistant", "content": said},
                            "finish_reason": "stop",
                        }
                    ],
                    "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
                }  # fmt: skip
                if isinstance(said, tuple):
                    status, data = said[0], {"error": {"message": said[1], "code": said[0]}}
                raw = json.dumps(data).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The model's URL."""
        return f"openai:http://127.0.0.1:{self._server.server_port}/v1#m"

    def close(self) -> None:
        """End it."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start servers that play replies."""
    servers = []

    def start(answer: Callable[[list[dict[str, str]]], Any]) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


MINIMAL = "seedcoder-sandbox:minimal"
OFFICIAL = "tiny-eval:latest"
_ENV = "/opt/miniconda3/envs/testbed"
SCRIPT = """#!/bin/bash
set -uxo pipefail
source /opt/miniconda3/bin/activate
conda activate testbed
cd /testbed
git status
git apply -v - <<'EOF_114329324912'
{test_patch}EOF_114329324912
: '>>>>> Start Test Output'
python -m pytest -rA -p no:cacheprovider --color=no {files}
: '>>>>> End Test Output'
git checkout HEAD {files}
"""


@pytest.fixture(scope="session")
def official_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running engine with an image as SWE-bench's are: /testbed and a conda environment."""
    pytest.importorskip("docker")
    place = Path(__file__).parents[2] / "sandbox" / "engine_kit.py"
    spec = importlib.util.spec_from_file_location("swe_engine_kit", place)
    assert spec is not None and spec.loader is not None
    kit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kit)
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash here to put into an image")
    try:
        engine = kit.Engine()
    except kit.Unable as error:
        pytest.skip(str(error))
    try:
        folder = tmp_path_factory.mktemp("image")
        copy_pytest(folder / "packages")
        _import(folder, Path(bash).resolve(), kit.CHECKOUT / ".cache" / "docker")
        yield OFFICIAL
    finally:
        engine.close()


def _import(folder: Path, bash: Path, kept: Path) -> None:
    from sandbox.containers import engine

    (minimal,) = kept.glob("minimal-*.tar")
    packed = folder / "image.tar"
    shutil.copyfile(minimal, packed)
    scripts = {
        "opt/miniconda3/bin/activate": "conda() { PATH=" + _ENV + "/bin:$PATH; export PATH; }\n",
        f"{_ENV[1:]}/bin/python": "#!/bin/sh\nPYTHONPATH=/testbed:/opt/packages "
        'exec /usr/bin/python3 "$@"\n',
        "testbed/.git/packed-refs": "the fix is in here: secretly\n",
        **{f"testbed/{name}": text for name, text in FILES.items()},
    }
    with tarfile.open(packed, "a") as tar:
        tar.add(bash, arcname="./usr/bin/bash")
        tar.add(folder / "packages", arcname="./opt/packages")
        for name, text in scripts.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size, member.mode = len(text.encode()), 0o755
            tar.addfile(member, io.BytesIO(text.encode()))
    client = engine.connect()
    try:
        repository, _, tag = OFFICIAL.partition(":")
        client.api.import_image_from_file(
            str(packed), repository=repository, tag=tag, changes=["ENV PATH=/usr/bin:/bin"]
        )
    finally:
        client.close()


@pytest.fixture
def official_rows(tiny: Tiny) -> Tiny:
    """The tiny instances as rows that name an image."""
    rows = {}
    for key, row in tiny.rows.items():
        files = " ".join(row["test_files"])
        script = SCRIPT.format(test_patch=row["test_patch"], files=files)
        rows[key] = {
            **row, "source": None, "image": OFFICIAL, "log_parser": "parse_log_pytest_v2",
            "eval_type": "pass_and_fail", "eval_script": script,
        }  # fmt: skip
    tiny.path.write_text("".join(json.dumps(row) + "\n" for row in rows.values()))
    return Tiny(rows=rows, path=tiny.path)
