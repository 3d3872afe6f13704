"""The judge: it holds the answers, sends programs into boxes, and compares what comes out.

A pass is earned by returned values: every test must have been answered, and rightly. Exit codes,
printed words and anything else that a program can choose never decide for it.
"""

from __future__ import annotations

import json
import secrets
import select
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.cases import AssertTests, Call, CallTests, StdioTests, Tests
from sandbox.errors import SandboxBroken, TestsBroken
from sandbox.inside import settings, wire
from sandbox.inside.assertions import short
from sandbox.inside.channel import Channel, ChannelClosed
from sandbox.outcome import Kind, Outcome
from sandbox.program import Limits, Program
from sandbox.slot import Ran, Slot
from sandbox.verdict import Failure, Verdict

_ANSWER_FLOOR = 1 << 16  # characters; a longer answer than 64 x the expected one is not read
_ANSWER_FACTOR = 64
_NONCE_BYTES = 16
_CLAIM_MOST = 1 << 16  # bytes; our own reports are shorter


def judge(
    program: Program, tests: Tests, limits: Limits, slot: Slot, tests_slot: Callable[[], Slot]
) -> Verdict:
    """Judge one program. `tests_slot` gives the second box, for tests that need one.

    Raises SandboxBroken when a box failed, TestsBroken when the tests themselves cannot run.
    """
    if not program.source.strip():
        return Verdict(
            kind=Kind.NO_CODE,
            passed=0,
            total=_count(tests),
            first_failure=None,
            outcomes=(),
            mode=_MODES[type(tests)],
        )
    if isinstance(tests, StdioTests):
        return _judge_stdio(program, tests, limits, slot)
    if isinstance(tests, CallTests):
        return _judge_calls(program, tests, limits, slot)
    if tests.mode != "shared":
        verdict = _judge_proxy(program, tests, limits, slot, tests_slot())
        if verdict is not None:
            return verdict
    return _judge_shared(program, tests, limits, slot)


_MODES: Mapping[type, str] = {StdioTests: "stdio", CallTests: "calls", AssertTests: "proxy"}


def _count(tests: Tests) -> int:
    if isinstance(tests, StdioTests):
        return len(tests.cases)
    return len(tests.calls) if isinstance(tests, CallTests) else 1


def _job(program: Program, **more: Any) -> dict[str, Any]:
    return {"source": program.source, "files": dict(program.files), **more}


def _judge_stdio(program: Program, tests: StdioTests, limits: Limits, slot: Slot) -> Verdict:
    outcomes: list[Outcome] = []
    passed, first, kind = 0, None, Kind.PASSED
    for index, case in enumerate(tests.cases):
        slot.begin(
            settings.SCRIPT,
            _job(program, argv=tuple(program.argv)),
            limits,
            stdin=case.stdin.encode("utf-8", "surrogateescape"),
        )
        outcome = slot.finish().outcome
        outcomes.append(outcome)
        if outcome.kind is Kind.PASSED and tests.comparer(case.stdout, outcome.stdout):
            passed += 1
            continue
        if first is None:
            kind = Kind.WRONG if outcome.kind is Kind.PASSED else outcome.kind
            first = Failure(
                index=index,
                test=f"stdin {short(case.stdin)}",
                expected=short(case.stdout),
                got=short(outcome.stdout),
                reason="the output differs" if kind is Kind.WRONG else _why(outcome),
            )
        if tests.stop_early or outcome.kind is Kind.COMPILE_ERROR:
            break
    return Verdict(
        kind=kind,
        passed=passed,
        total=len(tests.cases),
        first_failure=first,
        outcomes=tuple(outcomes),
        mode="stdio",
    )


def _why(outcome: Outcome) -> str:
    """Return one line on a run that did not end well."""
    if outcome.kind is Kind.TIMEOUT:
        return f"out of time after {outcome.cpu_s:.2f} CPU s, {outcome.wall_s:.2f} s"
    if outcome.kind is Kind.MEMORY:
        return f"out of memory at {outcome.peak_mb:.0f} MiB"
    if outcome.kind is Kind.OUTPUT:
        return "too much output"
    if outcome.kind is Kind.FORBIDDEN:
        return "killed for a forbidden system call"
    lines = [line for line in outcome.stderr.splitlines() if line.strip()]
    if outcome.kind in (Kind.CRASHED, Kind.COMPILE_ERROR) and lines:
        return lines[-1][:400]
    if outcome.signal is not None:
        return f"ended by signal {outcome.signal}"
    return f"ended with exit code {outcome.exit_code} before it had answered"


