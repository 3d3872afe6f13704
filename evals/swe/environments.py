"""What an instance without an image needs: its release and its packages, fetched into the cache.

Both come by pip as it is configured here. A release is checked against its digest. Packages are
what the row names: those without a version are whatever pip finds on the day they are fetched, and
stay so until the cache goes. pip may run build code of either, on this machine and in no box.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sandbox import Snapshot, TestsBroken
from seedcoder.cache import cache_folder
from seedcoder.errors import MachineLacks

_INSTALL_S: Final = 900.0
_HERE: Final = f"{sys.version_info.major}.{sys.version_info.minor}"


def release(source: Mapping[str, Any]) -> Snapshot:
    """Return the release that a row's `source` names. Raises MachineLacks where pip has none."""
    from sandbox.project.sdist import fetch_sdist

    shelf = sdists_folder()
    name, version, sha256 = (str(source[key]) for key in ("name", "version", "sha256"))
    with _alone(shelf / f"{name}-{version}"):
        try:
            fetch_sdist(name, version, sha256, shelf)
        except TestsBroken as error:
            raise MachineLacks(str(error)) from error
    return Snapshot.sdist(name, version, sha256, folder=shelf)


def sdists_folder() -> Path:
    """Return where releases are kept."""
    return _place() / "sdists"


def packages(requirements: Sequence[str], python: str) -> Path:
    """Return a folder that `pip install --target` filled with these, made once.

    python: the version that the row was made for ("3.11"). Raises MachineLacks where this Python is
    another, or pip cannot install them.
    """
    if python != _HERE:
        raise MachineLacks(f"the instance is for Python {python}, and this is {_HERE}")
    target = packages_folder(requirements)
    with _alone(target):
        if not target.is_dir():
            _install(requirements, target)
    return target


def packages_folder(requirements: Sequence[str]) -> Path:
    """Return where the packages of these requirements are kept for this Python."""
    digest = hashlib.sha256(json.dumps([sorted(requirements), _HERE]).encode()).hexdigest()
    return _place() / "packages" / digest[:16]


def _install(requirements: Sequence[str], target: Path) -> None:
    fresh = Path(tempfile.mkdtemp(dir=target.parent))
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--no-input", "--target", str(fresh), *requirements,
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if "ERROR" in line]
            why = (said or done.stderr.splitlines() or ["pip said nothing"])[0]
            raise MachineLacks(f"pip cannot install {', '.join(requirements)}: {why[:400]}")
        fresh.chmod(0o755)  # runs are another user's
        fresh.rename(target)
    except subprocess.TimeoutExpired:
        raise MachineLacks(
            f"pip did not install {', '.join(requirements)} in {_INSTALL_S:.0f} s"
        ) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _place() -> Path:
    return cache_folder() / "swe"


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Hold a lock beside `target`: two processes would fetch the same thing twice."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(target.with_name(f".{target.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
