"""Three exercises of our own in Exercism's form, and a folder with pytest."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

WORDS_TEST = """\
import unittest

from shout import shout


class ShoutTest(unittest.TestCase):
    def test_word(self):
        self.assertEqual(shout("hi"), "HI!")

    def test_empty(self):
        with self.assertRaises(ValueError) as told:
            shout("")
        self.assertEqual(told.exception.args[0], "nothing to shout")
"""
SOLUTION = """\
def shout(text):
    if not text:
        raise ValueError("nothing to shout")
    return text.upper() + "!"
"""
ADD_TEST = """\
import unittest
from add_up import add


class AddTest(unittest.TestCase):
    def test_add(self):
        self.assertEqual(add(2, 3), 5)

    @unittest.skip("not in this track")
    def test_later(self):
        self.fail()
"""


def lay(place: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def config(solution: str, test: str, example: str) -> str:
    return json.dumps({"files": {"solution": [solution], "test": [test], "example": [example]}})


@pytest.fixture
def exercises(tmp_path: Path) -> Path:
    """The older layout: exercises side by side."""
    folder = tmp_path / "exercism-python"
    lay(
        folder / "shout",
        {
            ".docs/instructions.md": "# Instructions\n\nSay it loudly.\n",
            ".docs/instructions.append.md": "\nRaise ValueError for nothing.\n",
            ".meta/config.json": config("shout.py", "shout_test.py", ".meta/example.py"),
            ".meta/example.py": SOLUTION,
            "shout.py": "def shout(text):\n    pass\n",
            "shout_test.py": WORDS_TEST,
        },
    )
    lay(
        folder / "add-up",
        {
            ".docs/introduction.md": "# Introduction\n\n",
            ".docs/instructions.md": "Add two numbers.\n",
            ".meta/config.json": config("add_up.py", "add_up_test.py", ".meta/example.py"),
            ".meta/example.py": "def add(a, b):\n    return a + b\n",
            "add_up.py": "def add(a, b):\n    pass\n",
            "add_up_test.py": ADD_TEST,
        },
    )
    return folder


@pytest.fixture(scope="session")
def packages_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages as `pip install --target` makes one, with pytest from here."""
    folder = tmp_path_factory.mktemp("packages")
    for name in ("pytest", "pluggy", "iniconfig", "packaging", "pygments"):
        for file in importlib.metadata.files(name) or ():
            if ".." in file.parts or "__pycache__" in file.parts:
                continue
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(file.locate()), target)
    for place in (folder, *folder.parents):
        if place.stat().st_uid == folder.stat().st_uid and not place.stat().st_mode & 0o001:
            place.chmod(0o755)
    return folder
