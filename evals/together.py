"""Python tests that stand in the candidate's own module: mode "shared", and counted as such.

Some benchmarks put their test code behind the program and run both as one file: the tests use what
the program imported, patch names of its module, look into its objects. No proxy can stand between.
So program and tests share one process, and the verdict is that of `AssertTests` in mode "shared":
a word that must name a secret of this run, given out only after the program was loaded.

A pass is read from what ran: of `unittest` classes every test method must have been run and have
left neither failure nor error; of a script every line up to its last. Exits end the run without a
verdict of its own, and printed words are not looked at.

Does not hold against a program that searches its own process for the tests (`sandbox.proof`).
"""

from __future__ import annotations

import ast
from typing import Final

from sandbox import AssertTests, Program

_CALLED: Final = "judged_here"
# The tests call something of the program once, or a judge could not tell tests that test nothing.
_TAIL: Final = f"\n\ndef {_CALLED}():\n    return None\n"

_HEAD: Final = """\
import contextlib, io, sys
module = sys.modules["program"]
sys.modules[{name!r}] = module
candidate()


class Quiet(io.StringIO):
    def write(self, text):
        return len(text)


def quiet():
    stack = contextlib.ExitStack()
    stack.enter_context(contextlib.redirect_stdout(Quiet()))
    stack.enter_context(contextlib.redirect_stderr(Quiet()))
    return stack


def last_line(words):
    return words.strip().rpartition("\\n")[2]
"""

_UNITTEST: Final = """
import unittest

with quiet():
    exec(compile(TESTS, "<tests>", "exec"), module.__dict__)
    suite = unittest.TestLoader().loadTestsFromTestCase(getattr(module, {klass!r}))
    planned = [one.id().rpartition(".")[2] for one in suite]
    result = unittest.TestResult()
    suite.run(result)
missing = [name for name in {names!r} if name not in planned]
assert not missing, "not run: " + ", ".join(missing)
for one, words in [*result.errors, *result.failures]:
    raise AssertionError(one.id().rpartition(".")[2] + ": " + last_line(words))
ran = result.testsRun
assert ran == len(planned) or result.skipped, f"{{ran}} of {{len(planned)}} tests were run"
"""

_SCRIPT: Final = """
with quiet():
    exec(compile(TESTS, "<tests>", "exec"), module.__dict__)
"""


def with_judge(source: str, *, language: str = "python") -> Program:
    """Return the program as these tests take it; without source it stays empty."""
    return Program(language=language, source=source + _TAIL if source.strip() else "")


def unittests(tests: str, *, klass: str, name: str = "__test__") -> AssertTests:
    """Return tests by a `unittest.TestCase` class of that name, put behind the program.

    name: under which name the joined module can also be found, as upstream calls it.
    Raises ValueError where `tests` do not parse, or hold no such class with a test method.
    """
    found = [
        node
        for node in ast.parse(tests).body
        if isinstance(node, ast.ClassDef) and node.name == klass
    ]
    methods = sorted(
        {
            method.name
            for node in found
            for method in node.body
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)
            and method.name.startswith("test")
        }
    )
    if not methods:
        raise ValueError(f"no class {klass} with test methods")
    return _tests(tests, _UNITTEST.format(klass=klass, names=methods), name)


def script(tests: str, *, name: str = "__main__", after: str = "") -> AssertTests:
    """Return tests that are lines to run behind the program: they fail by raising.

    after: source run when they have passed, in the scope of the harness: it may print what is to
    be measured.
    """
    return _tests(tests, _SCRIPT + after, name)


def _tests(tests: str, body: str, name: str) -> AssertTests:
    return AssertTests(
        test=f"TESTS = {tests!r}\n{_HEAD.format(name=name)}{body}",
        entry_point=_CALLED,
        mode="shared",
    )
