"""Instructions inspired by excerpts, and responses to them: OSS-Instruct with mixed styles.

The idea is published (OSS-Instruct: github.com/ise-uiuc/magicoder,
src/magicoder/collect_fragments.py and generate_data.py; the paper, sec. 3.1). Prompts and styles
are ours, and so are excerpts that begin at a paragraph, where Magicoder joins up to three pieces of
15 lines from anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from curate.instruct import prompts
from curate.instruct.desk import Desk
from curate.instruct.item import Item, Settled
from curate.instruct.recipe import InstructRecipe, SynthesizeTable
from curate.instruct.replies import spoken, task_of
from curate.instruct.styles import drawn, styles_of
from seedcoder.completion import Completion, Request

_SHORTEST_TASK_CHARS: Final = 20  # ours
_COPIED_CHARS: Final = 200  # ours: a task that quotes so much of its excerpt does not stand alone


class Synthesis:
    """The stage. Rows: key, messages (user, assistant), language, style, document."""

    def __init__(self, recipe: InstructRecipe, table: SynthesizeTable) -> None:
        self._sampling = recipe.sampling.sampling()
        self._seed = recipe.seed
        self._mixed = table.mixed
        self._styles = styles_of(table.styles)

    def settle(self, items: Sequence[Item], desk: Desk) -> Iterator[Settled]:
        """Ask for the task, where there is none; then for its response."""
        style = {
            item.key: drawn(self._styles, item.key, seed=self._seed, mixed=self._mixed)
            for item in items
        }
        tasks = {item.key: item.task for item in items if item.task}
        asked = [item for item in items if item.key not in tasks]
        replies = desk.ask(
            [
                Request(
                    key=f"{item.key}/task",
                    prompt=prompts.instruction(
                        item.data["excerpt"], item.data["language"], style[item.key]
                    ),
                )
                for item in asked
            ],
            self._sampling,
        )
        for item in asked:
            for reply in replies[f"{item.key}/task"]:
                task, why = _task(reply, item.data["excerpt"])
                if why:
                    yield Settled(key=item.key, reason=why)
                else:
                    tasks[item.key] = task
        open_items = [item for item in items if item.key in tasks]
        replies = desk.ask(
            [
                Request(key=f"{item.key}/response", prompt=prompts.response(tasks[item.key]))
                for item in open_items
            ],
            self._sampling,
        )
        for item in open_items:
            for reply in replies[f"{item.key}/response"]:
                if why := unusable(reply):
                    yield Settled(key=item.key, reason=f"response: {why}")
                    continue
                names = [x.name for x in style[item.key]] if item in asked else ["query"]
                row = {
                    "key": item.key,
                    "messages": [
                        {"role": "user", "content": tasks[item.key]},
                        {"role": "assistant", "content": spoken(reply.text).strip()},
                    ],
                    "language": item.data.get("language", ""),
                    "style": "+".join(names),
                    "document": item.data.get("document", ""),
                }
                yield Settled(key=item.key, rows=(row,), facts={f"style {row['style']}": 1})


def unusable(reply: Completion) -> str:
    """Return why a reply is no answer, in the same words each time; "" where it may be one."""
    if reply.finish == "overflow":
        return "the prompt does not fit the model's context"
    if reply.finish == "length":
        return "cut at the most tokens"
    return "" if spoken(reply.text).strip() else "empty"


def _task(reply: Completion, excerpt: str) -> tuple[str, str]:
    if why := unusable(reply):
        return "", f"task: {why}"
    task = task_of(spoken(reply.text))
    if task is None:
        return "", "task: not between <task> and </task>"
    if len(task) < _SHORTEST_TASK_CHARS:
        return "", "task: too short"
    size = min(_COPIED_CHARS, len(excerpt))
    if any(excerpt[at : at + size] in task for at in range(len(excerpt) - size + 1)):
        return "", "task: quotes its excerpt"
    return task, ""
