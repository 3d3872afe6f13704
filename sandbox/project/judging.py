"""The judge of patches: sends a plan into a box, and believes of the report what fits together.

A patch passes when the box ended well; both markers of this run stand where they must; every id
passed in the XML and in the sealed reports that came while pytest ran; these two agree on all
tests; the XML is the one that pytest left when it ended; the planted tests fared as they must; and
the exit code is the one that was announced.
Does not hold: against code that knows exactly which test it is in, for it runs in that process
(`result.OPEN`). A command of the instance's own leaves an XML only (`result.OPEN_COMMAND`).
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from sandbox import reasons
from sandbox.errors import SandboxBroken, SandboxUnavailable, TestsBroken
from sandbox.inside import settings
from sandbox.outcome import Kind, Outcome
from sandbox.program import Limits, Program
from sandbox.project import junit, result
from sandbox.project.junit import Junit, Key
from sandbox.project.plan import LOG_KB, REPORT_KB, XML_KB, ProjectPlan, plan
from sandbox.project.result import ProjectResult
from sandbox.project.tests import ProjectTests, plain
from sandbox.slot import Slot
from sandbox.verdict import Failure, Verdict

MODE = "project"
PATCH_MOST = 8 << 20  # characters; ours
_GIVEN_UP = (Kind.TIMEOUT, Kind.MEMORY, Kind.OUTPUT, Kind.FORBIDDEN)
_NOT_RUN = Outcome(
    kind=Kind.WRONG, exit_code=None, signal=None, stdout="", stderr="", truncated=False,
    cpu_s=0.0, wall_s=0.0, peak_mb=0.0,
)  # fmt: skip
Carry = Callable[[ProjectPlan, Limits], Outcome]


def judge_project(
    program: Program, tests: ProjectTests, limits: Limits, slot: Slot, packages: str = ""
) -> Verdict:
    """Judge a patch in a zygote that shows the tests' environment, at `packages` in its box.

    Raises TestsBroken when snapshot, test patch or environment do not do.
    """
    if slot.kind == "restricted":
        raise SandboxUnavailable(
            "projects are judged in the namespace box or in docker: in the restricted box what a "
            "run leaves behind could outlive the tests and change their results"
        )
    if tests.snapshot.kind == "image":
        raise TestsBroken("the snapshot lies in an image: judge it in the docker box of that image")
    return judge_by(
        program, tests, limits, lambda made, most: carry_out(made, most, slot),
        packages=(packages,) if packages else (),
    )  # fmt: skip


def judge_by(
    program: Program, tests: ProjectTests, limits: Limits, carry: Carry, **where: Any
) -> Verdict:
    """Judge a patch by any way to carry out a plan; `where` is what `plan` wants to know of it."""
    if program.language != "diff":
        raise ValueError(f"a project is judged by a diff, got a program in {program.language}")
    if len(program.source) > PATCH_MOST:
        why = f"the patch has {len(program.source)} characters, more than {PATCH_MOST}"
        return _ended(tests, Kind.WRONG, "patch", why, _NOT_RUN)
    made = plan(program.source, tests, **where)
    # The report comes by stdout, which only the driver holds; the run's own words are capped there.
    wide = dataclasses.replace(limits, output_kb=max(limits.output_kb, REPORT_KB))
    outcome = carry(made, wide)
    return _verdict(tests, made, outcome)


def carry_out(made: ProjectPlan, limits: Limits, slot: Slot) -> Outcome:
    """Carry out a plan in a zygote."""
    job = {"source": made.driver, "argv": (), "files": {}}
    slot.begin(settings.SCRIPT, job, limits, stdin=made.stdin)
    return slot.finish().outcome


def _verdict(tests: ProjectTests, made: ProjectPlan, outcome: Outcome) -> Verdict:
    report = _report(made, outcome)
    words = outcome.stderr[-LOG_KB * 1024 :]
    outcome = dataclasses.replace(outcome, stdout=words, stderr="")
    if outcome.kind in _GIVEN_UP:
        return _ended(tests, outcome.kind, "run", reasons.why(outcome), outcome)
    if report is None and outcome.exit_code:  # the driver takes no candidate's failure for its own
        raise SandboxBroken(f"the driver of a project failed: {_line(words)[-400:]}")
    if report is None:
        why = "the run was ended from within before it could be reported"
        return _ended(tests, Kind.CRASHED, "run", why, outcome)
    stage, why = str(report["stage"]), reasons.printable(report["why"])
    if stage == "patch":
        return _ended(tests, Kind.WRONG, stage, f"the patch does not apply: {why}", outcome)
    if stage != "run":
        raise TestsBroken(f"project tests, {stage}: {why}")
    outcome = dataclasses.replace(outcome, stdout=reasons.printable(report["log"]))
    return _compared(tests, made, report, outcome)


def _report(made: ProjectPlan, outcome: Outcome) -> dict[str, Any] | None:
    """Return the driver's report; None unless it stands whole between this run's markers."""
    lines = outcome.stdout.split("\n")
    if len(lines) != 4 or (lines[0], lines[2], lines[3]) != (*made.markers, ""):
        return None
    report: dict[str, Any] = json.loads(lines[1])
    return report


class _Told:
    """What pytest told as it went: statuses by id and by the XML's name, and how it ended."""

    def __init__(self, text: str, nonce: str) -> None:
        self.by_id: dict[str, str] = {}
        self.by_key: dict[Key, str] = {}
        self.uncollected: list[str] = []
        self.broken = ""
        self.ran = False
        self.end: tuple[int, str] | None = None
        self.doubt = ""
        lines = text.split("\n")
        if lines.pop():
            self.doubt = "the reports of the tests end in the middle of one"
        for number, line in enumerate(lines):
            seal, _, said = line.partition(" ")
            right = hmac.new(bytes.fromhex(nonce), said.encode(), hashlib.sha256).hexdigest()[:32]
            if not hmac.compare_digest(seal.encode(), right.encode()):
                self.doubt = f"report {number} of the tests bears no seal of this run"
                return
            count, kind, *what = json.loads(said)
            if count != number or self.end is not None:
                self.doubt = f"report {number} of the tests is out of turn"
                return
            self._take(kind, what)

    def _take(self, kind: str, what: list[Any]) -> None:
        if kind == "broken":
            self.broken = str(what[0])
        elif kind == "uncollected":
            last = str(what[1]).strip().rpartition("\n")[2]
            self.uncollected.append(f"{what[0]} cannot be collected: {last}")
        elif kind == "end":
            self.end = (int(what[0]), str(what[1]))
        elif kind in ("test", "file"):
            self.ran = self.ran or kind == "test"
            test_id, status, classname, name = what
            known = self.by_id.get(plain(test_id), status)
            self.by_id[plain(test_id)] = junit.worse(known, status)
            key = Key(classname, name)
            self.by_key[key] = junit.worse(self.by_key.get(key, status), status)


