"""DPO pairs from many samples a prompt, judged by the sandbox (paper, sec. 3.1).

The rule of pairing is ours. Chosen are finished replies whose code passes every test; rejected are
finished replies whose code was judged and fails. Replies without code and replies that were cut are
neither: they would teach form and length. Copies (the same code but for layout and comments) count
once. Chosen are taken by lot, and each gets the rejected one that is nearest in length.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from curate.instruct.answers import Answer, problems_of, sampled
from curate.instruct.desk import Desk
from curate.instruct.item import Item, Settled
from curate.instruct.recipe import InstructRecipe, PairsTable
from curate.instruct.replies import normal_form


class Pairs:
    """The stage. Rows: key, problem, prompt, chosen, rejected (messages), rejected_for."""

    def __init__(self, recipe: InstructRecipe, table: PairsTable) -> None:
        self._sampling = recipe.sampling.sampling()
        self._seed = recipe.seed
        self._table = table

    def settle(self, items: Sequence[Item], desk: Desk) -> Iterator[Settled]:
        """Look at the tests, draw samples, pair them."""
        problems, why = problems_of(items, desk)
        yield from (Settled(key=key, reason=reason) for key, reason in why.items())
        answers = sampled(problems, desk, self._sampling, self._table.samples)
        for problem in problems:
            key = problem.item.key
            some = answers.get(key)
            if some is None:
                continue
            right = _distinct([answer for answer in some if answer.ok])
            wrong = _distinct([answer for answer in some if answer.failed])
            facts = {
                "samples": len(some),
                "passing": sum(answer.ok for answer in some),
                "failing": sum(answer.failed for answer in some),
            }
            facts["neither"] = facts["samples"] - facts["passing"] - facts["failing"]
            if not right or not wrong:
                reason = "no sample passes" if not right else "no sample fails"
                yield Settled(key=key, reason=reason, facts=facts)
                continue
            rows = [
                {
                    "key": f"{key}.{n}",
                    "problem": key,
                    "prompt": [{"role": "user", "content": problem.words}],
                    "chosen": [{"role": "assistant", "content": good.text.strip()}],
                    "rejected": [{"role": "assistant", "content": bad.text.strip()}],
                    "rejected_for": bad.ruling.kind if bad.ruling else "",
                }
                for n, (good, bad) in enumerate(self._paired(key, right, wrong))
            ]
            yield Settled(key=key, rows=tuple(rows), facts={**facts, "pairs": len(rows)})

    def _paired(
        self, key: str, right: list[Answer], wrong: list[Answer]
    ) -> Iterator[tuple[Answer, Answer]]:
        lot = random.Random(f"{self._seed} pairs {key}")
        lot.shuffle(right)
        for good in right[: self._table.per_prompt]:
            if not wrong:
                return
            bad = min(wrong, key=lambda one: (abs(len(one.text) - len(good.text)), one.reply.n))
            wrong.remove(bad)
            yield good, bad


def _distinct(answers: Sequence[Answer]) -> list[Answer]:
    found: dict[str, Answer] = {}
    for answer in answers:
        found.setdefault(normal_form(answer.code or ""), answer)
    return list(found.values())
