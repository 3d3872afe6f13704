"""HumanEval+ and MBPP+: their data, how they ask, how they judge, and evalplus's own verdicts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Style, open_bench
from evals.evalplus.adapter import adapted
from evals.evalplus.disabled import disabled
from evals.evalplus.plus import EvalPlus, humaneval_plus, mbpp_plus
from evals.gold import check_gold
from evals.judging import Task, judge_all
from evals.problem import Problem
from evals.tally import Answer
from sandbox import Kind, Pool, Verdict
from seedcoder.errors import MachineLacks, UsageError

CHAT = Style(protocol="chat")
COMPLETION = Style(protocol="completion")

ROWS: list[dict[str, Any]] = [
    {
        "task_id": "Mbpp/2",
        "prompt": '"""\nThe shared members.\nassert similar_elements((1,), (1,)) == (1,)\n"""\n',
        "entry_point": "similar_elements",
        "canonical_solution": "\ndef similar_elements(a, b):\n    return tuple(set(a) & set(b))\n",
        "base_input": [[[1, 2], [2, 3]]],
        "plus_input": [[[], []], [[5, 6], [6, 5]]],
        "atol": 0,
    },
    {
        "task_id": "Mbpp/737",
        "prompt": '"""\nDoes the text begin with a vowel?\n"""\n',
        "entry_point": "check_str",
        "canonical_solution": "\nimport re\ndef check_str(s):\n    return re.match('[aeiou]', s)\n",
        "base_input": [["annie"], ["dawood"]],
        "plus_input": {},
        "atol": 0,
    },
    {
        "task_id": "Mbpp/1",
        "prompt": '"""\nCount up to n.\n"""\n',
        "entry_point": "count",
        "canonical_solution": "\ndef count(n):\n    return list(range(n))\n",
        "base_input": [[3]],
        "plus_input": [[0], [20000]],
        "atol": 0,
    },
]  # fmt: skip


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EvalPlus:
    monkeypatch.setenv("SEEDCODER_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return mbpp_plus(path=path)


def judged(bench: EvalPlus, pool: Pool, place: int, source: str) -> tuple[Verdict, float]:
    problem = bench.problems()[place]
    program = bench.solution(problem, source)
    verdict = pool.judge(program, bench.tests(problem), bench.limits(problem))
    return verdict, bench.values(problem, program, verdict)["base"]


def test_gold_passes_and_spoilt_solutions_do_not(tiny: EvalPlus, evalplus_pool: Pool) -> None:
    gold = check_gold(tiny, tiny.problems(), evalplus_pool)
    assert gold.ok, gold.words()
    assert gold.broken_total == 3


def test_base_and_extra_inputs_are_told_apart_in_one_run(
    tiny: EvalPlus, evalplus_pool: Pool
) -> None:
    body = "def similar_elements(a, b):\n    return [x for x in a if x in b]"
    verdict, base = judged(tiny, evalplus_pool, 0, body)
    assert (verdict.ok, base, len(verdict.outcomes)) == (True, 1.0, 1)
    verdict, base = judged(tiny, evalplus_pool, 0, f"{body} if a else [9]")
    assert (verdict.ok, base) == (False, 1.0), "wrong on an extra input only"
    verdict, base = judged(tiny, evalplus_pool, 0, "def similar_elements(a, b):\n    return []")
    assert (verdict.ok, base) == (False, 0.0)
    verdict, base = judged(tiny, evalplus_pool, 0, "")
    assert (verdict.kind, base) == (Kind.NO_CODE, 0.0)


def test_values_that_do_not_cross_are_judged_where_upstream_judges_them_and_counted_elsewhere(
    tiny: EvalPlus, evalplus_pool: Pool
) -> None:
    generator = "def similar_elements(a, b):\n    yield from set(a) & set(b)"
    assert judged(tiny, evalplus_pool, 0, generator)[0].ok
    match = "import re\ndef check_str(s):\n    return re.search('^[aeiou]', s)"
    assert judged(tiny, evalplus_pool, 1, match)[0].ok
    assert not judged(tiny, evalplus_pool, 1, match.replace("aeiou", "d"))[0].ok
    # An object that says it equals everything.
    forged = "class A:\n    def __eq__(self, o):\n        return True\n"
    problem = tiny.problems()[2]
    program = tiny.solution(problem, f"{forged}def count(n):\n    return A()")
    verdict = evalplus_pool.judge(program, tiny.tests(problem))
    assert not verdict.ok
    assert tiny.values(problem, program, verdict)["not plain"] == 1.0


def test_long_answers_go_out_as_digests_that_equal_values_share(
    tiny: EvalPlus, evalplus_pool: Pool
) -> None:
    assert "seedcoder digest" in tiny.solution(tiny.problems()[2], "x = 1").source
    right = "def count(n):\n    return [float(x) for x in range(n)]"
    assert judged(tiny, evalplus_pool, 2, right)[0].ok, "1.0 == 1"
    off = "def count(n):\n    return [x + (x == 19999) for x in range(n)]"
    verdict, base = judged(tiny, evalplus_pool, 2, off)
    assert (verdict.ok, base) == (False, 1.0)
    other = "def count(n):\n    return tuple(range(n)) if n > 3 else list(range(n))"
    assert not judged(tiny, evalplus_pool, 2, other)[0].ok, "a tuple is no list"


def test_an_adapter_is_not_added_to_nothing() -> None:
    assert adapted("  \n", "digest", "f") == "  \n"


def test_the_program_that_is_judged_is_the_one_that_the_model_wrote(tiny: EvalPlus) -> None:
    problem = tiny.problems()[2]
    reply = "def count(n):\n\treturn list(range(n))\n```\nThat is it."
    program = tiny.program(problem, reply, CHAT).source
    assert program.startswith("def count(n):\n    return list(range(n))\n")
    continued = tiny.program(problem, "\ndef count(n):\n    return 1\nassert count(1)", COMPLETION)
    assert "return 1\n" in continued.source
    assert "assert count(1)" not in continued.source
    plain = Style(protocol="chat", prefill=False)
    assert tiny.program(problem, "I cannot.", plain).source == ""
    cut = tiny.program(problem, "\ndef count(n):\n    return 1\n\ndef more(x", COMPLETION).source
    assert "return 1" in cut
    assert "def more" not in cut, "a reply that was cut off is judged by what is whole of it"


def test_answers_never_enter_a_prompt(tiny: EvalPlus) -> None:
    for problem in tiny.problems():
        for style in (CHAT, COMPLETION, Style(protocol="chat", prefill=False)):
            assert problem.canonical.strip() not in str(tiny.request(problem, style))


def test_base_and_plus_are_both_scored(tiny: EvalPlus) -> None:
    wrong = Verdict(
        kind=Kind.WRONG, passed=1, total=3, first_failure=None, outcomes=(), mode="calls"
    )  # fmt: skip
    answers = [
        Answer(key="a#0", problem="a", n=0, verdict=wrong, values={"base": 1.0}),
        Answer(key="b#0", problem="b", n=0, verdict=wrong, values={"base": 0.0}),
    ]
    scores = {score.metric: score.value for score in tiny.scores(answers, [1])}
    assert list(scores.items()) == [("pass@1", 0.0), ("base pass@1", 0.5)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base_input": "[]"}, "row 1: base_input"),
        ({"base_input": []}, "row 1: no base_input"),
        ({"entry_point": 3}, "row 1: entry_point"),
    ],
)
def test_an_ill_formed_row_is_told_by_its_place(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({**ROWS[0], **change}))
    with pytest.raises(UsageError, match=words):
        mbpp_plus(path=path).problems()


def test_the_release_of_399_tasks_needs_its_file_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEDCODER_DATA", str(tmp_path))
    monkeypatch.setenv("SEEDCODER_CACHE", str(tmp_path))
    bench = open_bench("mbpp+", {"version": "v0.1.0"})
    assert bench.version == "v0.1.0, 399 tasks"
    with pytest.raises(MachineLacks, match=r"MbppPlus-v0\.1\.0\.jsonl\.gz of release v0\.1\.0"):
        bench.problems()
    path = tmp_path / "short.jsonl"
    path.write_text(json.dumps(ROWS[0]))
    with pytest.raises(MachineLacks, match="has 1 tasks"):
        mbpp_plus(path=path, version="v0.1.0").problems()


def test_what_evalplus_switches_off_is_switched_off_behind_future_imports(
    evalplus_pool: Pool,
) -> None:
    source = '"""Words."""\nfrom __future__ import annotations\nimport os\nos.system("true")\n'
    changed = disabled(source)
    assert changed.startswith('"""Words."""\nfrom __future__ import annotations\n# Added')
    assert "'NoneType' object is not callable" in evalplus_pool.run(_program(changed)).stderr
    assert evalplus_pool.run(_program(source)).exit_code == 0
    assert disabled("def f(:") == "def f(:"


def _program(source: str) -> Any:
    from sandbox import Program

    return Program.python(source)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), [("humaneval", 164), ("mbpp", 378)])
def test_canonical_solutions_pass_and_spoilt_ones_do_not(
    shared_data: Path, evalplus_pool: Pool, name: str, count: int
) -> None:
    bench = humaneval_plus() if name == "humaneval" else mbpp_plus()
    everything = bench.problems()
    assert len(everything) == count
    # All take five minutes (one a minute by itself, not among these); `seedcoder eval gold
    # humaneval+` and mbpp+ are that.
    problems = everything if os.environ.get("SEEDCODER_WHOLE") else everything[1::4]
    gold = check_gold(bench, problems, evalplus_pool)
    assert gold.ok, gold.words()
    assert gold.total == len(problems) > 40


def _differing(bench: EvalPlus, pool: Pool, rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return task and kind of the samples whose base or plus verdict is not evalplus's."""
    problems: dict[str, Problem] = {problem.key: problem for problem in bench.problems()}
    tasks = []
    for place, row in enumerate(rows):
        problem = problems[row["task_id"]]
        tasks.append(
            Task(
                key=str(place),
                program=bench.solution(problem, row["solution"]),
                tests=bench.tests(problem),
                limits=bench.limits(problem),
            )
        )
    found = []
    for task, verdict in judge_all(pool, tasks):
        assert isinstance(verdict, Verdict), verdict
        row = rows[int(task.key)]
        base = bench.values(problems[row["task_id"]], task.program, verdict)["base"] == 1.0
        theirs = row["base_status"] == "pass", row["plus_status"] == "pass"
        if (base, verdict.ok) != (theirs[0], all(theirs)):
            found.append((row["task_id"], row["kind"]))
    return sorted(found)


def _oracle(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "oracle" / "samples_with_verdicts.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.slow
def test_humaneval_plus_agrees_with_evalplus_sample_by_sample(
    shared_data: Path, evalplus_pool: Pool
) -> None:
    rows = _oracle(shared_data / "humanevalplus")
    compatible = humaneval_plus(evalplus_compatible=True, cpu_s=1.0)
    assert _differing(compatible, evalplus_pool, rows) == []
    # Without the two quirks: find_zero passes, and so do programs that call os.system.
    quirks = [row for row in rows if row["kind"] == "oserr" or row["task_id"] == "HumanEval/32"]
    differ = _differing(humaneval_plus(cpu_s=1.0), evalplus_pool, quirks)
    assert [kind for task, kind in differ if task != "HumanEval/32"] == ["oserr"] * 5
    assert ("HumanEval/32", "canonical") in differ


@pytest.mark.slow
def test_mbpp_plus_agrees_with_evalplus_sample_by_sample(
    shared_data: Path, evalplus_pool: Pool
) -> None:
    rows = _oracle(shared_data / "mbppplus")
    compatible = mbpp_plus(evalplus_compatible=True, cpu_s=1.0)
    assert _differing(compatible, evalplus_pool, rows) == []
