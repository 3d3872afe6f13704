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
import unittest

ended = []


class Main(unittest.TestProgram):  # its own would end the process, and with it the proof
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{**kwargs, "exit": False, "argv": ["tests"]})
        ended.append(self.result)


unittest.main = Main
sys.modules["__main__"] = module
module.__name__ = "__main__"
with quiet():
    exec(compile(TESTS, "<tests>", "exec"), module.__dict__)
for result in ended:
    for one, words in [*result.errors, *result.failures]:
        raise AssertionError(one.id() + ": " + last_line(words))
    assert result.testsRun or result.skipped, "no test was run"
"""
# The program is not code that is called, but text that stands in the test code or beside it.
_ANSWER: Final = """
module, answer = type(sys)("__main__"), module.ANSWER
"""
_INSERTED: Final = """
head, _, tail = TESTS.partition({token!r})
TESTS = head + answer + tail.partition({token!r})[0]
"""
_LAID: Final = """
with open({name!r}, "w", encoding="utf-8") as file:
    file.write(answer)
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


def as_answer(text: str) -> Program:
    """Return a program that holds `text`, for `inserted` and `laid`."""
    return with_judge(f"ANSWER = {text!r}\n" if text.strip() else "")


def inserted(tests: str, token: str) -> AssertTests:
    """Return a script in which the answer stands in the place of a token."""
    return _tests(tests, _ANSWER + _INSERTED.format(token=token) + _SCRIPT, "__main__")


def laid(tests: str, file: str) -> AssertTests:
    """Return a script that finds the answer in a file of that name."""
    return _tests(tests, _ANSWER + _LAID.format(name=file) + _SCRIPT, "__main__")


def _tests(tests: str, body: str, name: str) -> AssertTests:
    return AssertTests(
        test=f"TESTS = {tests!r}\n{_HEAD.format(name=name)}{body}",
        entry_point=_CALLED,
        mode="shared",
    )
