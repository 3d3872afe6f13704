"""Long chains of thought to warm a model up, kept only where the answer behind them passes.

Rejection sampling as the paper has it (sec. 3.2). Whether a thought is sound is not looked at, only
where it leads. Of those that pass, the shortest are kept (ours).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from curate.instruct import prompts
from curate.instruct.answers import Answer, problems_of, sampled
from curate.instruct.desk import Desk
from curate.instruct.item import Item, Settled
from curate.instruct.recipe import InstructRecipe, LongCotTable
from curate.instruct.replies import answer_of, normal_form


class LongCot:
    """The stage. Rows: key, problem, messages (problem, thought and answer), thought_chars."""

    def __init__(self, recipe: InstructRecipe, table: LongCotTable) -> None:
        self._sampling = table.sampling.sampling()
        self._table = table

    def settle(self, items: Sequence[Item], desk: Desk) -> Iterator[Settled]:
        """Look at the tests, draw thoughts, keep those that lead to an answer that passes."""
        table = self._table
        problems, why = problems_of(items, desk)
        yield from (Settled(key=key, reason=reason) for key, reason in why.items())
        answers = sampled(
            problems,
            desk,
            self._sampling,
            table.samples,
            prompt={
                one.item.key: prompts.longcot(one.words, table.open, table.close)
                for one in problems
            },
            prefill=table.open + "\n" if table.prefill else "",
            answer=self._answer,
        )
        for problem in problems:
            key = problem.item.key
            some = answers.get(key)
            if some is None:
                continue
            facts = Counter(samples=len(some), **Counter(self._kind(one) for one in some))
            passing = sorted(
                (one for one in some if one.ok), key=lambda one: (len(one.text), one.reply.n)
            )
            distinct: dict[str, Answer] = {}
            for one in passing:
                distinct.setdefault(normal_form(one.code or ""), one)
            rows = tuple(
                {
                    "key": f"{key}.{n}",
                    "problem": key,
                    "messages": [
                        {"role": "user", "content": problem.words},
                        {"role": "assistant", "content": one.text.strip()},
                    ],
                    "thought_chars": len((self._parts(one.text) or ("", ""))[0]),
                }
                for n, one in enumerate(list(distinct.values())[: table.per_prompt])
            )
            yield Settled(
                key=key, rows=rows, reason="" if rows else "no sample passes", facts=facts
            )

    def _parts(self, text: str) -> tuple[str, str] | None:
        return answer_of(text, self._table.open, self._table.close)

    def _answer(self, text: str) -> str | None:
        """Return what stands behind the thought; None where there is no thought, or too short."""
        parts = self._parts(text)
        return parts[1] if parts and len(parts[0]) >= self._table.thought_chars else None

    def _kind(self, one: Answer) -> str:
        if one.ok:
            return "passing"
        if one.reply.finish != "stop":
            return "cut"
        if self._answer(one.text) is None:
            return "without a thought"
        return "failing" if one.failed else "without code"
