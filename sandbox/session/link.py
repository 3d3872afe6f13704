"""Our end of a session's link: frames with time limits, and a hold on the process behind it.

The process's code may do to the link what it likes. Nothing here waits without a limit, or takes in
more than a frame may hold.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import threading
import time

from sandbox.errors import SandboxBroken
from sandbox.inside import cells, displays

# Ours: all displays, the value, the message and the traceback (4 bytes a character), and what
# frames them.
_REPLY_MOST = displays.SHOWN_MOST + 3 * 4 * displays.TEXT_MOST + (1 << 16)
_PARTS_MOST = cells.FIXED_PARTS + 3 * displays.PARTS_MOST
_CHUNK = 1 << 16
_ENDING_S = 0.5
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_HEAD = struct.Struct("<I")


class LinkLost(Exception):
    """The process has ended, closed its end, or sent what is no reply."""


class Link:
    """The link to one run of cells."""

    def __init__(self, ours: socket.socket) -> None:
        # The kernel then says with every message which process sent it, by its number out here.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        ours.setblocking(False)
        self._socket = ours
        self._buffer = bytearray()
        self._pidfd = -1
        self._lock = threading.Lock()
        self.pid = 0

    def greet(self, timeout_s: float) -> None:
        """Wait for the process's first word, which it says before any cell.

        Raises LinkLost where it ended instead, SandboxBroken where it says nothing in time.
        """
        if not _ready(timeout_s, self._socket.fileno()):
            raise SandboxBroken(f"a session said nothing for {timeout_s:.0f} s after its start")
        try:
            raw, riding, _, _ = self._socket.recvmsg(64, socket.CMSG_SPACE(_CREDENTIALS.size))
        except ConnectionError:
            raise LinkLost("it ended before its first word") from None
        if raw != cells.pack([cells.READY]) or not riding:
            raise LinkLost("it ended before its first word")
        self.pid = _CREDENTIALS.unpack(riding[0][2])[0]
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            raise LinkLost("it ended right after its first word") from None
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)

    def is_clean(self) -> bool:
        """Return whether the process lives and has said nothing unasked."""
        return not self._buffer and not _ready(0, self._socket.fileno(), self._pidfd)

    def has_ended(self) -> bool:
        """Return whether the process has ended."""
        return bool(_ready(0, self._pidfd))

    def send(self, parts: list[bytes], timeout_s: float) -> None:
        """Send a request. Raises LinkLost where the process has gone, or does not read it."""
        view = memoryview(cells.pack(parts))
        until = time.monotonic() + timeout_s
        while view:
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise LinkLost("it does not read what it is sent")
            ready = _ready(left_s, self._pidfd, writable=self._socket.fileno())
            if self._pidfd in ready:
                raise LinkLost("it has ended")
            if ready:
                try:
                    view = view[self._socket.send(view[:_CHUNK]) :]
                except BlockingIOError:
                    continue
                except ConnectionError:
                    raise LinkLost("it closed the session's link") from None

    def receive(self, timeout_s: float) -> list[bytes] | None:
        """Return a reply, None when there is none yet. Raises LinkLost."""
        reply = self._whole()
        if reply is not None:
            return reply
        ready = _ready(timeout_s, self._socket.fileno(), self._pidfd)
        if self._socket.fileno() in ready:
            try:
                part = self._socket.recv(_CHUNK)
            except BlockingIOError:
                return None
            except ConnectionError:
                part = b""
            if not part:  # a process lets go of it a moment before it has ended
                ended = _ready(_ENDING_S, self._pidfd)
                raise LinkLost("it has ended" if ended else "it closed the session's link")
            self._buffer += part
            return self._whole()
        if ready:
            raise LinkLost("it has ended")
        return None

    def _whole(self) -> list[bytes] | None:
        if len(self._buffer) < _HEAD.size:
            return None
        (size,) = _HEAD.unpack_from(self._buffer)
        if size > _REPLY_MOST:
            raise LinkLost("it wrote on the session's link")
        if len(self._buffer) < _HEAD.size + size:
            return None
        body = bytes(self._buffer[_HEAD.size : _HEAD.size + size])
        del self._buffer[: _HEAD.size + size]
        try:
            parts = cells.unpack(body)
        except ValueError:
            raise LinkLost("it wrote on the session's link") from None
        if not cells.FIXED_PARTS <= len(parts) <= _PARTS_MOST:
            raise LinkLost("it wrote on the session's link")
        return parts

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process; any thread may."""
        with self._lock:
            if self._pidfd >= 0:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._pidfd, number)

    def close(self) -> None:
        """Hang up, and end the process."""
        self.signal(signal.SIGKILL)
        self._socket.close()
        with self._lock:
            if self._pidfd >= 0:
                os.close(self._pidfd)
                self._pidfd = -1


def _ready(timeout_s: float, *readable: int, writable: int = -1) -> set[int]:
    """Return which descriptors can be read (or have hung up), or written."""
    poll = select.poll()  # select() takes no descriptor above 1,023, and a server has many
    for fd in readable:
        poll.register(fd, select.POLLIN)
    if writable >= 0:
        poll.register(writable, select.POLLOUT)
    return {fd for fd, _ in poll.poll(max(0.0, timeout_s) * 1000)}