def _compared(
    tests: ProjectTests, made: ProjectPlan, report: Mapping[str, Any], outcome: Outcome
) -> Verdict:
    content = _xml(report)
    xml, doubt = Junit(statuses={}, words={}), ""
    if content is None:
        doubt = "the run left no XML"
    else:
        try:
            xml = junit.parse(content)
        except junit.JunitError as error:
            doubt = f"the XML of the run is not to be trusted: {error}"
    by_key = {Key(plain(key.classname), plain(key.name)): key for key in xml.statuses}
    told: _Told | None = None
    statuses: dict[str, str] = {}
    if made.nonce:
        told = _Told(str(report["channel"]), made.nonce)
        if told.broken and not told.by_id:
            raise TestsBroken(f"pytest cannot be started in the environment: {told.broken}")
        doubt = _doubt(told, xml, report, made) or doubt
        for one in tests.ids:
            told_of = one if one in told.by_id else _without_reason(one)
            statuses[one] = told.by_id.get(told_of, "missing")
    else:
        for one in tests.ids:
            key = _key(by_key, one)
            statuses[one] = xml.statuses[key] if key else "missing"
    planted = {junit.key_of(one) for one in made.canaries}
    open_ = Junit(
        statuses={key: status for key, status in xml.statuses.items() if key not in planted},
        words=xml.words,
    )
    found = ProjectResult(
        statuses=statuses,
        counts=open_.counts(),
        applied=str(report["applied"]),
        undone=tuple(map(reasons.printable, report["undone"])),
        doubt=doubt,
        channels=2 if told else 1,
        open=result.OPEN if told else result.OPEN_COMMAND,
        log=outcome.stdout,
    )
    ended = report["signal"] or (told is not None and told.end is None and not told.doubt)
    words = {one: _words(xml, by_key, one) for one in tests.ids}
    if told is not None and told.uncollected:
        words = {one: words[one] or told.uncollected[0] for one in tests.ids}
    outcome = dataclasses.replace(
        outcome,
        exit_code=report["exit_code"],
        signal=report["signal"],
        files={
            result.FILE: json.dumps(found.to_json()).encode(),
            **({"junit.xml": content} if content is not None else {}),
        },
    )
    return _decided(tests, found, words, outcome, crashed=bool(ended))


