"""Fixtures that more than one room's tests use."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# How long an example takes is the machine's affair: tests share it with each other.
hypothesis.settings.register_profile("seedcoder", deadline=None)
hypothesis.settings.load_profile("seedcoder")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of data that is too large or not ours to ship; skips where there is none."""
    named = os.environ.get("SEEDCODER_DATA")
    if not named:
        pytest.skip("SEEDCODER_DATA is not set: it must name the folder with the test data")
    folder = Path(named)
    if not folder.is_dir():
        pytest.skip(f"SEEDCODER_DATA names {named!r}, which is no folder")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep in one process the tests that share the one container engine, which is started once."""
    for item in items:
        if "docker_engine" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("docker"))
