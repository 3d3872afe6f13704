"""The root that programs see: a read-only tree with the toolchain and one small writable place.

Holds: nothing of the host but the named folders is there, and none of it can be written.
Does not hold: what the named folders themselves contain can be read (the toolchain is public).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sandbox.inside import kernel
from sandbox.inside.kernel import MS_NODEV, MS_NOEXEC, MS_NOSUID
from sandbox.inside.settings import SHELF, WORK, Settings

_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9)}
_DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "shm": WORK,
}
_STAGING = "/tmp"  # only a place to mount on, inside our own mount namespace


def build_root(settings: Settings, *, uid: int, gid: int) -> None:
    """Make and enter the root. Needs its own mount namespace; ends with the tree read-only."""
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    trees = [(tree, os.open(tree, os.O_PATH | os.O_CLOEXEC)) for tree in settings.trees]
    packages = [(path, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in settings.packages]
    linker_cache = _read("/etc/ld.so.cache")
    devices = {name: os.open(f"/dev/{name}", os.O_PATH | os.O_CLOEXEC) for name in _DEVICES}
    new = Path(_STAGING)
    os.umask(0o022)
    kernel.mount("box", _STAGING, "tmpfs", MS_NOSUID, "size=16m,nr_inodes=4096,mode=755")
    os.chdir(new)
    for name in (WORK, "/dev", "/etc", "/proc"):
        (new / name.lstrip("/")).mkdir(parents=True)
    for path, target in settings.links:
        (new / path.lstrip("/")).symlink_to(target)
    (new / "var").mkdir()
    for scratch in ("tmp", "var/tmp"):
        # An interpreter may live there; then the folder is a real one, and only read.
        if not any(Path(tree).is_relative_to(f"/{scratch}") for tree in settings.trees):
            (new / scratch).symlink_to(WORK)
    _devices(new / "dev", devices)
    etc = new / "etc"
    (etc / "passwd").write_text(f"root:x:0:0::/:/bin/false\nbox:x:{uid}:{gid}::/box/work:/bin/sh\n")
    (etc / "group").write_text(f"root:x:0:\nbox:x:{gid}:\n")
    (etc / "hosts").write_text("127.0.0.1 localhost box\n::1 localhost box\n")
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
    (etc / "ld.so.cache").write_bytes(linker_cache)
    for tree, fd in trees:
        _bind(f"/proc/self/fd/{fd}", new / tree.lstrip("/"))
        os.close(fd)
    for hidden in settings.hidden:
        place = new / hidden.lstrip("/")
        if place.is_dir():
            kernel.mount("hidden", str(place), "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
    for path, fd in packages:
        _bind(f"/proc/self/fd/{fd}", new / SHELF.lstrip("/") / Path(path).name)
        os.close(fd)
    for hidden in settings.hidden:
        if (new / hidden.lstrip("/")).is_dir():
            kernel.make_read_only(str(new / hidden.lstrip("/")))
    kernel.mount("proc", str(new / "proc"), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    os.chdir(new)
    kernel.pivot_root_here()
    os.chdir("/")
    for device in devices.values():
        os.close(device)
    _seal()


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return b""  # musl has none


def _devices(folder: Path, host: dict[str, int]) -> None:
    for name, (major, minor) in _DEVICES.items():
        node = folder / name
        try:
            os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(major, minor))
            node.chmod(0o666)
        except PermissionError:  # inside a user namespace devices can only be borrowed
            node.touch()
            kernel.mount(f"/proc/self/fd/{host[name]}", str(node), "", kernel.MS_BIND)
    for name, target in _DEVICE_LINKS.items():
        (folder / name).symlink_to(target)


def _bind(source: str, target: Path) -> None:
    if Path(source).is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    kernel.mount(source, str(target), "", kernel.MS_BIND | kernel.MS_REC)
    kernel.make_read_only(str(target))


def _seal() -> None:
    flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | MS_NOSUID
    kernel.mount("none", "/", "", flags)
