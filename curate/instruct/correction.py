"""Solutions that pass their own unit tests, revised in the sandbox until they do.

A model writes a solution and tests; the tests are fixed from then on, and only the solution is
revised, told each time what failed. The paper (sec. 3.1) does this to keep hard items that a filter
by quality would drop; the number of revisions and what tests must be (`written_tests`) are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from curate.instruct import prompts
from curate.instruct.desk import Desk, Task
from curate.instruct.item import Item, Settled
from curate.instruct.recipe import CorrectTable, InstructRecipe
from curate.instruct.replies import blocks_of, definitions_of, python_of, spoken
from curate.instruct.synthesis import unusable
from curate.instruct.written_tests import Written, called_of, controls, read
from sandbox import Program
from sandbox.tests_json import tests_to_json
from seedcoder.completion import Completion, Request


@dataclass(slots=True, kw_only=True)
class _Draft:
    item: Item
    source: str
    written: Written


class Correction:
    """The stage. Rows: key, messages (task, solution), tests, entry_point, solution, revisions,
    and what the item had beside."""

    def __init__(self, recipe: InstructRecipe, table: CorrectTable) -> None:
        self._sampling = recipe.sampling.sampling()
        self._table = table

    def settle(self, items: Sequence[Item], desk: Desk) -> Iterator[Settled]:
        """Ask for drafts, look at their tests, run and revise."""
        replies = desk.ask(
            [
                Request(
                    key=f"{item.key}/solve", prompt=prompts.solve(item.task, self._table.asserts)
                )
                for item in items
            ],
            self._sampling,
        )
        drafts: list[_Draft] = []
        for item in items:
            for reply in replies[f"{item.key}/solve"]:
                draft = self._draft(item, reply)
                if isinstance(draft, str):
                    yield Settled(key=item.key, reason=draft)
                else:
                    drafts.append(draft)
        sound: list[_Draft] = []
        for draft, reason in self._checked(drafts, desk):
            if reason:
                yield Settled(key=draft.item.key, reason=reason)
            else:
                sound.append(draft)
        yield from self._revised(sound, desk)

    def _draft(self, item: Item, reply: Completion) -> _Draft | str:
        """Return the draft in a reply, or why there is none."""
        if why := unusable(reply):
            return f"solution: {why}"
        text = spoken(reply.text)
        source = python_of(text)
        functions = definitions_of(source) if source else []
        if source is None or not functions:
            return "solution: no Python function in a fenced block"
        rest = [block.text for block in blocks_of(text) if block.text != source]
        tests = "\n".join(rest) if rest else source
        entry = called_of(tests, functions)
        written = read(tests, entry) if entry else None
        if written is None or len(written.asserts) < self._table.asserts:
            return "tests: too few that stand alone and call the solution"
        return _Draft(item=item, source=source, written=written)

    def _checked(self, drafts: Sequence[_Draft], desk: Desk) -> Iterator[tuple[_Draft, str]]:
        """Yield the drafts with the reason against their tests, "" for sound ones."""
        tasks = {
            draft.item.key: [
                Task(
                    key=f"{draft.item.key}/control{n}", program=program, tests=draft.written.tests()
                )
                for n, program in enumerate(controls(draft.written.entry_point))
            ]
            for draft in drafts
        }
        rulings = desk.judge([task for some in tasks.values() for task in some])
        for draft in drafts:
            found = [rulings.get(task.key) for task in tasks[draft.item.key]]
            had = [one for one in found if one is not None]
            if len(had) < len(found):
                continue
            if any(one.verdict is None for one in had):
                yield draft, "tests: cannot run"
            elif any(one.ok for one in had):
                yield draft, "tests: passed by a program that does nothing"
            else:
                yield draft, ""

    def _revised(self, drafts: list[_Draft], desk: Desk) -> Iterator[Settled]:
        for turn in range(self._table.revisions + 1):
            tasks = [
                Task(
                    key=f"{draft.item.key}/try{turn}",
                    program=Program.python(draft.source),
                    tests=draft.written.tests(),
                )
                for draft in drafts
            ]
            rulings = desk.judge(tasks)
            failing: list[tuple[_Draft, str]] = []
            for draft, task in zip(drafts, tasks, strict=True):
                ruling = rulings.get(task.key)
                if ruling is None:
                    continue
                if ruling.ok:
                    yield _kept(draft, turn)
                elif ruling.verdict is None:
                    yield Settled(key=draft.item.key, reason="tests: cannot run")
                elif turn == self._table.revisions:
                    yield Settled(key=draft.item.key, reason="still failing after all revisions")
                else:
                    failing.append((draft, f"{ruling.kind}: {ruling.why}"))
            replies = desk.ask(
                [
                    Request(
                        key=f"{draft.item.key}/revise{turn}",
                        prompt=prompts.revise(draft.item.task, draft.source, why[:2000]),
                    )
                    for draft, why in failing
                ],
                self._sampling,
            )
            drafts = []
            for draft, _ in failing:
                for reply in replies[f"{draft.item.key}/revise{turn}"]:
                    source = python_of(spoken(reply.text), draft.written.entry_point)
                    if source is None:
                        yield Settled(key=draft.item.key, reason="revision: no whole solution")
                    else:
                        draft.source = source
                        drafts.append(draft)


def _kept(draft: _Draft, revisions: int) -> Settled:
    row = {
        **{k: v for k, v in draft.item.data.items() if k not in ("prompt", "excerpt")},
        "key": draft.item.key,
        "messages": [
            {"role": "user", "content": draft.item.task},
            {"role": "assistant", "content": f"```python\n{draft.source.strip()}\n```"},
        ],
        "tests": tests_to_json(draft.written.tests()),
        "entry_point": draft.written.entry_point,
        "solution": draft.source,
        "revisions": revisions,
    }
    return Settled(key=draft.item.key, rows=(row,), facts={f"revisions {revisions}": 1})
