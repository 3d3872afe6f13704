"""What a run does once every layer is on: be a script, answer calls, or put a test to the proof.

Modules that only some jobs need are imported where they are: the zygote of candidates has most of
them loaded, that of tests is kept small, for a fork pays for its parent's size.

This code shares its process with the program under test, so nothing here is trusted by anybody
outside: what it writes are claims, which the judge compares with answers that never came in here.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal's own wrappers make enums
import _thread
import atexit
import gc
import json
import marshal
import os
import sys
from collections.abc import Callable
from types import CodeType, ModuleType
from typing import Any, NoReturn, TextIO

from sandbox.inside import assertions, hooks, settings, wire
from sandbox.inside.channel import Channel
from sandbox.inside.settings import ANSWERS_FD, LINK_FD

_exit = os._exit  # the program may put something else there

# The first letter of a line among the answers.
RETURNED, RAISED, UNFIT = "r", "x", "u"
COMPILE, NO_MEMORY, LOAD, TESTED, REPLIED = "C", "M", "L", "T", "A"


def be(mode: int, job: dict[str, Any]) -> NoReturn:
    """Do the job and end the process."""
    # A group of its own: kill(0, ...) must not reach the zygote, which may be of the same user.
    os.setsid()
    _signal.signal(_signal.SIGINT, _signal.default_int_handler)
    code = 1
    try:
        source = job.get("source", "")
        hooks.give_back(source)
        if "random" in source or job["files"]:
            import random

            random.seed()
        if job["files"]:
            write_files(job["files"])
        if mode == settings.SCRIPT:
            code = _script(job)
        elif mode == settings.CALLS:
            code = _calls(job)
        elif mode == settings.CANDIDATE:
            code = _candidate(job)
        elif mode == settings.FORESEEN:
            code = _foreseen(job)
        elif mode == settings.TESTS:
            code = _tests(job)
        else:
            code = _shared(job)
    except BaseException as error:  # noqa: BLE001 - nothing may climb into the zygote's own code
        _mourn(error)
    _finish(code, finalizers="__del__" in job.get("source", ""))


def _mourn(error: BaseException) -> None:
    """Say what went wrong outside the program's own code: a full disk, a hook that it replaced."""
    try:
        if isinstance(error, MemoryError):
            say(NO_MEMORY)
        os.write(2, f"{_describe(error)}\n".encode("utf-8", "backslashreplace"))
    except BaseException:  # noqa: BLE001 - it closed the descriptors too
        return


def write_files(files: dict[str, bytes]) -> None:
    """Lay the program's files into the current folder."""
    for name, content in files.items():
        folder = os.path.dirname(name)
        if folder:
            os.makedirs(folder, exist_ok=True)
        with open(name, "wb") as file:
            file.write(content)


def say(letter: str, text: str = "") -> None:
    """Add a line to the answers."""
    line = f"{letter}{text}\n".encode("utf-8", "backslashreplace")
    while line:
        line = line[os.write(ANSWERS_FD, line) :]


def _compiled(source: str, path: str) -> CodeType | None:
    """Return the program's code; None after saying why there is none."""
    try:
        # A file may begin with a byte order mark; a string to compile may not.
        code: CodeType = compile(source.removeprefix("\ufeff"), path, "exec", dont_inherit=True)
        return code
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        sys.excepthook(type(error), error.with_traceback(None), None)
        say(COMPILE, f"{type(error).__name__}: {error}".splitlines()[0])
        return None


def _module(name: str, code: CodeType) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = code.co_filename
    module.__dict__["__builtins__"] = sys.modules["builtins"]
    sys.modules[name] = module
    return module


def _script(job: dict[str, Any]) -> int:
    path = f"{sys.path[0]}/main.py"
    source = job["source"]
    try:
        content = source.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte; compile() will say so
        content = source.encode("utf-8", "surrogatepass")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    while content:
        content = content[os.write(fd, content) :]
    os.close(fd)
    code = _compiled(source, path)
    if code is None:
        return 1
    sys.argv = ["main.py", *job["argv"]]
    main = _module("__main__", code)
    try:
        exec(code, main.__dict__)
    except SystemExit as error:
        return _exit_code(error)
    except BaseException as error:  # noqa: BLE001 - as the interpreter does at the top
        _show(error)
        return 1
    finally:
        _await_threads()
    return 0


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1


def _show(error: BaseException) -> None:
    """Print a traceback that begins in the program, and mark a lack of memory."""
    if isinstance(error, MemoryError):
        say(NO_MEMORY)
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    if sys.excepthook is sys.__excepthook__:
        import traceback

        traceback.print_exception(type(error), error, trace)
    else:
        sys.excepthook(type(error), error.with_traceback(trace), trace)


def _await_threads() -> None:
    if _thread._count():
        import threading

        threading._shutdown()  # type: ignore[attr-defined]  # as the interpreter does at its end


def _finish(code: int, *, finalizers: bool) -> NoReturn:
    """End as the interpreter would, without taking its modules apart."""
    try:
        atexit._run_exitfuncs()
        # Before the module goes: a stream of the program's own needs it.
        _flush(sys.stdout, sys.stderr)
        main = sys.modules.pop("__main__", None)
        if main is not None and not _thread._count():
            if finalizers:  # they may use names of the module: those must still be there
                main = None
                gc.collect()
            else:
                main.__dict__.clear()  # files that the program left open are written out
        _flush(sys.__stdout__, sys.__stderr__)  # what finalizers wrote
    except SystemExit as error:
        code = _exit_code(error)
    except BaseException:  # noqa: BLE001 - the program replaced or closed its streams
        code = code or 120
    _exit(code)


