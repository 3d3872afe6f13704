"""The first process of a container, and the zygote in it: the container holds, and they add to it.

The keeper calls the supervisor through a socket in a mounted folder, twice. One connection becomes
the zygote's; on the other, the leash, the supervisor asks it to empty the writable folders, and its
hanging up ends the keeper and with it the container, however the supervisor died.
Added to the container: Landlock (our own files, the image's packages and the calling socket are
hidden), the filter of system calls, rlimits, the hunt for leftovers after each run.
Does not hold: memory and processes as a whole (the container's cgroup does), disk (its tmpfs do).
Started as `python -c BOOTSTRAP FOLDER SOCKET SHARED`; SHARED is the other writable folder, or "".
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself makes enums of it all
import _socket
import contextlib
import importlib.util
import json
import os
import sys
import sysconfig

from sandbox.inside import kernel, restrict, syscall_filter, workplace, zygote
from sandbox.inside.settings import READY, Settings

EMPTY, WHERE = b"e", b"w"
DONE = b"done"
_LANDLOCK_SCOPES_SIGNALS = 6
_CPU_FILES = ("/sys/fs/cgroup/cpuacct/cpuacct.usage", "/sys/fs/cgroup/cpu.stat")
_LOOKED_AT = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/go/bin", "/opt")
_MESSAGE = 1 << 16


class Contained(zygote.Zygote):
    """A zygote in a container: rules over files where the kernel has them, and AF_UNIX sockets."""

    shared = ""  # the other writable folder

    def _load(self) -> None:
        for path in _CPU_FILES:
            if self.told.counts_memory and self.cpu < 0 and os.path.exists(path):
                self.cpu = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if kernel.landlock_version():
            self.rules = restrict.ruleset(self.told)
            if self.shared:
                restrict.allow_all(self.rules, self.shared)
        super()._load()

    def _filters(self) -> tuple[bytes, bytes]:
        most = syscall_filter.build(memfd=self.told.counts_memory)
        alone = kernel.landlock_version() >= _LANDLOCK_SCOPES_SIGNALS
        return most, syscall_filter.build_rest(signals=alone)


def main() -> None:
    """Call the supervisor, start the zygote, and stay until either has ended."""
    control, leash = _called(sys.argv[2]), _called(sys.argv[2])
    told = Settings.from_bytes(control.recv(_MESSAGE))
    told, shared = _with_image(told), sys.argv[3]
    # Before the fork, so that neither is ever open to what runs as the same user.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    child = os.fork()
    if child == 0:
        leash.close()
        _be_zygote(control, told, shared)
        os._exit(0)
    control.close()
    _keep(leash, child, tuple(filter(None, (told.work, shared))))


def _be_zygote(control: _socket.socket, told: Settings, shared: str) -> None:
    made = Contained(control, told, os.getuid())
    made.shared = shared
    try:
        made.enter()
    except (OSError, ImportError) as error:
        made.control.send(f"{type(error).__name__}: {error}".encode())
        return
    made.control.send(READY)
    made.serve()


def _called(path: str) -> _socket.socket:
    link = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    link.connect(path)
    return link


def _with_image(told: Settings) -> Settings:
    """Return the settings with what only the image can tell: where its Python keeps its modules.

    `packages` come as names; packages of the image that are not named are hidden.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = os.path.realpath(sysconfig.get_path("stdlib"))
    stdlib = [f"{os.path.dirname(folder)}/python{version.replace('.', '')}.zip", folder]
    stdlib.append(f"{folder}/lib-dynload")
    hidden, found, paths = set(told.hidden), [], []
    for place in _package_places(folder):
        hidden.add(place)
        for name in told.packages:
            for part in (f"{place}/{name}", f"{place}/{name}.libs"):
                if os.path.isdir(part):
                    found.append(part)
                    paths.append(place)
    # Links (/bin) would show what is hidden behind them; what they lead to is shown anyway.
    roots = [entry.path for entry in os.scandir("/") if not entry.is_symlink()]
    return told._replace(
        trees=tuple(path for path in roots if path not in (*told.hidden, told.work, "/dev")),
        hidden=tuple(sorted(hidden)),
        packages=tuple(found),
        sys_path=(*(path for path in stdlib if os.path.exists(path)), *dict.fromkeys(paths)),
        preimport=tuple(name for name in told.preimport if _is_there(name)),
    )


def _package_places(stdlib: str) -> list[str]:
    found = []
    for prefix in dict.fromkeys((os.path.dirname(os.path.dirname(stdlib)), "/usr", "/usr/local")):
        for library in (f"{prefix}/lib", f"{prefix}/lib64"):
            if not os.path.isdir(library):
                continue
            for name in os.listdir(library):
                for kind in ("site-packages", "dist-packages"):
                    place = f"{library}/{name}/{kind}"
                    if name.startswith("python") and os.path.isdir(place):
                        found.append(os.path.realpath(place))
    return list(dict.fromkeys(found))


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _keep(leash: _socket.socket, child: int, folders: tuple[str, ...]) -> None:
    """Serve the leash until it hangs up or the zygote has ended."""
    import select  # here, not above: the zygote was forked without it

    _signal.signal(_signal.SIGTERM, lambda *_: os._exit(0))  # the first process has no default
    zygote_fd = os.pidfd_open(child)
    poll = select.poll()
    poll.register(leash.fileno(), select.POLLIN)
    poll.register(zygote_fd, select.POLLIN)
    while zygote_fd not in [fd for fd, _ in poll.poll()]:
        request = leash.recv(_MESSAGE)
        if not request:
            break
        try:
            leash.send(_answer(request, folders))
        except OSError as error:
            leash.send(str(error).encode())
    # The first process of a PID namespace: its end is that of all that runs here.
    os._exit(0)


def _answer(request: bytes, folders: tuple[str, ...]) -> bytes:
    if request[:1] == WHERE:
        return json.dumps({name: where(name) for name in json.loads(request[1:])}).encode()
    for folder in folders:
        workplace.empty(folder)
        with contextlib.suppress(PermissionError):  # it is root's: nobody here can write in it
            os.utime(folder)
    return DONE


def where(name: str) -> str:
    """Return where a tool, or an absolute path, of the image is; "" where it has none.

    Links of Debian's alternatives are followed: no program need see /etc.
    """
    if name.startswith("/"):
        return name if os.path.exists(name) else ""
    for folder in _LOOKED_AT:
        path = f"{folder}/{name}"
        if os.access(path, os.X_OK):
            while os.path.islink(path):
                target = os.path.join(os.path.dirname(path), os.readlink(path))
                if "/etc/alternatives" not in (os.path.dirname(target), os.path.dirname(path)):
                    break
                path = os.path.normpath(target)
            return path
    return ""
