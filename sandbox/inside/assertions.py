"""Put test code that asserts to the proof: the candidate is a proxy into another box.

The test's box holds the answers and no line of the candidate's code. What comes over the link is
plain data of exact builtin types, so `==` in the test means what the test's author meant.
"""

from __future__ import annotations

import ast
import base64
import builtins
import marshal
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from sandbox.inside import flow, wire
from sandbox.inside.channel import Channel, ChannelClosed

_SHORT = 400
_LEARNT_MOST = 1 << 18  # characters of code, and of all calls: a report must stay short


class CandidateGone(BaseException):
    """The candidate's process ended before it answered. Its own outcome says why."""


class CandidateError(Exception):
    """The candidate raised an exception of a type that is not Python's own."""


class ArgumentUnfit(BaseException):
    """The test passed an argument that cannot cross as data."""


class Unforeseen(BaseException):
    """The test made another call than it was seen to make before."""


class Proxy:
    """The candidate, as tests see it: a callable whose work is done in another box.

    Contract: arguments cross by value; what the candidate changed in them in place is changed in
    the caller's objects too; exceptions of Python's own types are raised again under their names.
    `lost` says that a call was never answered, whatever the test made of the exception.
    """

    def __init__(self, link: Channel) -> None:
        self._link = link
        self.lost: CandidateGone | ArgumentUnfit | Unforeseen | None = None
        self.sent = 0
        self.answered = 0
        self.calls: list[str] = []
        self.changed = False  # the candidate changed an argument in place
        self.last_call = ""
        self.last_answer = ""
        self._name = ""

    def named(self, name: str) -> Callable[..., Any]:
        """Return the function that tests call."""
        self._name = name

        def candidate(*args: Any, **kwargs: Any) -> Any:
            return self._call(args, kwargs)

        candidate.__name__ = candidate.__qualname__ = name
        return candidate

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.lost is not None:
            raise self.lost
        try:
            request = wire.encode((args, kwargs))
        except wire.WireError as error:
            # Once the candidate has answered, only what no answer can be made of is surely the
            # test's own: a candidate must not choose the weaker mode by what it returns.
            if self.answered and not isinstance(error, wire.ForeignType):
                raise CandidateError(f"what it returned cannot be passed back: {error}") from None
            self.lost = ArgumentUnfit(str(error))
            raise self.lost from None
        self.sent += 1
        self.last_call = request
        self.last_answer = ""
        reply = self._exchange(request)
        if reply is None:
            self.lost = CandidateGone()
            raise self.lost
        self.answered += 1
        return self._take(reply, args, kwargs)

    def _exchange(self, request: str) -> str | None:
        """Return the candidate's reply; None when its process has ended."""
        self.calls.append(request)
        try:
            self._link.send(request)
            return self._link.receive()
        except ChannelClosed:
            return None

    def _take(self, reply: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        letter = reply[:1]
        size, _, rest = reply[1:].partition(" ")
        try:
            end = int(size)
        except ValueError:
            raise CandidateError("the candidate's box sent no answer") from None
        answer, after = rest[:end], rest[end:]
        self.last_answer = answer
        try:
            value = wire.decode(answer) if letter == "r" else None
            if after:
                self.changed = True
                new_args, new_kwargs = wire.decode(after)
                overwrite(args, new_args)
                overwrite(kwargs, new_kwargs)
        except (ValueError, TypeError) as error:
            raise CandidateError(f"the candidate's box sent no value: {error}") from None
        if letter == "r":
            return value
        raise _exception(answer) if letter == "x" else CandidateError(answer)

    def call_in_words(self) -> str:
        """Return the last call as source, shortened."""
        if not self.last_call:
            return ""
        args, kwargs = wire.decode(self.last_call)
        words = [short(arg) for arg in args] + [f"{k}={short(v)}" for k, v in kwargs.items()]
        return f"{self._name}({', '.join(words)})"

    def answer_in_words(self) -> str:
        """Return the last answer, shortened."""
        try:
            return short(wire.decode(self.last_answer)) if self.last_answer else ""
        except wire.WireError:
            return self.last_answer[:_SHORT]


class Replay(Proxy):
    """A proxy whose candidate has answered beforehand the calls that the test was seen to make."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        super().__init__(Channel(-1))
        self._foreseen: Sequence[str] = job["calls"]
        self._replies: Sequence[str] = job["replies"]

    def _exchange(self, request: str) -> str | None:
        index = self.sent - 1
        if index >= len(self._foreseen) or self._foreseen[index] != request:
            self.lost = Unforeseen()
            raise self.lost
        return self._replies[index] if index < len(self._replies) else None


def _exception(answer: str) -> Exception:
    """Return the exception that a candidate raised, if it is of one of Python's own types."""
    name, _, text = answer.partition(": ")
    kind = getattr(builtins, name, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        return CandidateError(answer)
    if issubclass(kind, StopIteration | StopAsyncIteration):
        return RuntimeError(answer)  # as in a generator: `all(map(...))` must not end early
    try:
        return kind(text)
    except TypeError:  # UnicodeDecodeError and its like want five arguments
        return CandidateError(answer)


class Beside:
    """The candidate in the test's own process: the shared mode."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.lost: CandidateGone | ArgumentUnfit | Unforeseen | None = None
        self.calls: list[str] = []
        self.changed = False
        self.sent = 0
        self.answered = 0
        self._words = ("", "")

    def named(self, name: str) -> Callable[..., Any]:
        """Return the function that tests call: the candidate itself, counted."""

        def candidate(*args: Any, **kwargs: Any) -> Any:
            self.sent += 1
            self._words = (f"{name}({', '.join(map(short, args))})", "")
            try:
                value = self._function(*args, **kwargs)
            except (StopIteration, StopAsyncIteration) as error:
                self.answered += 1
                raise RuntimeError(f"{type(error).__name__}: {error}") from None
            except Exception:
                self.answered += 1
                raise
            self.answered += 1
            self._words = (self._words[0], short(value))
            return value

        return candidate

    def call_in_words(self) -> str:
        """Return the last call as source, shortened."""
        return self._words[0]

    def answer_in_words(self) -> str:
        """Return the last answer, shortened."""
        return self._words[1]


def prove(job: Mapping[str, Any], proxy: Proxy | Beside) -> dict[str, Any]:
    """Run context, test and call; return what happened as plain data.

    Keys: state ("passed", "failed", "gone", "unfit", "unforeseen" or "untested"), sent, answered,
    and for a failure: line, call, expected, got, reason. Where the job has no code yet, also what
    the next judgement by these tests may know: code and calls.
    """
    scope: dict[str, Any] = {"__name__": "tests"}
    sources = {"<context>": job["context"], "<test>": job["test"], "<call>": job["call"]}
    state, failure = "passed", {}
    learnt: dict[str, Any] = {}
    try:
        if job["code"]:
            context, test, call = marshal.loads(base64.b64decode(job["code"]))
        else:
            context, test, call = (
                compile(source, name, "exec", dont_inherit=True) for name, source in sources.items()
            )
            packed = base64.b64encode(marshal.dumps((context, test, call))).decode()
            learnt = {"code": packed} if len(packed) <= _LEARNT_MOST else {}
        exec(context, scope)
        scope["candidate"] = scope[job["entry_point"]] = proxy.named(job["entry_point"])
        exec(test, scope)
        exec(call, scope)
    except BaseException as error:  # noqa: BLE001 - any exception of a test is a failed test
        if proxy.lost is None:
            state = "failed" if proxy.sent else "untested"
            failure = _failure(error, sources, proxy)
    else:
        if not proxy.sent:
            state = "untested"
            failure = {"reason": f"the tests never called {job['entry_point']}"}
    # A test may have caught this one with a bare `except:`; it counts all the same.
    if isinstance(proxy.lost, CandidateGone):
        state, failure = "gone", {"call": proxy.call_in_words()}
    elif isinstance(proxy.lost, Unforeseen):
        state = "unforeseen"
    elif proxy.lost is not None:
        state, failure = "unfit", {"reason": str(proxy.lost)}
    # Only a test that ran to its end has made all its calls.
    if learnt and state == "passed" and _repeats(sources.values(), job["entry_point"], proxy):
        learnt["calls"] = proxy.calls
    return {"state": state, "sent": proxy.sent, "answered": proxy.answered, **failure, **learnt}


def _repeats(sources: Iterable[str], entry_point: str, proxy: Proxy | Beside) -> bool:
    """Return whether the calls made may be shown to a candidate before it answers any."""
    if proxy.changed or sum(map(len, proxy.calls)) > _LEARNT_MOST:
        return False
    try:
        return not flow.answers_come_back(sources, entry_point)
    except RecursionError:  # a source of many levels
        return False


def _failure(
    error: BaseException, sources: Mapping[str, str], proxy: Proxy | Beside
) -> dict[str, str]:
    text = str(error)
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    found = _deepest(error.__traceback__, sources)
    failure = {
        "reason": reason[:_SHORT],
        "call": proxy.call_in_words(),
        "got": proxy.answer_in_words(),
        "line": "",
        "expected": "",
    }
    if found is not None:
        name, line, scope = found
        lines = sources[name].splitlines()
        if 0 < line <= len(lines):
            failure["line"] = lines[line - 1].strip()[:_SHORT]
        if isinstance(error, AssertionError):
            failure["expected"] = _expected(sources[name], line, scope)
    return failure


def _deepest(
    trace: TracebackType | None, sources: Mapping[str, str]
) -> tuple[str, int, dict[str, Any]] | None:
    found = None
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code.co_filename in sources:
            scope = {**frame.f_globals, **frame.f_locals}
            found = (frame.f_code.co_filename, trace.tb_lineno, scope)
        trace = trace.tb_next
    return found


def _expected(source: str, line: int, scope: dict[str, Any]) -> str:
    """Return the right side of the failing `assert ... == ...`, where it calls nothing."""
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Assert) and node.lineno <= line <= (node.end_lineno or 0)):
            continue
        test = node.test
        if not (isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq)):
            return ""
        side = test.comparators[0]
        if any(isinstance(part, ast.Call | ast.Await) for part in ast.walk(side)):
            return ast.unparse(side)[:_SHORT]
        code = compile(ast.Expression(side), "<expected>", "eval")
        try:
            return short(eval(code, scope))
        except (NameError, LookupError, TypeError, ValueError, ArithmeticError, AttributeError):
            return ast.unparse(side)[:_SHORT]
    return ""


def overwrite(old: Any, new: Any) -> None:
    """Give the mutable parts of `old` the contents of `new`, keeping their identity.

    Raises ValueError where the two have no common shape (they always have, unless the other box
    lies).
    """
    if type(old) is not type(new):
        raise ValueError("an argument came back as another type")
    if isinstance(old, list):
        if len(old) == len(new):
            _overwrite_members(old, range(len(old)), new)
        else:
            old[:] = new
    elif isinstance(old, dict):
        if old.keys() == new.keys() and list(old) == list(new):
            _overwrite_members(old, list(old), new)
        else:
            old.clear()
            old.update(new)
    elif isinstance(old, set):
        old.clear()
        old.update(new)
    elif isinstance(old, bytearray):
        old[:] = new
    elif isinstance(old, tuple):
        for before, after in zip(old, new, strict=True):
            overwrite(before, after)
    elif type(old).__module__ == "numpy" and old.shape:
        old[...] = new


def _overwrite_members(old: Any, keys: Sequence[Any] | range, new: Any) -> None:
    for key in keys:
        before, after = old[key], new[key]
        if isinstance(before, list | dict | set | bytearray | tuple) and _is_same(before, after):
            overwrite(before, after)
        else:
            old[key] = after


def _is_same(before: Any, after: Any) -> bool:
    """Return whether `before` can become `after` by its mutable parts alone.

    A tuple cannot where anything else in it differs: it is another tuple that stands there now (a
    list of pairs that was sorted).
    """
    if type(before) is not type(after):
        return False
    if isinstance(before, tuple):
        return len(before) == len(after) and all(map(_is_same, before, after))
    if isinstance(before, list | dict | set | bytearray) or type(before).__module__ == "numpy":
        return True
    return bool(before == after or (before != before and after != after))


def short(value: Any) -> str:
    """Return a repr of at most 400 characters."""
    try:
        text = repr(value)
    except (ValueError, RecursionError, MemoryError) as error:  # an int of many digits
        text = f"<{type(value).__name__}: {error}>"
    return text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"


def warm_up() -> None:
    """Run the failing path once, so that its imports are loaded."""
    sources = {"<test>": "assert 1 == 2"}
    try:
        exec(compile(sources["<test>"], "<test>", "exec"), {})
    except AssertionError as error:
        _failure(error, sources, Beside(abs))
