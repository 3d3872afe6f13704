"""Runs in other suites' files, and back: what they read, what they say, and what stays here.

Other suites' own readers are asked where they are installed: SEEDCODER_EVALPLUS_PYTHON,
SEEDCODER_LM_EVAL_PYTHON and SEEDCODER_INSPECT_PYTHON name Pythons of environments of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evals.cli import app
from evals.humaneval import HumanEval
from evals.interop.exchange import export_run, import_samples
from evals.recipe import EvalRecipe
from evals.result import COMPLETE, Result
from evals.runner import evaluate, regrade
from seedcoder.errors import UsageError

Write = Callable[[Sequence[Mapping[str, Any]]], Path]

MISSING = {
    "SEEDCODER_EVALPLUS_PYTHON": "evalplus==0.3.1",
    "SEEDCODER_LM_EVAL_PYTHON": "lm-eval==0.4.13",
    "SEEDCODER_INSPECT_PYTHON": "inspect-ai==0.3.285",
}


def _read_by(variable: str, code: str, *words: Path) -> Any:
    """Run code in the environment that the variable names; return the JSON that it prints last."""
    python = os.environ.get(variable)
    if not python:
        pytest.skip(f"{variable} names no Python with {MISSING[variable]}")
    done = subprocess.run(
        [python, "-c", code, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(rows: Sequence[Mapping[str, Any]]) -> Path:
        path = tmp_path / "samples.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Three problems of HumanEval, continued twice: right, wrong, and a third without code."""
    folder = tmp_path_factory.mktemp("exported")
    rows = []
    for number, problem in enumerate(HumanEval().problems()[:3]):
        texts = ("\n" + problem.canonical, "\n    return 1\n" if number < 2 else "")
        rows += [
            {"key": problem.key, "n": n, "text": text, "tokens": 5} for n, text in enumerate(texts)
        ]
    answers = folder / "answers.jsonl"
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    recipe = EvalRecipe.model_validate(
        {
            "bench": "humaneval",
            "model": f"scripted:{answers}",
            "protocol": "completion",
            "samples": 2,
            "k": [1, 2],
            "limit": 3,
        }
    )
    return evaluate(recipe, name="small", root=folder)


def _verdicts(result: Result) -> dict[str, bool]:
    return {
        answer.key: bool(answer.verdict and answer.verdict.ok) for answer in result.tally.answers
    }


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["solution", "completion"])
def test_samples_that_went_out_and_came_back_have_the_same_verdicts(
    run: Result, tmp_path: Path, form: Any
) -> None:
    out = tmp_path / "samples.jsonl"
    assert "written" in export_run(run.folder, out, "evalplus", form=form)
    rows = _lines(out)
    assert [row["task_id"] for row in rows] == [f"HumanEval/{i}" for i in (0, 0, 1, 1, 2, 2)]
    assert all(set(row) == {"task_id", form} for row in rows)
    back = import_samples(out, "evalplus", bench="humaneval", root=tmp_path)
    assert back.status == COMPLETE
    assert _verdicts(back) == _verdicts(run)
    assert sum(_verdicts(back).values()) == 3
    assert back.manifest["recipe"]["keys"] == [f"HumanEval/{i}" for i in range(3)]


@pytest.mark.slow
def test_evalplus_reads_our_samples(run: Result, tmp_path: Path) -> None:
    code = (
        "import json, sys\n"
        "from evalplus.data.utils import load_solutions\n"
        "rows = [s for path in sys.argv[1:] for s in load_solutions(path)]\n"
        "print(json.dumps([[s['task_id'], sorted(s)] for s in rows]))"
    )
    paths = [tmp_path / "solutions.jsonl", tmp_path / "completions.jsonl"]
    export_run(run.folder, paths[0], "evalplus")
    export_run(run.folder, paths[1], "evalplus", form="completion")
    read = _read_by("SEEDCODER_EVALPLUS_PYTHON", code, *paths)
    assert len(read) == 12
    assert read[0] == ["HumanEval/0", ["_identifier", "solution", "task_id"]]
    assert read[6] == ["HumanEval/0", ["_identifier", "completion", "task_id"]]


