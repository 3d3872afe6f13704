"""HumanEval-Infilling: what is asked, what is put together, and that verdicts are upstream's."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Style, open_bench
from evals.data import DataFile
from evals.gold import check_gold
from evals.infilling.humaneval_infilling import (
    HumanEvalInfilling,
    Part,
    humaneval_infilling,
    source,
)
from evals.judging import Task, judge_all
from evals.problem import Problem
from sandbox import Kind, Limits, Pool, Program, Verdict
from seedcoder.errors import MachineLacks, UsageError
from seedcoder.fim import FIM

FIM_STYLE = Style(protocol="completion", fim=FIM["seed-coder"])
ROW = {
    "task_id": "SingleLineInfilling/Mine/0/L1",
    "entry_point": "total",
    "prompt": 'def total(numbers):\n    """Return the sum."""\n    result = 0\n'
    "    for number in numbers:\n",
    "canonical_solution": "        result += number\n",
    "suffix": "    return result\n",
    "test": "def check(candidate):\n"
    "    assert candidate([1, 2]) == 3\n"
    "    assert candidate([]) == 0\n",
}

# Upstream's execution.py in a few lines: the program, the test and the call in one namespace.
ORACLE = """
import json, os, resource, sys
for line in sys.stdin:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(0, 1)
        resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
        try:
            exec(json.loads(line), {})
            os.write(writer, b"1")
        except BaseException:
            pass
        os._exit(0)
    os.close(writer)
    passed = os.read(reader, 1) == b"1"
    os.close(reader)
    os.waitpid(child, 0)
    print(int(passed), flush=True)
