"""Take the program out of a model's reply, by Python's own parser.

What comes back is judged, so the rules are few and stand here:

1. Thinking (`<think>...</think>`) is dropped. A reply that never stops thinking has no code.
2. The first fenced block that parses and defines the entry point with a body is the program.
3. Else the longest run of lines that parses and defines it: a block that was cut in the middle of
   a statement, code with prose around it and no fence, a doctest transcript.
4. Else a body that continues the prompt's function.
5. Else whatever was meant as code: the first stub of the entry point, the longest block that
   parses, the longest block as it stands (which is then judged COMPILE_ERROR), unfenced
   definitions.
6. Else None: no code.

Nothing is repaired: quotes, operators and names stay as the model wrote them. Any text is taken;
of a reply beyond a million characters the rest is not looked at, and parsing is bounded too.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from evals.fences import Block, loose_blocks, strict_blocks

# Ours. A reply of 768 tokens has about 3,000 characters; the parser reads some 5 million a second.
_BUDGET_CHARS = 4_000_000
_LONGEST_REPLY_CHARS = 1_000_000
_LONGEST_SOURCE_CHARS = 400_000
_MOST_BLOCKS = 200

_THINKING = re.compile(r"^[ \t]*<(think|thinking)>", re.MULTILINE)
_CODE_LINE = re.compile(
    r"(?:async[ ]+)?(?:def|class)[ ]+\w|from[ ]+[.\w]+[ ]+import\b|import[ ]+\w|@\w"
    r"|(?:if|for|while|with|try|match|return|global|assert|raise|del)\b"
    r"|[A-Za-z_][\w.]*(?:\[[^\]\n]*\])?[ ]*(?:[-+*/%&|^@]|//|\*\*|<<|>>)?=(?!=)"
    r"|[A-Za-z_]\w*[ ]*:[ ]*\w[^\n]*=|\"\"\"|'''|#"
)
_PROMPTED = re.compile(r"^[ \t]*(?:>>>|\.\.\.) ?")
_TRANSCRIPT = re.compile(r"^[ \t]*>>> ?(?:async |def |class |from |import |@)", re.MULTILINE)
_NOT_PYTHON = frozenset(
    ("text", "txt", "output", "console", "bash", "sh", "shell", "json", "yaml", "markdown", "md")
)


@dataclass(frozen=True, slots=True)
class _Found:
    """A source that parses."""

    source: str
    module: ast.Module

    def definition(self, name: str) -> ast.stmt | None:
        """Return the statement that binds `name` at module level: the first that is no stub."""
        nodes = [node for node in _module_level(self.module.body) if name in _bound(node)]
        return next((node for node in nodes if not _is_stub(node)), nodes[0] if nodes else None)


def extract(
    text: str, entry_point: str, *, prompt: str = "", fence_open: bool = False
) -> str | None:
    """Return the program in `text`, or None when there is no code in it.

    prompt: source that a bare function body continues; empty when bodies are not looked for.
    fence_open: the prompt ended by opening a fence, so the text begins inside a block.
    Never raises. The result parses, except when the reply holds code and none of it parses: then
    it is the longest block (or the unfenced rest from the entry point's `def` on) as it stands.
    """
    text = _plain(text)
    reader = _Reader(_BUDGET_CHARS)
    blocks = _blocks(text, fence_open)
    sources = [block.text for block in blocks] or [text]

    parsed = _whole(reader, sources)
    whole = list(parsed.values())
    program = _first_definition(whole, entry_point)
    if program is None:
        runs = [run for source in sources for run in _runs(reader, source)]
        program = _first_definition(runs, entry_point)
    if program is None and blocks:
        runs += (outside := list(_runs(reader, text)))
        program = _first_definition(outside, entry_point)
    if program is None and prompt:
        program = _continued(reader, sources, prompt, entry_point)
    if program is None:
        stubs = [found.source for found in whole + runs if found.definition(entry_point)]
        program = stubs[0] if stubs else _as_meant(text, blocks, parsed, runs, entry_point)
    return program


class _Reader:
    """Parse sources until the budget of characters is spent; from then on nothing parses."""

    def __init__(self, budget_chars: int) -> None:
        self._left = budget_chars

    def parse(self, source: str) -> _Found | int:
        """Return the parsed source, or the line (from 1) where it goes wrong; 0 if not known."""
        self._left -= len(source) + 1
        if self._left < 0 or len(source) > _LONGEST_SOURCE_CHARS:
            return 0
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "\d" in a reply's string is not our business
                return _Found(source, ast.parse(source))
        except SyntaxError as error:
            return error.lineno or 0
        except (ValueError, RecursionError, MemoryError):  # NUL, lone surrogates, deep nesting
            return 0

    @property
    def spent(self) -> bool:
        """True when nothing more will be parsed."""
        return self._left <= 0


def _plain(text: str) -> str:
    """Return the text with one kind of line end, without a byte order mark and without thinking."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    kept: list[str] = []
    place = 0
    for match in _THINKING.finditer(text):
        if match.start() < place:
            continue
        kept.append(text[place : match.start()])
        closing = f"</{match[1]}>"
        end = text.find(closing, match.end())
        place = len(text) if end < 0 else end + len(closing)
    text = "".join(kept) + text[place:]
    for tag in ("</think>", "</thinking>"):  # opened by the chat template, closed by the model
        text = text[text.rfind(tag) + len(tag) :] if tag in text else text
    return text[:_LONGEST_REPLY_CHARS]


def _blocks(text: str, fence_open: bool) -> list[Block]:
    found: dict[str, Block] = {}
    for reading in (strict_blocks, loose_blocks):
        for block in reading(text, open_at_start=fence_open):
            inside = block.text.strip("\n").rstrip()
            if any(map(str.isalnum, inside)):
                found.setdefault(inside, replace(block, text=inside))
            if len(found) >= _MOST_BLOCKS:
                break
    return list(found.values())


def _whole(reader: _Reader, sources: Iterable[str]) -> dict[str, _Found]:
    """Return each source that parses from its first line to its last."""
    parsed: dict[str, _Found] = {}
    for source in sources:
        for form in _forms(source):
            found = reader.parse(form)
            if isinstance(found, _Found):
                parsed[source] = found
                break
    return parsed


def _forms(source: str) -> Iterator[str]:
    """Yield the source as it is, and as it may have been meant."""
    yield source
    plain = textwrap.dedent(source)
    if plain != source:
        yield plain
    if "\t" in source:
        yield textwrap.dedent(source.expandtabs(4))
    if _TRANSCRIPT.search(source):
        lines = (line for line in source.split("\n") if _PROMPTED.match(line))
        yield "\n".join(_PROMPTED.sub("", line) for line in lines)


def _runs(reader: _Reader, source: str) -> Iterator[_Found]:
    """Yield the runs of lines that parse and hold more than an expression, from top to bottom."""
    for form in _forms(source):
        lines = form.split("\n")
        start = 0
        while start < len(lines) and not reader.spent:
            end = start + 1
            if _CODE_LINE.match(lines[start]):
                found, end = _longest_prefix(reader, lines, start)
                if found and any(not isinstance(node, ast.Expr) for node in found.module.body):
                    yield found
            start = end


def _longest_prefix(reader: _Reader, lines: Sequence[str], start: int) -> tuple[_Found | None, int]:
    """Return the longest run from `start` that parses, and the line where the next may start."""
    end = len(lines)
    while end > start and not reader.spent:
        found = reader.parse("\n".join(lines[start:end]))
        if isinstance(found, _Found):
            return found, end
        end = min(end - 1, start + found - 1 if found else end - 1)
    return None, start + 1


def _first_definition(found: Iterable[_Found], entry_point: str) -> str | None:
    for candidate in found:
        node = candidate.definition(entry_point)
        if node is not None and not _is_stub(node):
            return candidate.source
    return None


def _continued(
    reader: _Reader, sources: Sequence[str], prompt: str, entry_point: str
) -> str | None:
    """Return the prompt and the function body that continues it."""
    head = prompt.rstrip() + "\n"
    for source in sources:
        lines = (head + _as_body(source)).split("\n")
        found, _ = _longest_prefix(reader, lines, 0)
        node = found.definition(entry_point) if found else None
        if found and node and any(isinstance(x, ast.Return | ast.Yield) for x in ast.walk(node)):
            return found.source
    return None


def _as_body(source: str) -> str:
    """Return the source indented as the body of a function."""
    body = source.strip("\n").expandtabs(4)
    if body.startswith("    "):
        return body
    first, _, rest = body.partition("\n")
    margins = [len(line) - len(line.lstrip()) for line in rest.split("\n") if line.strip()]
    if not first.startswith(" ") and min(margins, default=4) >= 4:
        return "    " + body  # the prompt had given the first line's indentation
    return textwrap.indent(textwrap.dedent(body), "    ")


def _as_meant(
    text: str,
    blocks: Sequence[Block],
    parsed: Mapping[str, _Found],
    runs: Sequence[_Found],
    entry_point: str,
) -> str | None:
    """Return the code of a reply that does not define the entry point in code that parses."""
    if blocks:
        python = [block.text for block in blocks if block.language not in _NOT_PYTHON]
        found = [parsed[source] for source in python if source in parsed]
        meant = [x.source for x in found if any(map(_does_something, x.module.body))]
        broken = [source for source in python if source not in parsed]
        return max(meant or broken, key=len, default=None)
    start = re.search(rf"^[ \t]*(?:async )?def {re.escape(entry_point)}\b", text, re.MULTILINE)
    if start:
        return text[start.start() :]
    defining = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    meant = [
        found.source
        for found in runs
        if any(isinstance(node, defining) for node in found.module.body)
    ]
    return max(meant, key=len, default=None)


def _does_something(node: ast.stmt) -> bool:
    """False for a bare value, such as the sample output that a fenced block shows."""
    return not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call)


def _module_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that bind names of the module: those inside `if` and `try` too."""
    waiting = list(reversed(body))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for field in ("finalbody", "orelse", "body"):
                waiting.extend(reversed(getattr(node, field, [])))


def _bound(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
        return {node.target.id}
    return set()


def _is_stub(node: ast.stmt) -> bool:
    """True for a function of nothing but a docstring, `pass`, `...` or NotImplementedError."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return all(
        isinstance(statement, ast.Pass)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        or (isinstance(statement, ast.Raise) and _names(statement) == {"NotImplementedError"})
        for statement in node.body
    )


def _names(node: ast.stmt) -> set[str]:
    return {x.id for x in ast.walk(node) if isinstance(x, ast.Name)}
