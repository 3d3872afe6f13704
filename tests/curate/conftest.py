"""Fixtures of the tests of curation."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def curate_data(data_dir: Path) -> Path:
    """The folder of real files, pages and commits; skips where there is none."""
    folder = data_dir / "curate"
    if not folder.is_dir():
        pytest.skip(f"SEEDCODER_DATA has no {folder.name}")
    return folder
