"""CrossCodeEval: prompts within their budget, both graders, and the paper's way to average."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Style, open_bench
from evals.gold import check_gold
from evals.infilling.crosscodeeval import CrossCodeEval, crosscodeeval
from evals.infilling.lines import cceval_marks, qwen_marks, statement
from evals.infilling.syntax import there
from evals.problem import Problem
from evals.tally import Answer
from sandbox import Kind, Pool, Program
from seedcoder.errors import MachineLacks, UsageError
from seedcoder.fim import FIM

FIM_STYLE = Style(protocol="completion", fim=FIM["seed-coder"])
PLAIN = Style(protocol="completion", strip_prompt=False)
needs_trees = pytest.mark.skipif(not there(), reason="needs tree-sitter-language-pack")


def _row(task: str, prompt: str, gold: str, after: str = "\n") -> dict[str, Any]:
    return {
        "prompt": prompt,
        "groundtruth": gold,
        "right_context": after,
        "crossfile_context": {
            "text": "# Here are some relevant code fragments from other files of the repo:\n\n"
            "# the below code fragment can be found in:\n# shop/price.py\n# def net(x): ...\n\n",
            "list": [{"retrieved_chunk": "def net(x): ...", "filename": "shop/price.py"}],
        },
        "metadata": {"task_id": task, "repository": "shop", "file": "shop/cart.py"},
    }


PYTHON = [
    _row("project_cc_python/0", "import price\n\ndef total(xs):\n    return ", "sum(map(net, xs))"),
    _row("project_cc_python/1", "import price\n\nVAT = ", "price.vat('de')"),
    _row("project_cc_python/2", "a = 1\n", "print(a)"),
]
JAVA = [_row("project_cc_java/0", "class A { int f() { ", "return Price.net(x);", " } }")]


@pytest.fixture
def make(write_rows: Callable[..., Path], tmp_path: Path) -> Callable[..., CrossCodeEval]:
    """Make the benchmark out of four rows of our own, in upstream's folders."""

    def made(**options: Any) -> CrossCodeEval:
        name = "line_completion_oracle_bm25.jsonl"
        write_rows(f"python/{name}", PYTHON)
        write_rows(f"java/{name}", JAVA)
        return crosscodeeval(path=tmp_path, **{"languages": ("python", "java"), **options})

    return made


def test_other_files_follow_what_follows_the_gap(make: Callable[..., CrossCodeEval]) -> None:
    bench = make()
    problem = bench.problems()[0]
    cross = PYTHON[0]["crossfile_context"]["text"]
    before, after = PYTHON[0]["prompt"], PYTHON[0]["right_context"]
    assert bench.request(problem, FIM_STYLE).prompt == (
        f"<[fim-suffix]>{after}\n\n{cross}<[fim-prefix]>{before}<[fim-middle]>"
    )
    qwen = Style(protocol="completion", fim=FIM["qwen"])
    assert bench.request(problem, qwen).prompt == (
        f"<|fim_prefix|>{before}<|fim_suffix|>{after}\n\n{cross}<|fim_middle|>"
    )
    assert bench.request(problem, PLAIN).prompt == f"{cross}\n{before}"
    system, user = bench.request(problem, Style(protocol="chat")).prompt
    assert "completion assistant" in system.content  # type: ignore[union-attr]
    assert user.content.endswith(f"##Suffix Code##:\n{after}\n##Middle Code##:\n")  # type: ignore[union-attr]
    assert (bench.sampling(FIM_STYLE).max_tokens, bench.sampling(FIM_STYLE).stop) == (50, ())


def test_no_prompt_holds_the_answer(make: Callable[..., CrossCodeEval]) -> None:
    bench = make()
    for problem in bench.problems():
        for style in (FIM_STYLE, PLAIN, Style(protocol="chat"), Style(protocol="completion")):
            assert problem.canonical not in str(bench.request(problem, style).prompt)


def test_contexts_are_cut_at_their_far_ends(
    write_rows: Callable[..., Path], tmp_path: Path
) -> None:
    row = _row("t/0", "".join(f"before{i}\n" for i in range(900)), "x", "after\n" * 900)
    row["crossfile_context"] = {"text": "# other\n" * 900}
    write_rows("python/line_completion_oracle_bm25.jsonl", [row])
    bench = crosscodeeval(
        path=tmp_path,
        languages=("python",),
        max_seq_tokens=350,
        right_tokens=100,
        cross_tokens=60,
    )
    prompt = bench.request(bench.problems()[0], FIM_STYLE).prompt
    assert isinstance(prompt, str)
    before = prompt.partition("<[fim-prefix]>")[2].removesuffix("<[fim-middle]>")
    # 350 - 50 of the reply - 100 - 60 = 140 tokens, at three characters each.
    assert before.endswith("before899\n") and len(before) == 420
    assert prompt.startswith("<[fim-suffix]>after\nafter\n")
    assert prompt.count("after") == 50 and prompt.count("# other") == 22  # 300 and 178 characters
    with pytest.raises(UsageError, match="leave no room before the gap"):
        small = crosscodeeval(path=tmp_path, languages=("python",), max_seq_tokens=4000)
        small.request(small.problems()[0], FIM_STYLE)


