"""Where the test code of a row prints the word that says: all checks were passed.

Upstream takes the exit code of code and test together. Here the end of the test code prints a word
that is drawn for each run (`sandbox.BesideTests`), so that a program that ends early does not pass.
For scripts that is one more line; where a `main` runs the checks, the last line of it. JavaScript's
is said when the process ends well, as checks may wait in promises: an answer that ends it from a
promise of its own passes those that come later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from sandbox import BesideTests

WORD: Final = "SEEDCODER_WORD"
NAME: Final = "SEEDCODER_NAME"

# How each language of scripts prints a line, and what of a failed check stands in stderr.
_LINES: Final[Mapping[str, str]] = {
    "bash": f"\necho '{WORD}'\n",
    # Checks may come later than the last line: in promises.
    "javascript": f"\nprocess.on('exit', code => {{ if (!code) console.log('{WORD}') }})\n",
    "typescript": f"\nprocess.on('exit', code => {{ if (!code) console.log('{WORD}') }})\n",
    "php": f'\necho "\\n{WORD}\\n";\n',
    "r": f'\ncat("\\n{WORD}\\n")\n',
    "lua": f"\nprint('{WORD}')\n",
    "perl": f'\nprint "\\n{WORD}\\n";\n',
    "julia": f'\nprintln("\\n{WORD}")\n',
}
_MAINS: Final[Mapping[str, tuple[str, str]]] = {
    "cpp": (
        r"\b(?:int|auto)\s+main\s*\([^)]*\)\s*(?:->\s*int\s*)?\{",
        f'std::printf("\\n{WORD}\\n");',
    ),
    "c": (r"\bint\s+main\s*\([^)]*\)\s*\{", f'printf("\\n{WORD}\\n");'),
    "rust": (r"\bfn\s+main\s*\(\s*\)\s*\{", f'println!("\\n{WORD}");'),
    "csharp": (
        r"\bstatic\s+(?:async\s+)?(?:void|int|Task)\s+Main\s*\([^)]*\)\s*\{",
        f'System.Console.WriteLine("\\n{WORD}");',
    ),
    "scala": (r"\bdef\s+main\s*\([^)]*\)\s*(?::\s*Unit\s*)?=?\s*\{", f'println("\\n{WORD}")'),
}
_WRONG: Final = (
    "Assertion", "assertion", "AssertionError", "panicked at", "not TRUE", "--- FAIL",
)  # fmt: skip
_RETURN: Final = re.compile(r"\breturn\s+(?:0|EXIT_SUCCESS)\s*;\s*\Z")
_CHECKER: Final = f"""
static class {NAME} {{
    public static void Assert(bool holds, string why = "", string more = "") {{
        if (!holds) throw new System.Exception("Assertion failed: " + why + more);
    }}
}}
"""


class NoEnding(ValueError):
    """The test code has no place of the expected form where the word could be printed."""


def ending(language: str, before: str, after: str) -> BesideTests:
    """Return the tests around a program. Raises NoEnding, with the reason in words.

    before, after: the row's test code on both sides of the answer. A Go answer must not repeat the
    imports of the tests: see `evals.fullstack.go`.
    """
    head, tail = _PREPARED.get(language, _as_it_is)(before, after)
    if language in _MAINS:
        tail = _in_main(tail, *_MAINS[language])
    elif language == "ruby":
        tail = _ruby(tail)
    elif language in _LINES:
        tail = tail + _LINES[language]
    else:
        raise NoEnding("nothing here runs its tests in a way that a box can vouch for")
    return BesideTests(before=head, after=tail, word=WORD, name=NAME, wrong_words=_WRONG)


def _in_main(source: str, pattern: str, line: str) -> str:
    """Return the source with a line at the end of its last `main`, ahead of a `return 0`."""
    found = list(re.finditer(pattern, source))
    if not found:
        raise NoEnding("its test code has no main whose last line could tell that it was reached")
    start = found[-1].end()
    end = _closing(source, start)
    body = source[start:end]
    if last := _RETURN.search(body):
        body = f"{body[: last.start()]}{line}\n{last[0]}"
    else:
        body = f"{body}\n{line}\n"
    return source[:start] + body + source[end:]


def _closing(source: str, start: int) -> int:
    """Return where the brace closes that was opened just before `start`."""
    depth, place = 1, start
    skip = re.compile(
        r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'|//[^\n]*|/\*.*?\*/|[{}]', re.DOTALL
    )
    while found := skip.search(source, place):
        place = found.end()
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if not depth:
            return found.start()
    raise NoEnding("the braces of its test code's main do not close")


def _as_it_is(before: str, after: str) -> tuple[str, str]:
    return before, after


def _bash(before: str, after: str) -> tuple[str, str]:
    return before, re.sub(r"\n\s*exit(?:\s+0)?\s*;?\s*\Z", "\n", after)


def _cpp(before: str, after: str) -> tuple[str, str]:
    return f"#include <cstdio>\n{before}", after


def _csharp(before: str, after: str) -> tuple[str, str]:
    """mcs compiles without DEBUG, where Debug.Assert checks nothing: the check is our own."""
    checked = re.sub(r"(?:System\.Diagnostics\.)?\bDebug\.Assert\(", f"{NAME}.Assert(", after)
    return before, checked + _CHECKER if checked != after else after


def _php(before: str, after: str) -> tuple[str, str]:
    """A script starts in HTML; a second `<?php` inside PHP does not parse."""
    ended = after.rstrip().endswith("?>")
    return before, f"{after.rstrip()}\n<?php " if ended else after


def _ruby(after: str) -> str:
    if "minitest" in after:
        return f"{after}\nMinitest.after_run {{ puts '{WORD}' }}\n"
    if "test/unit" in after:
        return f"{after}\nTest::Unit.at_exit {{ puts '{WORD}' }}\n"
    return f"{after}\nputs '{WORD}'\n"


_PREPARED: Final[Mapping[str, Callable[[str, str], tuple[str, str]]]] = {
    "bash": _bash,
    "cpp": _cpp,
    "csharp": _csharp,
    "php": _php,
}
