"""Boxes for the tests of the sandbox: one of each kind a session, and a pool."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import pytest

from sandbox import Limits, Pool, SandboxUnavailable
from sandbox.box import BoxName, LocalBox

HERE = Path(__file__).parent

# No deadline: a busy machine is no failure.
hypothesis.settings.register_profile("sandbox", deadline=None, max_examples=40)
hypothesis.settings.load_profile("sandbox")


def _beside(name: str) -> ModuleType:
    """Return the module in the file `name`.py beside this one."""
    key = f"sandbox_tests_{name}"
    if key not in sys.modules:
        spec = importlib.util.spec_from_file_location(key, HERE / f"{name}.py")
        assert spec is not None and spec.loader is not None
        sys.modules[key] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[key])
    return sys.modules[key]


@pytest.fixture(scope="session")
def arena_module() -> ModuleType:
    """The module arena.py: attacks, and the place where they are tried."""
    return _beside("arena")


@pytest.fixture(scope="session")
def box_of() -> Iterator[Callable[[BoxName], LocalBox]]:
    """A function from the name of a box to a started one; the test is skipped where none starts."""
    boxes: dict[str, LocalBox] = {}
    refused: dict[str, str] = {}

    def get(name: BoxName) -> LocalBox:
        if name in refused:
            pytest.skip(refused[name])
        if name not in boxes:
            try:
                boxes[name] = LocalBox(name)
            except SandboxUnavailable as error:
                refused[name] = str(error)
                pytest.skip(refused[name])
        return boxes[name]

    yield get
    for box in boxes.values():
        box.close()


@pytest.fixture(scope="session")
def box(box_of: Callable[[BoxName], LocalBox]) -> LocalBox:
    """The strongest box that this machine has."""
    try:
        return box_of("namespace")
    except pytest.skip.Exception:
        return box_of("restricted")


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """A pool of two workers; timeouts are not confirmed."""
    with Pool(2, confirm_timeouts=False) as made:
        yield made


@pytest.fixture(scope="session")
def limits() -> Limits:
    """Small limits, for programs that end at once."""
    return Limits(cpu_s=2, wall_s=10, memory_mb=256)


@pytest.fixture(scope="session")
def faulty_server() -> ModuleType:
    """The module faulty_server.py: an HTTP server that fails as it is told to."""
    return _beside("faulty_server")


@pytest.fixture(scope="session")
def ray_kit() -> ModuleType:
    """The module ray_kit.py: a Ray cluster of this machine."""
    return _beside("ray_kit")


@pytest.fixture(scope="session")
def project_kit() -> ModuleType:
    """The module project_kit.py: a tiny project and patches to it."""
    return _beside("project_kit")


@pytest.fixture(scope="session")
def kit(
    project_kit: ModuleType,
    box_of: Callable[[BoxName], LocalBox],
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    """A judge of patches to the tiny project, in the namespace box."""
    return project_kit.Kit(box_of("namespace"), tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[Any]:
    """A container engine of our own, with a minimal image; skipped where none can be started."""
    pytest.importorskip("docker")
    kit = _beside("engine_kit")
    try:
        engine = kit.Engine()
    except kit.Unable as error:
        pytest.skip(str(error))
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def docker_box(docker_engine: Any) -> Iterator[Any]:
    """A docker box of the minimal image."""
    from sandbox.containers import DockerBox

    made = DockerBox(_beside("engine_kit").IMAGE)
    yield made
    made.close()


@pytest.fixture(scope="session")
def server_kit() -> ModuleType:
    """The module server_kit.py: a sandbox server as a process."""
    return _beside("server_kit")


@pytest.fixture(scope="session")
def server(server_kit: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server of two workers with the data set `sums`."""
    folder = server_kit.write_problems(tmp_path_factory.mktemp("datasets"))
    with server_kit.served("--workers", "2", "--datasets", str(folder)) as made:
        yield made
