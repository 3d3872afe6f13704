"""SantaCoder's fill-in-the-middle task: the line that counts, and the weighted average."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evals.bench import Style, open_bench
from evals.gold import check_gold
from evals.infilling.santacoder import SantaCoderFim, line, santacoder_fim
from evals.tally import Answer
from sandbox import Kind, Pool
from seedcoder.errors import UsageError
from seedcoder.fim import FIM

FIM_STYLE = Style(protocol="completion", fim=FIM["qwen"])
ROWS = [
    {
        "name": "HumanEval_900_add",
        "language": language,
        "prompt": before,
        "suffix": after,
        "canonical_solution": gold,
        "tests": "",
    }
    for language, before, gold, after in [
        ("py", "def add(a, b):\n", "    total = a + b", "\n    return total\n"),
        ("py", "def add(a, b):\n    total = a + b\n", "    return total", "\n"),
        ("js", "function add(a, b) {\n", "  return a + b;", "\n}\n"),
        ("java", "class A {\n  int add(int a, int b) {\n", "    return a + b;", "\n  }\n}\n"),
    ]
]


@pytest.fixture
def bench(write_rows: Callable[..., Path]) -> SantaCoderFim:
    """The benchmark over four rows of our own."""
    return santacoder_fim(path=write_rows("train.jsonl", ROWS))


def test_rows_become_problems_asked_with_both_sides(bench: SantaCoderFim) -> None:
    problems = bench.problems()
    assert [p.key for p in problems][:2] == ["py/HumanEval_900_add/1", "py/HumanEval_900_add/2"]
    assert [p.tags for p in problems][2:] == [("language:javascript",), ("language:java",)]
    assert bench.request(problems[0], FIM_STYLE).prompt == (
        "<|fim_prefix|>def add(a, b):\n<|fim_suffix|>\n    return total\n<|fim_middle|>"
    )
    assert bench.sampling(FIM_STYLE).max_tokens == 64
    chat = bench.request(problems[3], Style(protocol="chat", prefill=False))
    assert "this Java file" in chat.prompt[0].content  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("reply", "counts"),
    [
        ("    return total\n\nprint(1)", "return total"),
        ("\n    return total", "return total"),
        (" \n    return total", "return total"),
        ("\n\n    return total", ""),  # the second line and no other: upstream's rule
        ("  \n    return total", ""),
        ("return total", "return total"),
        ("", ""),
    ],
)
def test_the_first_line_counts_or_the_second_behind_an_empty_one(reply: str, counts: str) -> None:
    assert line(reply) == counts


@pytest.mark.parametrize(
    ("reply", "kind", "similarity"),
    [
        ("    total = a + b", Kind.PASSED, 1.0),
        ("total = a + b\n    return total", Kind.PASSED, 1.0),
        ("    total = b + a", Kind.WRONG, 0.85),  # 11 of 13 and 13: blocks "total = " and " + "
        ("    total = a+b", Kind.WRONG, 0.92),  # 2*11/24
        ("   ", Kind.NO_CODE, 0.0),
    ],
)
def test_the_exact_line_is_wanted(
    bench: SantaCoderFim,
    answered: Callable[..., Answer],
    reply: str,
    kind: Kind,
    similarity: float,
) -> None:
    answer = answered(bench, bench.problems()[0], reply, FIM_STYLE)
    assert answer.verdict is not None
    assert (answer.verdict.kind, answer.verdict.mode) == (kind, "text")
    assert answer.values["es"] == pytest.approx(similarity)


def test_the_average_is_weighted_by_how_many_problems_a_language_has(
    bench: SantaCoderFim, answered: Callable[..., Answer]
) -> None:
    replies = ["    total = a + b", "    return a", "  return a + b;", "return b;"]
    answers = [
        answered(bench, problem, reply, FIM_STYLE)
        for problem, reply in zip(bench.problems(), replies, strict=True)
    ]
    em, es, _ = bench.scores(answers, (1,))
    assert (em.metric, em.value, em.problems) == ("EM", 0.5, 4)
    # "return a" of "return total": block "return " and then the "a": 2*8/20.
    # "return b;" of "return a + b;": "return " and "b;": 2*9/22.
    assert es.value == pytest.approx((1 + 0.8 + 1 + 0.82) / 4)


def test_gold_lines_pass_and_spoilt_ones_do_not(bench: SantaCoderFim, pool: Pool) -> None:
    gold = check_gold(bench, bench.problems(), pool)
    assert gold.ok and gold.total == 4, gold.words()


def test_languages_can_be_chosen_and_others_are_refused(write_rows: Callable[..., Path]) -> None:
    path = write_rows("train.jsonl", ROWS)
    bench = open_bench("santacoder-fim", {"path": str(path), "languages": ["java"]})
    assert len(bench.problems()) == 1
    path = write_rows("train.jsonl", [*ROWS, {**ROWS[0], "language": "cob"}])
    with pytest.raises(UsageError, match="row 5: language must be py, java, js, not 'cob'"):
        santacoder_fim(path=path).problems()