@pytest.mark.parametrize(
    ("reply", "exact", "similarity"),
    [
        ("sum(map(net, xs))", True, 1.0),
        ("sum(map(net, xs))\n\ndef more():\n    pass\n", True, 1.0),  # one line is wanted
        ("\n\n  sum( map( net,xs ) )\n", True, 0.86),  # 16 of 20 and of 17: 32/37
        ("sum(map(net, ys))", False, 0.94),  # 16 of 17 characters
        ("sum(xs)", False, 0.58),  # blocks "sum(" and "xs)": 2*7/24
        ("x = sum(map(net, xs))", False, 0.89),  # 2*17/38
    ],
)
def test_the_papers_grader_compares_words_and_signs_of_as_many_lines(
    reply: str, exact: bool, similarity: float
) -> None:
    marks = qwen_marks(reply, "sum(map(net, xs))")
    assert marks.exact is exact
    assert marks.numbers["es"] == pytest.approx(similarity)


@pytest.mark.parametrize(
    ("reply", "gold", "exact"),
    [
        ('price.vat("de")', "price.vat('de')", True),  # quotes are alike
        ("getPrice(x)", "get Price(x)", True),  # camelCase is words: theirs, not ours
        ("get_price(x)", "getPrice(x)", False),
        ("a = 1\n\nb = 2\nc = 3", "a = 1\nb = 2", True),
        ("a = 1", "a = 1\nb = 2", False),
    ],
)
def test_quirks_of_the_papers_grader(reply: str, gold: str, exact: bool) -> None:
    assert qwen_marks(reply, gold).exact is exact


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        ("return a;\n}\nint g() {", "return a;"),
        ("if (a) {\n  b();", "if (a) {"),
        ("a.b()\n  .c()", "a.b()\n  .c()"),
        ("} else {", "} else {"),  # begins with one: not cut, as upstream has it
    ],
)
def test_statements_of_bracket_languages_end_at_a_semicolon_or_brace(reply: str, kept: str) -> None:
    assert statement(reply, prompt="class A { ", language="java") == kept


@needs_trees
@pytest.mark.parametrize(
    ("prompt", "reply", "kept"),
    [
        ("def f(x):\n    return ", "g(x)\n\ndef h():\n    pass", "g(x)"),
        ("def f(x):\n    return ", "g(\n        x,\n    )\nf(1)\n", "g(\n        x,\n    )"),
        ("def f(x):\n    return ", "g(x", "g(x"),  # nothing ends: all of it
        ("x = [\n    ", "1,\n    2,\n]\ny = 2\n", "1,\n    2,\n]"),
    ],
)
def test_python_statements_end_where_the_file_so_far_parses(
    prompt: str, reply: str, kept: str
) -> None:
    assert statement(reply, prompt=prompt, language="python") == kept


def test_the_authors_grader_drops_comments_and_compares_identifiers() -> None:
    def marked(reply: str) -> tuple[bool, dict[str, float]]:
        marks = cceval_marks(
            reply, 'return price.net(x, "EUR");', prompt="class A { ", language="java"
        )
        return marks.exact, dict(marks.numbers)

    exact, numbers = marked('return price.net(x, "EUR"); // done\nreturn 1;')
    assert exact and (numbers["id_em"], numbers["id_f1"]) == (1.0, 1.0)
    exact, numbers = marked('return price.net(y, "USD");')
    # price, net, y for price, net, x: 2 of 3 on both sides; strings and keywords do not count.
    assert not exact and (numbers["id_em"], numbers["id_f1"]) == (0.0, pytest.approx(2 / 3))
    exact, numbers = marked('return price.net(x, "USD");')
    assert not exact and numbers["id_em"] == 1.0
    assert numbers["es"] == pytest.approx(0.93)  # 24 of 27 and the U: 50/54


def test_the_average_counts_each_language_alike(
    make: Callable[..., CrossCodeEval], answered: Callable[..., Answer]
) -> None:
    bench = make()
    problems = bench.problems()
    assert [problem.key for problem in problems] == [
        "python/project_cc_python/0",
        "python/project_cc_python/1",
        "python/project_cc_python/2",
        "java/project_cc_java/0",
    ]
    replies = ["sum(map(net, xs))", "None", "", "return Price.net(x);"]
    answers = [
        answered(bench, problem, reply, FIM_STYLE)
        for problem, reply in zip(problems, replies, strict=True)
    ]
    kinds = [answer.verdict and answer.verdict.kind for answer in answers]
    assert kinds == [Kind.PASSED, Kind.WRONG, Kind.NO_CODE, Kind.PASSED]
    em, es, _ = bench.scores(answers, (1,))
    # Python 1 of 3, Java 1 of 1; a mean over problems would say 2 of 4.
    assert (em.metric, em.value) == ("EM", pytest.approx((1 / 3 + 1) / 2))
    none = round(100 * 2 * 1 / (4 + 15)) / 100  # None, price.vat('de'): one character in common
    assert es.value == pytest.approx(((1 + none + 0) / 3 + 1) / 2)
    (java,) = (bench.scores(answers[3:], (1,))[0],)
    assert java.value == 1.0


