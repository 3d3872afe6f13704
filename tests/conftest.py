"""Fixtures that more than one room's tests use."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import pytest

CHROMIUM = "/usr/bin/chromium"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# How long an example takes is the machine's affair: tests share it with each other.
hypothesis.settings.register_profile("seedcoder", deadline=None)
hypothesis.settings.load_profile("seedcoder")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --of-each: every test function, but a few rows of long tables (`make check`)."""
    parser.addoption("--of-each", type=int, default=0, help="rows of each table of parameters")


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


@pytest.fixture(scope="session")
def beside() -> Callable[[Path], ModuleType]:
    """A function from a file beside a conftest to the module in it, loaded once."""

    def load(path: Path) -> ModuleType:
        key = f"{path.parent.name}_tests_{path.stem}"
        if key not in sys.modules:
            spec = importlib.util.spec_from_file_location(key, path)
            assert spec is not None and spec.loader is not None
            sys.modules[key] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[key])
        return sys.modules[key]

    return load


@pytest.fixture(scope="session")
def ray_kit(beside: Callable[[Path], ModuleType]) -> ModuleType:
    """The module ray_kit.py: a Ray cluster of this machine."""
    return beside(Path(__file__).with_name("ray_kit.py"))


@pytest.fixture(scope="module")
def ray_cluster(ray_kit: ModuleType) -> Iterator[Any]:
    """A head with one CPU, a node with three, and this process connected."""
    import ray

    before = {name: os.environ.get(name) for name in ray_kit.ENVIRON}
    os.environ.update(ray_kit.ENVIRON)
    kit = ray_kit.Kit()
    try:
        kit.second = kit.add(cpus=3)
        _until(lambda: _connected(kit.address), 60)
        _until(lambda: sum(row["Alive"] for row in ray.nodes()) == 2, 60)
        yield kit
    finally:
        ray.shutdown()
        kit.close()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _connected(address: str) -> bool:
    """Connect this process. The head's port opens before the head is ready for us."""
    import ray

    try:
        ray.init(
            address=address, log_to_driver=False, logging_level=logging.ERROR,
            configure_logging=False,
        )  # fmt: skip
    except ConnectionError:
        return False
    return True


def _until(true: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.05)


# Of a module, not of the session: two Playwrights cannot be open in one process.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    if not shutil.which(CHROMIUM):
        pytest.skip(f"no {CHROMIUM}: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the 'dev' extra")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Keep in one process the tests of the one container engine, which takes 20 s to start."""
    if "docker_engine" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.xdist_group("docker"))
        item.add_marker(pytest.mark.slow)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep a few rows of each table, where --of-each says how many: the first, the last, between.

    Comes last, so that the rows are of what the marks leave.
    """
    most: int = config.getoption("--of-each")
    if not most:
        return
    tables: dict[str, list[pytest.Item]] = {}
    for item in items:
        tables.setdefault(item.nodeid.partition("[")[0], []).append(item)
    kept = set()
    for rows in tables.values():
        step = max(1.0, (len(rows) - 1) / max(1, most - 1))
        kept |= {id(rows[round(n * step)]) for n in range(min(most, len(rows)))}
    config.hook.pytest_deselected(items=[item for item in items if id(item) not in kept])
    items[:] = [item for item in items if id(item) in kept]
