"""SAFIM: four languages run for real, cuts at blocks and brackets, calls compared."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Style
from evals.gold import check_gold
from evals.infilling.safim import Safim, safim
from evals.infilling.safim_cutting import (
    ExecEvalOutput,
    call_marks,
    code_of_chat,
    cut_block,
    cut_call,
    cut_control,
)
from evals.infilling.syntax import there
from evals.tally import Answer
from sandbox import Kind, Pool, installed
from seedcoder.errors import MachineLacks, UsageError
from seedcoder.fim import FIM

FIM_STYLE = Style(protocol="completion", fim=FIM["deepseek"])
PLAIN = Style(protocol="completion", strip_prompt=False)
needs_trees = pytest.mark.skipif(not there(), reason="needs tree-sitter-language-pack")

TODO = {"python": "# TODO: Your code here"}
SUM = {
    "python": (
        "n = int(input())\ntotal = 0\nfor i in range(n):\n    ",
        "\nprint(total)\n",
        "total += i",
    ),
    "cpp": (
        "#include <iostream>\nint main() {\n  int n, total = 0;\n  std::cin >> n;\n  for (int i = "
        "0; i < n; i++) {\n    ",
        "\n  }\n  std::cout << total << std::endl;\n}\n",
        "total += i;",
    ),
    "java": (
        "import java.util.Scanner;\npublic class Main {\n  public static void main(String[] a) {\n"
        "    int n = new Scanner(System.in).nextInt(), total = 0;\n    for (int i = 0; i < n; i++)"
        " {\n      ",
        "\n    }\n    System.out.println(total);\n  }\n}\n",
        "total += i;",
    ),
    "csharp": (
        "using System;\nclass Program {\n  static void Main() {\n    int n = int.Parse(Console."
        "ReadLine()), total = 0;\n    for (int i = 0; i < n; i++) {\n      ",
        "\n    }\n    Console.WriteLine(total);\n  }\n}\n",
        "total += i;",
    ),
}


def _row(
    number: int, language: str, before: str, after: str, gold: str, **more: Any
) -> dict[str, Any]:
    placeholder = TODO.get(language, "/* TODO: Your code here */")
    return {
        "task_id": f"mine_{number}",
        "lang": language,
        "prompt": f"Description: add.\n\nCode:\n\n{before}{placeholder}{after}",
        "eval_prompt": before + "{{completion}}" + after,
        "ground_truth": gold,
        "unit_tests": json.dumps(
            [{"input": "4\n", "output": ["6"]}, {"input": "0\n", "output": ["0", "zero"]}]
        ),
        **more,
    }


BLOCKS = [_row(n, lang, *parts) for n, (lang, parts) in enumerate(SUM.items())]
CONTROLS = [
    _row(
        0,
        "python",
        "n = int(input())\ntotal = 0\nfor ",
        "\n    total += i\nprint(total)\n",
        "i in range(n):",
    ),
    _row(
        1,
        "cpp",
        "#include <iostream>\nint main() {\n  int n, total = 0;\n  std::cin >> n;\n  for (",
        ") total += i;\n  std::cout << total << std::endl;\n}\n",
        "int i = 0; i < n; i++",
    ),
]
CALLS = [
    _row(
        0, "python", "import numpy as np\na = ", "\n", "np.ones((n, n), dtype=int)", unit_tests="[]"
    ),
    _row(1, "java", "A a = ", ";\n", "new A(1, b)", unit_tests="[]"),
]


@pytest.fixture
def make(write_rows: Callable[..., Path], tmp_path: Path) -> Callable[..., Safim]:
    """Make the benchmark out of rows of our own, under upstream's names."""

    def made(*parts: Any, **options: Any) -> Safim:
        for part, rows in (("block", BLOCKS), ("control", CONTROLS), ("api", CALLS)):
            write_rows(f"{part}_completion.jsonl.gz", rows)  # read as what it is: not gzipped
        return safim(path=tmp_path, parts=parts or ("control", "api"), **options)

    return made


