"""The folder of packages that a project's tests run with."""

from __future__ import annotations

import os
from pathlib import Path

from sandbox.errors import TestsBroken


def environment(packages_dir: str) -> str:
    """Return the folder that packages lie in: `packages_dir`, or that of a virtual environment.

    "" stays "". Raises TestsBroken where it is no folder, or an environment without packages.
    Its packages must fit the interpreter that this runs under: boxes show no other.
    """
    if not packages_dir:
        return ""
    folder = Path(packages_dir).resolve()
    if (folder / "pyvenv.cfg").is_file():
        found = sorted(folder.glob("lib/python*/site-packages"))
        if len(found) != 1:
            raise TestsBroken(f"packages_dir: {folder} holds no packages of one Python")
        folder = found[0]
    if not folder.is_dir():
        raise TestsBroken(f"packages_dir: {folder} is no folder")
    if os.geteuid() == 0 and folder.stat().st_mode & 0o005 != 0o005:
        raise TestsBroken(
            f"packages_dir: {folder} is closed to other users, and runs are another user's: "
            f"chmod -R go+rX {folder}"
        )
    return str(folder)