"""

Make = Callable[..., HumanEvalInfilling]


@pytest.fixture
def make(write_rows: Callable[..., Path]) -> Make:
    """Make the benchmark out of rows of our own."""

    def made(part: Part, *rows: dict[str, Any]) -> HumanEvalInfilling:
        path = write_rows("mine.jsonl", rows or [ROW])
        return HumanEvalInfilling(
            part=part, data=DataFile(replace(source(part), sha256=None), path)
        )

    return made


def test_a_model_with_tokens_for_it_sees_both_sides_of_the_gap(make: Make) -> None:
    bench = make("single-line")
    (problem,) = bench.problems()
    asked = bench.request(problem, FIM_STYLE)
    assert asked.prompt == (
        f"<[fim-suffix]>{ROW['suffix']}<[fim-prefix]>{ROW['prompt']}<[fim-middle]>"
    )
    assert bench.sampling(FIM_STYLE).stop == ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
    qwen = Style(protocol="completion", fim=FIM["qwen"])
    assert bench.sampling(qwen).stop[-1] == "<|file_sep|>"
    assert bench.request(problem, qwen).prompt.startswith("<|fim_prefix|>def total")  # type: ignore[union-attr]


def test_a_model_without_them_continues_and_sees_nothing_of_what_follows(make: Make) -> None:
    bench = make("single-line")
    (problem,) = bench.problems()
    style = Style(protocol="completion")
    prompt = bench.request(problem, style).prompt
    assert prompt == ROW["prompt"].rstrip()
    program = bench.program(problem, "\n        result += number\n    return 7\n", style)
    assert program == bench.canonical(problem)


@pytest.mark.parametrize("prefill", [True, False])
def test_a_chat_is_asked_in_words_and_its_block_is_the_middle(make: Make, prefill: bool) -> None:
    bench = make("multi-line")
    (problem,) = bench.problems()
    style = Style(protocol="chat", prefill=prefill)
    asked = bench.request(problem, style)
    text = asked.prompt[0].content  # type: ignore[union-attr]
    assert ROW["prompt"] in text and ROW["suffix"] in text
    assert "result += number" not in text
    reply = "        result += number\n```\nThat adds them."
    if not prefill:
        reply = "Here you are:\n```python\n" + reply
    assert bench.program(problem, reply, style) == bench.canonical(problem)


def test_fim_tokens_in_a_chat_are_refused(make: Make) -> None:
    bench = make("single-line")
    (problem,) = bench.problems()
    with pytest.raises(UsageError, match="protocol 'completion'"):
        bench.request(problem, Style(protocol="chat", fim=FIM["qwen"]))


@pytest.mark.parametrize(
    ("part", "reply", "filled"),
    [
        ("single-line", "        result += number\n    return 1\n", "        result += number\n"),
        ("single-line", "        result += number", "        result += number\n"),
        ("single-line", "\n\n        result += number\nx = 1", "        result += number\n"),
        ("multi-line", "        result += number", "        result += number\n"),
        ("multi-line", "        a = 1\n        b = 2\ndef f", "        a = 1\n        b = 2\n"),
        ("random-span", "mber\ndef g():\n", "mber"),
        ("random-span", "", ""),
    ],
)
def test_replies_are_cut_as_their_part_is(make: Make, part: Part, reply: str, filled: str) -> None:
    bench = make(part)
    (problem,) = bench.problems()
    program = bench.program(problem, reply, FIM_STYLE)
    assert program.source == ROW["prompt"] + filled + ROW["suffix"]


@pytest.mark.parametrize(
    ("reply", "passes"),
    [
        ("        result += number\n", True),
        ("        result = result + number\n", True),
        ("        result -= number\n", False),
        ("        pass\n", False),
        ("", False),
        ("        result += number)\n", False),
    ],
)
def test_right_middles_pass_and_wrong_ones_do_not(
    make: Make, judge: Callable[..., Verdict], reply: str, passes: bool
) -> None:
    bench = make("single-line")
    (problem,) = bench.problems()
    verdict = judge(bench, problem, bench.program(problem, reply, FIM_STYLE))
    assert verdict.ok is passes
    assert verdict.mode == "proxy"


def test_a_missing_column_and_missing_data_are_one_line_each(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="row 1: no 'suffix'"):
        make("single-line", {k: v for k, v in ROW.items() if k != "suffix"}).problems()
    monkeypatch.delenv("SEEDCODER_DATA", raising=False)
    monkeypatch.setenv("SEEDCODER_CACHE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MachineLacks, match="openai/human-eval-infilling") as caught:
        humaneval_infilling(part="random-span").problems()
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=r"options\.part"):
        open_bench("humaneval-infilling", {"part": "double-line"})


def test_another_file_than_upstreams_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "HumanEval-SingleLineInfilling.jsonl.gz"
    path.write_text(json.dumps(ROW), encoding="utf-8")
    with pytest.raises(MachineLacks, match="not the file that was published"):
        humaneval_infilling(path=path).problems()


@pytest.mark.slow
def test_the_verdicts_on_upstreams_example_samples_are_upstreams(
    infilling_data: Path, pool: Pool
) -> None:
    bench = humaneval_infilling(part="test")
    (problem,) = bench.problems()
    lines = (infilling_data / "example_samples.jsonl").read_text(encoding="utf-8").splitlines()
    programs = [bench.program(problem, json.loads(x)["completion"], FIM_STYLE) for x in lines]
    # By upstream's clock; ours is wider, but ends ten seconds of sleep too.
    limits = replace(bench.limits(problem), wall_s=3.0)
    assert bench.limits(problem).wall_s < 10
    futures = [pool.submit(x, bench.tests(problem), limits) for x in programs]
    verdicts = [future.result() for future in futures]
    # Its README: 30% pass@1. The last three are "return " in front of the suffix "1"; the seventh
    # is that too, but it sleeps for ten seconds first.
    assert [isinstance(x, Verdict) and x.ok for x in verdicts] == [False] * 7 + [True] * 3
    assert verdicts[6].kind is Kind.TIMEOUT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "problems", "step"),
    [
        ("single-line", 1033, 4),
        ("multi-line", 5815, 25),
        ("random-span", 1640, 8),
        ("random-span-light", 164, 1),
        ("test", 1, 1),
    ],
)
def test_canonical_solutions_pass_and_no_spoilt_one_does(
    infilling_data: Path, pool: Pool, part: Part, problems: int, step: int
) -> None:
    bench = humaneval_infilling(part=part)
    assert len(bench.problems()) == problems
    gold = check_gold(bench, bench.problems()[::step], pool)  # all of them: docs/grading.md
    assert gold.ok, gold.words()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "seed"), [("single-line", 4), ("multi-line", 4), ("random-span", 5)]
)
def test_verdicts_are_those_of_running_prefix_middle_suffix_and_test_in_one_piece(
    infilling_data: Path, pool: Pool, part: Part, seed: int
) -> None:
    bench = humaneval_infilling(part=part)
    cases = list(_cases(bench, random.Random(seed)))  # seeds without endless loops: these take long
    lines = "".join(
        json.dumps(f"{program.source}\n{problem.tests['test']}\ncheck({problem.entry_point})")
        + "\n"
        for _, problem, program in cases
    )
    ran = subprocess.run(
        [sys.executable, "-c", ORACLE], input=lines, capture_output=True, text=True, check=True
    )
    oracle = [line == "1" for line in ran.stdout.split()]
    tasks = [
        Task(key=key, program=program, tests=bench.tests(problem), limits=Limits(cpu_s=1.0))
        for key, problem, program in cases
    ]
    found = {task.key: result for task, result in judge_all(pool, tasks)}
    ours = [isinstance(v := found[key], Verdict) and v.ok for key, _, _ in cases]
    differing = [key for (key, _, _), a, b in zip(cases, ours, oracle, strict=True) if a != b]
    assert not differing
    assert len(cases) >= 100
    assert 20 < sum(oracle) < len(cases) - 20  # both verdicts were put to the proof


def _cases(bench: HumanEvalInfilling, rng: random.Random) -> Iterator[tuple[str, Problem, Program]]:
    """Yield right middles, empty ones, strange ones and slightly changed ones."""
    problems = bench.problems()
    for place in rng.sample(range(len(problems)), 25):
        problem, other = problems[place], problems[place - 1]
        changed = problem.canonical
        for old, new in (("==", "!="), ("True", "False"), ("(", "(1 + "), ("0", "2")):
            if old in changed:
                changed = changed.replace(old, new, 1)
                break
        middles = (problem.canonical, "", other.canonical, changed)
        for number, text in enumerate(middles):
            whole = Program.python(problem.prompt + text + problem.tests["suffix"])
            yield f"{problem.key} {number}", problem, whole