def _judge_calls(program: Program, tests: CallTests, limits: Limits, slot: Slot) -> Verdict:
    texts, room = _prepared(tests)
    slot.begin(settings.CALLS, _job(program, entry_point=tests.entry_point, calls=texts), limits)
    # A call may leave two lines: that memory ran out, and its answer.
    ran = slot.finish(answers=2 * len(texts), room=room)
    answers = [line for line in ran.answers if line[:1] in ("r", "x", "u")]
    passed, first, kind = 0, None, Kind.PASSED
    # More answers than calls means that the program wrote some of them itself.
    honest = len(answers) <= len(tests.calls)
    for index, call in enumerate(tests.calls if honest else ()):
        failure = _call_failure(tests, index, call, answers, ran.outcome)
        if failure is None:
            passed += 1
            continue
        if first is None:
            first = failure
            answered = index < len(answers)
            kind = Kind.WRONG if answered else _unanswered(ran)
        if tests.stop_early:
            break
    if not honest:
        first = Failure(
            index=0,
            test="",
            expected=f"{len(tests.calls)} answers",
            got=f"{len(answers)} answers",
            reason="the program wrote answers of its own beside those to the calls",
        )
        kind = Kind.WRONG
    elif first is None and ran.outcome.kind in (Kind.TIMEOUT, Kind.MEMORY, Kind.OUTPUT):
        kind, first = ran.outcome.kind, _ended(len(tests.calls), ran.outcome)
    return Verdict(
        kind=kind,
        passed=passed,
        total=len(tests.calls),
        first_failure=first,
        outcomes=(ran.outcome,),
        mode="calls",
    )


_kept: OrderedDict[int, tuple[CallTests, tuple[str, ...], int]] = OrderedDict()
_KEPT_MOST = 256
_kept_lock = threading.Lock()


def _prepared(tests: CallTests) -> tuple[tuple[str, ...], int]:
    """Return the calls as text, and the characters that all answers together may take.

    Kept for the next samples of the same problem; the tests are kept too, so that the identity by
    which they are found again cannot pass to others.
    """
    with _kept_lock:
        found = _kept.get(id(tests))
        if found is not None:
            _kept.move_to_end(id(tests))
            return found[1], found[2]
    try:
        texts = tuple(wire.encode((list(call.args), dict(call.kwargs))) for call in tests.calls)
    except wire.WireError as error:
        raise TestsBroken(f"calls of {tests.entry_point}: an argument is {error}") from None
    room = sum(_room(call) for call in tests.calls) + _ANSWER_FLOOR
    with _kept_lock:
        _kept[id(tests)] = (tests, texts, room)
        while len(_kept) > _KEPT_MOST:
            _kept.popitem(last=False)
    return texts, room


def _room(call: Call) -> int:
    return max(_ANSWER_FLOOR, _ANSWER_FACTOR * len(repr(call.expected)))


def _ended(index: int, outcome: Outcome) -> Failure:
    return Failure(index=index, test="", expected="", got="", reason=_why(outcome))


def _call_failure(
    tests: CallTests, index: int, call: Call, answers: list[str], outcome: Outcome
) -> Failure | None:
    words = [short(arg) for arg in call.args] + [f"{k}={short(v)}" for k, v in call.kwargs.items()]
    test = f"{tests.entry_point}({', '.join(words)})"

    def failure(got: str, reason: str) -> Failure:
        return Failure(
            index=index, test=test, expected=short(call.expected), got=got, reason=reason
        )

    if index >= len(answers):
        return failure("", _why(outcome))
    letter, text = answers[index][:1], answers[index][1:]
    if letter == "x":
        return failure(short(text), f"raised {text[:300]}")
    if letter == "u":
        return failure("", text[:300])
    if len(text) > _ANSWER_FLOOR and len(text) > _room(call):
        return failure(text[:100], f"the answer is {len(text)} characters long")
    try:
        value = wire.decode(text)
    except wire.WireError as error:
        return failure(text[:100], str(error)[:300])
    if tests.comparer(call.expected, value):
        return None
    return failure(short(value), "the value differs")


def _unanswered(ran: Ran) -> Kind:
    """Return the kind of a run that left a test without an answer; never PASSED."""
    if any(line.startswith("L") and "defines no function" in line for line in ran.answers):
        return Kind.WRONG
    return Kind.CRASHED if ran.outcome.kind is Kind.PASSED else ran.outcome.kind


