"""`--of-each N`, with which `make check` takes a few rows of every table of tests."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
TESTS = """
import pytest

@pytest.mark.parametrize("n", range(10))
def test_a_long_table(n): pass

@pytest.mark.parametrize("n", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_short_table(n): pass

def test_alone(): pass
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "ran"),
    [
        ([], [*"0123456789", "0", "1", ""]),
        (["--of-each", "1"], ["0", "0", ""]),
        (["--of-each", "2"], ["0", "9", "0", "1", ""]),
        (["--of-each", "4"], ["0", "3", "6", "9", "0", "1", ""]),
        (["--of-each", "1", "-m", "not slow"], ["0", "1", ""]),
    ],
)
def test_every_function_runs_with_as_many_rows_as_were_asked_for(tmp_path, options, ran):
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "test_it.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-c", "/dev/null", *options],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = re.findall(r"^test_it\.py::test_\w+(?:\[(\d+)\])?$", done.stdout, re.MULTILINE)
    assert found == ran
