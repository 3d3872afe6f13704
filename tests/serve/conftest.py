"""What the tests of serve/ share."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


def beside(name: str) -> ModuleType:
    """Return the module in the file `name`.py beside this one."""
    key = f"serve_tests_{name}"
    if key not in sys.modules:
        spec = importlib.util.spec_from_file_location(key, HERE / f"{name}.py")
        assert spec is not None and spec.loader is not None
        sys.modules[key] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[key])
    return sys.modules[key]


@pytest.fixture(scope="session")
def tiny_module() -> ModuleType:
    """The module tiny_checkpoint.py: `make(folder, layers=2, bos_first=False)` and its tokens."""
    return beside("tiny_checkpoint")


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_module: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of Seed-Coder's architecture, with cards: base, instruct, reasoning (.toml).

    Needs nothing to be made; loading it needs torch and transformers.
    """
    made: Path = tiny_module.make(tmp_path_factory.mktemp("tiny") / "tiny-seed-coder")
    return made


@pytest.fixture(scope="session")
def own_kit() -> ModuleType:
    """The module own_kit.py: our own engine servers as processes."""
    return beside("own_kit")


@pytest.fixture(scope="session")
def service_kit() -> ModuleType:
    """The module service_kit.py: a whole service as a process."""
    return beside("service_kit")


@pytest.fixture(scope="session")
def gateway_kit() -> ModuleType:
    """The module gateway_kit.py: a gateway as a process, before scripted engines."""
    return beside("gateway_kit")