def _decided(
    tests: ProjectTests,
    found: ProjectResult,
    words: Mapping[str, str],
    outcome: Outcome,
    *,
    crashed: bool,
) -> Verdict:
    good = [one for one in tests.ids if found.statuses[one] in junit.PASSES]
    passed = 0 if found.doubt else len(good)
    first: Failure | None = None
    kind = Kind.PASSED
    for index, one in enumerate(tests.ids):
        status = found.statuses[one]
        if found.doubt or status not in junit.PASSES:
            # A doubt is about all of them: shown at the first, with the reason.
            reason = found.doubt or words[one] or f"the test is {status}"
            first = Failure(
                index=index,
                test=one,
                expected="passed",
                got=status,
                reason=_line(reason.strip().partition("\n")[0]),
            )
            kind = Kind.CRASHED if crashed else Kind.WRONG
            break
    return Verdict(
        kind=kind,
        passed=passed,
        total=len(tests.ids),
        first_failure=first,
        outcomes=(dataclasses.replace(outcome, kind=kind),),
        mode=MODE,
    )


def _doubt(told: _Told, xml: Junit, report: Mapping[str, Any], made: ProjectPlan) -> str:
    """Return why the reports of a run of pytest do not count, "" where nothing speaks against."""
    if told.doubt:
        return told.doubt
    if told.end is None:
        return "pytest was ended before it was through"
    code, digest = told.end
    if code != report["exit_code"]:
        return f"pytest announced exit code {code}, but it was {report['exit_code']}"
    if code in (3, 4):
        return f"pytest ended with {'an internal' if code == 3 else 'a usage'} error: see the log"
    if digest != (report["xml_sha256"] or ""):
        return "the XML is not the one that pytest left when it ended"
    if told.by_key != xml.statuses:
        return "the XML and the reports of the tests do not agree"
    if told.uncollected and not told.ran:  # the planted tests were not run either
        return ""
    for one, wanted in made.canaries.items():
        got = told.by_id.get(one, "missing")
        if got != wanted:
            return f"a planted test that must end as {wanted} is {got}"
    return ""


def _words(xml: Junit, by_key: Mapping[Key, Key], one: str) -> str:
    key = _key(by_key, one)
    return xml.words.get(key, "") if key else ""


def _key(by_key: Mapping[Key, Key], one: str) -> Key | None:
    """Return how the XML names the test of an id: as pytest does, or with class and name in it."""
    for spelt in dict.fromkeys((one, _without_reason(one))):
        classname, _, name = spelt.rpartition("::")
        found = by_key.get(junit.key_of(spelt)) or by_key.get(Key(classname, name))
        if found is not None:
            return found
    return None


def _without_reason(one: str) -> str:
    """Return an id as it stands before the reason that a parser of logs took for a part of it."""
    return one.partition(" - ")[0]


def _xml(report: Mapping[str, Any]) -> bytes | None:
    if report["xml"] is None:
        return None
    unpacking = zlib.decompressobj()
    content = unpacking.decompress(base64.b64decode(report["xml"]), XML_KB * 1024 + 1)
    if len(content) > XML_KB * 1024:
        raise SandboxBroken("the driver's report holds a larger XML than it may")
    return content


def _ended(tests: ProjectTests, kind: Kind, stage: str, why: str, outcome: Outcome) -> Verdict:
    """Return the verdict on a run that no test came out of."""
    found = ProjectResult(
        statuses=dict.fromkeys(tests.ids, "missing"),
        stage=stage,
        why=why,
        channels=1 if tests.command else 2,
        open=result.OPEN_COMMAND if tests.command else result.OPEN,
        log=outcome.stdout,
    )
    raw = json.dumps(found.to_json()).encode()
    failure = Failure(
        index=0, test=tests.ids[0], expected="passed", got="missing", reason=_line(why)
    )
    return Verdict(
        kind=kind,
        passed=0,
        total=len(tests.ids),
        first_failure=failure,
        outcomes=(dataclasses.replace(outcome, kind=kind, files={result.FILE: raw}),),
        mode=MODE,
    )


def _line(text: str) -> str:
    return " ".join(reasons.printable(text).split())[:400]
