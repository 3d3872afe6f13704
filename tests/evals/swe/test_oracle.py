"""Our verdicts on swe-mini against those of the official package, test by test.

SEEDCODER_SWEBENCH_PYTHON names the Python of an environment of its own with swebench==5.0.2.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Bench, open_bench
from evals.swe.diff import git_diff
from evals.swe.environments import packages, release
from evals.swe.workplace import workplace
from sandbox import Pool, Program
from sandbox.project.shell import Change

pytestmark = [pytest.mark.slow, pytest.mark.net]
INSTANCES = (
    "more-itertools__more-itertools-9245cd04", "andialbrecht__sqlparse-dd9d5b91",
    "python-humanize__humanize-520aac16", "mahmoud__boltons-f9c4f305",
    "python-poetry__tomlkit-e6e5d380", "martinblech__xmltodict-f0322e57",
    "pypa__packaging-c52d2b30", "marshmallow-code__marshmallow-8f493e66",
    "astanin__python-tabulate-6c48142c",
)  # fmt: skip
ORACLE = """\
import json, sys
from swebench.harness.grading import get_eval_report
from swebench.harness.utils import make_test_spec
told = json.load(sys.stdin)
spec = make_test_spec(told["row"])
if told["log"] is None:
    print(spec.eval_script)
else:
    prediction = {"instance_id": spec.instance_id, "model_patch": told["patch"]}
    report = get_eval_report(spec, prediction, told["log"], include_tests_status=True)
    print(json.dumps(report[spec.instance_id]))
"""


@pytest.fixture(scope="module")
def oracle() -> str:
    """The official package's Python."""
    named = os.environ.get("SEEDCODER_SWEBENCH_PYTHON")
    if not named:
        pytest.skip("SEEDCODER_SWEBENCH_PYTHON names no Python with swebench==5.0.2")
    return named


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(1) as made:
        yield made


@pytest.fixture(scope="module")
def mini(data_dir: Path) -> tuple[Bench, Mapping[str, Any]]:
    """The benchmark, and its rows by key."""
    path = data_dir / "swe-mini" / "instances.jsonl"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    rows = {row["instance_id"]: row for row in map(json.loads, path.read_text().splitlines())}
    return open_bench("swe-mini", {"path": path}), rows


def _ask(python: str, **told: Any) -> str:
    done = subprocess.run(
        [python, "-c", ORACLE], input=json.dumps(told), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def _official(python: str, row: Mapping[str, Any], patch: str, folder: Path) -> dict[str, Any]:
    """Return the official report on a patch; of one that does not apply there is none."""
    tree = folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    with tarfile.open(release(row["source"]).file()) as tar:
        tar.extractall(folder / "sdist", filter="data")
    (top,) = (folder / "sdist").iterdir()
    shutil.move(top, tree)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost"]
    for command in (["init", "-q"], ["add", "-A", "-f"], ["commit", "-q", "-m", "base"]):
        subprocess.run([*git, *command], cwd=tree, check=True)
    if patch:
        for way in (["git", "apply", "--verbose"], ["patch", "--batch", "--fuzz=5", "-p1"]):
            if not subprocess.run(
                way, cwd=tree, input=patch.encode(), capture_output=True
            ).returncode:
                break
        else:
            return {"resolved": False}
    shim = folder / "bin" / "python"
    shim.parent.mkdir(exist_ok=True)
    where = packages(row["pip"], row["python"])
    shim.write_text(
        f'#!/bin/sh\nexport PYTHONPATH="$PYTHONPATH:{where}"\nexec {sys.executable} -S "$@"\n'
    )
    shim.chmod(0o755)
    env = {"PATH": f"{shim.parent}:{os.environ['PATH']}", "TESTBED": str(tree), "HOME": str(folder)}
    script = _ask(python, row=row, log=None, patch="")
    done = subprocess.run(
        ["bash", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env
    )
    log = folder / "log.txt"
    log.write_bytes(done.stdout)
    report: dict[str, Any] = json.loads(_ask(python, row=row, log=str(log), patch=patch))
    return report


def _patches(bench: Bench, key: str) -> dict[str, str]:
    """Return patches that resolve and that do not: five kinds."""
    problem = next(problem for problem in bench.problems() if problem.key == key)
    base = workplace(problem, "auto").base
    name = next(name for name in problem.tests["gold_files"] if name.endswith(".py"))
    code = base[name].content
    gold = problem.canonical
    return {
        "gold": gold,
        "empty": "",
        "comment": git_diff(base, {name: Change(content=code + b"# looked at\n")}),
        "raises": git_diff(base, {name: Change(content=code + b"raise RuntimeError\n")}),
        "misfit": gold.replace("\n ", "\n  no such line "),
    }


@pytest.mark.parametrize("key", INSTANCES)
def test_verdicts_and_shares_are_the_official_ones(
    key: str, oracle: str, pool: Pool, mini: tuple[Bench, Mapping[str, Any]], tmp_path: Path
) -> None:
    bench, rows = mini
    problem = next(problem for problem in bench.problems() if problem.key == key)
    tests = bench.tests(problem)
    resolved = {}
    for kind, patch in _patches(bench, key).items():
        program = Program(language="diff", source=patch)
        verdict = pool.judge(program, tests, bench.limits(problem))
        theirs = _official(oracle, rows[key], patch, tmp_path)
        assert verdict.ok is theirs["resolved"], kind
        resolved[kind] = verdict.ok
        if "tests_status" in theirs:
            values = bench.values(problem, program, verdict)
            for name in ("FAIL_TO_PASS", "PASS_TO_PASS"):
                good, bad = (len(theirs["tests_status"][name][x]) for x in ("success", "failure"))
                assert values[f"{name} passed"] == pytest.approx(good / (good + bad)), (kind, name)
    assert resolved == {
        "gold": True, "empty": False, "comment": False, "raises": False, "misfit": False
    }  # fmt: skip
