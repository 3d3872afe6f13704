"""Needle in the code: the grid, what is asked, and what counts as found."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Style, open_bench
from evals.gold import check_gold
from evals.judging import Task, judge_all
from evals.needle import Needle, Said, needle
from evals.needle_haystack import CHARS_PER_TOKEN
from evals.recipe import EvalRecipe
from evals.runner import evaluate
from sandbox import Kind, Pool, Verdict
from seedcoder.completion import Completion, Request, Sampling
from seedcoder.errors import UsageError

COMPLETION = Style(protocol="completion")
CHAT = Style(protocol="chat", prefill=False)
GRID: dict[str, Any] = {"lengths": (1024, 4096), "depths": (0, 50, 100)}


@pytest.fixture(scope="module")
def bench() -> Needle:
    return needle(**GRID)


@pytest.fixture(scope="module")
def code() -> Needle:
    return needle(**GRID, ask="code")


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool() as pool:
        yield pool


def test_the_needle_stands_once_at_its_depth_in_code_that_parses(bench: Needle) -> None:
    for problem in bench.problems():
        hay = problem.prompt
        assert hay.count(problem.canonical) == 1
        ast.parse(hay)
        depth = int(problem.tags[1].removeprefix("depth:"))
        share = hay.index(problem.canonical) / (len(hay) - len(problem.canonical))
        assert share == pytest.approx(depth / 100, abs=0.1)
        assert hay.count(problem.tests["value"]) == 1


def test_prompt_and_reply_fill_the_length_and_do_not_go_over_it(bench: Needle) -> None:
    for problem in bench.problems():
        length = int(problem.tags[0].removeprefix("length:"))
        for style in (COMPLETION, CHAT):
            asked = bench.request(problem, style).prompt
            text = asked if isinstance(asked, str) else asked[0].content
            tokens = len(text) / CHARS_PER_TOKEN + bench.sampling(style).max_tokens
            assert 0.75 * length < tokens <= length


@pytest.mark.slow
def test_the_same_seed_gives_the_same_problems_and_another_gives_others(bench: Needle) -> None:
    assert needle(**GRID).data_sha256 == bench.data_sha256
    assert bench.count() == len(bench.problems())
    other = needle(**GRID, seed=1)
    assert other.data_sha256 != bench.data_sha256
    names = {problem.entry_point for problem in (*bench.problems(), *other.problems())}
    assert len(names) == 12


def test_the_papers_grid_is_the_default() -> None:
    made = needle()
    assert made.count() == len(made._lengths) * len(made._depths) == 99
    assert (made._lengths[0], made._lengths[-1], made._depths[-1]) == (1024, 32768, 100)


def test_the_answer_is_not_in_the_question(bench: Needle) -> None:
    first = bench.problems()[0]
    for style in (COMPLETION, CHAT):
        asked = bench.request(first, style).prompt
        text = asked if isinstance(asked, str) else asked[0].content
        assert first.tests["value"] not in text.replace(first.canonical, "")
        assert first.entry_point in text.replace(first.canonical, "")


@pytest.mark.parametrize(
    ("style", "reply", "kind"),
    [
        (COMPLETION, " {value}\n", Kind.PASSED),
        (COMPLETION, " {value}  # as above", Kind.PASSED),
        (COMPLETION, " 1{value}", Kind.WRONG),
        (COMPLETION, " 7, or {value}", Kind.WRONG),
        (COMPLETION, " the {value}", Kind.NO_CODE),
        (COMPLETION, "", Kind.NO_CODE),
        (CHAT, "`f()` returns **{value}**.", Kind.PASSED),
        (CHAT, "{grouped}", Kind.PASSED),
        (CHAT, "{value}.5 it is, or 3", Kind.WRONG),
        (CHAT, "I could not find it.", Kind.NO_CODE),
    ],
)
def test_the_number_must_be_right_to_the_digit(
    bench: Needle, style: Style, reply: str, kind: Kind
) -> None:
    problem = bench.problems()[0]
    value = problem.tests["value"]
    said = reply.format(value=value, grouped=f"{int(value):,}")
    tests = bench.tests(problem)
    assert isinstance(tests, Said)
    verdict = tests.judge(bench.program(problem, said, style).source)
    assert (verdict.kind, verdict.mode) == (kind, "text")


def test_a_function_written_again_is_run(code: Needle, pool: Pool) -> None:
    problem = code.problems()[1]
    body = problem.canonical.split("\n", 1)[1]
    replies = [
        (COMPLETION, body, Kind.PASSED),
        (COMPLETION, f"{body}\n\n\nprint(1)", Kind.PASSED),
        (COMPLETION, body.replace("number", "3"), Kind.WRONG),
        (COMPLETION, "", Kind.NO_CODE),
        (CHAT, f"Here:\n```python\n{problem.canonical}\n```", Kind.PASSED),
        (CHAT, "No.", Kind.NO_CODE),
    ]
    jobs = [
        Task(
            key=str(number),
            program=code.program(problem, text, style),
            tests=code.tests(problem),
            limits=code.limits(problem),
        )
        for number, (style, text, _) in enumerate(replies)
    ]
    for task, verdict in judge_all(pool, jobs):
        assert isinstance(verdict, Verdict)
        assert verdict.kind is replies[int(task.key)][2], task.program.source


@pytest.mark.slow
@pytest.mark.parametrize("ask", ["value", "code"])
def test_gold_passes_and_off_by_one_does_not(ask: str, pool: Pool) -> None:
    opened = open_bench("needle", {**GRID, "ask": ask, "repeats": 2})
    gold = check_gold(opened, opened.problems(), pool)
    assert gold.ok, gold.words()
    assert (gold.total, gold.broken_total) == (12, 12)


@pytest.mark.slow
def test_a_run_has_a_score_for_each_length_and_depth(
    bench: Needle, write_answers: Any, tmp_path: Path
) -> None:
    answers = write_answers(
        "answers",
        {
            problem.key: f" {problem.tests['value'] if 'length:1024' in problem.tags else 0}"
            for problem in bench.problems()
        },
    )
    recipe = EvalRecipe.model_validate(
        {
            "bench": "needle",
            "options": {name: list(values) for name, values in GRID.items()},
            "model": f"scripted:{answers}",
            "protocol": "completion",
        }
    )
    tally = evaluate(recipe, name="needle", root=tmp_path / "runs").tally
    assert tally.scores[0].value == 0.5
    assert tally.parts["length:1024"].value == 1.0
    assert tally.parts["length:4096"].value == 0.0
    assert tally.parts["depth:50"].value == 0.5


class _SmallContext:
    """A model whose context takes the short prompts only, and that finds every needle there."""

    name = "small context"

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    def generate(
        self, requests: Iterable[Request], sampling: Sampling, n: int = 1
    ) -> Iterator[Completion]:
        for request in requests:
            fits = len(request.prompt) < 2048 * CHARS_PER_TOKEN
            text = f" {self._values[request.key]}" if fits else ""
            yield Completion(key=request.key, text=text, finish="stop" if fits else "overflow")

    def close(self) -> None:
        pass


def test_a_prompt_beyond_the_context_is_a_wrong_answer_and_is_counted(
    bench: Needle, tmp_path: Path
) -> None:
    recipe = EvalRecipe.model_validate(
        {
            "bench": "needle",
            "options": {name: list(values) for name, values in GRID.items()},
            "model": "lent",
            "protocol": "completion",
            "max_error_rate": 0.0,
        }
    )
    model = _SmallContext({p.key: p.tests["value"] for p in bench.problems()})
    result = evaluate(recipe, name="needle", root=tmp_path, lend=lambda _: model)
    tally = result.tally
    assert (result.status, tally.judged, tally.overflows) == ("complete", 6, 3)
    assert tally.scores[0].value == 0.5
    assert tally.parts["length:4096"].value == 0.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lengths": [100]}, "different numbers from 512"),
        ({"depths": [101]}, "from 0 to 100"),
        ({"depths": [5, 5]}, "different"),
        ({"repeats": 0}, "1 or more"),
        ({"folder": "/no/such/folder"}, "no folder"),
        ({"ask": "poem"}, "options.ask"),
    ],
)
def test_a_grid_that_cannot_be_is_one_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_bench("needle", options)


def test_a_folder_with_too_little_code_is_told(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("def one():\n    return 1\n", encoding="utf-8")
    with pytest.raises(UsageError, match="needs twice as many"):
        needle(**GRID, folder=tmp_path).problems()
