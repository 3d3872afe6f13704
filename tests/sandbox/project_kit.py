"""A tiny project, patches to it, and a judge; for the tests of judging whole projects."""

from __future__ import annotations

import compileall
import difflib
import functools
import importlib.metadata
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox import Limits, Program, ProjectTests, Snapshot, Verdict
from sandbox.box import LocalBox

LIMITS = Limits(cpu_s=20, wall_s=60, memory_mb=512, processes=64, disk_mb=64)

WRONG = "def add(a, b):\n    return a - b\n"
RIGHT = "def add(a, b):\n    return a + b\n"
TEST = "from lib import add\n\n\ndef test_zero():\n    assert add(1, 0) == 1\n"
NEW_TEST = TEST + "\n\ndef test_add():\n    assert add(2, 3) == 5\n"
BASE = {
    "lib/__init__.py": WRONG,
    "tests/test_add.py": TEST,
    "tests/conftest.py": "",
    "setup.cfg": "[metadata]\nname = lib\n",
    "README": "A project.\n",
}
F2P = "tests/test_add.py::test_add"
P2P = "tests/test_add.py::test_zero"


def patch(
    after: Mapping[str, str | None], before: Mapping[str, str] = BASE, end: str = "\n"
) -> str:
    """Return the diff, in git's form, that makes `after` of `before`; None removes a file."""
    parts = []
    for name, text in after.items():
        old = before.get(name)
        lines = [f"diff --git a/{name} b/{name}"]
        if old is None:
            lines.append("new file mode 100644")
        if text is None:
            lines.append("deleted file mode 100644")
        changes = difflib.unified_diff(
            (old or "").split("\n")[:-1],
            (text or "").split("\n")[:-1],
            f"a/{name}" if old is not None else "/dev/null",
            f"b/{name}" if text is not None else "/dev/null",
            lineterm="",
        )
        parts += [*lines, *changes]
    return end.join([*parts, ""])


GOLD = patch({"lib/__init__.py": RIGHT})


def lay(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files into a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


class Kit:
    """A judge of patches to the tiny project, in a box, with pytest from this environment."""

    def __init__(self, box: LocalBox, folder: Path) -> None:
        self.box = box
        self.folder = lay(folder / "base", BASE)
        self.packages = folder / "packages"
        for name in ("pytest", "pluggy", "iniconfig", "packaging", "pygments"):
            self._copy(name)
        compileall.compile_dir(self.packages, quiet=1)  # as pip does

    def _copy(self, name: str) -> None:
        for file in importlib.metadata.files(name) or ():
            if ".." in file.parts or "__pycache__" in file.parts:
                continue
            target = self.packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(file.locate()), target)

    def tests(self, **more: Any) -> ProjectTests:
        """Return the project's tests, made by a test patch."""
        fields: dict[str, Any] = {
            "snapshot": Snapshot.folder(self.folder),
            "fail_to_pass": (F2P,),
            "pass_to_pass": (P2P,),
            "test_patch": patch({"tests/test_add.py": NEW_TEST}),
            "packages_dir": str(self.packages),
        }
        return ProjectTests(**{**fields, **more})

    @functools.cached_property
    def gold_passes(self) -> bool:
        """Whether the right patch resolves: the control of attacks that bring nothing right."""
        return self.judge(GOLD).ok

    def judge(
        self, source: str, tests: ProjectTests | None = None, limits: Limits = LIMITS
    ) -> Verdict:
        """Judge a patch."""
        program = Program(language="diff", source=source)
        return self.box.judge(program, tests or self.tests(), limits)
