"""Fixtures for the tests of EvalPlus's benchmarks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import Pool


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published benchmark files; the test is skipped where there is none."""
    folder = os.environ.get("SEEDCODER_DATA")
    if not folder or not (Path(folder) / "humanevalplus").is_dir():
        pytest.skip("SEEDCODER_DATA names no folder with EvalPlus's published files")
    return Path(folder)


@pytest.fixture(scope="session")
def evalplus_pool() -> Iterator[Pool]:
    """Two boxes. Loops are loops: they are not run once more to make sure of it."""
    with Pool(2, confirm_timeouts=False) as pool:
        yield pool
