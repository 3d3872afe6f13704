"""Keep of a module what one function needs, and drop what only shows it off.

Chat models end their answer with prints, asserts and a `main`; these may read stdin, or fail on a
wrong example. EvalPlus's sanitizer drops them before judging, and so do we, by scope rules of
Python's own compiler (`symtable`) rather than by names.

Does not guard against anything: it is a matter of protocol, not of safety.
"""

from __future__ import annotations

import ast
import symtable
from dataclasses import dataclass

_SIMPLE = (ast.Import, ast.ImportFrom)


@dataclass(frozen=True, slots=True)
class _Part:
    """Top-level statements that share lines, with the global names they bind and use."""

    lines: slice
    kept: bool
    binds: frozenset[str]
    uses: frozenset[str]


def prune(code: str, entry_point: str) -> str:
    """Return `code` without the top-level statements that `entry_point` does not need.

    Kept: imports; definitions, assignments and other statements that bind or change a global that
    the entry point reaches; `sys.setrecursionlimit(...)`; comments. Dropped: prints, asserts, loops
    over examples, `if __name__ == "__main__"`. Code that does not parse, or does not bind the
    entry point at its top level, is returned as it is.
    """
    try:
        parts = _parts(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code
    if not any(entry_point in part.binds for part in parts):
        return code
    reached = {entry_point}
    waiting = [entry_point]
    while waiting:
        name = waiting.pop()
        for part in parts:
            if name in part.binds:
                waiting.extend(part.uses - reached)
                reached |= part.uses
    lines: list[str | None] = list(code.split("\n"))
    for part in parts:
        if not part.kept and not part.binds & reached:
            lines[part.lines] = [None] * (part.lines.stop - part.lines.start)
    pruned = "\n".join(line for line in lines if line is not None).rstrip() + "\n"
    try:
        ast.parse(pruned)
    except SyntaxError:  # a line joined by a backslash to one that is gone
        return code
    return pruned


def _parts(code: str) -> list[_Part]:
    lines = code.split("\n")
    groups: list[tuple[int, int, list[ast.stmt]]] = []
    for node in ast.parse(code).body:
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(x.lineno for x in decorators)])
        last = node.end_lineno or node.lineno
        if groups and groups[-1][1] >= first:  # a; b on one line
            start, end, nodes = groups[-1]
            groups[-1] = (start, max(end, last), [*nodes, node])
        else:
            groups.append((first, last, [node]))
    return [
        _part("\n".join(lines[first - 1 : last]), slice(first - 1, last), nodes)
        for first, last, nodes in groups
    ]


def _part(source: str, lines: slice, nodes: list[ast.stmt]) -> _Part:
    if all(_is_main_guard(node) for node in nodes):
        return _Part(lines, False, frozenset(), frozenset())
    table = symtable.symtable(source, "reply", "exec")
    uses = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    binds = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
    }
    inner = list(table.get_children())
    while inner:
        scope = inner.pop()
        inner.extend(scope.get_children())
        uses |= {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global()}
    kept = all(isinstance(node, _SIMPLE) or _sets_recursion_limit(node) for node in nodes)
    binds |= {name for node in nodes for name in _changed(node)}
    return _Part(lines, kept, frozenset(binds), frozenset(uses))


def _is_main_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and any(
        isinstance(x, ast.Name) and x.id == "__name__" for x in ast.walk(node.test)
    )


def _sets_recursion_limit(node: ast.stmt) -> bool:
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return False
    function = node.value.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name == "setrecursionlimit"


def _changed(node: ast.stmt) -> set[str]:
    """Return the names whose values a top-level statement changes without binding them."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return set()
    names = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Subscript | ast.Attribute):
            if isinstance(inner.ctx, ast.Store | ast.Del):
                names.add(_root(inner))
        elif isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Call):
            # TABLE.append(1), memo.update(...): a method called for what it does.
            function = inner.value.func
            names.add(_root(function) if isinstance(function, ast.Attribute) else "")
    return names - {""}


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