def test_gold_answers_pass_and_spoilt_ones_do_not(
    make: Callable[..., CrossCodeEval], pool: Pool
) -> None:
    bench = make()
    gold = check_gold(bench, bench.problems(), pool)
    assert gold.ok and (gold.total, gold.broken_total) == (4, 4), gold.words()


@needs_trees
def test_the_authors_grader_takes_whole_runs_too(
    make: Callable[..., CrossCodeEval], answered: Callable[..., Answer], pool: Pool
) -> None:
    bench = make(grader="cceval")
    assert not bench.left_out()
    assert check_gold(bench, bench.problems(), pool).ok
    answers = [answered(bench, p, p.canonical + "\nx = 1\n", FIM_STYLE) for p in bench.problems()]
    assert [score.metric for score in bench.scores(answers, (1,))][-2:] == [
        "identifier EM",
        "identifier F1",
    ]
    assert bench.scores(answers, (1,))[0].value == 1.0


def test_without_syntax_trees_the_authors_python_part_is_left_out_aloud(
    make: Callable[..., CrossCodeEval], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tree_sitter_language_pack", None)
    bench = make(grader="cceval")
    assert "tree-sitter" in bench.left_out()["python"]
    assert {problem.tests["group"] for problem in bench.problems()} == {"java"}
    with pytest.raises(MachineLacks, match="tree-sitter"):
        make(grader="cceval", languages=("python",)).problems()


def test_bad_files_and_options_are_one_line(
    make: Callable[..., CrossCodeEval], write_rows: Callable[..., Path], tmp_path: Path
) -> None:
    make()
    write_rows("python/line_completion_oracle_bm25.jsonl", [{**PYTHON[0], "metadata": {}}])
    with pytest.raises(UsageError, match=r"row 1: no 'metadata\.task_id'"):
        crosscodeeval(path=tmp_path, languages=("python",)).problems()
    with pytest.raises(UsageError, match="no file"):
        crosscodeeval(path=tmp_path, languages=("csharp",)).problems()
    with pytest.raises(UsageError, match=r"options\.languages"):
        open_bench("crosscodeeval", {"languages": ["cobol"]})


def test_a_tokenizer_counts_what_characters_only_guess(
    write_rows: Callable[..., Path], tmp_path: Path
) -> None:
    pytest.importorskip("transformers", reason="needs transformers")
    tokenizers = pytest.importorskip("tokenizers", reason="needs tokenizers")
    # One token a word and one a space: "w " is two.
    model = tokenizers.models.WordLevel({"w": 0, " ": 1, "?": 2}, unk_token="?")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split(" ", "isolated")
    tokenizer.decoder = tokenizers.decoders.Fuse()
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    row = _row("t/0", "w " * 500, "x", "w " * 500)
    write_rows("python/line_completion_oracle_bm25.jsonl", [row])
    bench = crosscodeeval(
        path=tmp_path,
        languages=("python",),
        tokenizer=str(folder),
        max_seq_tokens=210,
        right_tokens=40,
        cross_tokens=20,
    )
    prompt = bench.request(bench.problems()[0], FIM_STYLE).prompt
    assert isinstance(prompt, str)
    before = prompt.partition("<[fim-prefix]>")[2].removesuffix("<[fim-middle]>")
    assert before == "w " * 50  # 210 - 50 - 40 - 20 = 100 tokens
    # 40 tokens of what follows, and 20 of other files, all of them unknown to it.
    assert prompt.startswith("<[fim-suffix]>" + "w " * 20 + "? " * 10 + "<[fim-prefix]>")


def test_a_tokenizer_that_is_not_there_is_one_line(
    make: Callable[..., CrossCodeEval], tmp_path: Path
) -> None:
    bench = make(
        tokenizer=str(tmp_path / "nothing"), max_seq_tokens=70, right_tokens=5, cross_tokens=5
    )
    with pytest.raises((MachineLacks, UsageError), match=r"options\.tokenizer") as caught:
        bench.request(bench.problems()[0], FIM_STYLE)
    assert "\n" not in str(caught.value)


def test_votes_are_counted_by_words(make: Callable[..., CrossCodeEval]) -> None:
    bench = make()

    def vote(text: str) -> str | None:
        return bench.ballot(Answer(key="a#0", problem="a", n=0, program=text))

    assert vote("f( x )\n") == vote("f( x )") != vote("g(x)")
    assert vote("") is None


def test_a_problem_is_text_and_no_program(make: Callable[..., CrossCodeEval]) -> None:
    problem: Problem = make().problems()[0]
    assert problem.language == "text"
    assert make().program(problem, " \n", FIM_STYLE) == Program(language="text", source="")
