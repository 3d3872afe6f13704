"""Keep responses that parse, that a model takes for right, and whose task is not too easy.

Reasons, in this order: syntax, correctness, difficulty. Rows keep what was found: correctness,
topics, difficulty, by which trainers may weigh.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from curate.instruct import prompts
from curate.instruct.desk import Desk
from curate.instruct.item import Item, Settled
from curate.instruct.passed import Text, refused
from curate.instruct.recipe import FilterTable, InstructRecipe
from curate.instruct.replies import blocks_of, score_of, spoken, topics_of
from seedcoder.completion import Completion, Request, Sampling

_NAMES = {
    "py": "python", "python3": "python", "js": "javascript", "ts": "typescript", "c++": "cpp",
    "golang": "go", "rs": "rust", "rb": "ruby", "cs": "csharp", "c#": "csharp", "sh": "shell",
    "bash": "shell",
}  # fmt: skip


class Filtering:
    """The stage. Rows: as they came, with correctness, topics and difficulty."""

    def __init__(self, recipe: InstructRecipe, table: FilterTable) -> None:
        self._table = table
        # Scores are read, not drawn: greedy. Ours.
        self._sampling = Sampling(max_tokens=recipe.sampling.max_tokens, seed=recipe.seed)

    def settle(self, items: Sequence[Item], desk: Desk) -> Iterator[Settled]:
        """Ask for scores of what parses."""
        broken = self._broken(items)
        left: list[Item] = []
        for item in items:
            if not item.reply or not item.task:
                yield Settled(key=item.key, reason="no task or no response")
            elif item.key in broken:
                yield Settled(key=item.key, reason=f"syntax: {broken[item.key]}")
            else:
                left.append(item)
        scores: dict[str, int] = {}
        replies = desk.ask(
            [
                Request(
                    key=f"{item.key}/correctness", prompt=prompts.correctness(item.task, item.reply)
                )
                for item in left
            ],
            self._sampling,
            who="judge",
        )
        for item in left:
            for reply in replies[f"{item.key}/correctness"]:
                score = score_of(spoken(reply.text), "correctness")
                if score is None:
                    yield Settled(key=item.key, reason="correctness: no score in the reply")
                elif score < self._table.correctness:
                    yield Settled(key=item.key, reason="correctness: low")
                else:
                    scores[item.key] = score
        left = [item for item in left if item.key in scores]
        replies = desk.ask(
            [
                Request(key=f"{item.key}/difficulty", prompt=prompts.difficulty(item.task))
                for item in left
            ],
            self._sampling,
            who="judge",
        )
        for item in left:
            for reply in replies[f"{item.key}/difficulty"]:
                yield self._end(item, scores[item.key], reply)

    def _end(self, item: Item, correctness: int, reply: Completion) -> Settled:
        text = spoken(reply.text)
        difficulty, topics = score_of(text, "difficulty"), topics_of(text)
        if difficulty is None or not topics:
            return Settled(key=item.key, reason="difficulty: no topics or score in the reply")
        facts = {f"difficulty {difficulty}": 1}
        if difficulty < self._table.difficulty:
            return Settled(key=item.key, reason="difficulty: too easy", facts=facts)
        row = {
            **item.data,
            "correctness": correctness,
            "topics": topics,
            "difficulty": difficulty,
        }
        return Settled(key=item.key, rows=(row,), facts=facts)

    def _broken(self, items: Sequence[Item]) -> dict[str, str]:
        """Return the items that have a code block which the syntax step drops, with the reason."""
        if self._table.syntax is None:
            return {}
        texts = [
            Text(
                name=f"{item.key}/{n}",
                text=block.text,
                language=_NAMES.get(block.language, block.language),
            )
            for item in items
            for n, block in enumerate(blocks_of(item.reply))
            if block.language
        ]
        found = refused(self._table.syntax, texts)
        return {name.partition("/")[0]: why for name, why in sorted(found.items(), reverse=True)}
