"""RepoEval: lines, calls and functions, and how a function's body is found in a reply."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Style
from evals.gold import check_gold
from evals.infilling.repoeval import RepoEval, function_marks, repoeval
from evals.infilling.syntax import there
from evals.tally import Answer
from sandbox import Pool
from seedcoder.errors import UsageError
from seedcoder.fim import FIM

FIM_STYLE = Style(protocol="completion", fim=FIM["seed-coder"])
needs_trees = pytest.mark.skipif(not there(), reason="needs tree-sitter-language-pack")
BEFORE = "import shop\n\n\nclass Cart:\n    def total(self):\n        "


def _row(task: str, gold: str, **more: Any) -> dict[str, Any]:
    return {
        "prompt": BEFORE,
        "groundtruth": gold,
        "right_context": "\n\n    def near(self): ...",
        "full_right_context": "\n\n    def near(self): ...\n\nclass Far: ...\n",
        "crossfile_context": "# Here are some relevant code fragments\n\n",
        "metadata": {"task_id": task, "filepath": "shop/cart.py"},
        **more,
    }


ROWS = {
    "line": [_row("shop/0", "return shop.sum(self.items)")],
    "api": [_row("shop/0", "shop.sum(\n            self.items,\n        )")],
    "function": [
        _row(
            "shop/0",
            "found = 0\n        for x in self.items:\n            found += x\n        return found",
        )
    ],
}


@pytest.fixture
def make(write_rows: Callable[..., Path], tmp_path: Path) -> Callable[..., RepoEval]:
    """Make the benchmark out of a row of each kind."""

    def made(**options: Any) -> RepoEval:
        for task, rows in ROWS.items():
            write_rows(f"python_{task}_completion_sparse_oracle.jsonl", rows)
        return repoeval(path=tmp_path, **options)

    return made


def test_all_of_the_file_behind_the_gap_is_shown(make: Callable[..., RepoEval]) -> None:
    bench = make(tasks=("line", "api"))
    line, api = bench.problems()
    assert (line.key, api.key) == ("line/shop/0", "api/shop/0")
    assert bench.request(line, FIM_STYLE).prompt == (
        "<[fim-suffix]>\n\n    def near(self): ...\n\nclass Far: ...\n"
        f"\n\n# Here are some relevant code fragments\n\n<[fim-prefix]>{BEFORE}<[fim-middle]>"
    )
    assert bench.sampling(FIM_STYLE).max_tokens == 50


def test_lines_and_calls_are_graded_by_as_many_lines_as_their_answer_has(
    make: Callable[..., RepoEval], answered: Callable[..., Answer]
) -> None:
    bench = make(tasks=("line", "api"))
    line, api = bench.problems()
    right = answered(bench, api, "shop.sum(\n\n  self.items,\n)\nreturn 1\n", FIM_STYLE)
    wrong = answered(bench, line, "return shop.sum(self)\n", FIM_STYLE)
    assert right.verdict and right.verdict.ok
    assert wrong.verdict and not wrong.verdict.ok
    # 21 characters of 27, in order: 2*21/48 for the first two, one distance of 6 for RepoEval's.
    assert wrong.values["es"] == wrong.values["es_indel"] == pytest.approx(0.88)
    assert wrong.values["es_edit"] == pytest.approx(1 - 6 / 27)
    em, *_, own = bench.scores([right, wrong], (1,))
    assert (em.value, own.metric) == (0.5, "ES (RepoEval)")


@needs_trees
def test_functions_may_be_long_and_their_bodies_are_compared(
    make: Callable[..., RepoEval], answered: Callable[..., Answer], pool: Pool
) -> None:
    bench = make()
    assert bench.sampling(FIM_STYLE).max_tokens == 256
    assert check_gold(bench, bench.problems(), pool).ok
    function = bench.problems()[2]
    reply = function.canonical + "\n\n    def more(self):\n        return 1\n\n    def broken(self"
    right = answered(bench, function, reply, FIM_STYLE)
    assert right.verdict and right.verdict.ok
    wrong = answered(bench, function, reply.replace("found += x", "found -= x"), FIM_STYLE)
    assert wrong.verdict and not wrong.verdict.ok
    assert 0.9 < wrong.values["es"] < 1.0


@needs_trees
@pytest.mark.parametrize(
    ("reply", "body"),
    [
        ("return 1\n\n    def g(self):\n        return 2", "return 1"),
        ("return 1\n\nclass B:\n    def", "return 1"),  # what does not parse is cut away first
        (
            "def h():\n            return 3\n        return h()",
            "def h():\n            return 3\n        return h()",
        ),
        ("return ((", "return (("),  # hardly anything parses: compared as it stands
    ],
)
def test_a_body_ends_where_its_function_does(reply: str, body: str) -> None:
    marks = function_marks(reply, "return 1", prompt=BEFORE)
    assert marks.written == body or (body == "return ((" and not marks.exact)
    assert marks.gold == "return 1"


def test_without_syntax_trees_functions_are_left_out_aloud(
    make: Callable[..., RepoEval], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tree_sitter_language_pack", None)
    bench = make()
    assert "tree-sitter" in bench.left_out()["function"]
    assert [problem.tests["group"] for problem in bench.problems()] == ["line", "api"]
    assert bench.sampling(FIM_STYLE).max_tokens == 50


def test_a_row_without_its_answer_is_named(
    make: Callable[..., RepoEval], write_rows: Callable[..., Path]
) -> None:
    bench = make(tasks=("line",))
    row = {k: v for k, v in ROWS["line"][0].items() if k != "groundtruth"}
    write_rows("python_line_completion_sparse_oracle.jsonl", [ROWS["line"][0], row])
    with pytest.raises(UsageError, match="row 2: no 'groundtruth'"):
        bench.problems()
