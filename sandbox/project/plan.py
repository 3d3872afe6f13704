"""What a box must do to judge a patch: one program, its stdin, and how to read its stdout.

A box of any kind runs `driver` (Python 3.6 or later, nothing but the standard library) with `stdin`
and hands back what it wrote. No answer is in a plan: the ids that must pass stay outside.
"""

from __future__ import annotations

import ast
import base64
import functools
import json
import secrets
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sandbox.project.archive import packed
from sandbox.project.tests import ProjectTests

# By name, wherever they lie: what pytest or Python reads before any test.
NAMES = (
    "conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini",
    "setup.cfg", "pyproject.toml", "sitecustomize.py", "usercustomize.py",
)  # fmt: skip
# By pattern, for any part of a path: settings of paths, entry points (pytest loads plugins by
# them), compiled files (they can stand in for a source).
PATTERNS = ("*.pth", "*.egg-info", "*.dist-info", "*.egg-link", "__pycache__", "*.pyc")
_TEST_FOLDERS = frozenset(("test", "tests", "testing"))
LOG_KB = 256
XML_KB = 32 << 10
# What a run of the driver needs of Limits.output_kb: log, XML and channel, packed as text.
REPORT_KB = 80 << 10
_BUNDLE = """\
import sys, types
texts = {texts!r}
for name in ("sandbox", "sandbox.inside", *texts):
    sys.modules[name] = module = types.ModuleType(name)
    module.__path__ = []
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, module)
    exec(compile(texts.get(name, ""), name, "exec"), module.__dict__)
sys.exit(module.main())
"""
_DRIVER = ("project_tree", "project_patch", "project_arrange", "project_driver")
_INSIDE = Path(__file__).parent.parent / "inside"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPlan:
    """One judgement of a patch, for any box.

    driver: source of a Python program. stdin: what it reads. markers: the first and the last line
    of its stdout. nonce: seals what pytest reports; "" where a command of the instance's runs.
    canaries: ids of the planted tests, and what must become of each.
    """

    driver: str
    stdin: bytes
    markers: tuple[str, str]
    nonce: str
    canaries: dict[str, str]


@functools.cache
def source_of(name: str) -> str:
    """Return a module of `sandbox.inside` as text for boxes: see `bare`."""
    return bare((_INSIDE / f"{name}.py").read_text())


def bare(source: str) -> str:
    """Return a module's source as Python 3.6 takes it: without annotations.

    Images of old projects have an old Python, and the tests run under that.
    """
    return ast.unparse(_Bare().visit(ast.parse(source)))


class _Bare(ast.NodeTransformer):
    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return ast.Pass()
        bare = ast.Assign(targets=[node.target], value=node.value, lineno=node.lineno)
        return self.generic_visit(bare)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if node.module == "__future__" else node


@functools.cache
def bundle(names: tuple[str, ...]) -> str:
    """Return modules of `sandbox.inside` as one program, each after those it imports.

    It ends with what the last one's `main` returns.
    """
    return _BUNDLE.format(texts={f"sandbox.inside.{name}": source_of(name) for name in names})


