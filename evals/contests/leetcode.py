"""LeetCode-style solutions as programs that read stdin, and which of their functions is called.

CodeEditorBench judges functions and classes without a main behind templates of its own
(evaluation/judge/scripts/add_template.py). What the templates do is in `leetcode_drivers`; here is
what is found out about the solution: whether it has a main, and which function is the one to call:
the only one, else the one that no other calls; of several such, the one that calls most
(`find_fun_name`). Upstream reads C++ and Java by tree-sitter; here their text is read by patterns,
comments and texts taken out first, so that odd layouts may be misread.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from evals.contests.leetcode_drivers import (
    CPP_HEAD,
    CPP_NODES,
    CPP_TAIL,
    JAVA_NODES,
    JAVA_TAIL,
    PYTHON_HEAD,
    PYTHON_TAIL,
)
from sandbox import Program

_NOISE: Final = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL
)
_CPP_MAIN: Final = re.compile(r"\bmain\s*\(")
_CLASS: Final = re.compile(r"\b(?:class|struct)\s+Solution\b")
_DEFINED: Final = re.compile(
    r"(?:[\w>\]*&]\s+|[>\]*&])(\w+)\s*\(([^(){};]*)\)\s*(?:const|noexcept|throws\s+[\w,\s.]+)?\s*\{"
)
_NO_NAMES: Final = frozenset(
    ("if", "for", "while", "switch", "catch", "return", "else", "new", "main", "Solution", "do",
     "synchronized", "ListNode", "TreeNode", "Node", "operator")
)  # fmt: skip
_IMPORT: Final = re.compile(r"^[ \t]*import\s[^;\n]*;[ \t]*$", re.MULTILINE)
_PACKAGE: Final = re.compile(r"^[ \t]*package\s[^;\n]*;[ \t]*$", re.MULTILINE)


def is_whole(code: str, language: str) -> bool:
    """Return whether the code is a program of its own: it has a main, or reads stdin by itself."""
    if language != "python":
        return bool(_CPP_MAIN.search(_NOISE.sub(" ", code)))
    try:
        body = ast.parse(textwrap.dedent(code)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "class Solution" not in code and "input(" in code
    quiet = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
    return not any(
        isinstance(node, ast.ClassDef) and node.name == "Solution" for node in body
    ) and any(not isinstance(node, quiet) or _reads(node) for node in body if not _is_text(node))


def program_of(code: str, language: str) -> Program:
    """Return a program that calls the code's function; the code as it is where none is found."""
    if not code.strip():
        return Program(language=language, source="")
    make = {"python": _python, "cpp": _cpp, "java": _java}[language]
    return Program(language=language, source=make(code) or code)


def _reads(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign | ast.AnnAssign) and any(
        isinstance(inner, ast.Name) and inner.id in ("input", "sys") for inner in ast.walk(node)
    )


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _python(code: str) -> str:
    code = textwrap.dedent(code)
    try:
        module = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    owner = next(
        (x for x in module.body if isinstance(x, ast.ClassDef) and x.name == "Solution"), None
    )
    functions = [x for x in (owner or module).body if isinstance(x, ast.FunctionDef)]
    functions = [x for x in functions if not x.name.startswith("__")]
    name = _entry([(one.name, list(_called(one))) for one in functions])
    if not name:
        return ""
    # Examples of its use, a main: not part of the solution, as in `remove_no_function_code`.
    names = {one.name for one in functions} | {"Solution", "input", "print"}
    kept = [node for node in module.body if _is_kept(node, names)]
    if len(kept) < len(module.body):
        code = ast.unparse(ast.Module(body=kept, type_ignores=[]))
    if owner is None:
        code += f"\n\nclass Solution:\n    {name} = staticmethod({name})\n"
    head = "" if "from __future__" in code else PYTHON_HEAD
    return f"{head}{code}\n{PYTHON_TAIL}_seedcoder_main({name!r})\n"


def _is_kept(node: ast.stmt, names: set[str]) -> bool:
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return not names.intersection(_called(node))
    return isinstance(
        node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    )


def _called(statement: ast.stmt) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id
            elif isinstance(node.func, ast.Attribute):
                yield node.func.attr


def _cpp(code: str) -> str:
    code = code.replace("private", "public")  # as add_template.py does, which drops a main too
    code = re.sub(r"\bint\s+main\s*\(", "int seedcoder_unused_main(", code)
    name = _entry(_functions(code))
    if not name:
        return ""
    nodes = "".join(text for node, text in CPP_NODES.items() if not _has(code, node))
    if not _CLASS.search(code):
        includes = "\n".join(re.findall(r"^[ \t]*(?:#|using namespace)[^\n]*$", code, re.MULTILINE))
        rest = re.sub(r"^[ \t]*(?:#|using namespace)[^\n]*$", "", code, flags=re.MULTILINE)
        code = f"{includes}\nclass Solution {{\npublic:\n{rest}\n}};\n"
    return f"{CPP_HEAD}{nodes}{code}\n{CPP_TAIL.replace('@NAME@', name)}"


def _java(code: str) -> str:
    code = code.replace("private", "public")
    code = re.sub(r"\bclass\s+Main\b", "class SeedcoderUnusedMain", _PACKAGE.sub("", code))
    name = _entry(_functions(code))
    if not name:
        return ""
    imports = "\n".join(_IMPORT.findall(code))
    rest = _IMPORT.sub("", code)
    nodes = "".join(text for node, text in JAVA_NODES.items() if not _has(rest, node))
    if not _CLASS.search(rest):
        rest = f"class Solution {{\n{rest}\n}}\n"
    rest = re.sub(r"\bpublic\s+(class|interface|enum)\b", r"\1", rest)
    usual = "import java.util.*;\nimport java.util.stream.*;\nimport java.util.function.*;\n"
    return f"{imports}\n{usual}{nodes}{rest}\n{JAVA_TAIL.replace('@NAME@', name)}"


def _has(code: str, node: str) -> bool:
    return bool(re.search(rf"\b(?:class|struct)\s+{node}\b\s*\{{", _NOISE.sub(" ", code)))


def _functions(code: str) -> list[tuple[str, list[str]]]:
    """Return the functions of a C++ or Java text, and the names that each calls."""
    plain = _NOISE.sub(" ", code)
    found = []
    for match in _DEFINED.finditer(plain):
        if match[1] in _NO_NAMES or match[1][0].isdigit() or match[1].startswith("seedcoder_"):
            continue
        body = _block(plain, match.end() - 1)
        found.append((match[1], re.findall(r"\b(\w+)\s*\(", body)))
    return found


def _block(text: str, opening: int) -> str:
    depth = 0
    for at in range(opening, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[opening:at]
    return text[opening:]


def _entry(functions: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Return the function to call; "" where there is none."""
    if len(functions) == 1:
        return functions[0][0]
    called = {other for name, calls in functions for other in calls if other != name}
    free = [(len(calls), name) for name, calls in functions if name not in called]
    most = max(free, key=lambda one: one[0], default=(0, ""))
    return most[1]
