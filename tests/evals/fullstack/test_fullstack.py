"""FullStackBench's protocol over rows of our own, each judged for real in its language."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Style, open_bench
from evals.fullstack.extraction import first_block
from evals.gold import check_gold
from sandbox import Kind, Pool, Verdict
from sandbox.languages import found
from seedcoder.errors import UsageError

CHAT = Style(protocol="chat")
HERE = {language.language for language in found() if language.there}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row: its test, a right answer, a wrong one, and one that ends early and well."""

    language: str
    runs: str
    test: str
    right: str
    wrong: str
    early: str
    fence: str = ""


GO_TEST = """\
package main

import "testing"

func TestGroups(t *testing.T) {
	for _, n := range []int{1, 2} {
		t.Run("case", func(t *testing.T) {
			t.Parallel()
			if Twice(n) != 2*n {
				t.Fatalf("%d", Twice(n))
			}
		})
	}
}

func TestLater(t *testing.T) {
	t.Parallel()
	if Twice(0) != 0 {
		t.Fatal("zero")
	}
}
"""
CASES = [
    Case(
        language="go",
        runs="go_test",
        test=GO_TEST,
        right="package main\n\nfunc Twice(n int) int { return 2 * n }",
        wrong="package main\n\nfunc Twice(n int) int {\n\tif n == 2 {\n\t\treturn 5\n\t}\n"
        "\treturn 2 * n\n}",
        early='package main\n\nfunc Twice(n int) int { panic("no") }',
    ),
    Case(
        language="python",
        runs="python",
        test="def test_add():\n    assert add(1, 2) == 3\n    assert add(-1, 1) == 0\n\n"
        "if __name__ == '__main__':\n    test_add()\n",
        right="def add(a, b):\n    return a + b\n\nif __name__ == '__main__':\n    1 / 0",
        wrong="def add(a, b):\n    return a - b",
        early="import sys\n\ndef add(a, b):\n    sys.exit(0)",
    ),
    Case(
        language="python",
        runs="python",
        test="import unittest\n\nclass TestAdd(unittest.TestCase):\n    def test_it(self):\n"
        "        self.assertEqual(add(1, 2), 3)\n\nif __name__ == '__main__':\n"
        "    unittest.main()\n",
        right="def add(a, b):\n    return a + b",
        wrong="def add(a, b):\n    return 4",
        early="def add(a, b):\n    raise SystemExit(0)",
    ),
    Case(
        language="sql",
        runs="python",
        test="import sqlite3\ndb = sqlite3.connect(':memory:')\n"
        "db.execute('create table t (n int)')\ndb.execute('insert into t values (1), (5)')\n"
        'got = db.execute("""#<INSERT>""").fetchall()\nassert got == [(5,)], got\n',
        right="SELECT max(n) FROM t",
        wrong="SELECT min(n) FROM t",
        early='"""; import os; os._exit(0); """',
    ),
    Case(
        language="html",
        runs="python",
        test="page = open('index.html').read()\nassert '<h1>Hi</h1>' in page\n",
        right="<h1>Hi</h1>",
        wrong="<h1>Ho</h1>",
        early="<script>exit(0)</script>",
    ),
    Case(
        language="bash",
        runs="bash",
        test='[ "$(greet Ann)" = "Hi Ann" ] || exit 1\n[ "$(greet)" = "Hi" ] || exit 1\nexit 0\n',
        right='greet() { echo "Hi${1:+ $1}"; }',
        wrong="greet() { echo Hi; }",
        early="exit 0",
    ),
    Case(
        language="cpp",
        runs="cpp",
        test="#include <cassert>\nint main() {\n  // a brace } in a comment\n"
        '  const char* s = "}";\n  assert(add(1, 2) == 3 && *s);\n  return 0;\n}\n',
        right="int add(int a, int b) { return a + b; }\nint main() { return 1; }",
        wrong="int add(int a, int b) { return a - b; }",
        early="#include <cstdlib>\nint add(int, int) { std::exit(0); }",
    ),
    Case(
        language="go",
        runs="go_test",
        test='package main\n\nimport (\n\t"strings"\n\t"testing"\n)\n\n'
        'func TestShout(t *testing.T) {\n\tif got := Shout("a"); got != strings.ToUpper("a!") {\n'
        '\t\tt.Errorf("got %s", got)\n\t}\n}\n',
        right='package main\n\nimport (\n\t"fmt"\n\t"strings"\n)\n\n'
        'func Shout(s string) string { return fmt.Sprintf("%s!", strings.ToUpper(s)) }\n\n'
        'func main() {\n\tfmt.Println(Shout("x"))\n}\n',
        wrong="func Shout(s string) string { return s }",
        early='import "os"\n\nfunc Shout(s string) string { os.Exit(0); return s }',
    ),
    Case(
        language="javascript",
        runs="nodejs",
        test="const assert = require('assert');\nassert.strictEqual(add(1, 2), 3);\n"
        "(async () => { assert.strictEqual(await later(2), 4); })();\n",
        right="const add = (a, b) => a + b;\nconst later = async x => 2 * x;",
        wrong="const add = (a, b) => a + b;\nconst later = async x => 3 * x;",
        early="process.exit(0)",
        fence="javascript",
    ),
    Case(
        language="php",
        runs="php",
        test="if (add(1, 2) !== 3) {\n    throw new Exception('AssertionError');\n}\n",
        right="<?php\nfunction add($a, $b) { return $a + $b; }\n?>",
        wrong="<?php\nfunction add($a, $b) { return $a - $b; }",
        early="<?php exit(0);",
    ),
    Case(
        language="ruby",
        runs="ruby",
        test="raise 'Assertion failed' unless add(1, 2) == 3\n",
        right="def add(a, b)\n  a + b\nend",
        wrong="def add(a, b)\n  a - b\nend",
        early="exit!(0)",
    ),
    Case(
        language="rust",
        runs="rust",
        test="fn main() {\n    assert_eq!(add(1, 2), 3);\n}\n",
        right="fn add(a: i32, b: i32) -> i32 { a + b }",
        wrong="fn add(a: i32, b: i32) -> i32 { a - b }",
        early="fn add(_: i32, _: i32) -> i32 { std::process::exit(0) }",
    ),
    Case(
        language="csharp",
        runs="csharp",
        test="class Program {\n    static void Main() {\n"
        "        System.Diagnostics.Debug.Assert(Adder.Add(1, 2) == 3);\n    }\n}\n",
        right="public static class Adder { public static int Add(int a, int b) { return a + b; } }",
        wrong="public static class Adder { public static int Add(int a, int b) { return a - b; } }",
        early="public static class Adder { public static int Add(int a, int b) "
        "{ System.Environment.Exit(0); return 3; } }",
    ),
    Case(
        language="R",
        runs="R",
        test="stopifnot(add(1, 2) == 3)\n",
        right="add <- function(a, b) a + b",
        wrong="add <- function(a, b) a - b",
        early='quit(save = "no", status = 0)',
    ),
]
NAMES = {"nodejs": "javascript", "go_test": "go", "R": "r"}


