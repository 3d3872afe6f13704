"""Problems with tests, and what samples of a model come to before them.

Three stages draw samples: pass rates, pairs, long thoughts. All look at the tests first: where they
call a function, programs that do nothing must fail them, and a reference solution must pass.

A sample passes by its verdict alone. One without code, or cut at the most tokens, is a sample that
does not pass; one lost to a failure of ours is no sample, and its problem stays open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate.instruct import prompts
from curate.instruct.desk import Desk, Ruling, Task
from curate.instruct.item import Item
from curate.instruct.replies import python_of, signature_of, spoken
from curate.instruct.written_tests import controls
from sandbox import AssertTests, CallTests, Program, StdioTests, Tests
from sandbox.tests_json import tests_from_json
from seedcoder.completion import Completion, Message, Request, Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem with tests. words: its text, with the signature that the tests call.

    verified: by a "reference" solution, or "" where there is none.
    """

    item: Item
    words: str
    tests: Tests
    entry_point: str
    solution: str
    verified: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A sample, its code (None for none), and the ruling of that (None where it was not judged)."""

    reply: Completion
    text: str
    code: str | None
    ruling: Ruling | None

    @property
    def ok(self) -> bool:
        """Whether it was finished, and passes every test."""
        return self.reply.finish == "stop" and self.ruling is not None and self.ruling.ok

    @property
    def failed(self) -> bool:
        """Whether it was finished, has code, and that fails the tests."""
        judged = self.ruling is not None and self.ruling.verdict is not None
        return self.reply.finish == "stop" and judged and not self.ok


def problems_of(items: Sequence[Item], desk: Desk) -> tuple[list[Problem], dict[str, str]]:
    """Return the problems whose tests are sound, and of the others the reasons.

    Items in neither were lost to a failure of ours.
    """
    why: dict[str, str] = {}
    found: list[Problem] = []
    tasks: dict[str, list[Task]] = {}
    for item in items:
        try:
            problem = _problem(item)
        except ValueError as error:
            why[item.key] = str(error)
            continue
        found.append(problem)
        tasks[item.key] = _checks(problem)
    rulings = desk.judge([task for some in tasks.values() for task in some])
    sound: list[Problem] = []
    for problem in found:
        key = problem.item.key
        if any(task.key not in rulings for task in tasks[key]):
            continue
        if reason := _unsound(key, tasks[key], rulings):
            why[key] = reason
        else:
            sound.append(problem)
    return sound, why


def sampled(
    problems: Sequence[Problem],
    desk: Desk,
    sampling: Sampling,
    n: int,
    *,
    prompt: Mapping[str, tuple[Message, ...]] | None = None,
    prefill: str = "",
    answer: Any = None,
) -> dict[str, list[Answer]]:
    """Return `n` judged samples of each problem; problems with a sample lost are left out.

    prompt: by key, where the problem's words are not what is asked. answer: a function that takes
    the answer out of a reply, None where it has not the form; by default all behind a thought.
    """
    asked = {
        one.item.key: (prompt or {}).get(one.item.key) or (Message(role="user", content=one.words),)
        for one in problems
    }
    replies = desk.ask(
        [
            Request(key=f"{key}/sample", prompt=words, prefill=prefill)
            for key, words in asked.items()
        ],
        sampling,
        n,
    )
    answers: dict[str, list[tuple[Completion, str, str | None]]] = {}
    tasks: dict[str, Task] = {}
    for one in problems:
        key = one.item.key
        answers[key] = []
        for reply in replies[f"{key}/sample"]:
            text = prefill + reply.text
            inside = answer(text) if answer else spoken(text)
            code = None if inside is None else _code(one, inside)
            answers[key].append((reply, text, code))
            if code is not None:
                name = f"{key}/judge{reply.n}"
                tasks[name] = Task(key=name, program=Program.python(code), tests=one.tests)
    rulings = desk.judge(list(tasks.values()))
    found: dict[str, list[Answer]] = {}
    for key, some in answers.items():
        names = {reply.n: f"{key}/judge{reply.n}" for reply, _, _ in some}
        lost = any(name in tasks and name not in rulings for name in names.values())
        if len(some) == n and not lost:
            found[key] = [
                Answer(reply=reply, text=text, code=code, ruling=rulings.get(names[reply.n]))
                for reply, text, code in some
            ]
    return found


def _problem(item: Item) -> Problem:
    """ValueError, in words that are the same for the same cause, for an item that is none."""
    data = item.data.get("tests")
    if not isinstance(data, Mapping):
        raise ValueError("no tests")
    try:
        tests = tests_from_json(dict(data))
    except ValueError as error:
        raise ValueError("tests that cannot be read") from error
    if not isinstance(tests, AssertTests | CallTests | StdioTests):
        raise ValueError("tests of a kind that is not for these stages")
    if isinstance(tests, AssertTests) and tests.mode != "proxy":
        # The weaker modes run test and program in one process: a program could pass by lying.
        raise ValueError("asserts that would run beside the program: say mode 'proxy'")
    entry = tests.entry_point if not isinstance(tests, StdioTests) else ""
    solution = item.data.get("solution") or ""
    signature = signature_of(solution, entry) if entry and solution else ""
    # A problem in the trainers' form has its signature in its prompt already.
    told = "messages" not in item.data or not signature
    return Problem(
        item=item,
        words=item.task if told else prompts.problem(item.task, signature),
        tests=tests,
        entry_point=entry,
        solution=solution,
        verified="reference" if solution else "",
    )


def _checks(problem: Problem) -> list[Task]:
    key, tests = problem.item.key, problem.tests
    nothing = (
        controls(problem.entry_point)
        if problem.entry_point.isidentifier()
        else [Program.python("")]
    )
    tasks = [
        Task(key=f"{key}/control{n}", program=program, tests=tests)
        for n, program in enumerate(nothing)
    ]
    if problem.solution:
        program = Program.python(problem.solution)
        tasks.append(Task(key=f"{key}/reference", program=program, tests=tests))
    return tasks


def _unsound(key: str, tasks: Sequence[Task], rulings: Mapping[str, Ruling]) -> str:
    for task in tasks:
        ruling = rulings[task.key]
        reference = task.key == f"{key}/reference"
        if ruling.verdict is None:
            return "tests that cannot run"
        if reference and not ruling.ok:
            return "tests that the reference solution fails"
        if not reference and ruling.ok:
            return "tests that a program passes which does nothing"
    return ""


def _code(problem: Problem, text: str) -> str | None:
    return python_of(text, problem.entry_point.partition(".")[0])
