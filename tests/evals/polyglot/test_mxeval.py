"""MBXP and multilingual HumanEval: programs put together as upstream does, and judged so."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Style, open_bench
from evals.gold import check_gold
from evals.polyglot.files import HUMANEVAL, MBXP, lacks
from evals.polyglot.mxeval import Mxeval
from evals.problem import Problem
from sandbox import AssertTests, BesideTests, Kind, Pool, Verdict
from seedcoder.completion import Message
from seedcoder.errors import MachineLacks, UsageError

ROWS = tomllib.loads((Path(__file__).parent / "twice.toml").read_text(encoding="utf-8"))
COMPLETION = Style(protocol="completion")
CHAT = Style(protocol="chat")
PLAIN_CHAT = Style(protocol="chat", prefill=False)
ALL = [
    pytest.param(name, marks=pytest.mark.slow if "slow" in row else (), id=name)
    for name, row in ROWS.items()
]
# tsc alone takes seconds of CPU for each program.
HEAVY = [
    pytest.param(name, marks=pytest.mark.slow if "slow" in row or name == "typescript" else ())
    for name, row in ROWS.items()
]


@pytest.fixture(scope="module")
def pool() -> Any:
    with Pool(2, confirm_timeouts=False) as made:
        yield made


@pytest.fixture(scope="module")
def bench_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Mxeval]:
    """MBXP of one language, with one row in upstream's form; skipped where its tools are not."""
    folder = tmp_path_factory.mktemp("mbxp")

    def make(language: str) -> Mxeval:
        if why := lacks(language):
            pytest.skip(why)
        row = ROWS[language]
        source = MBXP.sources[language]
        data = {
            "task_id": f"{language}/1",
            "prompt": row["prompt"],
            "entry_point": row.get("entry_point", "twice"),
            "test": row["test"],
            "language": language,
            "canonical_solution": row["right"],
        }
        (folder / source.file).write_text(json.dumps(data) + "\n", encoding="utf-8")
        from dataclasses import replace

        # Its own digest is that of the published file.
        sources = {language: replace(source, sha256=None)}
        return Mxeval(replace(MBXP, sources=sources), path=folder, languages=[language])

    return make


def _judged(pool: Pool, bench: Mxeval, text: str, style: Style | None = COMPLETION) -> Verdict:
    problem = bench.problems()[0]
    program = bench.program(problem, text, style) if style else bench.assembled(problem, text)
    return pool.judge(program, bench.tests(problem), bench.limits(problem))


@pytest.mark.slow
@pytest.mark.parametrize("language", HEAVY)
def test_in_each_language_right_passes_and_wrong_does_not(
    pool: Pool, bench_of: Callable[[str], Mxeval], language: str
) -> None:
    bench, row = bench_of(language), ROWS[language]
    right = _judged(pool, bench, row["right"])
    assert (right.kind, right.mode) == (Kind.PASSED, "shared"), right.first_failure
    assert _judged(pool, bench, row["wrong"]).kind is Kind.WRONG


@pytest.mark.parametrize("language", HEAVY)
@pytest.mark.parametrize("how", ["replaces", "leaves"])
def test_a_body_that_replaces_what_decides_or_leaves_does_not_pass(
    pool: Pool, bench_of: Callable[[str], Mxeval], language: str, how: str
) -> None:
    # As it is: a stop string would take half of these attacks away.
    assert not _judged(pool, bench_of(language), ROWS[language][how], None).ok


@pytest.mark.parametrize("language", HEAVY)
def test_a_chat_models_whole_program_is_judged_in_each_language(
    pool: Pool, bench_of: Callable[[str], Mxeval], language: str
) -> None:
    bench = bench_of(language)
    reply = f"Sure!\n\n```{language}\n{ROWS[language]['reply']}\n```\nIt doubles."
    verdict = _judged(pool, bench, reply, PLAIN_CHAT)
    assert verdict.kind is Kind.PASSED, verdict.outcomes[0].stderr


