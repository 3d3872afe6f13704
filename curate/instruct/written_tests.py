"""Unit tests that a model wrote: which of them count, and whether they test anything.

A test is one assert that calls the function. It stands alone: beside the function it uses builtin
names, imported modules and names that it binds itself. Everything else that a model writes among
its tests (prints, exits, helpers, handlers) is left out and never run. The asserts run by
`AssertTests` in the mode "proxy": in a box of their own, where the function is a stand-in that
brings back plain data. So a solution passes by what it returns alone; exits, printed words,
overwritten builtins and objects that equal everything do not help it.

Tests must also fail: programs that do nothing (`controls`) are judged by them too.

Does not guard: tests that are wrong and agree with a wrong solution (they came from the same
model); a solution that holds the expected values of the tests it was shown; functions that are
right to return nothing or their argument (they are dropped).
"""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass
from typing import Final

from curate.instruct.replies import parsed
from sandbox import AssertTests, Program

_BUILTINS: Final = frozenset(dir(builtins)) - {"exit", "quit", "open", "input", "exec", "eval"}
# What a do-nothing function may return; each is tried as the whole program.
_NOTHINGS: Final = ("None", "True", "False", "0", "''", "[]", "args[0] if args else None")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Tests as they count. left_out: asserts that do not stand alone or do not call."""

    entry_point: str
    imports: tuple[str, ...]
    asserts: tuple[str, ...]
    left_out: int

    def tests(self) -> AssertTests:
        """Return them as the sandbox takes them."""
        return AssertTests(
            test="\n".join((*self.imports, *self.asserts)),
            entry_point=self.entry_point,
            mode="proxy",
        )


def read(source: str, entry_point: str) -> Written:
    """Return the tests in `source`, those inside test functions too; none where it is no Python."""
    module = parsed(source)
    nodes = list(ast.walk(module)) if module else []
    imports = [x for x in nodes if isinstance(x, ast.Import | ast.ImportFrom)]
    known = {alias.asname or alias.name.split(".")[0] for x in imports for alias in x.names}
    found: dict[str, None] = {}
    left_out = 0
    for node in sorted((x for x in nodes if isinstance(x, ast.Assert)), key=lambda x: x.lineno):
        if _alone(node, known, entry_point):
            found[f"assert {ast.unparse(node.test)}"] = None
        else:
            left_out += 1
    text = "\n".join(found)
    used = [ast.unparse(x) for x in imports if _used(x, text)]
    return Written(
        entry_point=entry_point,
        imports=tuple(dict.fromkeys(used)),
        asserts=tuple(found),
        left_out=left_out,
    )


def called_of(source: str, functions: list[str]) -> str:
    """Return which of `functions` the tests call the most, the last defined where they call none
    more than another; "" where they call none."""
    module = parsed(source)
    calls = [
        node.func.id
        for node in (ast.walk(module) if module else ())
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    counted = [(calls.count(name), place, name) for place, name in enumerate(functions)]
    most = max(counted, default=(0, 0, ""))
    return most[2] if most[0] else ""


def controls(entry_point: str) -> list[Program]:
    """Return programs that do nothing: tests that one of them passes are no tests."""
    return [
        Program.python(f"def {entry_point}(*args, **kwargs):\n    return {value}\n")
        for value in _NOTHINGS
    ]


def _alone(node: ast.Assert, known: set[str], entry_point: str) -> bool:
    names = [x for x in ast.walk(node.test) if isinstance(x, ast.Name)]
    bound = {x.id for x in names if not isinstance(x.ctx, ast.Load)}
    bound |= {x.arg for x in ast.walk(node.test) if isinstance(x, ast.arg)}
    calls = any(
        isinstance(x, ast.Call) and isinstance(x.func, ast.Name) and x.func.id == entry_point
        for x in ast.walk(node.test)
    )
    allowed = _BUILTINS | known | bound | {entry_point}
    return calls and entry_point not in bound | known and {x.id for x in names} <= allowed


def _used(node: ast.Import | ast.ImportFrom, text: str) -> bool:
    if isinstance(node, ast.ImportFrom) and node.level:
        return False
    return any((alias.asname or alias.name.split(".")[0]) in text for alias in node.names)
