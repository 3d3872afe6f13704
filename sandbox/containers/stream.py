"""A command in a running container: its stdin sent, its output drained to the end, kept to a cap.

Nothing it writes can make us wait: what goes over the cap is read and dropped until its box ends.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from typing import Any

from sandbox.containers import engine
from sandbox.containers.engine import Container

_HEAD = struct.Struct(">BxxxI")
_STDOUT, _STDERR = 1, 2
_CHUNK = 1 << 16


class Command:
    """One exec in a container, as a pair of streams."""

    def __init__(
        self,
        container: Container,
        argv: tuple[str, ...],
        *,
        workdir: str,
        user: int,
        environment: dict[str, str],
        stdin: bytes,
        output_most: int,
    ) -> None:
        """output_most: bytes kept of stdout and of stderr each."""
        self._api: Any = container.client.api
        self._most = output_most
        self._stdin = memoryview(stdin)
        self._raw = bytearray()
        self._left = (0, 0)  # stream, bytes that are still to come of the frame
        self.output = {_STDOUT: bytearray(), _STDERR: bytearray()}
        self.over = False
        with engine.broken("starting a command"):
            self._id: str = self._api.exec_create(
                container.id, list(argv), stdin=True, stdout=True, stderr=True,
                workdir=workdir, user=f"{user}:{user}", environment=environment,
            )["Id"]  # fmt: skip
            self._response: Any = self._api.exec_start(self._id, socket=True)
        self._socket: socket.socket = getattr(self._response, "_sock", self._response)
        self._socket.setblocking(False)
        if not stdin:
            self._end_stdin()

    def turn(self, seconds: float) -> bool:
        """Send and drain what can be for at most `seconds`; return whether it has ended."""
        writing = [self._socket] if self._stdin else []
        readable, writable, _ = select.select([self._socket], writing, [], seconds)
        if writable:
            try:
                self._stdin = self._stdin[self._socket.send(self._stdin[:_CHUNK]) :]
            except BlockingIOError:
                pass
            except OSError:  # it does not read to its end
                self._stdin = memoryview(b"")
            if not self._stdin:
                self._end_stdin()
        if readable:
            try:
                chunk = self._socket.recv(_CHUNK)
            except BlockingIOError:
                return False
            except OSError:
                return True
            if not chunk:
                return True
            self._take(chunk)
        return False

    def _end_stdin(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def _take(self, chunk: bytes) -> None:
        self._raw += chunk
        at = 0
        while True:
            stream, left = self._left
            if left:
                part = self._raw[at : at + left]
                if not part:
                    break
                at += len(part)
                self._left = (stream, left - len(part))
                self._keep(stream, part)
            elif len(self._raw) - at >= _HEAD.size:
                self._left = _HEAD.unpack_from(self._raw, at)
                at += _HEAD.size
            else:
                break
        del self._raw[:at]

    def _keep(self, stream: int, part: bytearray) -> None:
        kept = self.output.get(stream)
        if kept is None:
            return
        room = self._most - len(kept)
        kept += part[:room]
        self.over = self.over or len(part) > room

    def text(self) -> tuple[str, str]:
        """Return what was kept of stdout and stderr."""
        out, err = (bytes(self.output[x]).decode("utf-8", "replace") for x in (_STDOUT, _STDERR))
        return out, err

    def exit_code(self) -> int:
        """Return the exit code of a command that has ended; 128 + n for signal n."""
        with engine.broken("asking for an exit code"):
            code = self._api.exec_inspect(self._id)["ExitCode"]
        return -1 if code is None else int(code)

    def close(self) -> None:
        """Let go of its streams."""
        with contextlib.suppress(OSError):
            self._socket.close()
        with contextlib.suppress(OSError, AttributeError):
            self._response.close()
