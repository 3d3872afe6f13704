"""Run a Python program as a user without any rights, on a machine whose root runs the tests.

The interpreter or the checkout may lie in a folder closed to other users (/root). In a mount
namespace of its own such a folder is covered by an empty one that shows only what is needed.

    python nobody.py INTERPRETER NEEDED:NEEDED:... ARGUMENT...
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sandbox.inside import kernel

# A user of its own for each call: a user's processes are counted together, by the kernel too.
NOBODY = 2_000_000 + os.getpid()


def closed_folders(paths: list[str]) -> list[str]:
    """Return the outermost folders on the way to the paths that other users cannot pass."""
    found: set[str] = set()
    for path in paths:
        for folder in reversed(Path(path).parents):
            if not folder.stat().st_mode & 0o001:
                found.add(str(folder))
                break
    return sorted(found)


def main() -> None:
    """Uncover what is needed, become nobody, and be the interpreter."""
    interpreter, needed, *arguments = sys.argv[1:]
    paths = needed.split(":")
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    opened = {path: os.open(path, os.O_PATH) for path in paths}
    closed = closed_folders(paths)
    for folder in closed:
        kernel.mount("cover", folder, "tmpfs", 0, "mode=755,size=1m")
    for path, fd in opened.items():
        if any(Path(path).is_relative_to(folder) for folder in closed):
            Path(path).mkdir(parents=True, exist_ok=True)
            flags = kernel.MS_BIND | kernel.MS_REC
            kernel.mount(f"/proc/self/fd/{fd}", path, "", flags)
        os.close(fd)
    os.chdir("/")
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    os.environ["HOME"] = "/nonexistent"
    os.execv(interpreter, [interpreter, *arguments])


if __name__ == "__main__":
    main()