def test_the_three_ways_to_ask(make: Callable[..., Safim]) -> None:
    bench = make("control")
    problem = bench.problems()[0]
    before = CONTROLS[0]["prompt"].partition("# TODO")[0]
    after = "\n    total += i\nprint(total)\n"
    assert bench.request(problem, FIM_STYLE).prompt == (
        f"<｜fim▁begin｜>{before}<｜fim▁hole｜>{after}<｜fim▁end｜>"
    )
    assert bench.request(problem, PLAIN).prompt == before
    chat = bench.request(problem, Style(protocol="chat", prefill=False)).prompt
    assert chat[0].content.endswith(  # type: ignore[union-attr]
        'Replace the "# TODO: Your code here" in the code above with the appropriate control '
        "expression. Provide only the replaced control expression.\n\n"
    )
    sampling = bench.sampling(FIM_STYLE)
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p) == (128, 0.2, 0.95)


@pytest.mark.slow
def test_right_blocks_pass_in_every_language_and_others_do_not(
    make: Callable[..., Safim], answered: Callable[..., Answer], pool: Pool
) -> None:
    if not there():
        pytest.skip("needs tree-sitter-language-pack")
    bench = make("block", "control", "api")
    gold = check_gold(bench, bench.problems(), pool)
    assert gold.ok, gold.words()
    for problem in bench.problems()[:4]:
        semicolon = "" if problem.language == "python" else ";"
        for completion, ok in (
            (f"total = total + i{semicolon}\n", True),
            (f"total = total - i{semicolon}\n", False),
        ):
            answer = answered(bench, problem, completion, FIM_STYLE)
            assert answer.verdict and answer.verdict.ok is ok, (problem.key, answer.verdict)


@pytest.mark.slow
def test_control_expressions_are_run_and_calls_compared(
    make: Callable[..., Safim], answered: Callable[..., Answer], pool: Pool
) -> None:
    bench = make()
    loop, braces, call, new = bench.problems()
    answers = [
        answered(bench, loop, "i in range(0, n):\n    print(i)", FIM_STYLE),
        answered(bench, braces, "int i = 1; i < n; ++i) { total = 0; }", FIM_STYLE),
        answered(bench, call, "np.zeros((n, n), dtype=int)\nprint(a)", FIM_STYLE),
        answered(bench, new, "new A(b, 1);", FIM_STYLE),
    ]
    kinds = [answer.verdict and answer.verdict.kind for answer in answers]
    # np.zeros passes for np.ones: upstream compares the arguments of Python's calls alone.
    assert kinds == [Kind.PASSED, Kind.PASSED, Kind.PASSED, Kind.WRONG]
    wrong = answered(bench, loop, "i in range(n + 1):", FIM_STYLE)
    assert wrong.verdict and wrong.verdict.kind is Kind.WRONG
    mean, over_all = bench.scores([*answers[:3], answers[3]], (1,))
    assert (mean.metric, mean.value) == ("pass@1, mean of parts", pytest.approx((1 + 0.5) / 2))
    assert (over_all.metric, over_all.value) == ("pass@1", 0.75)
    assert check_gold(bench, bench.problems(), pool).ok


@needs_trees
@pytest.mark.parametrize(
    ("language", "completion", "kept"),
    [
        (
            "python",
            "total += i\n    if i:\n        total += 0\nprint(1)\n",
            "total += i\n    if i:\n        total += 0\n",
        ),
        ("python", "total += i\nprint(total)\ndef f(", "total += i\n"),
        ("cpp", "total += i;\n    }\n    total = 0;\n    {\n", "total += i;\n"),
        ("java", "total += i;\n    }\n  }\n}\n", "total += i;\n"),
        ("csharp", "total += i;\n      n--;\n    }\n    if (n", "total += i;\n      n--;\n"),
        ("java", "total +=", ""),
    ],
)
def test_a_block_ends_where_the_rest_of_the_file_would_change(
    language: str, completion: str, kept: str
) -> None:
    before, after, _ = SUM[language]
    frame = before + "{{completion}}" + after
    assert cut_block(completion, frame=frame, language=language) == kept


