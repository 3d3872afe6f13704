"""What the tests of serve/ share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
Beside = Callable[[Path], ModuleType]


@pytest.fixture(scope="session")
def tiny_module(beside: Beside) -> ModuleType:
    """The module tiny_checkpoint.py: `make(folder, layers=2, bos_first=False)` and its tokens."""
    return beside(HERE / "tiny_checkpoint.py")


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_module: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of Seed-Coder's architecture, with cards: base, instruct, reasoning (.toml).

    Needs nothing to be made; loading it needs torch and transformers.
    """
    made: Path = tiny_module.make(tmp_path_factory.mktemp("tiny") / "tiny-seed-coder")
    return made


@pytest.fixture(scope="session")
def own_kit(beside: Beside) -> ModuleType:
    """The module own_kit.py: our own engine servers as processes."""
    return beside(HERE / "own_kit.py")


@pytest.fixture(scope="session")
def service_kit(beside: Beside) -> ModuleType:
    """The module service_kit.py: a whole service as a process."""
    return beside(HERE / "service_kit.py")


@pytest.fixture(scope="session")
def gateway_kit(beside: Beside) -> ModuleType:
    """The module gateway_kit.py: a gateway as a process, before scripted engines."""
    return beside(HERE / "gateway_kit.py")
