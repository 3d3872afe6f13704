"""The pieces a page is put together from: sections, tiles, names and values, program text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seedcoder.report.charts import anchor_of
from seedcoder.report.markup import Content, Html, Tone, attribute, esc, join, number, tone_class

# ours: a reply of this length is still worth reading; beyond it the page grows for nothing
CODE_LIMIT_CHARS = 20_000


def section(heading: str, *pieces: Content, note: Content = "") -> Html:
    """Return a heading with the pieces under it. note: a sentence beside the heading."""
    anchor = attribute(anchor_of("", heading).removeprefix("row-"))
    said = f'<p class="note">{esc(note)}</p>' if note else ""
    return Html(
        f'<section id="{anchor}"><header><h2>{esc(heading)}</h2>{said}</header>'
        f"{join([esc(piece) for piece in pieces])}</section>"
    )


def tiles(*shown: Html) -> Html:
    """Return tiles side by side; they wrap where the window is narrow."""
    return Html(f'<div class="tiles">{join(shown)}</div>')


def tile(
    label: str,
    value: Content,
    *,
    note: Content = "",
    figure: Html | None = None,
    tone: Tone = "plain",
    wide: bool = False,
) -> Html:
    """Return one figure that matters, large, with a note and a drawing under it.

    wide: it takes twice the room.
    """
    size = " wide" if wide else ""
    return Html(
        f'<div class="tile {tone_class(tone)}{size}"><h3>{esc(label)}</h3>'
        f'<p class="value">{_shown(value)}</p>'
        + (f'<p class="note">{esc(note)}</p>' if note else "")
        + (figure or "")
        + "</div>"
    )


def text(*paragraphs: Content) -> Html:
    """Return running text, a paragraph each."""
    return join([Html(f'<p class="text">{esc(paragraph)}</p>') for paragraph in paragraphs])


def badge(word: str, tone: Tone = "plain") -> Html:
    """Return a word in the colour of its tone."""
    return Html(f'<span class="badge {tone_class(tone)}">{esc(word)}</span>')


def panel(heading: str, *pieces: Content) -> Html:
    """Return a small heading and the pieces on a sheet: for drawings side by side."""
    shown = join([esc(piece) for piece in pieces])
    return Html(f'<div class="panel"><h3>{esc(heading)}</h3>{shown}</div>')


def fold(heading: str, *pieces: Content, note: str = "", opened: bool = False) -> Html:
    """Return pieces that open below their heading, by a click or by a key.

    opened: they lie open to begin with.
    """
    aside = f"<small>{esc(note)}</small>" if note else ""
    shown = join([esc(piece) for piece in pieces])
    state = " open" if opened else ""
    return Html(
        f'<details class="fold"{state}><summary>{esc(heading)}{aside}</summary>{shown}</details>'
    )


def named(name: str, note: str) -> Html:
    """Return a name with small words under it, for the first cell of a row."""
    return Html(f'<span class="named">{esc(name)}<small>{esc(note)}</small></span>')


def measure(
    words: str,
    *,
    figure: Html | None = None,
    note: str = "",
    best: bool = False,
    marks: Sequence[int] = (),
) -> Html:
    """Return a figure for the cell of a table: its words, small words, a drawing under them.

    best: the best of its column; a star stands before it. marks: numbers of `footnotes`.
    """
    star = ' class="best" title="best in this column"' if best else ""
    raised = ", ".join(f'<a href="#note-{mark}">{mark}</a>' for mark in marks)
    return Html(
        f'<span class="measure"><span><span{star}>{esc(words)}</span>'
        + (f"<sup>{raised}</sup>" if raised else "")
        + "</span>"
        + (f"<small>{esc(note)}</small>" if note else "")
        + (figure or "")
        + "</span>"
    )


def footnotes(notes: Sequence[Content]) -> Html:
    """Return what the marks of `measure` point at, numbered from 1."""
    if not notes:
        return Html("")
    lines = [f'<li id="note-{place}">{esc(note)}</li>' for place, note in enumerate(notes, 1)]
    return Html(f'<ol class="footnotes">{"".join(lines)}</ol>')


def stack(*pieces: Content) -> Html:
    """Return the pieces one under the other."""
    return Html(f'<div class="stack">{join([esc(piece) for piece in pieces])}</div>')


def side_by_side(*pieces: Content) -> Html:
    """Return the pieces in columns; one under the other where the window is narrow."""
    cells = [Html(f"<div>{esc(piece)}</div>") for piece in pieces]
    return Html(f'<div class="columns">{join(cells)}</div>')


def code(
    body: str, *, label: str = "", note: str = "", limit_chars: int = CODE_LIMIT_CHARS
) -> Html:
    """Return program text as it stands, white space kept, with a button that copies it.

    Text beyond `limit_chars` is cut in the middle and the cut is said.
    """
    if limit_chars < 2:
        raise ValueError(f"limit_chars must be 2 or more, got {limit_chars}")
    if len(body) > limit_chars:
        half = limit_chars // 2
        cut = len(body) - 2 * half
        body = f"{body[:half]}\n… {cut:,} characters left out …\n{body[-half:]}"
    head = f"<span>{esc(label)}</span>" if label else ""
    aside = f"<small>{esc(note)}</small>" if note else ""
    shown = esc(body) if body else Html('<span class="empty">empty</span>')
    # The newline after <pre> is eaten by the parser; without it, a leading newline of the body is.
    return Html(
        f'<figure class="code"><figcaption>{head}{aside}<button type="button" class="copy">Copy'
        f"</button></figcaption><pre>\n<code>{shown}</code></pre></figure>"
    )


def key_values(values: Mapping[str, object]) -> Html:
    """Return names and values. Mappings nest; sequences become lists; the rest is shown as text."""
    if not values:
        return Html('<p class="empty">Nothing recorded.</p>')
    rows = [f"<dt>{esc(str(key))}</dt><dd>{_value(value)}</dd>" for key, value in values.items()]
    return Html(f'<dl class="facts">{"".join(rows)}</dl>')


def _value(value: object) -> Html:
    if isinstance(value, Html):
        return value
    if isinstance(value, Mapping):
        return key_values({str(key): inner for key, inner in value.items()})
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        if all(not isinstance(inner, Mapping) for inner in value):
            return esc(", ".join(str(inner) for inner in value) or None)
        return join([Html(f'<div class="item">{_value(inner)}</div>') for inner in value])
    if value is None or isinstance(value, bool):
        return esc({None: None, True: "yes", False: "no"}[value])
    return _shown(value if isinstance(value, int | float) else str(value))


def _shown(value: Content) -> Html:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return esc(number(value))
    return esc(value)
