"""tree-sitter, asked two things: is the code whole around a joint, and what language is this.

Grammars are loaded once a process, at the first question. Texts are looked at through a window
around the joint, so that a question costs milliseconds whatever the file's size. Without
tree-sitter (the `serve` extra brings it) every joint counts as not known to be whole.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from serve.fim.languages import GUESSED, PLAIN, Language

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

_WINDOW_BEFORE: Final = 8_000  # ours: characters
_WINDOW_AFTER: Final = 4_000
_WINDOW_GUESS: Final = 3_000
_GUESS_WRONG_MOST: Final = 0.25  # of the text; what is worse is prose, not this language


def is_whole(before: str, middle: str, after: str, language: Language) -> bool:
    """Say whether `before + middle + after` has no mistake of grammar from the cursor's line to
    the end of the line on which `after` begins. False where no grammar is known.
    """
    parser = _parser(language.grammar)
    if parser is None:
        return False
    before, after = _window(before, after)
    text = f"{before}{middle}{after}"
    first = before.rfind("\n") + 1
    joint = len(before) + len(middle)
    newline = text.find("\n", joint)
    last = len(text) if newline < 0 else newline
    start, end = len(text[:first].encode()), len(text[:last].encode())
    tree = parser.parse(text.encode())
    return not _is_wrong(tree.root_node, start, end)


def guess(before: str, after: str) -> Language:
    """Return the language whose grammar finds least wrong; `PLAIN` where all find much."""
    head = before[-_WINDOW_GUESS:]
    # From a line's start: half a line is an error in every language.
    head = head[head.find("\n") + 1 :] if len(before) > _WINDOW_GUESS else head
    text = f"{head}{after[:_WINDOW_GUESS]}".encode()
    if not text.strip():
        return PLAIN
    best, least = PLAIN, _GUESS_WRONG_MOST * len(text)
    for language in GUESSED:
        parser = _parser(language.grammar)
        if parser is None:
            return PLAIN
        wrong = _wrong_bytes(parser.parse(text).root_node)
        if wrong < least:
            best, least = language, wrong
    return best


def _window(before: str, after: str) -> tuple[str, str]:
    if len(before) > _WINDOW_BEFORE:
        before = before[-_WINDOW_BEFORE:]
        # From a line that is not indented, so that the window begins like a file.
        at = 0
        while (at := before.find("\n", at) + 1) > 0:
            if not before[at : at + 1].isspace():
                before = before[at:]
                break
    return before, after[:_WINDOW_AFTER]


def _is_wrong(node: Node, start: int, end: int) -> bool:
    """Say whether an error touches the bytes from start to end."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if not one.has_error or one.end_byte < start or one.start_byte > end:
            continue
        if one.is_error or one.is_missing:
            return True
        waiting.extend(one.children)
    return False


def _wrong_bytes(node: Node) -> float:
    """Return how much of a text is in errors; what is missing counts as four bytes."""
    wrong, waiting = 0.0, [node]
    while waiting:
        one = waiting.pop()
        if not one.has_error:
            continue
        if one.is_missing:
            wrong += 4
        elif one.is_error:
            # The words of an error that form a tree of their own were understood.
            inner = sum(c.end_byte - c.start_byte for c in one.children if c.child_count)
            wrong += max(8, one.end_byte - one.start_byte - inner)
            waiting.extend(c for c in one.children if c.child_count)
        else:
            waiting.extend(one.children)
    return wrong


@cache
def _parser(grammar: str) -> Parser | None:
    if not grammar or importlib.util.find_spec("tree_sitter_language_pack") is None:
        return None
    from tree_sitter_language_pack import get_parser

    return get_parser(cast(Any, grammar))