def row(case: Case, number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "content": f"Write it in {case.language}.",
        "canonical_solution": case.right,
        "labels": {
            "programming_language": case.language,
            "execution_language": case.runs,
            "category": "Basic Programming",
            "difficulty": "easy",
        },
        "test": {"code": case.test, "asset": None},
        **more,
    }


def bench_of(folder: Path, *rows: dict[str, Any], **options: Any) -> Any:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return open_bench("fullstackbench", {"path": str(path), **options})


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(1, confirm_timeouts=False) as made:
        yield made


def verdict(pool: Pool, bench: Any, reply: str) -> Verdict:
    (problem,) = bench.problems()
    program = bench.program(problem, reply, CHAT)
    found_ = pool.submit(program, bench.tests(problem), bench.limits(problem)).result()
    assert isinstance(found_, Verdict)
    return found_


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.language}-{case.runs}")
def test_right_answers_pass_and_wrong_or_early_ones_do_not(
    case: Case, pool: Pool, tmp_path: Path
) -> None:
    if NAMES.get(case.runs, case.runs) not in HERE:
        pytest.skip(f"{case.runs} is not installed")
    bench = bench_of(tmp_path, row(case))
    reply = f"Sure:\n```{case.fence}\n%s\n```\nThat is it. ```\nnot this\n```"
    passed = verdict(pool, bench, reply % case.right)
    assert passed.ok and passed.mode == "shared", passed
    assert verdict(pool, bench, reply % case.wrong).kind in (Kind.WRONG, Kind.CRASHED)
    assert not verdict(pool, bench, reply % case.early).ok
    assert verdict(pool, bench, "I cannot.").kind in (Kind.NO_CODE, Kind.CRASHED, Kind.WRONG)


