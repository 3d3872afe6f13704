"""What can be counted in a text of any language and says something of its quality. All ours.

Nothing is parsed: the numbers are hints for a scorer that learns what they are worth, and are wrong
now and then (a "#" in a string counts as a comment).
"""

from __future__ import annotations

import math
import re
import string
import zlib
from itertools import pairwise
from typing import Final

_UPPER: Final = string.ascii_uppercase.encode()
_LOWER: Final = string.ascii_lowercase.encode()
_SPACE: Final = string.whitespace.encode()
MOST_CHARS: Final = 32_000  # of a text, looked at

_COMMENT: Final = re.compile(r"\s*(#(?!include|define|if|endif|else)|//|/?\*|--|%|;|<!--|REM )")
_CODE_IN_COMMENT: Final = re.compile(r"[;{}]\s*$|^\W*\w[\w.]*\s*(=|\()[^=]*\)?\s*$")
_STARTS: Final = re.compile(
    r"\s*(?:(?:export|public|private|protected|static|async|pub|abstract|final|override) +)*"
    r"(?:def|func|fn|function|class|sub|interface|struct|trait|impl|module) +[\w(]"
)
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_NUMBER: Final = re.compile(r"\b\d[\w.]*")
_STRING: Final = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'")
_DOC: Final = re.compile(r"\"\"\"|'''|/\*\*|^\s*///", re.MULTILINE)
_LOGIC: Final = re.compile(r"\b(?:if|else|elif|for|while|return|switch|case|match|try|yield)\b")
_SHOWN: Final = re.compile(r"\b(?:print|printf|println|console\.log|var_dump|dbg!|pp)\b *\(")
_LATER: Final = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
_IMPORT: Final = re.compile(r"^\s*(?:import|from|use|using|require|#include|package)\b", re.M)

NAMES: Final = (
    "chars", "lines", "line_mean", "line_longest", "lines_over_100", "blank", "comment_lines",
    "dead_code", "comment_chars", "strings", "numbers", "digits", "letters", "marks", "upper",
    "beyond_ascii", "indent_mean", "indent_most", "tabs", "trailing", "repeated_lines",
    "distinct_words", "word_length", "short_words", "snake", "camel", "starts", "gap_mean",
    "gap_longest", "docs_a_start", "logic", "shown", "later", "imports", "assignments", "calls",
    "packed", "indent_change", "opened", "deeper_unopened",
)  # fmt: skip


def shape_of(text: str) -> list[float]:
    """Return the numbers that NAMES names, of the first MOST_CHARS characters."""
    text = text[:MOST_CHARS]
    lines = text.splitlines() or [""]
    full = [line for line in lines if line.strip()]
    chars, count, filled = len(text) or 1, len(lines), len(full) or 1
    comments = [line for line in full if _COMMENT.match(line)]
    indents = [len(line) - len(line.lstrip()) for line in full]
    words = _WORD.findall(text)
    named = len(words) or 1
    starts = [at for at, line in enumerate(lines) if _STARTS.match(line)]
    ends = [*starts, count]
    gaps = [end - begin for begin, end in pairwise(ends)] or [count]
    raw = text.encode("utf-8", "replace")
    upper, lower, spaces, digits = (
        len(raw) - len(raw.translate(None, kind))
        for kind in (_UPPER, _LOWER, _SPACE, b"0123456789")
    )
    letters = upper + lower
    steps = [after - before for before, after in pairwise(indents)]
    opened = [line.rstrip().endswith((":", "{", "(", "[", ",", "\\")) for line in full]
    return [
        math.log1p(len(text)),
        math.log1p(count),
        len(text) / count,
        math.log1p(max(map(len, lines))),
        sum(len(line) > 100 for line in lines) / count,
        1 - len(full) / count,
        len(comments) / filled,
        sum(bool(_CODE_IN_COMMENT.search(line.strip())) for line in comments) / filled,
        sum(map(len, comments)) / chars,
        sum(map(len, _STRING.findall(text))) / chars,
        len(_NUMBER.findall(text)) / filled,
        digits / chars,
        letters / chars,
        (len(raw) - letters - spaces - digits) / chars,
        upper / (letters or 1),
        sum(not line.isascii() for line in full) / filled,
        sum(indents) / filled,
        float(max(indents, default=0)),
        sum(line.startswith("\t") for line in full) / filled,
        sum(line != line.rstrip() for line in lines) / count,
        1 - len({line.strip() for line in full}) / filled,
        len(set(words)) / named,
        sum(map(len, words)) / named,
        sum(len(word) < 3 for word in words) / named,
        sum("_" in word.strip("_") for word in words) / named,
        sum(not word.islower() and not word.isupper() for word in words) / named,
        len(starts) / filled,
        math.log1p(sum(gaps) / len(gaps)),
        math.log1p(max(gaps)),
        len(_DOC.findall(text)) / (len(starts) + 1),
        len(_LOGIC.findall(text)) / filled,
        len(_SHOWN.findall(text)) / filled,
        len(_LATER.findall(text)) / filled,
        len(_IMPORT.findall(text)) / filled,
        text.count("=") / filled,
        text.count("(") / filled,
        len(zlib.compress(raw, 1)) / (len(raw) or 1),
        sum(map(abs, steps)) / filled,
        sum(step > 0 for step, is_open in zip(steps, opened, strict=False) if is_open)
        / (sum(opened) or 1),
        sum(step > 0 and not is_open for step, is_open in zip(steps, opened, strict=False))
        / filled,
    ]