@pytest.mark.slow
def test_an_import_goes_on_where_it_was_cut_off_and_can_be_regraded(
    run: Result, tmp_path: Path
) -> None:
    out = tmp_path / "samples.jsonl"
    export_run(run.folder, out, "evalplus")
    first = import_samples(out, "evalplus", bench="humaneval", root=tmp_path)
    again = import_samples(out, "evalplus", bench="humaneval", root=tmp_path)
    assert (first.worked, again.worked, again.folder) == (True, False, first.folder)
    rows = first.folder / "rows.jsonl"
    kept = rows.read_text(encoding="utf-8").splitlines()[:5]
    rows.write_text("\n".join(kept) + "\n", encoding="utf-8")
    more = import_samples(out, "evalplus", bench="humaneval", root=tmp_path)
    assert more.worked
    assert _verdicts(more) == _verdicts(first)
    assert rows.read_text(encoding="utf-8").splitlines()[:5] == kept
    assert regrade(first.folder).changed == {}


@pytest.mark.slow
def test_a_program_is_judged_as_it_stands(write: Write, tmp_path: Path) -> None:
    # What the chat protocol would drop as show, and what it would take for a reply.
    problem = HumanEval().problems()[0]
    whole = problem.prompt + problem.canonical
    path = write(
        [
            {"task_id": problem.key, "solution": f"{whole}\nraise SystemExit(1)\n"},
            {"task_id": problem.key, "solution": f"```python\n{whole}\n```"},
            {"task_id": problem.key, "solution": whole},
        ]
    )
    result = import_samples(path, "evalplus", bench="humaneval", root=tmp_path)
    assert list(_verdicts(result).values()) == [False, False, True]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"task_id": "HumanEval/999", "solution": ""}], "row 1: the benchmark has no task"),
        ([{"task_id": "HumanEval/0"}], "row 1: neither 'solution' nor 'completion'"),
        ([{"task_id": "HumanEval/0", "solution": ["a"]}], "row 1: solution must be a string"),
        ([{"solution": "x"}], "row 1: no 'task_id'"),
        ([], "holds no samples"),
        (
            [{"task_id": f"HumanEval/{i}", "solution": "x"} for i in (0, 0, 1)],
            "HumanEval/1 has 1 samples and not 2; .*--samples 1",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_one_line_with_the_place(
    write: Write, tmp_path: Path, rows: list[Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        import_samples(write(rows), "evalplus", bench="humaneval", root=tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("eval-*"))


def test_files_that_are_no_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run folder"):
        export_run(tmp_path, tmp_path / "out", "inspect")
    with pytest.raises(UsageError, match="no file"):
        import_samples(tmp_path / "none", "evalplus", bench="humaneval", root=tmp_path)


@pytest.mark.slow
def test_a_chat_has_no_completions_to_export(
    write_answers: Any, make_recipe: Any, humaneval: HumanEval, tmp_path: Path
) -> None:
    first = humaneval.problems()[0]
    reply = "```python\ndef has_close_elements(numbers, threshold):\n    return True\n```"
    answers = write_answers("answers", {first.key: reply})
    result = evaluate(make_recipe(answers, limit=1), name="chat", root=tmp_path)
    with pytest.raises(UsageError, match="does not begin with the prompt"):
        export_run(result.folder, tmp_path / "out", "evalplus", form="completion")
    export_run(result.folder, tmp_path / "out", "evalplus")
    assert _lines(tmp_path / "out")[0]["solution"].startswith("def has_close_elements")


def test_answers_do_not_leave_with_a_run(run: Result, tmp_path: Path) -> None:
    export_run(run.folder, tmp_path / "log.json", "inspect")
    export_run(run.folder, tmp_path / "lm", "lm-eval")
    for path in (tmp_path / "log.json", *(tmp_path / "lm").iterdir()):
        text = path.read_text(encoding="utf-8")
        assert "def check(candidate)" not in text
        assert "assert candidate" not in text


def test_an_inspect_log_says_what_the_run_says(run: Result, tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    export_run(run.folder, path, "inspect")
    log = json.loads(path.read_text(encoding="utf-8"))
    assert [(s["id"], s["epoch"], s["scores"]["verdict"]["value"]) for s in log["samples"]] == [
        ("HumanEval/0", 1, "C"),
        ("HumanEval/0", 2, "I"),
        ("HumanEval/1", 1, "C"),
        ("HumanEval/1", 2, "I"),
        ("HumanEval/2", 1, "C"),
        ("HumanEval/2", 2, "I"),
    ]
    metrics = log["results"]["scores"][0]["metrics"]
    assert (metrics["pass@1"]["value"], metrics["pass@2"]["value"]) == (0.5, 1.0)


@pytest.mark.slow
def test_inspect_reads_our_log(run: Result, tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    export_run(run.folder, path, "inspect")
    code = (
        "import json, sys\n"
        "from inspect_ai.log import read_eval_log, read_eval_log_sample\n"
        "log = read_eval_log(sys.argv[1])\n"
        "one = read_eval_log_sample(sys.argv[1], id='HumanEval/1', epoch=2)\n"
        "print(json.dumps({'status': log.status, 'task': log.eval.task, 'n': len(log.samples),\n"
        "    'values': [s.scores['verdict'].value for s in log.samples],\n"
        "    'pass': log.results.scores[0].metrics['pass@1'].value,\n"
        "    'tokens': log.stats.model_usage[log.eval.model].output_tokens,\n"
        "    'reply': one.output.completion, 'stop': one.output.stop_reason}))"
    )
    read = _read_by("SEEDCODER_INSPECT_PYTHON", code, path)
    assert read == {
        "status": "success",
        "task": "humaneval",
        "n": 6,
        "values": ["C", "I"] * 3,
        "pass": 0.5,
        "tokens": 30,
        "reply": "\n    return 1\n",
        "stop": "stop",
    }


def test_lm_eval_results_say_what_the_run_says(run: Result, tmp_path: Path) -> None:
    export_run(run.folder, tmp_path / "lm", "lm-eval")
    (results,) = (tmp_path / "lm").glob("results_*.json")
    (lines,) = (tmp_path / "lm").glob("samples_humaneval_*.jsonl")
    figures = json.loads(results.read_text(encoding="utf-8"))["results"]["humaneval"]
    assert (figures["pass@1,none"], figures["pass@2,none"]) == (0.5, 1.0)
    samples = _lines(lines)
    assert [sample["pass@1"] for sample in samples] == [0.5, 0.5, 0.5]
    assert samples[0]["resps"][0][1] == "\n    return 1\n"
    with pytest.raises(UsageError, match="a folder is needed"):
        export_run(run.folder, results, "lm-eval")


@pytest.mark.slow
def test_lm_eval_reads_our_results(run: Result, tmp_path: Path) -> None:
    export_run(run.folder, tmp_path / "lm", "lm-eval")
    code = (
        "import json, pathlib, sys\n"
        "from lm_eval import utils\n"
        "files = [str(path) for path in pathlib.Path(sys.argv[1]).iterdir()]\n"
        "results = utils.get_latest_filename(utils.get_results_filenames(files))\n"
        "samples = utils.get_latest_filename(utils.get_sample_results_filenames(files))\n"
        "table = utils.make_table(json.load(open(results)))\n"
        "import datasets\n"
        "rows = datasets.load_dataset('json', data_files=samples, split='train',\n"
        "                             cache_dir=sys.argv[2])\n"
        "task = utils.get_file_task_name(pathlib.Path(samples).name)\n"
        "same = utils.get_file_datetime(samples) == utils.get_file_datetime(results)[:-5]\n"
        "print(json.dumps({'table': table, 'rows': len(rows), 'task': task, 'same': same,\n"
        "                  'mean': sum(rows['pass@1']) / len(rows)}))"
    )
    read = _read_by("SEEDCODER_LM_EVAL_PYTHON", code, tmp_path / "lm", tmp_path / "cache")
    assert (read["rows"], read["task"], read["mean"], read["same"]) == (3, "humaneval", 0.5, True)
    assert "pass@1" in read["table"]
    assert "0.5" in read["table"]


def test_cruxeval_answers_come_in_as_upstreams_generations(write: Write, tmp_path: Path) -> None:
    data = tmp_path / "cruxeval.jsonl"
    row = {"id": "sample_0", "code": "def f(n):\n    return n + 1", "input": "1", "output": "2"}
    data.write_text(json.dumps(row), encoding="utf-8")
    path = write([{"task_id": "sample_0", "solution": text} for text in ("2", "3", "f(1)")])
    result = import_samples(
        path, "evalplus", bench="cruxeval-o", options={"path": str(data)}, root=tmp_path
    )
    assert list(_verdicts(result).values()) == [True, False, False]


def _lcb_data(folder: Path) -> Path:
    cases = [{"input": "3\n", "output": "9\n", "testtype": "stdin"}]
    row = {
        "question_title": "SQUARE",
        "question_content": "Square a number.",
        "platform": "atcoder",
        "question_id": "b_square",
        "contest_id": "abc000",
        "contest_date": "2024-10-01T00:00:00",
        "starter_code": "",
        "difficulty": "easy",
        "public_test_cases": json.dumps(cases),
        "private_test_cases": json.dumps(cases),
        "metadata": "{}",
    }
    path = folder / "test.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    return path


@pytest.mark.slow
def test_livecodebenchs_outputs_come_in_and_go_out(tmp_path: Path) -> None:
    options = {"path": str(_lcb_data(tmp_path))}
    codes = ["n = int(input())\nprint(n * n)", "print(8)"]
    path = tmp_path / "outputs.json"
    row = {"question_id": "b_square", "code_list": codes, "output_list": ["a", "b"]}
    path.write_text(json.dumps([row]), encoding="utf-8")
    result = import_samples(path, "lcb", bench="livecodebench", options=options, root=tmp_path)
    assert list(_verdicts(result).values()) == [True, False]
    out = tmp_path / "out.json"
    export_run(result.folder, out, "lcb")
    (written,) = json.loads(out.read_text(encoding="utf-8"))
    assert written["code_list"] == codes
    assert (written["graded_list"], written["pass@1"]) == ([True, False], 0.5)
    assert (written["difficulty"], written["platform"]) == ("easy", "atcoder")
    again = import_samples(
        out, "lcb", bench="livecodebench", options=options, root=tmp_path / "again"
    )
    assert list(_verdicts(again).values()) == [True, False]


def test_a_chats_code_is_exported_without_what_our_judge_puts_around_it(
    write_answers: Any, tmp_path: Path
) -> None:
    answers = write_answers("answers", {"b_square": "So:\n```python\nprint(9)\n```\nDone."})
    recipe = EvalRecipe.model_validate(
        {
            "bench": "livecodebench",
            "options": {"path": str(_lcb_data(tmp_path))},
            "model": f"scripted:{answers}",
            "protocol": "chat",
        }
    )
    result = evaluate(recipe, name="lcb", root=tmp_path)
    export_run(result.folder, tmp_path / "out.json", "lcb")
    (written,) = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert written["code_list"] == ["print(9)"]
    assert written["output_list"] == ["So:\n```python\nprint(9)\n```\nDone."]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"question_id": "none", "code_list": []}], "no question 'none'"),
        ([{"question_id": "b_square"}], "row 1: no 'code_list'"),
        ([{"question_id": "b_square", "code_list": "x"}], "list of strings"),
        ([{"question_id": "b_square", "code_list": ["x"]}] * 2, "row 2: .* comes twice"),
        ([{"question_id": "b_square", "code_list": []}], "holds no samples"),
        ([["print(1)"]], "row 1: an object was expected"),
    ],
)
def test_outputs_that_do_not_fit_are_one_line(tmp_path: Path, rows: list[Any], said: str) -> None:
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    options = {"path": str(_lcb_data(tmp_path))}
    with pytest.raises(UsageError, match=said):
        import_samples(path, "lcb", bench="livecodebench", options=options, root=tmp_path)


@pytest.mark.slow
def test_the_commands_do_both(run: Result, tmp_path: Path) -> None:
    out, cli = tmp_path / "samples.jsonl", CliRunner()
    done = cli.invoke(app, ["export", str(run.folder), "--out", str(out), "--format", "evalplus"])
    assert done.exit_code == 0, done.output
    words = ["import", str(out), "--format", "evalplus", "--bench", "humaneval", "--json"]
    done = cli.invoke(app, [*words, "--runs", str(tmp_path), "--samples", "2", "--k", "2"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["scores"][0]["value"] == 1.0


def test_the_formats_load_nothing_heavy() -> None:
    code = (
        "import sys; import evals.interop.exchange, evals.interop.inspect_log; "
        "sys.exit(any(m in sys.modules for m in ('inspect_ai', 'lm_eval', 'datasets', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
