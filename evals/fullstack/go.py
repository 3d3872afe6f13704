"""Go answers and their tests as one file: one package line, imports first and each once.

Upstream joins the two and hoists what it finds (`postprocess_full_code` of
`sandbox/datasets/auto_eval.py`, bytedance/SandboxFusion), then runs `go test`. Here the test
functions are called by a `main` of ours, through `testing.Main`, so that the compiler that the box
has for programs will do. The word is said when the last of them has ended without a failure.
"""

from __future__ import annotations

import re
from typing import Final

from evals.fullstack.endings import NAME, WORD, NoEnding
from sandbox import BesideTests

_PACKAGE: Final = re.compile(r"^[ \t]*package[ \t]+\w+[ \t]*$", re.MULTILINE)
_IMPORT: Final = re.compile(
    r"^[ \t]*import[ \t]*(?:\((?P<many>.*?)\)|(?P<one>(?:[\w.]+[ \t]+)?\"[^\"\n]+\"))",
    re.MULTILINE | re.DOTALL,
)
_ONE: Final = re.compile(r"(?:[\w.]+[ \t]+)?\"[^\"\n]+\"")
_TEST: Final = re.compile(r"^func[ \t]+(Test\w*)[ \t]*\([ \t]*\w+[ \t]+\*testing\.T[ \t]*\)", re.M)
_OWN: Final = ('"testing"', '"fmt"', '"os"', '"sync/atomic"')
# testing.Main says PASS last of all, on what is stdout then.
_MAIN: Final = """
func main() {{
	out, left := os.Stdout, int32({count})
	os.Stdout = os.Stderr
	{name} := func(test func(*testing.T)) func(*testing.T) {{
		return func(t *testing.T) {{
			t.Cleanup(func() {{
				if !t.Failed() && atomic.AddInt32(&left, -1) == 0 {{
					fmt.Fprintln(out, "\\n{word}")
				}}
			}})
			test(t)
		}}
	}}
	all := func(pattern, name string) (bool, error) {{ return true, nil }}
	testing.Main(all, []testing.InternalTest{{
{tests}	}}, nil, nil)
}}
"""


def parted(source: str) -> tuple[list[str], str]:
    """Return the imports of a source ("fmt" in its quotes, with its alias), and the rest."""
    found: list[str] = []
    for match in _IMPORT.finditer(source):
        found += _ONE.findall(match["many"] if match["many"] is not None else match["one"])
    body = _PACKAGE.sub("", _IMPORT.sub("", source))
    return list(dict.fromkeys(" ".join(one.split()) for one in found)), body


def go_tests(before: str, after: str) -> BesideTests:
    """Return the tests around a Go answer whose imports are those of `go_answer`.

    Raises NoEnding where there is no test function, or a module from elsewhere is imported.
    """
    imports, head = parted(before)
    more, tail = parted(after)
    imports = [one for one in dict.fromkeys([*imports, *more]) if one not in _OWN]
    if foreign := [one for one in imports if "." in one.partition("/")[0]]:
        raise NoEnding(f"its tests import the module {foreign[0]}")
    tests = _TEST.findall(tail)
    if not tests:
        raise NoEnding("its test code has no test function")
    listed = "".join(f'\t\t{{Name: "{name}", F: {NAME}({name})}},\n' for name in tests)
    lines = "".join(f"import {one}\n" for one in [*_OWN, *imports])
    main = _MAIN.format(name=NAME, word=WORD, tests=listed, count=len(tests))
    return BesideTests(
        before=f"package main\n{lines}",
        after=f"\n{head}\n{tail}{main}",
        word=WORD,
        name=NAME,
        wrong_words=("--- FAIL", "FAIL"),
    )


def go_answer(code: str, before: str, after: str) -> str:
    """Return an answer to stand behind the tests' imports: without those, and without a main."""
    theirs = {*_OWN, *parted(before)[0], *parted(after)[0]}
    imports, body = parted(code)
    lines = "".join(f"import {one}\n" for one in imports if one not in theirs)
    return f"{lines}{_without_main(body)}" if body.strip() else ""


def _without_main(body: str) -> str:
    """Return the code without its main, which `go test` would not have called."""
    found = re.search(r"^func[ \t]+main[ \t]*\([ \t]*\)[ \t]*\{", body, re.MULTILINE)
    if not found:
        return body
    end = re.compile(r"^\}", re.MULTILINE).search(body, found.end())
    return body[: found.start()] + body[end.end() :] if end else body
