"""NaturalCodeBench over rows of our own in upstream's layout, judged for real by pytest."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Style, open_bench
from evals.gold import check_gold
from evals.naturalcodebench import python_code
from sandbox import Kind, Pool
from seedcoder.errors import MachineLacks, UsageError

CHAT = Style(protocol="chat")
CODE = (
    "def count(path):\n    print(len(open(path).read().split()))\n\n\n"
    "def asked():\n    return input()\n"
)
TESTS = """\
class TestCount:
    def test_a_file_of_the_problem(self, capfd):
        count("words.txt")
        assert capfd.readouterr().out == "2\\n"

    def test_another(self, capfd, tmp_path):
        (tmp_path / "x").write_text("a b c")
        count(tmp_path / "x")
        assert capfd.readouterr().out == "3\\n"


def test_stdin_is_ones():
    assert asked() == "1"
"""
ROW = {
    "_id": 7,
    "prompt": "Your task is to generate python code ... \nclass TestCount: ...\n",
    "problem": "Count words.",
    "testcases": TESTS,
    "setup_code": "",
    "reference_solution": f"```python\n{CODE}\n```",
    "classification": "Data Science",
}


@pytest.fixture(scope="module")
def packages_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    for name in ("pytest", "pluggy", "iniconfig", "packaging", "pygments"):
        for file in importlib.metadata.files(name) or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), target)
    for place in (folder, *folder.parents):
        if place.stat().st_uid == folder.stat().st_uid and not place.stat().st_mode & 0o001:
            place.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(1, confirm_timeouts=False) as made:
        yield made


def bench_of(folder: Path, packages: Path, *rows: dict[str, Any], **options: Any) -> Any:
    place = folder / "data" / "python_en"
    (place / "input_files" / "7").mkdir(parents=True, exist_ok=True)
    (place / "input_files" / "7" / "words.txt").write_text("two words\n")
    lines = "".join(json.dumps(row) + "\n" for row in rows or (ROW,))
    (place / "ncb_python_en.jsonl").write_text(lines)
    said = {"path": str(folder / "data"), "languages": ["python"], "natural": ["en"]}
    return open_bench("naturalcodebench", {**said, "packages_dir": str(packages), **options})


@pytest.mark.slow
def test_the_reference_passes_and_an_empty_module_does_not(
    pool: Pool, tmp_path: Path, packages_folder: Path
) -> None:
    bench = bench_of(tmp_path, packages_folder)
    gold = check_gold(bench, bench.problems(), pool)
    assert gold.ok and gold.total == 1, gold


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        CODE.replace("split()", "split('w')"),
        CODE.replace("input()", "'0'"),
        "import os\nos._exit(0)\n",
        "import sys\nsys.exit(0)\n",
    ],
)
def test_wrong_answers_fail(pool: Pool, tmp_path: Path, packages_folder: Path, code: str) -> None:
    bench = bench_of(tmp_path, packages_folder)
    (problem,) = bench.problems()
    program = bench.program(problem, f"```python\n{code}\n```", CHAT)
    verdict = pool.submit(program, bench.tests(problem), bench.limits(problem)).result()
    assert verdict.kind in (Kind.WRONG, Kind.CRASHED)


def test_the_prompt_is_the_rows(tmp_path: Path, packages_folder: Path) -> None:
    bench = bench_of(tmp_path, packages_folder)
    (problem,) = bench.problems()
    assert bench.request(problem, CHAT).prompt[0].content == ROW["prompt"]
    assert problem.key == "python_en/7"
    assert problem.tags == ("language:python", "natural:en", "domain:Data Science")


def test_what_cannot_be_judged_here_is_left_out_aloud(
    tmp_path: Path, packages_folder: Path
) -> None:
    rows = [
        ROW,
        {**ROW, "_id": 8, "testcases": f"import pandas\n{TESTS}"},
        {**ROW, "_id": 9, "testcases": f"{TESTS}\n@pytest.mark.parametrize('n', [1])\n"
         "def test_many(n):\n    pass\n"},
    ]  # fmt: skip
    bench = bench_of(tmp_path, packages_folder, *rows)
    assert [problem.key for problem in bench.problems()] == ["python_en/7"]
    assert [why.split(":")[0] for why in bench.left_out().values()] == [
        "options.packages_dir lacks pandas",
        "its tests are parametrized",
    ]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("```python\nx = 1\n```\n```python\ny\n```", "x = 1"),
        ("```\nx = 1\n```", "x = 1"),
        ("[Python]\nx = 1\n[/Python]", "\nx = 1\n"),
        ("[Python]\nx = 1\n```", "\nx = 1\n"),
        ("So: def f():\n    return 1", "def f():\n    return 1"),
        ("from a import b\nx", "from a import b\nx"),
        ("import a from b", "import a from b"),
        ("```java\nx\n```", ""),
        ("nothing", ""),
    ],
)
def test_code_is_taken_as_upstream_takes_it(reply: str, code: str) -> None:
    assert python_code(reply) == code


def test_a_part_that_is_absent_says_what_to_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEDCODER_DATA", str(tmp_path))
    monkeypatch.setenv("SEEDCODER_CACHE", str(tmp_path / "cache"))
    with pytest.raises(MachineLacks, match="THUDM/NaturalCodeBench"):
        open_bench("naturalcodebench").problems()


def test_a_bad_row_is_told_with_its_place(tmp_path: Path, packages_folder: Path) -> None:
    with pytest.raises(UsageError, match="7: testcases"):
        bench_of(tmp_path, packages_folder, {**ROW, "testcases": "def ("}).problems()
    with pytest.raises(UsageError, match="7: prompt: a string was expected"):
        bench_of(tmp_path, packages_folder, {**ROW, "prompt": None}).problems()