@pytest.mark.parametrize("language", HEAVY)
def test_a_chat_models_body_alone_continues_the_prompt(
    pool: Pool, bench_of: Callable[[str], Mxeval], language: str
) -> None:
    bench = bench_of(language)
    assert _judged(pool, bench, ROWS[language]["right"] + "```\n", CHAT).ok
    assert not _judged(pool, bench, ROWS[language]["wrong"] + "```\n", CHAT).ok


@pytest.mark.parametrize("language", HEAVY)
def test_the_gold_check_tells_right_from_spoilt_in_each_language(
    pool: Pool, bench_of: Callable[[str], Mxeval], language: str
) -> None:
    bench = bench_of(language)
    gold = check_gold(bench, bench.problems(), pool)
    assert gold.ok, gold.words()
    assert (gold.total, gold.broken_total) == (1, 1)


@pytest.mark.parametrize("language", ALL)
def test_what_follows_the_function_is_cut_and_the_function_closed(
    bench_of: Callable[[str], Mxeval], language: str
) -> None:
    bench, row = bench_of(language), ROWS[language]
    problem = bench.problems()[0]
    stop = bench.sampling(COMPLETION).stop[0]
    whole = bench.program(problem, row["right"] + "\nmore of it", COMPLETION).source
    assert "more of it" not in whole
    # The same as where the server took the stop string away, and all that follows.
    cut = row["right"].partition(stop)[0]
    assert whole == bench.program(problem, cut, COMPLETION).source
    assert bench.program(problem, " \n", COMPLETION).source == ""


def test_the_prompt_goes_out_without_the_white_space_at_its_end(
    bench_of: Callable[[str], Mxeval],
) -> None:
    bench = bench_of("javascript")
    problem = bench.problems()[0]
    assert bench.request(problem, COMPLETION).prompt == problem.prompt.rstrip()
    as_is = bench.request(problem, Style(protocol="completion", strip_prompt=False))
    assert as_is.prompt == problem.prompt
    assert problem.tests["test"] not in str(as_is)


def test_chat_models_are_asked_with_and_without_a_begun_reply(
    bench_of: Callable[[str], Mxeval],
) -> None:
    bench = bench_of("javascript")
    problem = bench.problems()[0]
    asked = bench.request(problem, CHAT)
    assert isinstance(asked.prompt[0], Message)
    assert f"```javascript\n{problem.prompt.strip()}\n```" in asked.prompt[0].content
    assert asked.prefill.endswith("```javascript\n")
    assert bench.request(problem, PLAIN_CHAT).prefill == ""
    assert bench.sampling(CHAT).stop_after_fence
    assert not bench.sampling(PLAIN_CHAT).stop_after_fence


def test_a_reply_without_code_is_no_code(bench_of: Callable[[str], Mxeval], pool: Pool) -> None:
    verdict = _judged(pool, bench_of("ruby"), "I would rather not.", PLAIN_CHAT)
    assert (verdict.kind, verdict.mode) == (Kind.NO_CODE, "shared")


def test_what_does_not_compile_says_the_compilers_words(
    bench_of: Callable[[str], Mxeval], pool: Pool
) -> None:
    verdict = _judged(pool, bench_of("perl"), "  my ($x = ;\n}\n", None)
    assert verdict.kind is Kind.COMPILE_ERROR
    assert verdict.first_failure is not None and "syntax error" in verdict.first_failure.reason


def test_a_test_of_an_unknown_form_is_an_error_with_its_place(tmp_path: Path) -> None:
    row = {"task_id": "X/1", "prompt": "sub f\n{\n", "entry_point": "f", "language": "perl",
           "test": "ok(f(1) == 2);\n"}  # fmt: skip
    (tmp_path / "mbplp_release_v1.2.jsonl").write_text(json.dumps(row))
    bench = open_bench("mbxp", {"path": tmp_path, "languages": ["perl"]})
    with pytest.raises(UsageError, match="mbxp: X/1: its test has no"):
        bench.tests(bench.problems()[0])


