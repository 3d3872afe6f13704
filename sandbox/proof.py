"""Judge by test code that asserts: in a box of its own, or beside the program where it must be.

The test's box calls the candidate's through a proxy. A judge that has judged by the same tests
before knows the calls that they make (`foresight`), and has them answered beforehand in one go.
"""

from __future__ import annotations

import json
import secrets
import select
import socket
from collections.abc import Mapping
from typing import Any

from sandbox import foresight, reasons
from sandbox.cases import AssertTests
from sandbox.errors import SandboxBroken, TestsBroken
from sandbox.inside import settings
from sandbox.inside.channel import Channel, ChannelClosed
from sandbox.outcome import Kind
from sandbox.program import Limits, Program
from sandbox.ran import Ran
from sandbox.slot import Slot
from sandbox.verdict import Failure, Verdict

_NONCE_BYTES = 16
_REPLIES_MOST = 1 << 20  # characters
_CLAIM_MOST = 1 << 16  # bytes; our own reports are shorter


def by_proxy(
    program: Program, tests: AssertTests, limits: Limits, slot: Slot, tests_slot: Slot
) -> Verdict | None:
    """Judge with the test in a box of its own; None when an argument of the test cannot cross."""
    known = foresight.memory.of(tests)
    if known is not None and known.calls is not None:
        verdict = _foreseen(program, tests, limits, slot, tests_slot, known)
        if verdict is not None:
            return verdict
    return _talking(program, tests, limits, slot, tests_slot, known)


def _foreseen(
    program: Program,
    tests: AssertTests,
    limits: Limits,
    slot: Slot,
    tests_slot: Slot,
    known: foresight.Foresight,
) -> Verdict | None:
    """Judge by calls known beforehand; None when the test made others, or they do not fit."""
    calls = known.calls or ()
    slot.begin(
        settings.FORESEEN,
        reasons.job(program, entry_point=tests.entry_point, calls=calls),
        limits,
    )
    # A call may leave two lines: that memory ran out, and its reply.
    candidate = slot.finish(answers=2 * len(calls) + 1, room=_REPLIES_MOST)
    replies = [line[1:] for line in candidate.answers if line.startswith("A")]
    if len(replies) != len(calls) and candidate.outcome.kind is Kind.PASSED:
        # It left early, wrote replies of its own, or they were too long to be read in one go.
        return None
    job = {**_tests_job(tests), "code": known.code, "calls": calls, "replies": replies}
    tests_slot.begin(settings.TESTS, job, limits)
    proof = tests_slot.finish()
    report = _report(proof)
    if report is None:
        return _verdict(tests, _unproven(proof, candidate), candidate, proof, "proxy")
    if report["state"] == "unforeseen":
        foresight.memory.doubt(tests)
        return None
    return _verdict(tests, report, candidate, proof, "proxy")


def _talking(
    program: Program,
    tests: AssertTests,
    limits: Limits,
    slot: Slot,
    tests_slot: Slot,
    known: foresight.Foresight | None,
) -> Verdict | None:
    """Judge with the two boxes joined by a socket; None when an argument cannot cross."""
    job = {**_tests_job(tests), "code": known.code if known else ""}
    ours, theirs = socket.socketpair()
    with ours, theirs:
        slot.begin(
            settings.CANDIDATE,
            reasons.job(program, entry_point=tests.entry_point),
            limits,
            link=ours.fileno(),
        )
        try:
            tests_slot.begin(settings.TESTS, job, limits, link=theirs.fileno())
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
    if known is None and report["state"] == "passed":
        foresight.memory.keep(tests, report.get("code"), report.get("calls"))
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
        "code": "",
        "calls": None,
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
        raise SandboxBroken(f"the test's box ended without a word: {reasons.why(proof.outcome)}")
    return {"state": "ended", "kind": proof.outcome.kind, "reason": reasons.why(proof.outcome)}


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
            kind, passed, failure = outcome.kind, 0, reasons.ended(0, outcome)
    elif state == "gone" or (state == "untested" and outcome.kind is not Kind.PASSED):
        kind = reasons.unanswered(candidate)
        failure = _failure(report, _loading(candidate) or reasons.why(outcome))
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
        failure = _failure(report, str(report.get("reason", "")))
        kind = reasons.answered(outcome, failure.reason)
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
        test=reasons.printable(report.get("line") or call),
        expected=reasons.printable(report.get("expected", "")),
        got=reasons.printable(f"{call} -> {got}" if got else ""),
        reason=reasons.printable(reason),
    )


def beside(program: Program, tests: AssertTests, limits: Limits, slot: Slot) -> Verdict:
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
                {**_tests_job(tests), **reasons.job(program)},
                limits,
                link=theirs.fileno(),
            )
        channel = Channel(ours.fileno())
        _await_readable(ours, limits)
        try:
            if channel.receive(_CLAIM_MOST) == "loaded":
                channel.send(nonce)
            else:  # it never loaded, or lies; nobody shall wait for a nonce
                ours.shutdown(socket.SHUT_RDWR)
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
