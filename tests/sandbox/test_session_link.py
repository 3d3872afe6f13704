"""The link to a session's process: whatever comes over it, in time and in bounds."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as some

from sandbox.inside import cells
from sandbox.session.link import Link, LinkLost

REPLY = [b"nonce", cells.FINE, b"", b"+1", b"", b"", b""]


@pytest.fixture
def ends() -> Iterator[tuple[Link, socket.socket]]:
    """A link to this very process, and the other end of it."""
    ours, theirs = socket.socketpair()
    link = Link(ours)
    theirs.sendall(cells.pack([cells.READY]))
    link.greet(5)
    yield link, theirs
    link._pidfd, pidfd = -1, link._pidfd  # it would be killed, and is us
    os.close(pidfd)
    link.close()
    theirs.close()


@given(some.lists(some.binary(max_size=50), max_size=20))
def test_parts_come_back_as_they_were(parts: list[bytes]) -> None:
    frame = cells.pack(parts)
    assert struct.unpack("<I", frame[:4]) == (len(frame) - 4,)
    assert cells.unpack(frame[4:]) == parts


@given(some.binary(max_size=200))
def test_any_bytes_are_parts_or_refused(body: bytes) -> None:
    try:
        parts = cells.unpack(body)
    except ValueError:
        return
    assert cells.pack(parts)[4:] == body


def test_the_kernel_says_who_is_there(ends: tuple[Link, socket.socket]) -> None:
    link, _ = ends
    assert link.pid == os.getpid() and not link.has_ended() and link.is_clean()


def test_a_reply_in_pieces_is_one_reply(ends: tuple[Link, socket.socket]) -> None:
    link, theirs = ends
    for byte in cells.pack(REPLY):
        assert link.receive(0) is None
        theirs.send(bytes([byte]))
    assert link.receive(1) == REPLY
    theirs.send(cells.pack(REPLY) * 2)
    assert link.receive(1) == REPLY
    assert not link.is_clean()  # a second one was not asked for


@pytest.mark.parametrize(
    "raw",
    [
        bytes(8),
        b"\xff" * 8,
        struct.pack("<I", 100 << 20),
        cells.pack([b"too", b"few"]),
        cells.pack([b""] * 5000),
        struct.pack("<II", 4, 9),
    ],
)
def test_what_is_no_reply_loses_the_link(raw: bytes, ends: tuple[Link, socket.socket]) -> None:
    link, theirs = ends
    theirs.send(raw)
    with pytest.raises(LinkLost, match="wrote on"):
        while link.receive(1) is None:
            pass


@pytest.mark.slow
def test_nothing_waits_without_an_end(ends: tuple[Link, socket.socket]) -> None:
    link, theirs = ends
    began = time.monotonic()
    theirs.send(cells.pack(REPLY)[:-1])
    assert link.receive(0.2) is None
    assert link.receive(0.2) is None
    with pytest.raises(LinkLost, match="does not read"):
        link.send([bytes(64 << 20)], 0.3)
    assert 0.4 < time.monotonic() - began < 10
    theirs.close()
    with pytest.raises(LinkLost):
        while True:
            link.receive(1)