def test_languages_without_data_are_left_out_and_said(tmp_path: Path) -> None:
    row = {"task_id": "X/1", "prompt": "sub f\n{\n", "entry_point": "f", "language": "perl",
           "test": ""}  # fmt: skip
    (tmp_path / "mbplp_release_v1.2.jsonl").write_text(json.dumps(row))
    bench = open_bench("mbxp", {"path": tmp_path})
    assert [problem.key for problem in bench.problems()] == ["X/1"]
    assert bench.problems()[0].tags == ("language:perl",)
    left_out = bench.left_out()
    assert set(left_out) == set(MBXP.sources) - {"perl"}
    assert "mbpp_release_v1.jsonl" in left_out["python"]


def test_a_language_that_was_asked_for_and_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'cobol' is none of"):
        open_bench("mbxp", {"languages": ["cobol"]})
    with pytest.raises(MachineLacks, match="mbxp: python: "):
        open_bench("mbxp", {"path": tmp_path, "languages": ["python"]}).problems()
    with pytest.raises(MachineLacks, match="no language can be run here: python: "):
        open_bench("mbxp", {"path": tmp_path}).problems()
    with pytest.raises(UsageError, match="no folder"):
        open_bench("mbxp", {"path": tmp_path / "absent"}).problems()


def _with_data(name: str, **options: Any) -> Mxeval:
    if "SEEDCODER_DATA" not in os.environ:
        pytest.skip("SEEDCODER_DATA names no folder of benchmark files")
    bench = open_bench(name, options)
    assert isinstance(bench, Mxeval)
    try:
        bench.problems()
    except MachineLacks as error:
        pytest.skip(str(error))
    return bench


def _solutions() -> Mapping[str, Any]:
    text = (Path(__file__).parent / "solutions.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@pytest.mark.parametrize("name", ["multilingual-humaneval", "mbxp"])
def test_every_published_test_has_the_form_that_is_known_here(name: str) -> None:
    bench = _with_data(name)
    problems = bench.problems()
    kinds = {type(bench.tests(problem)) for problem in problems}
    assert kinds <= {AssertTests, BesideTests}
    assert len({problem.key for problem in problems}) == len(problems)
    for problem in problems:
        assert problem.tests["test"] not in str(bench.request(problem, CHAT))


@pytest.mark.slow
@pytest.mark.parametrize("language", list(_solutions()))
def test_hand_made_answers_to_published_problems_come_out_as_they_must(
    pool: Pool, language: str
) -> None:
    if why := lacks(language):
        pytest.skip(why)
    bench = _with_data("multilingual-humaneval", languages=[language])
    problems: dict[str, Problem] = {p.key.rpartition("/")[2]: p for p in bench.problems()}
    # tsc takes seconds for each program, and does with all of them what it does with the first.
    most = 1 if language == "typescript" and not os.environ.get("SEEDCODER_WHOLE") else None
    for number, answers in list(_solutions()[language].items())[:most]:
        problem = problems[number]
        for wanted, body in answers.items():
            program = bench.program(problem, body, COMPLETION)
            verdict = pool.judge(program, bench.tests(problem), bench.limits(problem))
            assert verdict.ok is (wanted == "right"), (language, number, wanted, verdict.outcomes)


@pytest.mark.slow
def test_official_samples_come_out_as_upstreams_own_run_of_them(pool: Pool) -> None:
    bench = _with_data("mbxp", languages=["javascript"])
    path = Path(os.environ["SEEDCODER_DATA"], "mbxp", "examples", "mbjsp_samples.jsonl")
    if not path.is_file():
        pytest.skip(f"no {path}")
    # What node says of prompt + completion + test, with the real lodash.
    official = json.loads((Path(__file__).parent / "mbjsp_official.json").read_text())
    problems = {problem.key: problem for problem in bench.problems()}
    samples = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    wrong = []
    for sample in samples[::12]:
        problem = problems[sample["task_id"]]
        program = bench.assembled(problem, sample["completion"])
        verdict = pool.judge(program, bench.tests(problem), bench.limits(problem))
        if verdict.ok is (problem.key in official["failed"]):
            wrong.append(problem.key)
    assert not wrong


def test_the_series_name_each_language_that_the_paper_reports() -> None:
    assert len(MBXP.sources) == 13
    assert set(HUMANEVAL.sources) == set(MBXP.sources) - {"cpp"}
