"""Boxes for the tests of the sandbox: one of each kind a session, and a pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import pytest

from sandbox import Limits, Pool, SandboxUnavailable
from sandbox.box import BoxName, LocalBox

HERE = Path(__file__).parent
Beside = Callable[[Path], ModuleType]

# No deadline: a busy machine is no failure.
hypothesis.settings.register_profile("sandbox", deadline=None, max_examples=40)
hypothesis.settings.load_profile("sandbox")


@pytest.fixture(scope="session")
def arena_module(beside: Beside) -> ModuleType:
    """The module arena.py: attacks, and the place where they are tried."""
    return beside(HERE / "arena.py")


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
def faulty_server(beside: Beside) -> ModuleType:
    """The module faulty_server.py: an HTTP server that fails as it is told to."""
    return beside(HERE / "faulty_server.py")


@pytest.fixture(scope="session")
def project_kit(beside: Beside) -> ModuleType:
    """The module project_kit.py: a tiny project and patches to it."""
    return beside(HERE / "project_kit.py")


@pytest.fixture(scope="session")
def kit(
    project_kit: ModuleType,
    box_of: Callable[[BoxName], LocalBox],
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    """A judge of patches to the tiny project, in the namespace box."""
    return project_kit.Kit(box_of("namespace"), tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def docker_engine(beside: Beside) -> Iterator[Any]:
    """A container engine of our own, with a minimal image; skipped where none can be started."""
    pytest.importorskip("docker")
    kit = beside(HERE / "engine_kit.py")
    try:
        engine = kit.Engine()
    except kit.Unable as error:
        pytest.skip(str(error))
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def docker_box(beside: Beside, docker_engine: Any) -> Iterator[Any]:
    """A docker box of the minimal image."""
    from sandbox.containers import DockerBox

    made = DockerBox(beside(HERE / "engine_kit.py").IMAGE)
    yield made
    made.close()


@pytest.fixture(scope="session")
def server_kit(beside: Beside) -> ModuleType:
    """The module server_kit.py: a sandbox server as a process."""
    return beside(HERE / "server_kit.py")


@pytest.fixture(scope="session")
def server(server_kit: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server of two workers with the data set `sums`."""
    folder = server_kit.write_problems(tmp_path_factory.mktemp("datasets"))
    with server_kit.served("--workers", "2", "--datasets", str(folder)) as made:
        yield made