def _flush(*streams: TextIO | None) -> None:
    for stream in streams:
        if stream is not None and not getattr(stream, "closed", False):
            stream.flush()


def _loaded(job: dict[str, Any]) -> ModuleType | None:
    """Return the program as a module; None after saying why it could not be loaded."""
    # No file: what is called by value needs none, and tracebacks find the lines in the cache.
    source = job["source"]
    path = f"{sys.path[0]}/program.py"
    import linecache

    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    code = _compiled(source, path)
    if code is None:
        return None
    module = _module("program", code)
    try:
        exec(code, module.__dict__)
    except BaseException as error:  # noqa: BLE001 - SystemExit at module level too
        _show(error)
        say(LOAD, _describe(error))
        return None
    return module


def _describe(error: BaseException) -> str:
    try:
        text = str(error)[:300]
    except BaseException:  # noqa: BLE001 - the program's own __str__
        text = ""
    name = type(error).__name__
    return (f"{name}: {text}" if text else name).replace("\n", " ")


def _found(module: ModuleType, entry_point: str) -> Callable[..., Any] | None:
    first, *rest = entry_point.split(".")
    value: Any = module.__dict__.get(first)
    for name in rest:
        value = getattr(value() if isinstance(value, type) else value, name, None)
    if not callable(value):
        say(LOAD, f"the program defines no function {entry_point}")
        return None
    found: Callable[..., Any] = value
    return found


def _entry(job: dict[str, Any]) -> Callable[..., Any] | None:
    """Return the loaded program's entry point; None after saying why there is none."""
    module = _loaded(job)
    return None if module is None else _found(module, job["entry_point"])


def _calls(job: dict[str, Any]) -> int:
    module = _loaded(job)
    if module is None:
        return 1
    for text in job["calls"]:
        try:
            function = _found(module, job["entry_point"])
        except BaseException as error:  # noqa: BLE001 - the constructor of the program's class
            say(RAISED, _describe(error))
            continue
        if function is None:
            return 1
        args, kwargs = wire.decode(text)
        letter, answer = answered(function, args, kwargs)
        say(letter, answer)
    _await_threads()
    return 0


def answered(function: Callable[..., Any], args: Any, kwargs: Any) -> tuple[str, str]:
    """Call, and return the kind of answer and its text."""
    try:
        value = function(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - whatever the program raises is its answer
        if isinstance(error, MemoryError):
            say(NO_MEMORY)
        return RAISED, _describe(error)
    try:
        return RETURNED, wire.encode(value, loose=True)
    except wire.WireError as error:
        return UNFIT, str(error)
    except (MemoryError, RecursionError) as error:
        return UNFIT, f"the value could not be written down: {type(error).__name__}"


_UNCHANGEABLE = frozenset({int, float, bool, str, bytes, complex, type(None), range, frozenset})


def _candidate(job: dict[str, Any]) -> int:
    """Serve the test box's calls over the link until it hangs up."""
    link = Channel(LINK_FD)
    function = _entry(job)
    if function is None:
        return 1
    while (request := link.receive()) is not None:
        link.send(_reply(function, request))
    return 0


def _foreseen(job: dict[str, Any]) -> int:
    """Answer the calls that the test is known to make, in their order."""
    function = _entry(job)
    if function is None:
        return 1
    for request in job["calls"]:
        say(REPLIED, _reply(function, request))
    return 0


def _reply(function: Callable[..., Any], request: str) -> str:
    """Call as `request` says; return the answer and what became of the arguments, framed."""
    args, kwargs = wire.decode(request)
    letter, answer = answered(function, args, kwargs)
    after = ""
    if not _UNCHANGEABLE.issuperset(map(type, (*args, *kwargs.values()))):
        try:
            after = wire.encode((args, kwargs), loose=True)
        except wire.WireError:  # it used an argument as a store of its own objects
            after = ""
        if after == request:
            after = ""
    return f"{letter}{len(answer)} {answer}{after}"


def _tests(job: dict[str, Any]) -> int:
    calls = job["calls"]
    proxy = assertions.Proxy(Channel(LINK_FD)) if calls is None else assertions.Replay(job)
    say(TESTED, json.dumps(assertions.prove(job, proxy)))
    return 0


def _shared(job: dict[str, Any]) -> int:
    """Program and tests in one process. The nonce comes only after the program was loaded."""
    link = Channel(LINK_FD)
    function = _entry(job)
    if function is None:
        return 1
    link.send("loaded")
    nonce = link.receive()
    result = assertions.prove(job, assertions.Beside(function))
    link.send(json.dumps({**result, "nonce": nonce}))
    return 0


def warm_up(work: str) -> None:
    """Run the common paths once, so that no run pays for what they load."""
    sys.path[0] = work
    code = compile("def f(x):\n    return [x, (1.5, 'a')]\n", "warm", "exec")
    scope: dict[str, Any] = {}
    exec(code, scope)
    wire.decode(wire.encode([scope["f"](3), {"k": {1, 2}}, b"x"]))
    json.loads(json.dumps({"a": [1, None, "b"]}))
    marshal.loads(marshal.dumps({"source": "", "calls": ()}))
    assertions.warm_up()
