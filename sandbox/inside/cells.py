"""What the one run of a session is: cells of Python, one after the other, with their state kept.

This code shares its process with the cells, so what it says of a cell is a claim of the cell's
author. What is measured (time, output, the process's end) is measured outside.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal's own wrappers make enums
import linecache
import os
import re
import select
import struct
import sys
import traceback
from types import CodeType, ModuleType
from typing import Any, NoReturn

from sandbox.inside import hooks
from sandbox.inside.displays import TEXT_MOST, Shown, encoded
from sandbox.inside.settings import ANSWERS_FD, LINK_FD, STDERR_FD, STDOUT_FD

# Kept, for a cell may put something else in their places.
_exit, _getpid, _read, _write = os._exit, os.getpid, os.read, os.write

READY = b"ready"
CELL, PUT = b"cell", b"put"
FINE, FAILED, REFUSED, LEFT, FULL = b"fine", b"failed", b"refused", b"left", b"full"
FIXED_PARTS = 7  # of a reply: nonce, state, cut, value, name, message, traceback
NO_VALUE, A_VALUE = b"-", b"+"
IDLE_CODE = 77  # the exit code of a session that nobody spoke to for too long


_SIZE = struct.Struct("<I")
_ASIDE = 100  # our copies of the streams have numbers from here on
_FRAME = re.compile(r'File "(Cell \[\d+\])", line')
_SHELL = re.compile(r"\s*(?:[\w, ]+=\s*)?[!%]|.*\?\s*\Z")
_AWAIT = 0x2000  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_COROUTINE = 0x80  # inspect.CO_COROUTINE
_FUTURES = 0x1FE0000  # the bits of a code's flags that `from __future__` sets


def pack(parts: list[bytes]) -> bytes:
    """Return the parts as one frame."""
    body = b"".join(_SIZE.pack(len(part)) + part for part in parts)
    return _SIZE.pack(len(body)) + body


def unpack(body: bytes) -> list[bytes]:
    """Return the parts of a frame without its head. Raises ValueError where it is none."""
    parts, at = [], 0
    while at < len(body):
        if at + 4 > len(body):
            raise ValueError("a frame ends in the middle of a size")
        (size,) = _SIZE.unpack_from(body, at)
        at += 4 + size
        if at > len(body):
            raise ValueError("a frame ends in the middle of a part")
        parts.append(body[at - size : at])
    return parts


def be(mode: int, job: dict[str, Any]) -> NoReturn:
    """Run cells as they come over the link, until it is closed.

    idle_s: seconds without a word after which the process ends itself.
    """
    try:
        os.setsid()  # kill(0, ...) must not reach the zygote, which may be of the same user
        _quiet()
        hooks.give_back("fork")
        import random

        random.seed()
        os.close(ANSWERS_FD)
        _Cells(job["idle_s"]).serve()
    except BaseException as error:  # noqa: BLE001 - nothing may climb into the zygote's own code
        _mourn(error)
    _exit(0)


def _mourn(error: BaseException) -> None:
    try:
        _write(2, f"{type(error).__name__}: {error}\n".encode("utf-8", "backslashreplace"))
    except BaseException:  # noqa: BLE001 - a cell closed the descriptor
        pass
    _exit(1)


def _quiet() -> None:
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)


class _Gone(Exception):
    """The other side has hung up."""


class _Cells:
    """The state between cells: the module they run in, the streams, an event loop if need be."""

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._pid = _getpid()
        os.set_inheritable(LINK_FD, False)
        self._streams = [_kept(fd) for fd in (STDOUT_FD, STDERR_FD)]
        for stream in (sys.stdout, sys.stderr):
            # A cell that is killed has said what it said.
            stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
        self._shown = Shown()
        self._main = ModuleType("__main__")
        self._main.__dict__["__builtins__"] = sys.modules["builtins"]
        self._main.__dict__["display"] = self._shown.display
        sys.modules["__main__"] = self._main
        sys.argv = [""]
        self._flags = 0
        self._runner: Any = None

    def serve(self) -> None:
        """Answer one request after the other."""
        self._send([READY])
        try:
            while True:
                nonce, what, *rest = unpack(self._receive())
                if what == PUT:
                    name, content = rest
                    reply = _put(os.fsdecode(name), content)
                else:
                    number, source = rest
                    reply = self._cell(int(number), source.decode("utf-8", "surrogatepass"))
                self._send([nonce, *reply])
        except _Gone:
            return

    def _send(self, parts: list[bytes]) -> None:
        raw = pack(parts)
        while raw:
            raw = raw[_write(LINK_FD, raw) :]

    def _receive(self) -> bytes:
        if not select.select([LINK_FD], [], [], self._idle_s)[0]:
            _exit(IDLE_CODE)
        (size,) = _SIZE.unpack(self._exactly(4))
        return self._exactly(size)

    def _exactly(self, count: int) -> bytes:
        got = bytearray()
        while len(got) < count:
            part = _read(LINK_FD, min(1 << 20, count - len(got)))
            if not part:
                raise _Gone
            got += part
        return bytes(got)

    def _cell(self, number: int, source: str) -> list[bytes]:
        """Run a cell and return the reply, whatever it raises, a late interrupt included."""
        self._restore()
        self._shown.clear()
        try:
            reply = self._tried(number, source)
        except BaseException as error:  # noqa: BLE001 - an interrupt that came between
            _quiet()
            reply = self._failure(error)
        _quiet()
        if _getpid() != self._pid:  # a forked child that came to the end of the cell
            _flush()
            _write(STDERR_FD, reply[5])
            _exit(0 if reply[0] in (FINE, LEFT) else 1)
        return [*reply, *self._shown.parts()]

    def _tried(self, number: int, source: str) -> list[bytes]:
        name = f"Cell [{number}]"
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        try:
            codes = self._compiled(source, name)
        except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
            return self._unreadable(error, source)
        try:
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)
            value = self._ran(codes)
            silent = value is None or source.rstrip().endswith(";")
            text, cut = (b"", False) if silent else self._valued(value)
            self._shown.figures()
            return [FINE, b"1" if cut else b"", (NO_VALUE if silent else A_VALUE) + text, *_BLANK]
        except BaseException as error:  # noqa: BLE001 - whatever a cell raises is its result
            _quiet()
            if isinstance(error, SystemExit) and error.code in (None, 0):
                return [LEFT, b"", NO_VALUE, *_BLANK]
            return self._failure(error)
        finally:
            _quiet()
            _flush()

    def _compiled(self, source: str, name: str) -> list[CodeType]:
        """Return the cell's code: its statements, and its last expression by itself."""
        import ast

        flags = self._flags | _AWAIT
        tree = compile(source.removeprefix("\ufeff"), name, "exec", flags | ast.PyCF_ONLY_AST, True)
        last: list[ast.stmt] = []
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            last = [tree.body.pop()]
        codes = []
        if tree.body:
            codes.append(compile(tree, name, "exec", flags, True))
            # What a cell imports of the future holds for the cells that follow, and for its end.
            self._flags |= codes[0].co_flags & _FUTURES
        for statement in last:
            assert isinstance(statement, ast.Expr)
            expression = ast.Expression(statement.value)
            codes.append(compile(expression, name, "eval", self._flags | _AWAIT, True))
        return codes

    def _ran(self, codes: list[CodeType]) -> Any:
        """Run a cell's codes and return the last one's value; in the event loop if one awaits."""
        scope = self._main.__dict__
        value: Any = None
        if not any(code.co_flags & _COROUTINE for code in codes):
            for code in codes:
                value = eval(code, scope)
            return value
        import asyncio

        async def within() -> Any:
            value: Any = None
            for code in codes:
                value = eval(code, scope)
                if code.co_flags & _COROUTINE:
                    value = await value
            return value

        if self._runner is None or self._runner.get_loop().is_closed():
            self._runner = asyncio.Runner()
        return self._runner.run(within())

    def _valued(self, value: Any) -> tuple[bytes, bool]:
        """Return the value's repr and whether it was cut; its richer forms are shown."""
        text = repr(value)
        self._shown.value(value, text)
        return encoded(text[:TEXT_MOST]), len(text) > TEXT_MOST

    def _unreadable(self, error: BaseException, source: str) -> list[bytes]:
        """Return the reply for a cell that is no Python."""
        lines = source.splitlines()
        at = getattr(error, "lineno", None) or 1
        line = lines[at - 1] if 0 < at <= len(lines) else ""
        if isinstance(error, SyntaxError) and _SHELL.match(line):
            error.msg = (
                "shell lines (!), magics (%) and help (?) are IPython's, and cells are plain "
                "Python: subprocess.run(...) runs a command"
            )
        _, *rest = self._failure(error)
        return [FULL if isinstance(error, MemoryError) else REFUSED, *rest]

    def _failure(self, error: BaseException) -> list[bytes]:
        """Return the reply for an exception, its traceback beginning in the cell."""
        state = FULL if isinstance(error, MemoryError) else FAILED
        trace = error.__traceback__
        while trace is not None and not trace.tb_frame.f_code.co_filename.startswith("Cell ["):
            trace = trace.tb_next
        try:
            message = str(error)
        except BaseException:  # noqa: BLE001 - the cell's own __str__
            message = "<its message could not be made>"
        try:
            text = "".join(traceback.format_exception(type(error), error, trace))
        except BaseException:  # noqa: BLE001 - out of memory, or __str__ of the cell's own again
            text = type(error).__name__
        text = _FRAME.sub(r"\1, line", text)
        cut = len(text) > TEXT_MOST
        if cut:  # the end of a traceback says what happened
            text = text[: TEXT_MOST // 2] + "\n...\n" + text[-(TEXT_MOST // 2) :]
        name = encoded(type(error).__name__[:200])
        return [
            state, b"1" if cut else b"", NO_VALUE,
            name, encoded(message[:TEXT_MOST]), encoded(text),
        ]  # fmt: skip

    def _restore(self) -> None:
        """Give the cell its streams, whatever an earlier one did to them."""
        for fd, kept in zip((STDOUT_FD, STDERR_FD), self._streams, strict=True):
            try:
                os.dup2(kept, fd)
            except OSError:  # a cell closed that too: the streams are what they are
                continue
        if sys.stdout is None or getattr(sys.stdout, "closed", False):
            sys.stdout = _stream(STDOUT_FD)
        if sys.stderr is None or getattr(sys.stderr, "closed", False):
            sys.stderr = _stream(STDERR_FD)


_BLANK = (b"", b"", b"")  # no error's name, message and traceback


def _kept(fd: int) -> int:
    """Return another descriptor of the same stream, out of the way of a cell's own."""
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ASIDE)


def _stream(fd: int) -> Any:
    return open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:  # noqa: BLE001 - a cell closed or replaced it
            continue


def _put(name: str, content: bytes) -> list[bytes]:
    """Write a file of the work folder; what fails is said by its errno."""
    try:
        folder = os.path.dirname(name)
        if folder:
            os.makedirs(folder, exist_ok=True)
        with open(name, "wb") as file:
            file.write(content)
    except (OSError, ValueError, MemoryError) as error:
        number = getattr(error, "errno", None) or 0
        if isinstance(error, OSError) and os.path.isfile(name):  # a part of it takes room
            os.unlink(name)
        return [FAILED, b"", NO_VALUE, b"%d" % number, encoded(str(error)), b""]
    return [FINE, b"", NO_VALUE, *_BLANK]


def warm_up(work: str) -> None:
    """Run the common paths once, so that no session pays for what they load."""
    import ast
    import fcntl
    import random

    del fcntl, random
    sys.path[0] = work
    compile(ast.parse("1 + 1"), "warm", "exec")
    try:
        raise ValueError
    except ValueError as error:
        traceback.format_exception(type(error), error, error.__traceback__)
