"""The mounts of a run: an empty work folder, its own /proc, in namespaces that end with it."""

from __future__ import annotations

import os
from collections.abc import Callable

from sandbox.inside import kernel
from sandbox.inside.kernel import MS_NODEV, MS_NOEXEC, MS_NOSUID
from sandbox.inside.settings import WORK


class Runs:
    """The namespaces of runs, as their zygote makes them: own PIDs, and an empty work folder.

    The zygote enters them before it forks and comes back afterwards, for a fresh child would pay a
    page fault for nearly every line of it.
    """

    def __init__(self, uid: int) -> None:
        pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        mounts = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        self.pids, self.mounts = pids, mounts
        self._uid = uid
        self._disk_bytes = 0
        self._separate = kernel.prepared_unshare(kernel.CLONE_NEWPID | kernel.CLONE_NEWNS)
        self._mount_work: Callable[[], int]
        self._back_to_pids = kernel.prepared_setns(pids, kernel.CLONE_NEWPID)
        self._back_to_mounts = kernel.prepared_setns(mounts, kernel.CLONE_NEWNS)
        # Mounts the run's /proc, 0 when done. Only a process of the run can: it shows the PIDs of
        # whoever mounts it.
        self.show_processes = kernel.prepared_mount(
            "proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "subset=pid"
        )

    def enter(self, disk_bytes: int) -> None:
        """Go into the namespaces of a new run, whose work folder holds `disk_bytes`."""
        if disk_bytes != self._disk_bytes:
            options = f"size={disk_bytes},nr_inodes=16384,mode=700,uid={self._uid},gid={self._uid}"
            self._mount_work = kernel.prepared_mount(
                "work", WORK, "tmpfs", MS_NOSUID | MS_NODEV, options
            )
            self._disk_bytes = disk_bytes
        kernel.must(self._separate(), "unshare")
        kernel.must(self._mount_work(), "mount the work folder")
        os.chdir(WORK)

    def leave(self) -> None:
        """Come back from a run's namespaces."""
        kernel.must(self._back_to_pids(), "setns to our PIDs")
        kernel.must(self._back_to_mounts(), "setns to our mounts")
