"""A page of HTML as text: Markdown with fenced blocks of code, what stands around it left out.

Code comes out as it is on the page, indentation and all; everything else has its white space
folded. Runs of short lines that are nearly all links are navigation and are left out.

Figures beside: trafilatura and resiliparse keep the main text but not the code's language, and
fold or cut code (adbar/trafilatura trafilatura/htmlprocessing.py turns `<pre>` into one string).
Does not do: run scripts, read images, tell forum posts from each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from curate.web.codeblock import code_text, language_of
from curate.web.tree import UNSEEN, body_of, is_around, is_hidden, is_mark, steps

VERSION: Final = 1  # raised when the same page gives another text
_BLOCKS: Final = frozenset(
    ("address", "article", "blockquote", "body", "caption", "center", "dd", "details", "div", "dl",
     "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "li", "main",
     "ol", "p", "section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul", "h1", "h2",
     "h3", "h4", "h5", "h6")
)  # fmt: skip
_TABLE_OF_CODE: Final = "td.blob-code, td.hljs-ln-code"
_MAIN_LEAST: Final = 0.3  # ours: of the page's text, for `<main>` to stand for the page
_LINKS_MOST: Final = 0.7  # ours: of a line's characters
_LINKED_RUN: Final = 3  # ours: so many lines of links are navigation
_MARKUP: Final = re.compile(r"\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Code of a page. text: as it is shown. begin: where it is in the page's text, characters."""

    language: str
    text: str
    begin: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page says. tagged: it has `<pre>` or `<code>` of its own. words: of the whole text.
    links: of the characters outside code, the share in links, before navigation is left out."""

    title: str
    text: str
    blocks: tuple[Block, ...]
    tagged: bool
    words: int
    links: float


@dataclass(slots=True, kw_only=True)
class _Line:
    """A paragraph, heading, item or row; or a block of code (`block`)."""

    text: str
    linked: int = 0
    language: str = ""
    block: bool = False
    heading: bool = False


@dataclass(slots=True)
class _Writer:
    """Collects lines. linked: characters of the open line that are in links."""

    lines: list[_Line] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    linked: int = 0
    prefix: str = ""

    def say(self, text: str, linked: bool) -> None:
        self.pieces.append(text)
        if linked:
            self.linked += len(text.strip())

    def end_line(self) -> None:
        text = "".join(self.pieces)
        rows = (" ".join(row.split()) for row in text.split("\x00"))  # NUL: a <br>
        text = "\n".join(row for row in rows if row).strip("| \n")
        if text:
            heading = self.prefix.startswith("#")
            self.lines.append(_Line(text=self.prefix + text, linked=self.linked, heading=heading))
            self.prefix = ""
        self.pieces.clear()
        self.linked = 0


def extract(html: str) -> Page:
    """Return what a page says; an empty page for what is no HTML.

    ValueError: elements nested too deep to be parsed in reasonable time.
    """
    tree = body_of(html)
    body = tree.body if tree is not None else None
    if tree is None or body is None:
        return Page(title="", text="", blocks=(), tagged=False, words=0, links=0.0)
    title_node = tree.css_first("title")
    title = " ".join((title_node.text() if title_node is not None else "").split())
    lines = _lines(_main(body))
    outside = [line for line in lines if not line.block]
    chars = sum(len(line.text) for line in outside)
    links = min(1.0, sum(line.linked for line in outside) / chars) if chars else 0.0
    text, blocks = _joined(_without_link_lists(lines))
    return Page(
        title=title,
        text=text,
        blocks=blocks,
        tagged=any(line.block or "`" in line.text for line in lines)
        and tree.css_first("pre, code, td.blob-code, td.hljs-ln-code") is not None,
        words=sum(1 for _ in _MARKUP.finditer(text)),
        links=links,
    )


def _main(body: Any) -> Any:
    """Return the element that stands for the page: its one `<main>`, where no code is outside."""
    found = body.css("main, [role=main]") or body.css("article")
    if len(found) != 1:
        return body
    main = found[0]
    if len(main.text(deep=True)) < _MAIN_LEAST * len(body.text(deep=True)):
        return body
    return main if len(main.css("pre")) == len(body.css("pre")) else body


def _lines(top: Any) -> list[_Line]:
    writer = _Writer()
    page_chars = len(top.text(deep=True))
    links = 0
    inside: Any = None  # the element of code that is already written

    def skip(node: Any) -> bool:
        if node.is_text_node:
            return False
        if not node.is_element_node or node.tag in UNSEEN:
            return True
        attributes = node.attributes
        if not attributes:
            return node.tag in ("nav", "footer", "aside", "menu", "header") and is_around(
                node, attributes, page_chars
            )
        return (
            is_mark(node, attributes)
            or is_hidden(node, attributes)
            or is_around(node, attributes, page_chars)
        )

    for node, begins in steps(top, skip):
        if inside is not None:
            if not begins and node.mem_id == inside.mem_id:
                inside = None
            continue
        if node.is_text_node:
            if begins:
                writer.say(node.text_content or "", links > 0)
            continue
        tag = node.tag
        if begins and _is_code(node, tag):
            inside = node
            _write_code(writer, node, tag, links > 0)
        elif tag == "a":
            links = max(0, links + (1 if begins else -1))
        elif tag == "br":
            if begins:
                writer.say("\x00", False)
        elif tag in ("td", "th"):
            writer.say(" | " if begins else "", False)
        elif tag in _BLOCKS:
            writer.end_line()
            if begins:
                writer.prefix = _prefix(tag, writer.prefix)
    writer.end_line()
    return writer.lines


def _prefix(tag: str, before: str) -> str:
    if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
        return "#" * int(tag[1]) + " "
    return "- " if tag == "li" else (before if tag in ("p", "div") else "")


def _is_code(node: Any, tag: str) -> bool:
    return tag in ("pre", "code", "kbd", "samp", "tt", "listing", "xmp") or (
        tag == "table" and node.css_first(_TABLE_OF_CODE) is not None
    )


def _write_code(writer: _Writer, node: Any, tag: str, linked: bool) -> None:
    text = code_text(node)
    if tag in ("pre", "table", "listing", "xmp") or _stands_alone(node, tag, text):
        if text.strip():
            writer.end_line()
            writer.prefix = ""
            language = language_of(node, text)
            writer.lines.append(_Line(text=text, language=language, block=True))
        return
    folded = " ".join(text.split())
    mark = "``" if "`" in folded else "`"
    writer.say(f"{mark}{folded}{mark}" if folded else "", linked)


def _stands_alone(node: Any, tag: str, text: str) -> bool:
    """Whether a `<code>` is a block of several lines: by `<br>`, or as its parent's only text."""
    if tag != "code" or "\n" not in text.strip():
        return False
    if node.css_first("br") is not None:
        return True
    parent = node.parent
    return parent is not None and parent.text(deep=True).strip() == text.strip()


