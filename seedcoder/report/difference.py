"""Two texts side by side, line against line, what differs marked in words of the line too.

Does not show: changes within lines that were also moved. Long texts are cut first, and it is said.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Final

from seedcoder.report.markup import Html, esc

# ours: comparing takes time by the square of the lines, and nobody reads further
LIMIT_LINES: Final = 600
_LIMIT_LINE_CHARS: Final = 400
_CONTEXT_LINES: Final = 3
_WORDS: Final = re.compile(r"\w+|\s+|[^\w\s]")
_Line = tuple[int, Html]


def diff(
    left: str,
    right: str,
    *,
    labels: tuple[str, str] = ("before", "after"),
    limit_lines: int = LIMIT_LINES,
) -> Html:
    """Return both texts in two columns, equal lines on one height. labels: what each one is.

    Runs of equal lines far from any change are folded into one that says how many they are.
    """
    here, there = (text.split("\n") if text else [] for text in (left, right))
    cut = max(len(here), len(there)) - limit_lines
    here, there = here[:limit_lines], there[:limit_lines]
    rows = "".join(_rows(here, there))
    if not rows:
        rows = '<tr class="same"><td class="no"></td><td><span class="empty">empty</span></td>'
        rows += '<td class="no"></td><td><span class="empty">empty</span></td></tr>'
    said = "equal" if left == right else f"{_changed(here, there)} lines differ"
    if cut > 0:
        said += f"; {cut} more lines are not shown"
    heads = "".join(f'<th colspan="2" scope="col">{esc(label)}</th>' for label in labels)
    return Html(
        f'<figure class="code diff"><figcaption><small>{esc(said)}</small></figcaption>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="Line by line"><table>'
        f'<colgroup><col class="no"/><col/><col class="no"/><col/></colgroup>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></figure>"
    )


def _rows(here: Sequence[str], there: Sequence[str]) -> Iterator[str]:
    matcher = difflib.SequenceMatcher(None, here, there, autojunk=False)
    blocks = matcher.get_opcodes()
    for place, (what, a, a_end, b, b_end) in enumerate(blocks):
        if what == "equal":
            yield from _equal(here, a, a_end, b, first=place == 0, last=place == len(blocks) - 1)
            continue
        tall = max(a_end - a, b_end - b)
        for step in range(tall):
            old = here[a + step] if a + step < a_end else None
            new = there[b + step] if b + step < b_end else None
            marked = _marked(old, new)
            yield _row("", _numbered(a + step, marked[0]), _numbered(b + step, marked[1]))


def _equal(
    lines: Sequence[str], a: int, a_end: int, b: int, *, first: bool, last: bool
) -> Iterator[str]:
    head = 0 if first else _CONTEXT_LINES
    tail = 0 if last else _CONTEXT_LINES
    folded = (a_end - a) - head - tail
    whole = first and last
    for at in range(a, a_end):
        inside = a + head <= at < a_end - tail
        if inside and folded > 1 and not whole:
            if at == a + head:
                yield (f'<tr class="folded"><td colspan="4">{folded} equal lines</td></tr>')
            continue
        line = esc(lines[at])
        yield _row("same", (at + 1, line), (b + at - a + 1, line))


def _numbered(place: int, line: Html | None) -> _Line | None:
    return None if line is None else (place + 1, line)


def _row(kind: str, left: _Line | None, right: _Line | None) -> str:
    sides = []
    for side, tone, sign in ((left, "gone", "−"), (right, "come", "+")):
        if side is None:
            sides.append('<td class="no"></td><td class="blank"></td>')
        else:
            number, line = side
            look = "" if kind == "same" else f' class="{tone}"'
            mark = "" if kind == "same" else f'<span class="sign">{sign}</span>'
            sides.append(f'<td class="no">{number}</td><td{look}>{mark}{line}</td>')
    return f'<tr class="{kind or "other"}">{"".join(sides)}</tr>'


def _marked(old: str | None, new: str | None) -> tuple[Html | None, Html | None]:
    """Return both lines, the words that only one of them has marked."""
    if old is None or new is None or max(len(old), len(new)) > _LIMIT_LINE_CHARS:
        return (None if old is None else esc(old)), (None if new is None else esc(new))
    left, right = _WORDS.findall(old), _WORDS.findall(new)
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    if matcher.ratio() < 0.4:  # two lines with little in common: marks would only be noise
        return esc(old), esc(new)
    before: list[str] = []
    after: list[str] = []
    for what, a, a_end, b, b_end in matcher.get_opcodes():
        for words, found in ((left[a:a_end], before), (right[b:b_end], after)):
            text = esc("".join(words))
            if text:
                found.append(text if what == "equal" else f"<mark>{text}</mark>")
    return Html("".join(before)), Html("".join(after))


def _changed(here: Sequence[str], there: Sequence[str]) -> int:
    matcher = difflib.SequenceMatcher(None, here, there, autojunk=False)
    return sum(
        max(a_end - a, b_end - b)
        for what, a, a_end, b, b_end in matcher.get_opcodes()
        if what != "equal"
    )
