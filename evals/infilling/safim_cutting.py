"""How SAFIM cuts and compares completions: gonglinyuan/safim, prompt_utils.py and evaluate.py.

block    lines are taken off the end until the file parses with what is left, and differs from the
    file with nothing there (in Python: `pass`) only by what stands in the gap.
control  Python: the first line that is not blank. Others: up to the bracket that closes what the
    gap stands in.
api      up to the bracket that closes the first one opened.
chat     before that, the first fenced block that does not repeat the placeholder; of replies
    without fences the first code given inline; else all of it. (There a block that repeats the
    few-shot answer is passed over too: nothing here is asked with few shots.)

Outputs of programs are compared as ExecEval does (ntunlp/ExecEval, execution_engine.py).
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from evals.infilling.matching import Marks
from evals.infilling.syntax import tree, walk

GAP: Final = "{{completion}}"
PLACEHOLDER: Final = {
    "python": "# TODO: Your code here",
    "java": "/* TODO: Your code here */",
    "cpp": "/* TODO: Your code here */",
    "csharp": "/* TODO: Your code here */",
}
# Entering and leaving `pass`, as a statement and as a word.
_STEPS_OF_PASS: Final = 4
_CLOSE_ENOUGH: Final = Decimal("1e-12")
_ANY_CASE: Final = frozenset(("yes", "no", "true", "false"))


def cut_block(text: str, *, frame: str, language: str) -> str:
    """Return the lines that fill the gap of `frame` with one block. MachineLacks: no tree-sitter.

    Where the frame itself does not parse, nothing is cut (upstream stops there).
    """
    before, after = frame.split(GAP)
    empty, faults = _steps(before + ("pass" if language == "python" else "") + after, language)
    lines = text.splitlines(keepends=True)
    if faults:
        return text
    while lines and not _fills(before + "".join(lines) + after, empty, language):
        lines.pop()
    return "".join(lines)


def cut_control(text: str, *, language: str) -> str:
    """Return the control-flow expression at the beginning of a completion."""
    if language == "python":
        return next((line for line in text.splitlines() if line.strip()), "")
    depth = 0
    for place, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth < 0:
            return text[:place]
    return text


def cut_call(text: str) -> str:
    """Return the call at the beginning of a completion."""
    depth = 0
    for place, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == ")" and depth <= 0:
            return text[: place + 1]
    return text


def code_of_chat(text: str, *, language: str) -> str:
    """Return the code of a chat's reply."""
    blocks: list[str] = []
    inline: list[str] = []
    inside: list[str] | None = None
    for line in text.splitlines(keepends=True):
        if line.startswith("```"):
            if inside is None:
                inside = []
            else:
                blocks.append("".join(inside).rstrip())
                inside = None
        elif inside is not None:
            inside.append(line)
        elif found := re.search("`([^`]*)`", line):
            inline.append(found[1])
    choice = blocks or inline
    if not choice:
        return text.rstrip()
    fresh = [code for code in choice if PLACEHOLDER[language] not in code]
    return fresh[0] if fresh else choice[0]


def call_marks(text: str, gold: str, *, language: str) -> Marks:
    """Return whether a call is the wanted one: the same text without white space.

    Python's calls are compared by their arguments alone, the function's name is not looked at:
    that is upstream's rule.
    """
    written, wanted = ("".join(one.split()) for one in (text, gold))
    exact = written == wanted
    if language == "python" and not exact:
        calls = [_arguments(one) for one in (written, wanted)]
        exact = calls[0] is not None and calls[0] == calls[1]
    return Marks(written=written, gold=wanted, exact=exact, numbers={})


@dataclass(frozen=True, slots=True)
class ExecEvalOutput:
    """Text: the same lines, white space at their ends aside; or the same words, where numbers may
    differ by 1e-12 and yes, no, true and false may be written in any case.
    """

    def __call__(self, expected: Any, got: Any, /) -> bool:
        """Return whether `got` answers for `expected`."""
        one, other = str(expected).strip(), str(got).strip()
        if [x.strip() for x in one.split("\n")] == [x.strip() for x in other.split("\n")]:
            return True
        left, right = one.split(), other.split()
        return len(left) == len(right) and all(map(_same_word, left, right))


def _same_word(one: str, other: str) -> bool:
    if one == other:
        return True
    left, right = _number(one), _number(other)
    if left is not None and right is not None:
        return abs(left - right) <= _CLOSE_ENOUGH
    return one.lower() == other.lower() and one.lower() in _ANY_CASE


def _number(word: str) -> Decimal | None:
    try:
        number = Decimal(word)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _arguments(code: str) -> tuple[list[str], dict[str | None, str]] | None:
    try:
        found = ast.parse(code, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not isinstance(found, ast.Call):
        return None
    named = {word.arg: ast.dump(word.value) for word in found.keywords}
    return [ast.dump(one) for one in found.args], named


def _fills(text: str, empty: list[tuple[bool, str]], language: str) -> bool:
    """Return whether the tree of `text` is that of the empty frame with something put in."""
    steps, faults = _steps(text, language)
    if faults or len(empty) > len(steps):
        return False
    shorter = len(empty)
    ahead = next((n for n in range(shorter) if empty[n] != steps[n]), shorter)
    behind = next((n for n in range(shorter) if empty[-1 - n] != steps[-1 - n]), shorter)
    rest = shorter - ahead - behind - (_STEPS_OF_PASS if language == "python" else 0)
    return rest == 0


def _steps(text: str, language: str) -> tuple[list[tuple[bool, str]], int]:
    """Return the walk over a tree, (entering, type) each, and how many errors it holds.

    A stray ";" is no error.
    """
    steps, faults = [], 0
    for node, entering in walk(tree(text, language)):
        steps.append((entering, node.type))
        faults += entering and node.type == "ERROR" and node.text.decode() != ";"
    return steps, faults
