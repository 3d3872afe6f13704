"""How much of a program its tests execute: source that a harness runs when they have passed.

Statement coverage as coverage.py counts it: the statements that have code, each by its first line,
docstrings left out; those of the program, not of the tests. The program is run once more for it,
traced, with the tests behind it. The figure is a whole percentage, rounded as `coverage report`
does, and comes by standard output: a program could print another. It measures, and judges nothing.
"""

from __future__ import annotations

import re
from typing import Final

from sandbox import Verdict

_SAID: Final = re.compile(r"^covered ([0-9]{1,3})$", re.MULTILINE)
_BUDGET_S: Final = 5.0  # ours: CPU seconds; tracing slows a program down tenfold

# In the scope of `evals.together`: TESTS, module, quiet.
MEASURE: Final = f"""
def begins(node):
    return min([node.lineno, *(x.lineno for x in getattr(node, "decorator_list", ()))])


def first_lines(tree):
    found = {{}}
    for node in ast.walk(tree):
        if not isinstance(node, (ast.stmt, ast.ExceptHandler)):
            continue
        body = getattr(node, "body", None)
        last = begins(body[0]) - 1 if isinstance(body, list) and body else node.end_lineno
        for line in range(node.lineno, max(last, node.lineno) + 1):
            found.setdefault(line, node.lineno)
        for decorator in getattr(node, "decorator_list", ()):  # each is a statement there
            for line in range(decorator.lineno, decorator.end_lineno + 1):
                found.setdefault(line, decorator.lineno)
    for node in ast.walk(tree):  # docstrings, and other strings that stand alone
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            for line in range(node.lineno, node.end_lineno + 1):
                found.pop(line, None)
    return found


def lines_of(code):
    found = {{line for _, _, line in code.co_lines() if line}}
    for constant in code.co_consts:
        if isinstance(constant, type(code)):
            found |= lines_of(constant)
    return found


def covered(source):
    first = first_lines(ast.parse(source))
    code = compile(source, "<covered>", "exec")
    statements = {{first[line] for line in lines_of(code) if line in first}}
    seen, until = set(), time.process_time() + {_BUDGET_S}

    def local(frame, event, argument):
        if event == "line":
            seen.add(frame.f_lineno)
        return local

    def traced(frame, event, argument):
        if time.process_time() > until:
            raise TimeoutError
        return local if frame.f_code.co_filename == "<covered>" else None

    fresh = type(sys)("__main__")
    sys.modules["__main__"] = fresh
    threading.settrace(traced)
    sys.settrace(traced)
    try:
        with quiet():
            exec(code, fresh.__dict__)
            exec(compile(TESTS, "<tests>", "exec"), fresh.__dict__)
    finally:
        sys.settrace(None)
        threading.settrace(None)
    executed = len(statements & {{first.get(line) for line in seen}})
    share = 100 * executed / len(statements) if statements else 0
    return min(round(share), 99) if executed < len(statements) else 100


try:
    import ast, linecache, threading, time

    percent = covered("".join(linecache.getlines(module.__file__)).rpartition("def judged_here")[0])
    print(f"\\ncovered {{percent}}", flush=True)
except BaseException:
    pass
"""


def covered_percent(verdict: Verdict) -> int | None:
    """Return what `MEASURE` printed last, None where it printed nothing."""
    found = [_SAID.findall(outcome.stdout) for outcome in verdict.outcomes]
    said = found[0] if found else []
    return min(100, int(said[-1])) if verdict.ok and said else None