@pytest.mark.slow
def test_gold_and_programs_that_end_at_once(pool: Pool, tmp_path: Path) -> None:
    known = [case for case in CASES if case.language in ("python", "bash", "ruby", "php")]
    rows = [row(case, number) for number, case in enumerate(known) if case.runs in HERE]
    bench = bench_of(tmp_path, *rows)
    gold = check_gold(bench, bench.problems(), pool)
    assert gold.ok and gold.total == len(rows), gold


def test_files_lie_beside_the_program(pool: Pool, tmp_path: Path) -> None:
    case = Case(
        language="python", runs="python", test="assert count() == 2\n", early="", wrong="",
        right="def count():\n    return len(open('data.csv').readlines())",
    )  # fmt: skip
    asset = {"data.csv": base64.b64encode(b"a\nb\n").decode()}
    bench = bench_of(tmp_path, row(case, test={"code": case.test, "asset": json.dumps(asset)}))
    assert verdict(pool, bench, f"```python\n{case.right}\n```").ok


def test_what_cannot_be_judged_here_is_left_out_aloud(tmp_path: Path) -> None:
    plain = CASES[1]
    rows = [
        row(plain, 1),
        row(plain, 2, test={"code": "import pandas\nassert add(1, 2) == 3\n"}),
        row(plain, 3, labels={"programming_language": "java", "execution_language": "junit"}),
        row(plain, 4, labels={"programming_language": "javascript", "execution_language": "jest"}),
        row(plain, 5, labels={"programming_language": "cpp"}, test={"code": "int x;"}),
        row(plain, 6, labels={"programming_language": "d", "execution_language": "d_ut"}),
    ]
    bench = bench_of(tmp_path, *rows)
    assert [problem.key for problem in bench.problems()] == ["fullstack/1"]
    said = bench.left_out()
    assert said["1 problems (python)"] == "pandas cannot be imported in the box"
    assert "junit" in said["1 problems (java)"]
    assert "no main" in said["1 problems (cpp)"] or "not installed" in said["1 problems (cpp)"]
    assert len(said) == 5


@pytest.mark.parametrize(
    ("reply", "language", "code"),
    [
        ("```\na\n```\n```python\nb\n```", "python", "a"),
        ("```python\nx = 1\n", "python", "x = 1\n"),
        ("```python\nx = 1\n# Example usage\nx\n```", "python", "x = 1"),
        ("def f():\n    return 1\n", "python", "def f():\n    return 1\n"),
        ("def f(): the words", "cpp", ""),
        ("Try select 1;", "sql", ""),
        ("select 1;", "sql", "select 1"),
        ("ls\n\npwd", "bash", "ls\npwd\n"),
        ("```cpp\nint f();\nint main() {}\n```", "cpp", "int f();"),
        ("", "python", ""),
    ],
)
def test_code_is_taken_as_upstream_takes_it(reply: str, language: str, code: str) -> None:
    assert first_block(reply, language) == code


def test_tags_tell_language_and_domain(tmp_path: Path) -> None:
    (problem,) = bench_of(tmp_path, row(CASES[1])).problems()
    assert problem.tags == ("language:python", "domain:Basic Programming", "difficulty:easy")
    request = bench_of(tmp_path, row(CASES[1])).request(problem, CHAT)
    assert request.prompt[0].content == "Write it in python."


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("labels", "nothing", "labels: "),
        ("labels", {}, "must be strings"),
        ("test", {"code": 3}, "must be strings"),
        ("test", {"code": "x", "asset": {"a": "***"}}, "test.asset: "),
        ("content", None, "content: a string was expected"),
    ],
)
def test_a_bad_row_is_told_with_its_place(
    tmp_path: Path, column: str, value: Any, complaint: str
) -> None:
    bench = bench_of(tmp_path, {**row(CASES[1], 77), column: value})
    with pytest.raises(UsageError, match="77") as told:
        bench.problems()
    assert complaint in str(told.value)


def test_only_chat_is_asked(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, row(CASES[1]))
    with pytest.raises(UsageError, match="chat only"):
        bench.request(bench.problems()[0], Style(protocol="completion"))
