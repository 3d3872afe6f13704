"""A container engine of the tests' own: its data, socket and images in a folder that goes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from sandbox import SandboxUnavailable
from sandbox.containers import engine, image

CHECKOUT = Path(__file__).resolve().parents[2]
IMAGE = "seedcoder-sandbox:minimal"
_START_S = 40.0


class Unable(Exception):
    """Why there is no engine here."""


class Engine:
    """A running dockerd. DOCKER_HOST names it while it runs."""

    def __init__(self) -> None:
        lacking = [x for x in ("dockerd", "debootstrap", "setpriv") if shutil.which(x) is None]
        if lacking or os.geteuid() != 0:
            why = f"no {', '.join(lacking)}; `make docker-engine` installs it" if lacking else ""
            raise Unable(why or "only root can start a container engine")
        self.folder = Path(tempfile.mkdtemp(prefix="seedcoder-engine-"))
        self.host = f"unix://{self.folder}/socket"
        self.before = os.environ.get("DOCKER_HOST")
        self.process: subprocess.Popen[bytes] | None = None
        try:
            why = ""
            for driver in ("overlay2", "vfs"):
                why = self._start(driver)
                if not why:
                    break
            if why:
                raise Unable(f"dockerd does not start: {why}")
            os.environ["DOCKER_HOST"] = self.host
            try:
                image.build(
                    IMAGE, minimal=True, say=lambda line: None, keep=CHECKOUT / ".cache" / "docker"
                )
            except SandboxUnavailable as error:
                raise Unable(str(error)) from None
        except BaseException:
            self.close()
            raise

    def _start(self, driver: str) -> str:
        """Start it and return "", or why it does not start."""
        log = self.folder / "log"
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                # It ends with us however we end; a network of its own keeps it off the host's.
                [
                    *("setpriv", "--pdeathsig", "TERM", "unshare", "-n"),
                    *("dockerd", "-H", self.host, "--data-root", str(self.folder / "data")),
                    *("--exec-root", str(self.folder / "exec")),
                    *("--pidfile", str(self.folder / "pid"), "--storage-driver", driver),
                    *("--iptables=false", "--ip6tables=false", "--bridge=none"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_S
        os.environ["DOCKER_HOST"] = self.host
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(SandboxUnavailable):
                engine.connect().close()
                return ""
            time.sleep(0.2)
        self._stop()
        return log.read_text(errors="replace").strip().rpartition("\n")[2][-300:]

    def _stop(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def running(self, pid: int) -> list[str]:
        """Return the ids of running containers of the process `pid`."""
        client = engine.connect()
        try:
            return [
                str(one["Id"])
                for one in client.api.containers(filters={"label": engine.LABEL})
                if one["Labels"]["seedcoder.owner"].split()[2] == str(pid)
            ]
        finally:
            client.close()

    def close(self) -> None:
        """Stop it, and remove all it had."""
        self._stop()
        if self.before is None:
            os.environ.pop("DOCKER_HOST", None)
        else:
            os.environ["DOCKER_HOST"] = self.before
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            place = line.split()[1]
            if place.startswith(str(self.folder)):
                subprocess.run(["umount", "-l", place], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)
