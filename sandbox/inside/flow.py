"""Does a test hand the candidate's answers back to it?

Calls that are known beforehand are all shown to a candidate at once. In a test such as
`assert candidate(candidate(x)) == x` the second call holds the right answer of the first, and so
must not be shown before the first was answered.

Looks at the source only, and is careful: names are followed, not values, whatever their scope and
order, and what cannot be followed counts as handed back. Does not see: what a candidate changed in
its arguments in place (the proxy sees that), and code in strings, which counts as handed back.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable

_BUILTIN = frozenset(vars(builtins))
_DARK = frozenset({"exec", "eval", "compile", "globals", "locals", "vars", "setattr", "__import__"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LEAVES = (ast.Break, ast.Continue, ast.Return)


def answers_come_back(sources: Iterable[str], entry_point: str) -> bool:
    """Return whether an argument of a call may hold something of an earlier answer."""
    trees = [ast.parse(source) for source in sources]
    return _Flow(trees, {"candidate", entry_point}).comes_back()


class _Flow:
    """Names that may hold something of an answer, found by following assignments to their end."""

    def __init__(self, trees: list[ast.Module], candidates: set[str]) -> None:
        self._candidates = candidates
        self._nodes = [node for tree in trees for node in ast.walk(tree)]
        self._checks = [call for tree in trees for node in tree.body if (call := self._check(node))]
        self._functions = [node for node in self._nodes if isinstance(node, _FUNCTIONS)]
        # What `check(candidate)` calls it is the candidate too.
        self._candidates = candidates | set().union(*map(self._parameters, self._checks))
        self._held: set[str] = set()

    def comes_back(self) -> bool:
        if not self._can_be_followed():
            return True
        size = -1
        while len(self._held) > size:
            size = len(self._held)
            for node in self._nodes:
                self._follow(node)
        return any(map(self._gives_back, self._nodes))

    def _check(self, node: ast.stmt) -> ast.Call | None:
        """Return the call in a statement `check(candidate)`, the usual end of a test."""
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            call = node.value
            if len(call.args) == 1 and self._is_candidate(call.args[0]) and not call.keywords:
                return None if self._is_candidate(call.func) else call
        return None

    def _parameters(self, call: ast.Call) -> set[str]:
        """Return the names of the parameters of the functions that a call may call."""
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        return {
            part.arg
            for function in self._functions
            if function.name == name or not name
            for part in ast.walk(function.args)
            if isinstance(part, ast.arg)
        }

    def _is_candidate(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id in self._candidates

    def _is_call(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and self._is_candidate(node.func)

    def _can_be_followed(self) -> bool:
        """Return whether the candidate is only ever called by its name, or checked."""
        mentioned = sum(map(self._is_candidate, self._nodes))
        called = sum(map(self._is_call, self._nodes)) + len(self._checks)
        dark = any(isinstance(node, ast.Name) and node.id in _DARK for node in self._nodes)
        return mentioned == called and not dark

    def _carries(self, node: ast.AST | None) -> bool:
        """Return whether the value of an expression may hold something of an answer."""
        return node is not None and any(
            self._is_call(part) or (isinstance(part, ast.Name) and part.id in self._held)
            for part in ast.walk(node)
        )

    def _names(self, node: ast.AST) -> set[str]:
        """Return the names in a node, those in arguments of the candidate left out."""
        if self._is_call(node):
            return set()
        found = {node.id} - _BUILTIN - self._candidates if isinstance(node, ast.Name) else set()
        return found.union(*map(self._names, ast.iter_child_nodes(node)))

    def _stored(self, nodes: Iterable[ast.AST]) -> set[str]:
        parts = [part for node in nodes for part in ast.walk(node)]
        named = (ast.MatchAs, ast.MatchStar, ast.ExceptHandler)
        return {
            part.id
            for part in parts
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
        } | {part.name for part in parts if isinstance(part, named) and part.name}

    def _follow(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                self._assign(targets, value)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self._assign([target], value)
            case (
                ast.AugAssign(target=target, value=value)
                | ast.NamedExpr(target=target, value=value)
            ):
                self._assign([target], value)
            case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
                self._assign([target], value, both_ways=False)
            case ast.comprehension(target=target, iter=value):
                self._assign([target], value, both_ways=False)
            case ast.withitem(context_expr=value, optional_vars=target) if target is not None:
                self._assign([target], value)
            case ast.Call() if not self._is_call(node) and node not in self._checks:
                self._pass_on(node)
            case ast.If(test=test, body=body, orelse=orelse) if self._carries(test):
                self._held |= self._stored([*body, *orelse])
            case ast.Match(subject=subject) if self._carries(subject):
                self._held |= self._stored([node])
            case ast.Try(body=body) if any(map(self._carries, body)):
                self._held |= self._stored([node])
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                returned = (ast.Return, ast.Yield, ast.YieldFrom)
                parts = [part for part in ast.walk(node) if isinstance(part, returned)]
                if any(self._carries(part.value) for part in parts):
                    self._held.add(node.name)

    def _assign(self, targets: list[ast.expr], value: ast.expr, *, both_ways: bool = True) -> None:
        names = set().union(*map(self._names, targets))
        if self._carries(value):
            self._held |= names
        elif both_ways and names & self._held and not isinstance(value, ast.Call):
            self._held |= self._names(value)  # two names of one thing

    def _pass_on(self, call: ast.Call) -> None:
        """Follow an answer into what a function may do with it: its parameters, its other data."""
        parts = [*call.args, *(keyword.value for keyword in call.keywords)]
        if not any(map(self._carries, parts)):
            return
        if isinstance(call.func, ast.Name) and call.func.id in _BUILTIN:
            return
        self._held |= set().union(*map(self._names, parts))
        self._held |= self._parameters(call)
        if isinstance(call.func, ast.Attribute):
            self._held |= self._names(call.func.value)

    def _gives_back(self, node: ast.AST) -> bool:
        """Return whether a call's arguments, or that it is made at all, tell of an answer."""
        match node:
            case ast.Call() if self._is_call(node):
                parts = [*node.args, *(keyword.value for keyword in node.keywords)]
                return any(map(self._carries, parts))
            case ast.While(test=test):
                return self._carries(test)
            case ast.If(test=test, body=body, orelse=orelse) if self._carries(test):
                inner = [part for one in (*body, *orelse) for part in ast.walk(one)]
                return any(self._is_call(part) or isinstance(part, _LEAVES) for part in inner)
            case ast.IfExp(test=test, body=first, orelse=second) if self._carries(test):
                inner = [*ast.walk(first), *ast.walk(second)]
                return any(map(self._is_call, inner))
            case ast.comprehension(ifs=conditions):
                return any(map(self._carries, conditions))
        return False
