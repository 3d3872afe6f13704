"""A model's reply as parts of a page: prose as markup, code blocks as data that can be run.

A part is one top-level piece of the reply (a paragraph, a list, a code block): while a reply is
being written only its last part changes, so that what a visitor does in an earlier one stays.

Holds: text of a model never becomes markup of its own, an image, or a link other than http(s) and
mailto. Does not hold: what such a link leads to.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from seedcoder.report.markup import esc
from serve.playground.running import language_of

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_COLOURED_MOST: Final = 60_000  # characters; longer code is shown plain, ours
SLOT: Final = '<div class="pg-slot"></div>'


def parts(text: str) -> list[dict[str, Any]]:
    """Return the parts of a reply: `html`, and `blocks` for the slots in it, in order."""
    reader = _reader()
    found: list[dict[str, Any]] = []
    for tokens in _top_level(reader.parse(text)):
        blocks = [_block(token) for token in tokens if token.type in ("fence", "code_block")]
        found.append({"html": reader.renderer.render(tokens, reader.options, {}), "blocks": blocks})
    return found


@lru_cache(maxsize=512)
def coloured(source: str, language: str) -> str:
    """Return code as markup with a class for each kind of word; plain where it is not known."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    if len(source) > _COLOURED_MOST:
        return esc(source)
    try:
        lexer = get_lexer_by_name(language or "python", stripnl=False, ensurenl=False)
    except ClassNotFound:
        return esc(source)
    return str(highlight(source, lexer, HtmlFormatter(nowrap=True)))


def _block(token: Token) -> dict[str, Any]:
    # An info string may say more than the language: "python title=x".
    word = (token.info.split() or [""])[0].strip("{}.").lower()
    source = token.content.removesuffix("\n")
    return {
        "language": word,
        "source": source,
        "html": coloured(source, word),
        "runs": language_of(word) is not None,
    }


def _top_level(tokens: Sequence[Token]) -> list[list[Token]]:
    groups: list[list[Token]] = []
    depth = 0
    for token in tokens:
        if depth == 0:
            groups.append([])
        groups[-1].append(token)
        depth += token.nesting
    return groups


@lru_cache(maxsize=1)
def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False, "breaks": False})
    reader.enable(["table", "strikethrough"]).disable(["image"])
    for name in ("fence", "code_block"):
        reader.add_render_rule(name, lambda self, tokens, at, options, env: SLOT)
    reader.add_render_rule("link_open", _link)
    return reader


def _link(self: Any, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    token = tokens[at]
    address = str(token.attrs.get("href", ""))
    if not address.startswith(("http://", "https://", "mailto:")):
        token.attrs["href"] = "#"
    token.attrs["rel"] = "noopener noreferrer nofollow"
    token.attrs["target"] = "_blank"
    return str(self.renderToken(tokens, at, options, env))
