"""What is read out of a model's reply. A reply that has not the form asked for gives None.

Does not repair: code stays as it was written.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Final

from seedcoder.models.thought import CLOSE, OPEN

_FENCE: Final = re.compile(r"^[ ]{0,3}(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^\n`]*$")
_TASK: Final = re.compile(r"<task>(.*?)</task>", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block that was closed. language: in lower case, "" where none was said."""

    text: str
    language: str


def blocks_of(text: str) -> list[Block]:
    """Return the closed fenced blocks, in order. One that the reply's end cut off is none."""
    found: list[Block] = []
    mark, language, lines = "", "", list[str]()
    for line in text.replace("\r\n", "\n").split("\n"):
        match = _FENCE.match(line)
        if not mark:
            if match:
                mark, language, lines = match[1], match[2].lower(), []
        elif match and not match[2] and match[1].startswith(mark):
            found.append(Block(text="\n".join(lines), language=language))
            mark = ""
        else:
            lines.append(line)
    return found


def task_of(text: str) -> str | None:
    """Return what stands between the last <task> and </task>."""
    found = _TASK.findall(text)
    return found[-1].strip() or None if found else None


def score_of(text: str, name: str) -> int | None:
    """Return the last "name: N" of a line of its own, N from 0 to 10 ("N/10" too)."""
    pattern = rf"^[ \t*_#>-]*{re.escape(name)}[ \t*_]*:[ \t*_]*(\d+)(?:[ \t]*/[ \t]*10)?[ \t*_.]*$"
    found = re.findall(pattern, text, re.MULTILINE | re.IGNORECASE)
    score = int(found[-1]) if found and len(found[-1]) < 4 else None
    return score if score is not None and score <= 10 else None


def topics_of(text: str) -> list[str]:
    """Return the topics of the last line "topics: a, b", in lower case, five at most."""
    found = re.findall(r"^[ \t*_]*topics[ \t*_]*:(.*)$", text, re.MULTILINE | re.IGNORECASE)
    words = [" ".join(x.strip(" *_.").lower().split()) for x in (found or [""])[-1].split(",")]
    return [word for word in words if word][:5]


def python_of(text: str, entry_point: str = "") -> str | None:
    """Return the first closed Python block that parses and defines `entry_point` at its top level
    (is anything but empty, where that is ""), or None."""
    for block in blocks_of(text):
        if block.language in ("", "python", "py", "python3"):
            module = parsed(block.text)
            if module is None or not module.body:
                continue
            if not entry_point or entry_point in definitions_of(block.text):
                return block.text
    return None


def answer_of(text: str, open_tag: str, close_tag: str) -> tuple[str, str] | None:
    """Return thought and answer of a reply that begins with one thought, or None."""
    rest = text.lstrip()
    if not rest.startswith(open_tag) or rest.count(open_tag) != 1 or rest.count(close_tag) != 1:
        return None
    thought, _, answer = rest[len(open_tag) :].partition(close_tag)
    return thought.strip(), answer.strip()


def spoken(text: str) -> str:
    """Return a reply without the thought at its start; "" where the thought never ends."""
    rest = text.lstrip()
    if not rest.startswith(OPEN):
        return text
    return rest.partition(CLOSE)[2].strip()


def definitions_of(source: str) -> list[str]:
    """Return the names of functions and classes at the top level; none where it does not parse."""
    module = parsed(source)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [x.name for x in module.body if isinstance(x, kinds)] if module else []


def signature_of(source: str, entry_point: str) -> str:
    """Return "def name(a, b=1) -> int" as the source has it; "" where it defines none."""
    module = parsed(source)
    for node in reversed(module.body if module else []):
        if isinstance(node, ast.FunctionDef) and node.name == entry_point:
            returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
            return f"def {node.name}({ast.unparse(node.args)}){returns}"
    return ""


def normal_form(source: str) -> str:
    """Return code without comments and layout, so that copies are known; itself where it is no
    Python."""
    module = parsed(source)
    return ast.unparse(module) if module is not None else source.strip()


def parsed(source: str) -> ast.Module | None:
    """Return the syntax tree, or None. Never raises."""
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
