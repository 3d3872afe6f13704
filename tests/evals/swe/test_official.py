"""Instances in images: the row's own script decides, its log is read as upstream reads it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Bench, open_bench
from evals.gold import check_gold
from evals.recipe import EvalRecipe
from evals.runner import evaluate
from evals.swe import official_log
from sandbox import Kind, Pool, Program

MINIMAL = "seedcoder-sandbox:minimal"
ONE = "tiny__tiny-1"
LOGS = {
    "parse_log_pytest": (
        "PASSED a.py::b[x y]\nFAILED a.py::c - assert 1 == 2\nSKIPPED [1] a.py:3: no\n"
        "XFAIL a.py::d\nERROR a.py\nhello PASSED\nPASSED\n"
    ),
    "parse_log_pytest_options": (
        "PASSED a.py::b[/tmp/x/y]\nPASSED a.py::b[//x/y]\nPASSED a.py::b[/x/*]\n"
        "FAILED a.py::c[1] - x\n"
    ),
    "parse_log_pytest_v2": (
        "\x1b[32mPASSED\x1b[0m a.py::b[x y]\nFAILED a.py::c[1 - 2] - oh\n"
        "a.py::old PASSED\nSKIPPED [2] a.py:3: no\n"
    ),
    "parse_log_django": (
        "test_a (x.Y) ... ok\ntest_b (x.Y) ... FAIL\ntest_c (x.Y) ... skipped 'no'\n"
        "test_d (x.Y) ... Testing against Django installed in '/x' silenced).\nok\n"
        "test_e (x.Y) ... some words\nok\nERROR: test_f (x.Y)\nFAIL: test_g (x.Y)\n"
        "test_h (x.Y) ... ERROR\n--version is equivalent to version ... ok\n"
        "Applying sites.0002_alter_domain_unique...test_no_migrations (x.Z) ... ok\n"
    ),
    "parse_log_seaborn": "a.py::b PASSED [ 10%]\nFAILED a.py::c - x\nPASSED a.py::d\n",
    "parse_log_sympy": (
        "test_a ok\ntest_b F\ntest_c E\n____ sympy/core/tests/test_x.py:test_d ____\n"
    ),
    "parse_log_matplotlib": (
        "PASSED a.py::b[MouseButton.LEFT]\nFAILED a.py::c[MouseButton.RIGHT] - x\n"
    ),
    "parse_log_gotest": (
        "--- PASS: TestA (0.00s)\n    --- FAIL: TestA/sub (0.01s)\n--- SKIP: TestB (0.00s)\n"
    ),
    "parse_log_cargo": "test a::b ... ok\ntest a::c ... FAILED\ntest a::d ... ignored\n",
    "parse_log_maven": (
        "+ mvn test -Dtest=A#b\nBUILD SUCCESS\n+ mvn test -Dtest=A#c\n"
        "[INFO] BUILD FAILURE\n+ mvn test -Dtest=A#d\n"
    ),
}
ORACLE = """\
import json, sys
from swebench.harness.log_parsers import PARSER_REGISTRY
logs = json.load(sys.stdin)
print(json.dumps({name: PARSER_REGISTRY[name](log, None) for name, log in logs.items()}))
"""


def _marked(log: str, code: int | None = None, nonce: str = "n") -> str:
    told = f"code-{nonce}: {code}\n" if code is not None else ""
    return f"setup\n+ : start-{nonce}\n{log}\n+ : end-{nonce}\n{told}"


def test_every_parser_reads_a_log_as_the_official_one() -> None:
    named = os.environ.get("SEEDCODER_SWEBENCH_PYTHON")
    if not named:
        pytest.skip("SEEDCODER_SWEBENCH_PYTHON names no Python with swebench==5.0.2")
    done = subprocess.run(
        [named, "-c", ORACLE], input=json.dumps(LOGS), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    ours = {name: official_log.PARSERS[name](log) for name, log in LOGS.items()}
    lines = done.stdout.strip().splitlines()  # maven's parser prints warnings
    assert ours == json.loads(lines[-1])
    assert all(ours.values())


def test_only_what_stands_between_the_markers_of_this_run_counts() -> None:
    log = "PASSED a.py::b"
    read = official_log.statuses
    assert read(_marked(log), "parse_log_pytest", "n") == {"a.py::b": "PASSED"}
    assert read(_marked(log, nonce="m"), "parse_log_pytest", "n") == {}
    assert read(f"{log}\n" + _marked("FAILED a.py::c"), "parse_log_pytest", "n") == {
        "a.py::c": "FAILED"
    }


def test_an_exit_code_that_no_line_explains_makes_a_log_worthless() -> None:
    log = "PASSED a.py::b"
    read = official_log.statuses
    assert read(_marked(log, 0), "parse_log_pytest", "n") == {"a.py::b": "PASSED"}
    assert read(_marked(log, 1), "parse_log_pytest", "n") == {}
    assert read(_marked(f"{log}\nFAILED a.py::c", 1), "parse_log_pytest", "n") != {}


def test_an_id_that_was_cut_at_a_space_passes_when_all_that_begin_so_do() -> None:
    read = official_log.statuses
    both = "PASSED a.py::b[x y]\nPASSED a.py::b[x z]"
    assert read(_marked(both), "parse_log_pytest_v2", "n")["a.py::b[x"] == "PASSED"
    one = both.replace("PASSED a.py::b[x z]", "FAILED a.py::b[x z] - no")
    assert read(_marked(one), "parse_log_pytest_v2", "n")["a.py::b[x"] == "FAILED"


@pytest.fixture(scope="module")
def pool(official_image: str) -> Iterator[Pool]:
    with Pool(1, box=f"docker:{MINIMAL}") as made:
        yield made


@pytest.fixture
def bench(official_rows: Any) -> Bench:
    return open_bench("swe-bench-verified", {"path": official_rows.path})


@pytest.mark.slow
@pytest.mark.docker
def test_gold_patches_resolve_in_their_image_and_empty_ones_do_not(
    pool: Pool, bench: Bench
) -> None:
    gold = check_gold(bench, bench.problems(), pool)
    assert gold.ok and (gold.total, gold.broken_total) == (2, 2), gold.words()


@pytest.mark.slow
@pytest.mark.docker
def test_wrong_patches_do_not_resolve_in_an_image(
    pool: Pool, bench: Bench, official_rows: Any
) -> None:
    problem = bench.problems()[0]
    for patch in (
        official_rows.gold("tiny__tiny-2"),
        official_rows.patch({"tiny/sums.py": "raise RuntimeError\n"}),
        # Old markers, and results before the tests: neither counts.
        official_rows.patch({"tiny/sums.py": "print('>>>>> Start Test Output')\n"
                             "print('PASSED tests/test_sums.py::test_add_secretly')\n"
                             "print('>>>>> End Test Output')\nraise SystemExit\n"}),
        official_rows.patch({"tests/test_sums.py": "def test_add_secretly():\n    pass\n"}),
    ):  # fmt: skip
        program = Program(language="diff", source=patch)
        verdict = pool.judge(program, bench.tests(problem), bench.limits(problem))
        assert verdict.kind is Kind.WRONG, verdict.outcomes[0].stdout[-2000:]


@pytest.mark.slow
@pytest.mark.docker
def test_an_agent_works_in_the_image_without_its_history(
    pool: Pool, official_rows: Any, tmp_path: Path
) -> None:
    replies = {
        # The image has neither sed nor grep.
        f"{ONE}#0/0": "```bash\ncat .git/packed-refs; python -m pytest -q tests\n```",
        f"{ONE}#0/2": "```bash\npython - <<'E'\nfrom pathlib import Path\n"
        "p = Path('tiny/sums.py')\np.write_text(p.read_text().replace('a - b', 'a + b'))\nE\n```",
        f"{ONE}#0/4": "```bash\nsubmit\n```",
    }
    path = tmp_path / "replies.jsonl"
    path.write_text("\n".join(json.dumps({"key": k, "text": v}) for k, v in replies.items()))
    said = {
        "bench": "swe-bench-verified", "model": f"scripted:{path}", "protocol": "chat", "limit": 1,
        "options": {"path": str(official_rows.path), "scaffold": "mini"}, "check_gold": False,
        "pool": {"box": f"docker:{MINIMAL}", "workers": 1},
    }  # fmt: skip
    result = evaluate(EvalRecipe.model_validate(said), name="x", root=tmp_path)
    (answer,) = result.tally.answers
    assert answer.verdict and answer.verdict.ok, answer
    rows = [json.loads(line) for line in (result.folder / "rows.jsonl").read_text().splitlines()]
    seen = next(row["did"]["seen"] for row in rows if row["key"] == f"{ONE}#0/1")
    assert "No such file" in seen and "3 passed" in seen