def plan(
    patch: str,
    tests: ProjectTests,
    *,
    packages: tuple[str, ...] = (),
    site: bool = False,
    python: str = "",
    scratch: str = "",
    path: str = "",
) -> ProjectPlan:
    """Return what is to be done for one patch. Raises TestsBroken where the snapshot is unfit.

    packages: folders of the box where packages lie. site: use those that the box's interpreter
        finds by itself (in an image). python: the interpreter that the tests run under; "" is the
        driver's own. scratch: a folder for temporary files, "" is where the driver starts.
    path: PATH in the box; "" leaves the box's own.
    """
    in_image = tests.snapshot.kind == "image"
    nonce = "" if tests.command else secrets.token_hex(32)
    canary_file, source, canaries = _canaries(tests)
    launcher: dict[str, Any] | None = None
    if not tests.command:
        targets = tests.targets or tests.test_paths
        launcher = {
            "nonce": nonce,
            "arguments": [*tests.arguments, *targets, *([canary_file] if canaries else ())],
            "pythonpath": list(tests.pythonpath),
        }
    markers = (f"begin-{secrets.token_hex(16)}", f"end-{secrets.token_hex(16)}")
    job = {
        "markers": markers,
        "tree": tests.snapshot.path if in_image else "testbed",
        "archive": not in_image,
        "scratch": scratch,
        "out": f"out-{secrets.token_hex(8)}",
        "patch": patch,
        "test_patch": tests.test_patch,
        "test_files": {k: base64.b64encode(v).decode() for k, v in tests.test_files.items()},
        "rules": rules(tests),
        "import_roots": _import_roots(tests),
        "pythonpath": list(tests.pythonpath),
        "packages": list(packages),
        "site": site,
        "python": python,
        "command": list(tests.command),
        "launcher": launcher,
        "canaries": {canary_file: source} if canaries else {},
        "git": tests.git,
        "env": {
            **({"PATH": path} if path else {}),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            **tests.env,
        },
        "log_kb": LOG_KB,
        "xml_kb": XML_KB,
        "source": source_of("project_pytest"),
    }
    head = json.dumps(job).encode()
    archive = b"" if in_image else packed(tests.snapshot)
    return ProjectPlan(
        driver=bundle(_DRIVER),
        stdin=len(head).to_bytes(8, "little") + head + archive,
        markers=markers,
        nonce=nonce,
        canaries=canaries,
    )


def rules(tests: ProjectTests) -> dict[str, list[str]]:
    """Return which files are the instance's, whatever a candidate's patch says of them.

    The tests' files; of a folder called test, tests or testing on the way to one of them all that
    is in it; NAMES and PATTERNS anywhere. The files that the test patch touches join them in the
    box. `may_change` frees files of all but the last.
    """
    folders = set()
    for path in (*tests.test_paths, *tests.test_files):
        parts = PurePosixPath(path).parts
        for depth, part in enumerate(parts[:-1], 1):
            if part in _TEST_FOLDERS:
                folders.add("/".join(parts[:depth]))
                break
    return {
        "names": list(NAMES),
        "patterns": list(PATTERNS),
        "files": sorted({*tests.test_paths, *tests.test_files}),
        "folders": sorted(folders),
        "free": list(tests.may_change),
    }


def _import_roots(tests: ProjectTests) -> list[str]:
    """Return the folders that are, or may come to be, on Python's path."""
    found = {".", *(str(PurePosixPath(path)) for path in tests.pythonpath)}
    for path in tests.test_paths:
        found |= {str(above) for above in PurePosixPath(path).parents}
    return sorted(found)


def _canaries(tests: ProjectTests) -> tuple[str, str, dict[str, str]]:
    """Return a file of tests under names that nobody can foresee, and what becomes of each."""
    python = [path for path in tests.test_paths if path.endswith(".py")]
    folders = [path for path in tests.test_paths if not PurePosixPath(path).suffix]
    choosy = any(one.startswith(("-k", "-m", "--deselect")) for one in tests.arguments)
    if not tests.canaries or tests.command or choosy or not (python or folders):
        return "", "", {}
    beside = PurePosixPath(python[0]).parent if python else PurePosixPath(folders[0])
    word = iter("".join(secrets.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(9))
                for _ in range(12)).__next__  # fmt: skip
    file = str(beside / f"test_{word()}.py")
    plain_, raises, broken, right, method, given, case = (word() for _ in range(7))
    source = f"""import unittest

import pytest


def test_{plain_}():
    value = [{secrets.randbelow(50)}]
    assert value == [{secrets.randbelow(50) + 50}]


def test_{raises}():
    with pytest.raises(KeyError):
        dict(a=1).get("a")


@pytest.fixture
def {given}():
    raise LookupError({given!r})


def test_{broken}({given}):
    pass


class Test{case.title()}(unittest.TestCase):
    def test_{method}(self):
        self.assertEqual(1, 2)


def test_{right}():
    assert sorted([2, 1]) == [1, 2]
"""
    wanted = {
        f"test_{plain_}": "failed",
        f"test_{raises}": "failed",
        f"test_{broken}": "error",
        f"Test{case.title()}::test_{method}": "failed",
        f"test_{right}": "passed",
    }
    return file, source, {f"{file}::{name}": status for name, status in wanted.items()}
