"""LiveCodeBench's tests, and what it counts as the same output.

LiveCodeBench/LiveCodeBench lcb_runner/evaluation/testing_util.py. What we do otherwise:

Programs that read stdin run as scripts, each test in a process of its own, with a real stdin.
    Upstream wraps their text in a function, which fails right programs (`global` at top level,
    `sys.stdin.buffer`, ...), and takes 6 s of wall time where we take CPU time.
Functions are called behind a few lines of ours that read a test's arguments from stdin and write
    the value as JSON, so that each test has its own time limit, as upstream gives it one; the
    value is compared out here. Upstream calls the methods of one object for all tests; ours is
    made anew for each, as LeetCode's is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from evals.contests.one_string import unpacked_string
from sandbox import Program, StdioCase, StdioTests
from sandbox.compare import EQUAL

# testing_util.py's `import_string`: names that solutions use without importing them.
_STARRED: Final = [
    "string",
    "re",
    "datetime",
    "collections",
    "heapq",
    "bisect",
    "copy",
    "math",
    "random",
    "statistics",
    "itertools",
    "functools",
    "operator",
    "io",
    "sys",
    "json",
    "builtins",
    "typing",
]
_WHOLE: Final = _STARRED[: _STARRED.index("builtins")]
PRELUDE: Final = "\n".join(
    [
        *(f"from {name} import *" for name in _STARRED),
        *(f"import {name}" for name in _WHOLE),
        "sys.setrecursionlimit(50000)",
        "",
    ]
)
_FUTURE: Final = re.compile(r"^from __future__ ", re.MULTILINE)

# What the program prints by itself goes to stderr. A tuple inside the value is no list.
_CALLER: Final = """

def _seedcoder_call(name):
    import json, os, sys
    answer = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    def plain(value, top=False):
        if hasattr(value, "tolist"):
            value = value.tolist()
        if isinstance(value, tuple):
            value = list(value) if top else {"tuple": list(value)}
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        return [plain(inner) for inner in value] if isinstance(value, list) else value
    owner = globals().get("Solution")
    function = getattr(owner(), name) if isinstance(owner, type) else globals()[name]
    arguments = [json.loads(line) for line in sys.stdin.read().split("\\n")]
    text = json.dumps(plain(function(*arguments), True))
    with os.fdopen(answer, "w") as stream:
        stream.write(text)

"""


@dataclass(frozen=True, slots=True)
class SameLines:
    """Text: as many lines, each equal but for white space around it, or equal as decimals."""

    def __call__(self, expected: Any, got: Any, /) -> bool:
        want = [line.strip() for line in expected.strip().split("\n")]
        have = [line.strip() for line in got.strip().split("\n")]
        return len(want) == len(have) and all(map(_same_line, want, have))


@dataclass(frozen=True, slots=True)
class SameValue:
    """Text: JSON of equal values, as Python's `==` has it (1 answers for 1.0 and for True)."""

    def __call__(self, expected: Any, got: Any, /) -> bool:
        try:
            have = json.loads(got)
        except (ValueError, RecursionError):
            return False
        return EQUAL(json.loads(expected), have)


def cases_of(row: Mapping[str, Any], column: str) -> list[dict[str, Any]]:
    """Return a row's tests. Raises ValueError, in a line, for what holds none."""
    packed = row[column]
    try:
        cases = json.loads(packed)
    except ValueError:
        if column == "public_test_cases":
            raise ValueError(f"{column} is not JSON") from None
        try:
            cases = json.loads(unpacked_string(packed))
        except ValueError as error:
            raise ValueError(f"{column} is neither JSON nor a packed string: {error}") from error
    if not isinstance(cases, list):
        raise ValueError(f"{column} holds no list")
    for case in cases:
        if not isinstance(case, dict) or not all(
            isinstance(case.get(name), str) for name in ("input", "output")
        ):
            raise ValueError(f"{column} holds a test without input and output")
    return cases


def function_of(metadata: str) -> str:
    """Return the name of the method to call; "" for problems that read stdin. Raises ValueError."""
    found = json.loads(metadata) if metadata else {}
    name = found.get("func_name") if isinstance(found, dict) else None
    if name is not None and not (isinstance(name, str) and name.isidentifier()):
        raise ValueError(f"metadata: func_name is {name!r:.100}, no name")
    return name or ""


def tests_of(cases: Sequence[Mapping[str, str]], function: str) -> StdioTests:
    """Return the sandbox's tests. Raises ValueError for a row without any, or not of JSON."""
    for number, case in enumerate(cases if function else ()):
        try:
            json.loads(case["output"])
            for line in case["input"].split("\n"):
                json.loads(line)
        except ValueError as error:
            raise ValueError(f"test {number} of {function} is not lines of JSON: {error}") from None
    return StdioTests(
        cases=tuple(StdioCase(stdin=case["input"], stdout=case["output"]) for case in cases),
        comparer=SameValue() if function else SameLines(),
    )


def program_of(code: str, function: str) -> Program:
    """Return the program to judge: the code behind upstream's imports, and called where it is."""
    if not code.strip():
        return Program.python("")
    # A __future__ import must come first; a reply that has one brings its other imports too.
    source = code if _FUTURE.search(code) else f"{PRELUDE}\n{code}"
    if function:
        source += f"{_CALLER}_seedcoder_call({function!r})\n"
    return Program.python(source)


def _same_line(want: str, have: str) -> bool:
    if want == have:
        return True
    try:
        return [Decimal(word) for word in want.split()] == [Decimal(x) for x in have.split()]
    except InvalidOperation:
        return False
