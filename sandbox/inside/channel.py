"""Framed text over the socket that joins a test's box to its candidate's box."""

from __future__ import annotations

import os
import struct

_LENGTH = struct.Struct("<I")
_LIMIT = 256 << 20
_CHUNK = 1 << 12


class ChannelClosed(Exception):
    """The other side has gone."""


class Channel:
    """Send and receive whole texts on a stream socket's descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._buffer = b""

    def send(self, text: str) -> None:
        """Send a text. Raises ChannelClosed when the other side has gone."""
        raw = text.encode("utf-8", "surrogatepass")
        raw = _LENGTH.pack(len(raw)) + raw
        try:
            while raw:
                raw = raw[os.write(self._fd, raw) :]
        except (BrokenPipeError, ConnectionResetError):
            raise ChannelClosed from None

    def receive(self, limit: int = _LIMIT) -> str | None:
        """Return the next text; None when the other side has gone, or sent what is no text.

        limit: the most bytes that are taken in.
        """
        head = self._take(_LENGTH.size)
        if head is None:
            return None
        (size,) = _LENGTH.unpack(head)
        if size > limit:
            return None
        body = self._take(size)
        if body is None:
            return None
        try:
            return body.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return None

    def _take(self, count: int) -> bytes | None:
        parts = [self._buffer]
        have = len(self._buffer)
        while have < count:
            try:
                part = os.read(self._fd, max(_CHUNK, count - have))
            except ConnectionResetError:
                return None
            if not part:
                return None
            parts.append(part)
            have += len(part)
        whole = b"".join(parts) if len(parts) > 1 else parts[0]
        self._buffer = whole[count:]
        return whole[:count]
