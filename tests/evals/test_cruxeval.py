"""CRUXEval: its prompts, its extraction, and its verdicts against upstream's, list by list."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Style, open_bench
from evals.cruxeval import CruxEval, cruxeval_input, cruxeval_output
from evals.gold import check_gold
from evals.judging import Task, judge_all
from evals.problem import Problem
from evals.recipe import EvalRecipe
from evals.runner import evaluate
from evals.tally import Answer
from sandbox import Kind, Pool, Verdict
from seedcoder.completion import Message
from seedcoder.errors import MachineLacks, UsageError

COMPLETION = Style(protocol="completion")
CHAT = Style(protocol="chat", prefill=False)

ROWS = [
    {
        "id": "sample_0",
        "code": "def f(words):\n    return [w.upper() for w in words][::-1]",
        "input": "['ab', 'c']",
        "output": "['C', 'AB']",
    },
    {
        "id": "sample_1",
        "code": "def f(a, b):\n    while a > 1000:\n        pass\n    return a % b == 0",
        "input": "9, 3",
        "output": "True",
    },
    {
        "id": "sample_2",
        "code": "def f(n):\n    return {n: n * 2}",
        "input": "4",
        "output": "{4: 8}",
    },
]

# Upstream's check (evaluation/utils_general.py, utils_execute.py) written anew, for texts of ours.
OFFICIAL = """
import json, signal, sys

def stop(number, frame):
    raise TimeoutError

def passes(code, given, output, answer, mode):
    if mode == "input" and "f(" not in answer:
        return False
    if mode == "output" and f"f({given})" in answer:
        return False
    signal.setitimer(signal.ITIMER_REAL, 3)
    try:
        exec(f"{code}\\nassert {output} == {answer}", {})
    except BaseException:
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return True