def _without_link_lists(lines: list[_Line]) -> list[_Line]:
    kept: list[_Line] = []
    run: list[_Line] = []
    for line in [*lines, _Line(text="", block=True)]:
        if not line.block and not line.heading and line.linked > _LINKS_MOST * len(line.text):
            run.append(line)
            continue
        if len(run) < _LINKED_RUN:
            kept += run
        run = []
        kept.append(line)
    return kept[:-1]


def _joined(lines: list[_Line]) -> tuple[str, tuple[Block, ...]]:
    pieces: list[str] = []
    blocks: list[Block] = []
    at = 0
    for number, line in enumerate(lines):
        if line.block:
            fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", line.text)), default=0))
            opening = f"{fence}{line.language.replace(' ', '-')}\n"
            blocks.append(Block(language=line.language, text=line.text, begin=at + len(opening)))
            closing = fence if line.text.endswith("\n") else f"\n{fence}"
            piece = f"{opening}{line.text}{closing}"
        else:
            piece = line.text
        after = lines[number + 1] if number + 1 < len(lines) else None
        listed = line.text.startswith("- ") and after is not None and after.text.startswith("- ")
        together = listed and not line.block and after is not None and not after.block
        piece += "\n" if together or after is None else "\n\n"
        pieces.append(piece)
        at += len(piece)
    return "".join(pieces), tuple(blocks)
