"""Start pytest so that the project under test finds as little to grip as one process allows.

Runs in a box, as `python -I -S -c`; told by the pipe whose number is its argument. pytest is loaded
from the environment before the project's folders are on the path, and each result goes, numbered
and sealed with a nonce, down a second pipe as it happens: what was sent cannot be taken back.

Does not hold: code of the project runs in this process too. It can replace the functions that it is
tested with, find the nonce, and send what it likes. It has to know its way about; a patch that
only wants to make everything pass gives itself away by the tests that must fail.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import sys
from collections.abc import Callable
from typing import Any

_exit, _write, _read, _open, _close = os._exit, os.write, os.read, os.open, os.close


def sealer(fd: int, nonce: bytes) -> Callable[..., None]:
    """Return a function that sends one sealed line. The nonce lives in its closure only."""
    sealed = hmac.new(nonce, digestmod=hashlib.sha256)
    dumps = json.dumps
    number = 0

    def send(*what: Any) -> None:
        nonlocal number
        text = dumps([number, *what])
        number += 1
        seal = sealed.copy()
        seal.update(text.encode())
        line = (seal.hexdigest()[:32] + " " + text + "\n").encode()
        while line:
            line = line[_write(fd, line) :]

    return send


def escape(name: str) -> str:
    """Return a name as pytest writes it into the XML, which takes not every character."""
    illegal = "[^\t\n\r -~\x80-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
    return re.sub(illegal, lambda found: f"#x{ord(found.group()):02X}", name)


def plugin_of(send: Callable[..., None], pytest: Any, address: Any) -> Any:
    """Return the plugin that tells what becomes of each test."""

    def tell(kind: str, report: Any, status: str) -> None:
        names = [escape(name) for name in address(report.nodeid)]
        send(kind, report.nodeid, status, ".".join(names[:-1]), names[-1])

    class Teller:
        @pytest.hookimpl(tryfirst=True)  # type: ignore[untyped-decorator]
        def pytest_runtest_logreport(self, report: Any) -> None:
            status = ""
            if report.passed and report.when == "call":
                status = "passed"
            elif report.failed:
                status = "failed" if report.when == "call" else "error"
            elif report.skipped:
                status = "xfailed" if hasattr(report, "wasxfail") else "skipped"
            if status:
                tell("test", report, status)

        @pytest.hookimpl(tryfirst=True)  # type: ignore[untyped-decorator]
        def pytest_collectreport(self, report: Any) -> None:
            if report.failed:
                send("uncollected", report.nodeid, str(report.longrepr)[-1500:])
            if not report.passed:  # the XML has these too
                tell("file", report, "error" if report.failed else "skipped")

    return Teller()


def digest_of(path: str) -> str:
    """Return the sha256 of a file, "" without one."""
    try:
        fd = _open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return ""
    seen = hashlib.sha256()
    while True:
        part = _read(fd, 1 << 16)
        if not part:
            break
        seen.update(part)
    _close(fd)
    return seen.hexdigest()


def forget(packages: list[str], own: list[str]) -> None:
    """Unload what the project has a version of its own of: that one is to be tested."""
    for name in list(sys.modules):
        top = name.split(".")[0]
        where = getattr(sys.modules[name], "__file__", None) or ""
        if top in own and top not in ("pytest", "_pytest") and where.startswith(tuple(packages)):
            del sys.modules[name]


def main() -> None:
    """Load pytest, let the project in, run, tell, end."""
    fd = int(sys.argv[1])
    parts = []
    while True:
        part = _read(fd, 1 << 16)
        if not part:
            break
        parts.append(part)
    _close(fd)
    told: dict[str, Any] = json.loads(b"".join(parts))
    send = sealer(told["channel"], bytes.fromhex(told.pop("nonce")))
    os.set_inheritable(told["channel"], False)
    send("begin")
    packages: list[str] = told["packages"]
    sys.path += packages
    try:
        import _pytest.junitxml as junit
        import pytest
    except ImportError as error:
        send("broken", str(error))
        _exit(97)
    teller = plugin_of(send, pytest, junit.mangle_test_address)
    arguments = [*told["arguments"], "--junitxml=" + told["xml"], "--rootdir=" + told["tree"]]
    arguments += ["-o", "junit_family=xunit2", "-o", "junit_logging=no", "-p", "no:cacheprovider"]
    if packages:
        forget(packages, told["own"])
    sys.path[:0] = [os.path.normpath(os.path.join(told["tree"], one)) for one in told["pythonpath"]]
    sys.argv = ["pytest", *told["arguments"]]
    xml = told["xml"]
    del told, fd, parts
    code = int(pytest.main(arguments, plugins=[teller]))
    sys.stdout.flush()
    sys.stderr.flush()
    send("end", code, digest_of(xml))
    _exit(code)  # no exit handler of the project's gets another turn


main()