def _judge_proxy(
    program: Program, tests: AssertTests, limits: Limits, slot: Slot, tests_slot: Slot
) -> Verdict | None:
    """Judge with the test in a box of its own; None when an argument of the test cannot cross."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        slot.begin(
            settings.CANDIDATE,
            _job(program, entry_point=tests.entry_point),
            limits,
            link=ours.fileno(),
        )
        try:
            tests_slot.begin(settings.TESTS, _tests_job(tests), limits, link=theirs.fileno())
        except BaseException:
            # The candidate is under way: were its reply not taken now, the next run would get it.
            ours.close()
            theirs.close()
            slot.finish()
            raise
    # Both are read even if one is broken: the other must not be left in the middle of a run.
    try:
        proof = tests_slot.finish()
    finally:
        candidate = slot.finish()
    report = _report(proof)
    if report is None:
        return _verdict(tests, _unproven(proof, candidate), candidate, proof, "proxy")
    if report["state"] == "unfit" and tests.mode == "auto":
        return None
    return _verdict(tests, report, candidate, proof, "proxy")


def _tests_job(tests: AssertTests) -> dict[str, Any]:
    return {
        "files": {},
        "context": tests.context,
        "test": tests.test,
        "call": tests.call,
        "entry_point": tests.entry_point,
    }


def _report(proof: Ran) -> dict[str, Any] | None:
    for line in proof.answers:
        if line.startswith("T"):
            report: dict[str, Any] = json.loads(line[1:])
            return report
    return None


def _unproven(proof: Ran, candidate: Ran) -> dict[str, Any]:
    """The test's box ended without a word: out of time or memory, over the candidate's data."""
    if candidate.outcome.kind is not Kind.PASSED:
        return {"state": "gone"}
    ended_itself = proof.outcome.exit_code is not None
    if ended_itself and proof.outcome.kind in (Kind.PASSED, Kind.CRASHED):
        raise SandboxBroken(f"the test's box ended without a word: {_why(proof.outcome)}")
    return {"state": "ended", "kind": proof.outcome.kind, "reason": _why(proof.outcome)}


def _verdict(
    tests: AssertTests, report: Mapping[str, Any], candidate: Ran, proof: Ran | None, mode: str
) -> Verdict:
    """Make the verdict of what was reported. Raises TestsBroken where the tests are at fault.

    A report without a test's box of its own is a claim of the candidate's process: after a proxy
    could not take an argument, the tests are known to call, and "untested" is a lie.
    """
    outcome = candidate.outcome
    state = report["state"]
    passed, failure = 0, None
    if state == "passed" and report["sent"] == report["answered"]:
        kind, passed = Kind.PASSED, 1
        if outcome.kind in (Kind.TIMEOUT, Kind.MEMORY, Kind.OUTPUT, Kind.FORBIDDEN):
            kind, passed, failure = outcome.kind, 0, _ended(0, outcome)
    elif state == "gone" or (state == "untested" and outcome.kind is not Kind.PASSED):
        kind = _unanswered(candidate)
        failure = _failure(report, _loading(candidate) or _why(outcome))
    elif state == "untested" and (proof is not None or tests.mode == "shared"):
        raise TestsBroken(f"tests of {tests.entry_point}: {report.get('reason', '')}")
    elif state == "unfit":
        raise TestsBroken(
            f"tests of {tests.entry_point}: an argument cannot cross as data "
            f"({report['reason']}); mode='auto' or 'shared' allows it"
        )
    elif state == "ended":
        kind = report["kind"] if report["kind"] is not Kind.PASSED else Kind.WRONG
        failure = _failure(report, f"the test's box: {report['reason']}")
    else:
        kind, failure = Kind.WRONG, _failure(report, str(report.get("reason", "")))
    return Verdict(
        kind=kind,
        passed=passed,
        total=1,
        first_failure=failure,
        outcomes=(outcome,) if proof is None else (outcome, proof.outcome),
        mode=mode,
    )


def _loading(candidate: Ran) -> str:
    for line in candidate.answers:
        if line.startswith("L"):
            return line[1:300]
    return ""


def _failure(report: Mapping[str, Any], reason: str) -> Failure:
    call, got = report.get("call", ""), report.get("got", "")
    return Failure(
        index=0,
        test=_printable(report.get("line") or call),
        expected=_printable(report.get("expected", "")),
        got=_printable(f"{call} -> {got}" if got else ""),
        reason=_printable(reason),
    )


def _printable(text: object) -> str:
    """Return words of a box as text that every file and terminal takes: no lone surrogates."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def _judge_shared(program: Program, tests: AssertTests, limits: Limits, slot: Slot) -> Verdict:
    """Judge with program and test in one box: weaker, and marked so.

    Stops: exits, printed words, forged verdicts made while the program loads (the nonce comes
    after). Does not stop: a program that looks for the test in its own process.
    """
    ours, theirs = socket.socketpair()
    nonce = secrets.token_hex(_NONCE_BYTES)
    with ours:
        with theirs:
            slot.begin(
                settings.SHARED,
                {**_tests_job(tests), **_job(program)},
                limits,
                link=theirs.fileno(),
            )
        channel = Channel(ours.fileno())
        _await_readable(ours, limits)
        try:
            if channel.receive(_CLAIM_MOST) == "loaded":
                channel.send(nonce)
        except ChannelClosed:  # it said so and was gone: its outcome tells why
            pass
        finally:
            ran = slot.finish()
        said = channel.receive(_CLAIM_MOST)
    return _verdict(tests, _claim(said, nonce), ran, None, "shared")


def _claim(said: str | None, nonce: str) -> dict[str, Any]:
    """Return the report of a shared box, or that there is none, whatever the program wrote."""
    try:
        claim = json.loads(said or "")
    except (ValueError, RecursionError):
        claim = None
    if isinstance(claim, dict) and claim.get("nonce") == nonce:
        counted = type(claim.get("sent")) is int and type(claim.get("answered")) is int
        if counted and claim.get("state") in ("passed", "failed", "untested"):
            return claim
    return {"state": "gone"}


def _await_readable(link: socket.socket, limits: Limits) -> None:
    """Wait until the box has written or closed the link (its end of it dies with the run)."""
    select.select([link], [], [], limits.wall_s + 30)