signal.signal(signal.SIGALRM, stop)
real, sys.stdout = sys.stdout, open("/dev/null", "w")
real.write(json.dumps([passes(*row) for row in json.load(sys.stdin)]))
"""


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool() as pool:
        yield pool


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "cruxeval.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder() -> Path:
    folder = Path(os.environ.get("SEEDCODER_DATA", "/nowhere")) / "cruxeval"
    if not (folder / "cruxeval.jsonl").is_file():
        pytest.skip("SEEDCODER_DATA names no folder with cruxeval/cruxeval.jsonl")
    return folder


Pairs = Sequence[tuple[Problem, str]]


def _official(pairs: Pairs, mode: str) -> list[bool]:
    rows = [
        (p.tests["code"], p.tests["input"], p.tests["output"], answer, mode) for p, answer in pairs
    ]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OFFICIAL],
        input=json.dumps(rows),
        capture_output=True,
        text=True,
        check=True,
    )
    return [bool(passed) for passed in json.loads(done.stdout)]


def _ours(bench: CruxEval, pairs: Pairs, pool: Pool) -> list[Verdict]:
    jobs = [
        Task(
            key=str(number),
            program=bench.solution(problem, answer),
            tests=bench.tests(problem),
            limits=bench.limits(problem),
        )
        for number, (problem, answer) in enumerate(pairs)
    ]
    found: dict[str, Verdict] = {}
    for task, verdict in judge_all(pool, jobs):
        assert isinstance(verdict, Verdict), verdict
        found[task.key] = verdict
    return [found[str(number)] for number in range(len(pairs))]


def _disagreements(bench: CruxEval, pairs: Pairs, pool: Pool, mode: str) -> list[Any]:
    verdicts = _ours(bench, pairs, pool)
    return [
        (problem.key, answer, official, verdict.kind)
        for (problem, answer), official, verdict in zip(
            pairs, _official(pairs, mode), verdicts, strict=True
        )
        if verdict.ok is not official
    ]


def test_the_prompts_end_where_the_model_goes_on(small: Path) -> None:
    first = cruxeval_output(path=small).problems()[0]
    asked = cruxeval_output(path=small).request(first, COMPLETION).prompt
    assert isinstance(asked, str)
    assert asked.endswith(
        "\n[PYTHON]\ndef f(words):\n    return [w.upper() for w in words][::-1]\n"
        "assert f(['ab', 'c']) == ??\n[/PYTHON]\n[ANSWER]\n"
    )
    assert first.tests["output"] not in asked
    backwards = cruxeval_input(path=small, cot=True)
    asked = backwards.request(backwards.problems()[0], COMPLETION).prompt
    assert isinstance(asked, str)
    assert asked.endswith("assert f(??) == ['C', 'AB']\n[/PYTHON]\n[THOUGHT]\n")
    assert "['ab', 'c']" not in asked
    # Two spaces at line ends are part of the published text.
    assert "f(??) == 17. \n\n" in asked
    assert "should be 16. \n[/THOUGHT]" in asked


def test_a_chat_model_is_told_who_it_is_and_asked_the_same(small: Path) -> None:
    bench = cruxeval_output(path=small, cot=True)
    first = bench.problems()[0]
    told = bench.request(first, CHAT).prompt
    assert isinstance(told, tuple)
    assert [message.role for message in told] == ["system", "user"]
    assert told[1] == Message(role="user", content=str(bench.request(first, COMPLETION).prompt))


def test_the_sampling_is_upstreams(small: Path) -> None:
    sampling = cruxeval_output(path=small).sampling(COMPLETION)
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (0.2, 0.95, 1024)
    assert sampling.stop == ("[/ANSWER]",)
    assert cruxeval_output(path=small).sampling(CHAT).max_tokens == 100
    assert cruxeval_output(path=small, cot=True).sampling(CHAT).max_tokens == 1000


@pytest.mark.parametrize(
    ("mode", "cot", "chat", "reply", "answer"),
    [
        ("output", False, False, "assert f(17) == [1, 2]\n[/ANSWER] == 3", "[1, 2]"),
        ("output", False, False, " 'abc' ", "'abc'"),
        ("output", False, True, "[ANSWER]\nassert f(1) == 2\n[/ANSWER]", "2"),
        ("output", True, False, "so 1 == 2.\n[/THOUGHT]\n[ANSWER]\nassert f(1) == 7\n", "7"),
        ("output", True, False, "it is == 4", "4"),
        ("output", True, True, "thinking\nf(1) == 4", "f(1) == 4"),
        ("output", True, True, "a == b\n[ANSWER]assert f(1) == 4[/ANSWER]", "4"),
        ("input", False, False, "assert f([3]) == 3\n", "f([3])"),
        ("input", False, False, "f('==')", "f('"),
        ("input", True, False, "x\n[ANSWER]\nassert f(16) == 17\n", "f(16)"),
        ("input", True, True, "the answer is\nf(16)", "f(16)"),
        ("input", False, False, "", ""),
    ],
)
def test_the_answer_is_taken_out_as_upstream_does(
    small: Path, mode: str, cot: bool, chat: bool, reply: str, answer: str
) -> None:
    make = cruxeval_input if mode == "input" else cruxeval_output
    assert make(path=small, cot=cot).extracted(reply, chat=chat) == answer


@pytest.mark.parametrize(
    ("key", "answer", "kind"),
    [
        (0, "['C', 'AB']", Kind.PASSED),
        (0, "['C',\n 'AB']  # done", Kind.PASSED),
        (0, "(['C',\n 'AB'])", Kind.PASSED),
        (0, "['C', 'AB'], 'a message'", Kind.PASSED),
        (0, "['AB', 'C']", Kind.WRONG),
        (0, "('C', 'AB')", Kind.WRONG),
        (0, "f(['ab', 'c'])", Kind.NO_CODE),
        (0, "f(['ab', 'c' ])", Kind.PASSED),
        (0, "['C', 'AB'", Kind.COMPILE_ERROR),
        (0, "", Kind.COMPILE_ERROR),
        (0, "undefined", Kind.WRONG),
        (0, "['C', 'AB']\nraise ValueError", Kind.WRONG),
        (0, "['C', 'AB']\nx = 1", Kind.PASSED),
        (1, "1", Kind.PASSED),
        pytest.param(1, "f(1001, 2)", Kind.TIMEOUT, marks=pytest.mark.slow),
        (2, "{4: 8.0}", Kind.PASSED),
        (2, "__import__('collections').Counter({4: 8})", Kind.PASSED),
    ],
)
def test_output_answers_have_the_verdicts_that_upstream_gives(
    small: Path, pool: Pool, key: int, answer: str, kind: Kind
) -> None:
    bench = cruxeval_output(path=small)
    problem = bench.problems()[key]
    (verdict,) = _ours(bench, [(problem, answer)], pool)
    assert verdict.kind is kind
    assert _official([(problem, answer)], "output") == [verdict.ok]


@pytest.mark.parametrize(
    ("key", "answer", "kind"),
    [
        (0, "f(['ab', 'c'])", Kind.PASSED),
        (0, "f(words=['Ab', 'c'])", Kind.PASSED),
        (0, "f(['ab', 'd'])", Kind.WRONG),
        (0, "['ab', 'c']", Kind.NO_CODE),
        (0, "f(['ab', 'c'", Kind.COMPILE_ERROR),
        (1, "f(6, b=2)", Kind.PASSED),
        (1, "f(6, 0)", Kind.WRONG),
        (2, "f(4)", Kind.PASSED),
        (2, "f(*(4,))", Kind.PASSED),
    ],
)
def test_input_answers_have_the_verdicts_that_upstream_gives(
    small: Path, pool: Pool, key: int, answer: str, kind: Kind
) -> None:
    bench = cruxeval_input(path=small)
    problem = bench.problems()[key]
    (verdict,) = _ours(bench, [(problem, answer)], pool)
    assert verdict.kind is kind
    assert _official([(problem, answer)], "input") == [verdict.ok]


ALWAYS_EQUAL = "type('E', (), {'__eq__': lambda s, o: True})()"


@pytest.mark.parametrize(
    ("mode", "answer"),
    [
        ("output", "1 or True"),
        ("output", "0 if False else 1"),
        ("output", ALWAYS_EQUAL),
        ("input", "{4: 8} # f("),
        ("input", "{4: 8} or f(1)"),
        ("input", f"[{ALWAYS_EQUAL}, f(1)][0]"),
    ],
)
def test_an_answer_that_only_bends_the_assertion_is_no_pass_though_upstream_has_it_one(
    small: Path, pool: Pool, mode: str, answer: str
) -> None:
    bench = cruxeval_input(path=small) if mode == "input" else cruxeval_output(path=small)
    problem = bench.problems()[2]
    assert _official([(problem, answer)], mode) == [True]
    assert not _ours(bench, [(problem, answer)], pool)[0].ok


def test_the_expected_value_is_not_in_the_candidates_box(small: Path) -> None:
    bench = cruxeval_output(path=small)
    problem = bench.problems()[2]
    for answer in ("17", "17 18", "", "{4: 9}"):
        assert "{4: 8}" not in bench.program(problem, f"assert f(4) == {answer}", COMPLETION).source


def test_majority_votes_are_by_value(small: Path) -> None:
    bench = cruxeval_output(path=small)
    problem = bench.problems()[0]

    def vote(answer: str) -> str | None:
        source = bench.solution(problem, answer).source
        return bench.ballot(Answer(key="k", problem=problem.key, n=0, program=source))

    assert vote("['C', 'AB']") == vote('[\n"C","AB"]') == "['C', 'AB']"
    assert vote("f( 1)") == vote("f(1 )") == "f(1)"
    assert vote("['C'") is None


def test_answers_that_are_not_run_can_be_left_out_as_the_papers_suite_does(
    small: Path, pool: Pool
) -> None:
    problems = cruxeval_input(path=small).problems()
    answers = []
    for problem, texts in zip(problems, (["f(['ab','c'])", "x"], ["x", "x"], []), strict=True):
        for n, text in enumerate(texts):
            (verdict,) = _ours(cruxeval_input(path=small), [(problem, text)], pool)
            answers.append(
                Answer(key=f"{problem.key}#{n}", problem=problem.key, n=n, verdict=verdict)
            )
    official = cruxeval_input(path=small).scores(answers, (1,))
    other = cruxeval_input(path=small, skip_ill_formed=True).scores(answers, (1,))
    assert (official[0].value, other[0].value) == (0.25, 0.5)


def test_a_file_that_is_not_in_the_form_is_one_line_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    for change, said in (({"output": "f(1)"}, "not a literal"), ({"code": 3}, "must be a string")):
        path.write_text(json.dumps({**ROWS[0], **change}), encoding="utf-8")
        with pytest.raises(UsageError, match=f"bad.jsonl, row 1: .*{said}"):
            cruxeval_output(path=path).problems()
    path.write_text(json.dumps({"id": "sample_0"}), encoding="utf-8")
    with pytest.raises(UsageError, match="row 1: no 'code'"):
        cruxeval_output(path=path).problems()


def test_data_that_was_not_published_is_refused_where_the_published_is_expected(
    small: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cruxeval").mkdir()
    small.rename(tmp_path / "cruxeval" / "cruxeval.jsonl")
    monkeypatch.setenv("SEEDCODER_DATA", str(tmp_path))
    with pytest.raises(MachineLacks, match="does not hold the 800 rows"):
        cruxeval_output().problems()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cruxeval-i", "cruxeval-o"])
def test_a_run_from_prompt_to_score(
    small: Path, write_answers: Any, tmp_path: Path, name: str
) -> None:
    replies = {
        "cruxeval-i": "assert f(['ab', 'c']) == ['C', 'AB']",
        "cruxeval-o": "assert f(['ab', 'c']) == ['C', 'AB']",
    }
    answers = write_answers("answers", {row["id"]: replies[name] for row in ROWS})
    recipe = EvalRecipe.model_validate(
        {
            "bench": name,
            "options": {"path": str(small)},
            "model": f"scripted:{answers}",
            "protocol": "completion",
        }
    )
    result = evaluate(recipe, name="crux", root=tmp_path / "runs")
    assert result.tally.scores[0].value == pytest.approx(1 / 3)
    assert result.manifest["gold"]["canonical_passed"] == 3


@pytest.mark.slow
def test_code_llamas_published_answers_have_their_published_verdicts(
    folder: Path, pool: Pool
) -> None:
    oracle = folder / "oracle"
    stem = "codellama-7b_temp0.2_output"
    answers = json.loads((oracle / f"{stem}.generations.json").read_text())
    scored = json.loads((oracle / f"{stem}.scored.json").read_text())["raw_scored_generations"]
    bench = cruxeval_output(path=folder / "cruxeval.jsonl")
    # Of equal answers to a problem one is judged.
    pairs = [(p, text) for p in bench.problems() for text in dict.fromkeys(answers[p.key])]
    verdicts = {
        (problem.key, text): verdict.ok
        for (problem, text), verdict in zip(pairs, _ours(bench, pairs, pool), strict=True)
    }
    ours = {key: [verdicts[key, text] for text in texts] for key, texts in answers.items()}
    agree = sum(ours[key] == scored[key] for key in scored)
    assert (agree, len(scored)) == (800, 800)


def _derived_inputs(problems: Sequence[Problem]) -> dict[str, list[str]]:
    """Return for each problem a right call, and calls that may be right or wrong."""
    found = {}
    for number, problem in enumerate(problems):
        given, other = problem.tests["input"], problems[number - 1].tests["input"]
        found[problem.key] = [
            f"f({given})",
            f"f({other})",
            # One of these for each problem: what the shape does is the same for all.
            (
                f"f({given}, {given})",
                f"f({given}) # done",
                f"f({given}), 'words'",
                f"f({given}",
                given,
                f"f({given})[0]",
                f"f({given})\nassert f({other})",
            )[number % 7],
            f"f({problem.tests['output']})",
        ]
    return found


@pytest.mark.slow
def test_input_answers_agree_with_upstreams_check_on_every_problem(
    folder: Path, pool: Pool
) -> None:
    bench = cruxeval_input(path=folder / "cruxeval.jsonl")
    derived = _derived_inputs(bench.problems())
    pairs = [(problem, text) for problem in bench.problems() for text in derived[problem.key]]
    assert _disagreements(bench, pairs, pool, "input") == []
    assert len(derived) == 800


@pytest.mark.slow
def test_output_answers_agree_with_upstreams_check_on_every_problem(
    folder: Path, pool: Pool
) -> None:
    bench = cruxeval_output(path=folder / "cruxeval.jsonl")
    pairs = []
    for number, problem in enumerate(bench.problems()):
        output, other = problem.tests["output"], bench.problems()[number - 1].tests["output"]
        given = problem.tests["input"]
        shapes = (f"f({given})", f"f( {given} )", f"[{output}][0]", f"{output},", "")
        pairs += [(problem, text) for text in (output, other, shapes[number % 5])]
    assert _disagreements(bench, pairs, pool, "output") == []


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["input", "output"])
def test_the_published_answers_pass_and_spoilt_ones_do_not(
    folder: Path, pool: Pool, mode: str
) -> None:
    options: Mapping[str, Any] = {"path": folder / "cruxeval.jsonl"}
    bench = open_bench(f"cruxeval-{mode[0]}", options)
    gold = check_gold(bench, bench.problems(), pool)
    assert gold.ok, gold.words()
    assert (gold.total, gold.broken_total) == (800, 800)
