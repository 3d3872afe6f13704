"""A page as a tree, and which of its elements are not what the page is about.

Guards: lexbor's time grows with the square of the nesting (100,000 open `<div>` take it two
minutes), so a page with too many elements left open is refused before it is parsed. Does not
guard: pages that hide their navigation in elements that nothing tells apart from text, nor pages
whose text is made by scripts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

NESTING_MOST: Final = 2_000  # ours: real pages stay below 100; browsers stop at 512
_TAG: Final = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)")
# Elements that have no end, or end by themselves before the next of their kind.
_NO_END: Final = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
     "track", "wbr", "p", "li", "dt", "dd", "tr", "td", "th", "option", "tbody", "thead", "tfoot",
     "colgroup", "html", "head", "body", "frame", "basefont", "keygen", "rp", "rt")
)  # fmt: skip
# Never text of the page.
UNSEEN: Final = frozenset(
    ("script", "style", "noscript", "template", "iframe", "object", "svg", "math", "canvas",
     "button", "input", "select", "textarea", "head", "audio", "video", "map", "dialog", "link",
     "meta", "frameset", "applet")
)  # fmt: skip
_AROUND: Final = frozenset(("nav", "footer", "aside", "menu"))
_ROLES: Final = frozenset(
    ("navigation", "banner", "contentinfo", "search", "complementary", "menu", "menubar", "dialog")
)
# Words of classes and ids, by which pages name what stands around their text. Ours.
_WORDS: Final = re.compile(
    r"(?:^|[-_\s])(?:nav|navbar|navigation|menu|sidebar|sphinxsidebar|footer|breadcrumbs?|toc|"
    r"pagination|pager|cookies?|consent|adverts?|advertisement|social|share|sharing|related|"
    r"popup|modal|newsletter|subscribe|promo|masthead|skip-?link|site-?header|page-?header)"
    r"(?:$|[-_\s])",
    re.IGNORECASE,
)
# Marks beside headings and code that are no text: links to themselves, numbers of lines, buttons.
_MARKS: Final = frozenset(
    ("headerlink", "anchorjs-link", "header-anchor", "linenos", "lineno", "linenums", "linenumber",
     "line-number", "line-numbers-rows", "gutter", "hljs-ln-numbers", "blob-num", "rouge-gutter",
     "copybtn", "copy-button", "copybutton", "viewcode-link", "viewcode-back", "mw-editsection",
     "sr-only", "visually-hidden")
)  # fmt: skip


def nesting(html: str) -> int:
    """Return about how deep the page's elements lie in each other, in time linear in its length."""
    depth = deepest = 0
    for match in _TAG.finditer(html):
        if match[2].lower() in _NO_END:
            continue
        depth = max(0, depth - 1) if match[1] else depth + 1
        deepest = max(deepest, depth)
    return deepest


def body_of(html: str) -> Any | None:
    """Return the body's element, None where there is none. ValueError: nested too deep."""
    from selectolax.lexbor import LexborHTMLParser

    if html.count("<") > NESTING_MOST and nesting(html) > NESTING_MOST:
        raise ValueError("elements nested too deep")
    return LexborHTMLParser(html)


def steps(top: Any, skip: Any) -> Iterator[tuple[Any, bool]]:
    """Walk the elements and texts below `top` in order: (node, whether it begins), an end for each
    element. What `skip(node)` says true of is left out with all below it. Not recursive."""
    node = top.child
    while node is not None:
        begins = not skip(node)
        if begins:
            yield node, True
            if node.child is not None:
                node = node.child
                continue
            yield node, False
        while node.next is None:
            node = node.parent
            if node is None or node.mem_id == top.mem_id:
                return
            yield node, False
        node = node.next


def is_mark(node: Any, attributes: dict[str, str | None]) -> bool:
    """Whether it is a number of a line, a link to itself, a button to copy."""
    classes = attributes.get("class")
    return bool(classes) and not _MARKS.isdisjoint((classes or "").split())


def is_hidden(node: Any, attributes: dict[str, str | None]) -> bool:
    """Whether nobody sees it. Not what holds a `<pre>`: code of a tab that is not the first."""
    style = attributes.get("style") or ""
    hidden = "hidden" in attributes or (
        "none" in style and re.search(r"display\s*:\s*none", style) is not None
    )
    return hidden and node.tag != "pre" and node.css_first("pre") is None


def is_around(node: Any, attributes: dict[str, str | None], page_chars: int) -> bool:
    """Whether it is navigation or the like: by its element, role, class or id.

    Never where it holds a `<pre>`, or half of the page's text or more.
    """
    tag = node.tag
    named = (
        tag in _AROUND
        or (attributes.get("role") or "").lower() in _ROLES
        or bool(_WORDS.search(attributes.get("class") or ""))
        or bool(_WORDS.search(attributes.get("id") or ""))
        or (tag == "header" and _of_site(node))
    )
    if not named or tag in ("body", "html", "main", "article"):
        return False
    if tag != "pre" and node.css_first("pre") is not None:
        return False
    return tag != "pre" and len(node.text(deep=True)) * 2 < page_chars


def _of_site(node: Any) -> bool:
    """Whether a `<header>` is the site's, not an article's."""
    above = node.parent
    while above is not None:
        if above.tag in ("main", "article", "section"):
            return False
        above = above.parent
    return True
