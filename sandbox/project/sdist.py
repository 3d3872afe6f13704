"""Fetch an sdist by name, version and digest into a folder, with pip as it is configured here.

pip prepares metadata of what it downloads: it runs the release's own build code, on this machine
and not in a box. It checks the digest before that, so what runs is the release that was named:
fetch only releases that you would install.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox.errors import TestsBroken
from sandbox.project.snapshot import find_sdist

_FETCH_S = 600.0


def fetch_sdist(name: str, version: str, sha256: str, folder: str | Path) -> Path:
    """Return the path of an sdist in `folder`, fetched there unless it lies there already.

    Raises TestsBroken with pip's words when it cannot be had, or has another digest.
    """
    shelf = Path(folder)
    shelf.mkdir(parents=True, exist_ok=True)
    try:
        return find_sdist(name, version, sha256, shelf)
    except TestsBroken:
        pass  # not there yet
    with tempfile.TemporaryDirectory(dir=shelf) as fresh:
        wanted = Path(fresh, "wanted.txt")
        wanted.write_text(f"{name}=={version} --hash=sha256:{sha256}\n")
        # Not `:all:`: the build tools it needs may come as wheels.
        command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
            "--no-input", "--no-deps", "--no-binary", name, "--require-hashes",
            "--dest", fresh, "-r", str(wanted),
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_S)
        except subprocess.TimeoutExpired:
            raise TestsBroken(f"pip did not fetch {name}=={version} in {_FETCH_S:.0f} s") from None
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if "ERROR" in line]
            why = (said or done.stderr.splitlines() or ["pip said nothing"])[0]
            raise TestsBroken(f"pip cannot fetch the sdist {name}=={version}: {why[:400]}")
        for path in Path(fresh).iterdir():
            if path != wanted:
                path.replace(shelf / path.name)
    return find_sdist(name, version, sha256, shelf)
