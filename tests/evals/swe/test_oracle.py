"""Our verdicts on swe-mini against those of the official package, test by test.

SEEDCODER_SWEBENCH_PYTHON names the Python of an environment of its own with swebench==5.0.2.
"""

from __future__ import annotations

import json
import os
import re
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
said = [spec.eval_script]
for log in told["logs"]:
    prediction = {"instance_id": spec.instance_id, "model_patch": "judged by its log"}
    report = get_eval_report(spec, prediction, log, include_tests_status=True)
    said.append(report[spec.instance_id])
print(json.dumps(said))
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


def _ask(python: str, row: Mapping[str, Any], logs: list[str]) -> list[Any]:
    """Return the official script of an instance, and the official report on each log."""
    done = subprocess.run(
        [python, "-c", ORACLE],
        input=json.dumps({"row": row, "logs": logs}),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said: list[Any] = json.loads(done.stdout)
    return said


def _log(row: Mapping[str, Any], script: str, patch: str, folder: Path) -> str:
    """Apply a patch as the harness does and run the script; return the log, "" where it does not
    apply: the harness then stops and nothing is resolved."""
    shutil.rmtree(folder / "tree", ignore_errors=True)
    tree = folder / "tree"
    with tarfile.open(release(row["source"]).file()) as tar:
        tar.extractall(folder / "sdist", filter="data")
    (top,) = (folder / "sdist").iterdir()
    shutil.move(top, tree)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost"]
    for command in (["init", "-q"], ["add", "-A", "-f"], ["commit", "-q", "-m", "base"]):
        subprocess.run([*git, *command], cwd=tree, check=True)
    ways = (["git", "apply", "--verbose"], ["patch", "--batch", "--fuzz=5", "-p1"])
    applies = not patch
    for way in ways:
        done = subprocess.run(way, cwd=tree, input=patch.encode(), capture_output=True)
        applies = applies or done.returncode == 0
        if applies:
            break
        subprocess.run(["git", "checkout", "-q", "--", "."], cwd=tree, check=True)
    if not applies:
        return ""
    shim = folder / "bin" / "python"
    shim.parent.mkdir(exist_ok=True)
    where = packages(row["pip"], row["python"])
    shim.write_text(
        f'#!/bin/sh\nexport PYTHONPATH="$PYTHONPATH:{where}"\nexec {sys.executable} -S "$@"\n'
    )
    shim.chmod(0o755)
    env = {"PATH": f"{shim.parent}:{os.environ['PATH']}", "TESTBED": str(tree), "HOME": str(folder)}
    ran = subprocess.run(
        ["bash", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env
    )
    log = folder / f"log-{len(list(folder.glob('log-*')))}.txt"
    log.write_bytes(ran.stdout)
    return str(log)


def _patches(bench: Bench, key: str) -> dict[str, str]:
    """Return patches that resolve and that do not."""
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
        # Some of these apply all the same, by the fuzz of patch(1): only agreement is asked for.
        "fuzzy": gold.replace("\n ", "\n  no such line "),
        "misfit": re.sub(r"^([- ])(?!-- )", r"\1no such line ", gold, flags=re.MULTILINE),
    }


@pytest.mark.parametrize("key", INSTANCES)
def test_verdicts_and_shares_are_the_official_ones(
    key: str, oracle: str, pool: Pool, mini: tuple[Bench, Mapping[str, Any]], tmp_path: Path
) -> None:
    bench, rows = mini
    problem = next(problem for problem in bench.problems() if problem.key == key)
    tests = bench.tests(problem)
    patches = _patches(bench, key)
    (script,) = _ask(oracle, rows[key], [])
    logs = {kind: _log(rows[key], script, patch, tmp_path) for kind, patch in patches.items()}
    _, *said = _ask(oracle, rows[key], [log for log in logs.values() if log])
    reports = iter(said)
    resolved = {}
    for kind, log in logs.items():
        theirs = next(reports) if log else {"resolved": False}
        program = Program(language="diff", source=patches[kind])
        verdict = pool.judge(program, tests, bench.limits(problem))
        assert verdict.ok is theirs["resolved"], kind
        resolved[kind] = verdict.ok
        values = bench.values(problem, program, verdict)
        assert (values["patch applied"] == 1.0) is bool(log and patches[kind]), kind
        for name, lists in theirs.get("tests_status", {}).items():
            if name in ("FAIL_TO_PASS", "PASS_TO_PASS"):
                good, bad = len(lists["success"]), len(lists["failure"])
                assert values[f"{name} passed"] == pytest.approx(good / (good + bad)), (kind, name)
    del resolved["fuzzy"]
    assert resolved == {
        "gold": True, "empty": False, "comment": False, "raises": False, "misfit": False
    }  # fmt: skip