@pytest.mark.parametrize(
    ("language", "completion", "kept"),
    [
        ("python", "\n\nx in y:\n    pass", "x in y:"),
        ("python", "", ""),
        ("cpp", "f(a) < g(b, c)) {\n x();", "f(a) < g(b, c)"),
        ("java", "a < b", "a < b"),
    ],
)
def test_control_expressions_end_at_the_line_or_the_bracket(
    language: str, completion: str, kept: str
) -> None:
    assert cut_control(completion, language=language) == kept


@pytest.mark.parametrize(
    ("completion", "kept"),
    [
        ("f(a, g(b)).h()\n", "f(a, g(b))"),
        ("f", "f"),
        (") + f(x)", ")"),
    ],
)
def test_calls_end_at_their_bracket(completion: str, kept: str) -> None:
    assert cut_call(completion) == kept


@pytest.mark.parametrize(
    ("language", "written", "exact"),
    [
        ("python", "np.ones( (n,n), dtype=int )", True),
        ("python", "np.full((n, n), dtype=int)", True),
        ("python", "np.ones((n, m), dtype=int)", False),
        ("python", "np.ones((n, n))", False),
        ("python", "np.ones", False),
        ("python", "", False),
        ("java", "np.ones((n, n),dtype=int)", True),
        ("java", "np.full((n, n), dtype=int)", False),
    ],
)
def test_calls_are_compared_as_upstream_compares_them(
    language: str, written: str, exact: bool
) -> None:
    assert call_marks(written, "np.ones((n, n), dtype=int)", language=language).exact is exact


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("Sure:\n```python\nx = 1\n```\nor\n```\ny = 2\n```", "x = 1"),
        ("```\n# TODO: Your code here\n```\n```\nx = 1\n```", "x = 1"),
        ("It is `range(n)`, of course.", "range(n)"),
        ("x = 1  \n", "x = 1"),
        ("```\nnever closed", "```\nnever closed"),
    ],
)
def test_code_is_found_in_chats(reply: str, code: str) -> None:
    assert code_of_chat(reply, language="python") == code


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        ("1 2\n3", " 1 2 \n3\n", True),
        ("1 2\n3", "1\n2 3", True),  # as words
        ("0.5", "0.50000000000001", True),
        ("0.5", "0.500001", False),
        ("1e3", "1000.0", True),
        ("YES", "yes", True),
        ("Hello", "hello", False),
        ("1", "1 1", False),
        ("nan", "1", False),
        ("1_0", "10", True),
    ],
)
def test_outputs_are_compared_as_execeval_compares_them(
    expected: str, got: str, same: bool
) -> None:
    assert ExecEvalOutput()(expected, got) is same


def test_what_cannot_be_judged_here_is_left_out_aloud(
    make: Callable[..., Safim], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tree_sitter_language_pack", None)
    bench = make("block", "control", "api")
    assert "tree-sitter" in bench.left_out()["block"]
    assert {problem.tests["part"] for problem in bench.problems()} == {"control", "api"}
    with pytest.raises(MachineLacks, match="tree-sitter"):
        make("block").problems()
    lacking = set()
    for language in SUM:
        try:
            installed.tools(language)
        except installed.Missing:
            lacking.add(language)
    bench = make()
    assert {part.partition(",")[0] for part in bench.left_out()} == lacking
    run = {p.language for p in bench.problems() if p.tests["part"] == "control"}
    assert run == {"python", "cpp"} - lacking


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lang": "cobol"}, "lang must be one of"),
        ({"eval_prompt": "no gap"}, "the gap must be marked once"),
        ({"unit_tests": "{"}, "unit_tests are no JSON"),
        ({"unit_tests": "[]"}, "unit_tests must each have input and output"),
    ],
)
def test_bad_rows_are_one_line_with_their_place(
    make: Callable[..., Safim], write_rows: Callable[..., Path], change: dict[str, Any], said: str
) -> None:
    bench = make("control")
    write_rows("control_completion.jsonl.gz", [CONTROLS[0], {**CONTROLS[1], **change}])
    with pytest.raises(UsageError, match=f"row 2: {said}") as caught:
        bench.problems()
    assert "\n" not in str(caught.value)
