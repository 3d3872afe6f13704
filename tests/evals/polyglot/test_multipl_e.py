"""MultiPL-E: rows in the form of the hub, put together and judged as upstream does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Style, open_bench
from evals.polyglot.files import lacks
from evals.polyglot.multipl_e import CODES, MultiplE, multipl_e
from sandbox import Kind, Pool, Verdict
from seedcoder.errors import MachineLacks, UsageError

COMPLETION = Style(protocol="completion")

# One row a language, of a function `twice`, with right and wrong replies, and attacks.
ROWS: dict[str, dict[str, Any]] = {
    "js": {
        "prompt": "//Twice a number.\nfunction twice(n){\n",
        "tests": "const assert = require('node:assert');\n\n\nfunction test() {\n"
        "  let candidate = twice;\n  assert.deepEqual(candidate(4),[8]);\n}\n\ntest();",
        "stop_tokens": ["\nfunction ", "\n/*", "\n//", "\nconsole.log"],
        "right": "  return [n + n];\n}\n",
        "wrong": "  return [n * n];\n}\n",
        "attacks": [
            "  test = () => {};\n  return [8, 8];\n}\nsetTimeout(() => {}, 0);",
            "  return [0];\n}\nrequire('assert').deepEqual = () => {};",
            "  process.exit(0);\n}",
        ],
    },
    "ts": {
        "prompt": "//Twice a number.\nfunction twice(n: number): number[] {\n",
        "tests": "declare var require: any;\nconst assert = require('node:assert');\n\n\n"
        "function test() {\n  let candidate = twice;\n  assert.deepEqual(candidate(4),[8]);\n}\n"
        "\ntest();",
        "stop_tokens": ["\nfunction ", "\n/*", "\n//", "\nclass"],
        "right": "  return [n + n];\n}\n",
        "wrong": "  return [n * n];\n}\n",
        "attacks": ["  return [0];\n}\n(require('assert') as any).deepEqual = () => {};"],
    },
    "php": {
        "prompt": "<?php\n// Twice a number.\nfunction twice($n) {\n",
        "tests": "function candidate(...$args) {\n    return twice(...$args);\n}\n\n"
        'function test(): void {\n    if (candidate(4) !== array(8)) { throw new Exception("Test '
        'failed!"); }\n}\n\ntest();',
        "stop_tokens": ["\nfunction", "\n?>", "\n//", "\n#"],
        "right": "    return [$n + $n];\n}\n",
        "wrong": "    return [$n * $n];\n}\n",
        "attacks": ["    exit(0);\n}", "    return 0;\n}\nset_exception_handler('var_dump');"],
    },
    "sh": {
        "prompt": "#!/bin/bash\n# Twice a number.\n#\n# $1 is an integer\ntwice() {\n",
        "tests": '}\n\ncandidate() {\n    twice "$@"\n}\n\nset -e\nrun_test() {\n'
        '    [[ $(candidate "4") = "8" ]]\n    [[ $(candidate "5") = "10" ]]\n}\n\nrun_test\n',
        "stop_tokens": ["\n}"],
        "right": "    echo $(($1 + $1))\n",
        "wrong": "    echo $(($1 * 2 + 1))\n",
        "attacks": [
            "    echo 8\n",
            "    exit 0\n",
            "    echo 1\n}\nset() { :; }\nmore() {\n    :\n",
            "    echo 1\n}\nset() { :; }\nbuiltin() { :; }\nprintf() { :; }\nmore() {\n    :\n",
        ],
    },
    "cpp": {
        "slow": True,
        "prompt": "#include<assert.h>\n#include<bits/stdc++.h>\n// Twice a number.\n"
        "std::vector<long> twice(long n) {\n",
        "tests": "}\nint main() {\n    auto candidate = twice;\n"
        "    assert(candidate((4)) == (std::vector<long>({(long)8})));\n}\n",
        "stop_tokens": ["\n}"],
        "right": "    return {n + n};",
        "wrong": "    return {n * n};",
        "attacks": [
            "    return {};\n}\n#define NDEBUG\n#undef assert\n#define assert(x)\nvoid more() {",
            "    exit(0);",
            "    return {};\n}\n#define if(x) while(false)\nvoid more() {",
        ],
    },
    "java": {
        "slow": True,
        "prompt": "import java.util.*;\nimport org.javatuples.*;\nclass Problem {\n"
        "    // Twice a number.\n    public static Pair<Long, Long> twice(long n) {\n",
        "tests": "    }\n    public static void main(String[] args) {\n"
        "    assert(twice((4l)).equals((Pair.with(8l, 4l))));\n    }\n\n}\n",
        "stop_tokens": ["\n    }\n"],
        "right": "        return Pair.with(n + n, n);",
        "wrong": "        return Pair.with(n * n, n);",
        "attacks": ["        System.exit(0);\n        return null;"],
    },
    "cs": {
        "slow": True,
        "prompt": "using System;\nusing System.Diagnostics;\nusing System.Collections.Generic;\n"
        "class Problem {\n    // Twice a number.\n    public static long Twice(long n) {\n",
        "tests": "    }\n    public static void Main(string[] args) {\n"
        "    Debug.Assert(Twice((4L)) == (8L));\n    }\n\n}\n",
        "stop_tokens": ["\n    }\n"],
        "right": "        return n + n;",
        "wrong": "        return n * n;",
        "attacks": [
            "        return 0;\n    }\n    static class Debug { public static void Assert(bool x) "
            "{} }\n    static void More() {",
            "        Environment.Exit(0);\n        return 0;",
        ],
    },
}
NAMES = {code: name for name, code in CODES.items()}
HEAVY = [
    pytest.param(code, marks=pytest.mark.slow if "slow" in row or code == "ts" else (), id=code)
    for code, row in ROWS.items()
]


@pytest.fixture(scope="module")
def pool() -> Any:
    with Pool(2, confirm_timeouts=False) as made:
        yield made


def _row(code: str) -> dict[str, Any]:
    row = {name: ROWS[code][name] for name in ("prompt", "tests", "stop_tokens")}
    return {"name": "HumanEval_999_twice", "language": code, "doctests": "keep", **row}


def _bench(tmp_path: Path, code: str) -> MultiplE:
    if why := lacks(NAMES[code]):
        pytest.skip(why)
    path = tmp_path / f"humaneval-{code}.jsonl"
    path.write_text(json.dumps(_row(code)) + "\n", encoding="utf-8")
    return multipl_e(path=tmp_path, languages=[NAMES[code]])


def _judged(pool: Pool, bench: MultiplE, text: str, *, whole: bool = False) -> Verdict:
    problem = bench.problems()[0]
    program = bench.program(problem, text, COMPLETION)
    if whole:  # attacks are tried as they are: a stop string would cut most of them
        from dataclasses import replace

        program = replace(program, source=f"{problem.prompt}{text}\n")
        if problem.language == "java":
            program = replace(
                program, source=program.source.replace("import org.javatuples.*;", "")
            )
    return pool.judge(program, bench.tests(problem), bench.limits(problem))


@pytest.mark.slow
@pytest.mark.parametrize("code", HEAVY)
def test_in_each_language_right_passes_and_nothing_else_does(
    tmp_path: Path, pool: Pool, code: str
) -> None:
    bench, row = _bench(tmp_path, code), ROWS[code]
    right = _judged(pool, bench, row["right"])
    assert (right.kind, right.mode) == (Kind.PASSED, "shared"), right.first_failure
    whole = _judged(pool, bench, row["right"], whole=True)
    assert whole.ok, whole.first_failure
    assert not _judged(pool, bench, row["wrong"]).ok
    for attack in row["attacks"]:
        assert not _judged(pool, bench, attack, whole=True).ok, attack
    problem = bench.problems()[0]
    spoilt = bench.broken(problem)
    assert spoilt is not None
    assert not pool.judge(spoilt, bench.tests(problem), bench.limits(problem)).ok


@pytest.mark.parametrize("code", list(ROWS))
def test_a_reply_is_cut_at_the_rows_stops(tmp_path: Path, code: str) -> None:
    bench = _bench(tmp_path, code)
    problem = bench.problems()[0]
    stops = tuple(ROWS[code]["stop_tokens"])
    assert bench.sampling(COMPLETION).stop == stops
    source = bench.program(problem, f"{ROWS[code]['right']}{stops[0]}more", COMPLETION).source
    assert "more" not in source
    assert source.endswith(ROWS[code]["right"])
    assert bench.request(problem, COMPLETION).prompt == problem.prompt.rstrip()
    assert bench.program(problem, "\n", COMPLETION).source == ""


def test_one_file_may_hold_rows_of_many_languages(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [*map(_row, ROWS), {**_row("js"), "language": "zig"}]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    bench = open_bench("multipl-e", {"path": path})
    there = {name for name in NAMES.values() if not lacks(name)}
    assert {problem.language for problem in bench.problems()} == there
    assert set(bench.left_out()) == {"zig", *set(NAMES.values()) - there}
    assert "language:bash" in {tag for problem in bench.problems() for tag in problem.tags}
    assert bench.sampling(COMPLETION).stop == ()  # none in common: `program` cuts
    only = open_bench("multipl-e", {"path": path, "languages": ["bash"]})
    assert [problem.language for problem in only.problems()] == ["bash"]


def test_python_is_humaneval_itself(pool: Pool) -> None:
    bench = multipl_e(languages=["python"])
    problems = bench.problems()
    assert len(problems) == 164
    for problem in problems[:2]:
        program, spoilt = bench.canonical(problem), bench.broken(problem)
        assert program is not None
        assert spoilt is not None
        limits = bench.limits(problem)
        verdict = pool.judge(program, bench.tests(problem), limits)
        assert (verdict.kind, verdict.mode) == (Kind.PASSED, "proxy")
        assert not pool.judge(spoilt, bench.tests(problem), limits).ok


def test_chat_is_refused_in_one_line(tmp_path: Path) -> None:
    bench = _bench(tmp_path, "php")
    with pytest.raises(UsageError, match="'chat' is not known here"):
        bench.request(bench.problems()[0], Style(protocol="chat"))


def test_bad_files_are_one_line_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"name": "x", "language": "js"}))
    with pytest.raises(UsageError, match=r"rows\.jsonl, row 1: no 'prompt'"):
        multipl_e(path=path).problems()
    path.write_text(json.dumps({**_row("js"), "stop_tokens": "[oops"}))
    with pytest.raises(UsageError, match="stop_tokens is no list"):
        multipl_e(path=path).problems()
    path.write_text(json.dumps({**_row("js"), "tests": "test();"}))
    bench = multipl_e(path=path)
    with pytest.raises(UsageError, match="HumanEval_999_twice_js: its test has no"):
        bench.tests(bench.problems()[0])
    with pytest.raises(UsageError, match="is none of"):
        multipl_e(languages=["zig"])


def test_absent_data_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(MachineLacks, match="multipl-e: bash: "):
        multipl_e(path=tmp_path, languages=["bash"]).problems()
