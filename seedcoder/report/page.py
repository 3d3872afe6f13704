"""The file itself: styles, script and policy inside, nothing fetched."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Final

from seedcoder.report.markup import Content, Html, esc, join

# As `section` writes it; text from outside cannot hold it, since its brackets are escaped.
_SECTION: Final = re.compile(r'<section id="([^"]*)"><header><h2>(.*?)</h2>')


def page(title: str, subtitle: Content, sections: Iterable[Html], *, foot: Content = "") -> str:
    """Return a whole HTML file, readable in light and dark, on paper and without scripts.

    foot: the last line, such as the versions that made the report.
    The text encodes to UTF-8 whatever came in.
    """
    style, script = _part("page.css"), _part("page.js")
    # The hashes let these two run and nothing else, should markup ever slip through an escape.
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; "
        f"script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"
    )
    body = join(list(sections))
    return (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{esc(title)}</title><style>{style}</style><script>{script}</script></head>"
        '<body><a class="skip" href="#main">Skip to the figures</a><main>'
        f'<header class="masthead"><h1>{esc(title)}</h1>'
        + (f'<p class="subtitle">{esc(subtitle)}</p>' if subtitle else "")
        + f'{_contents(body)}</header><div id="main" tabindex="-1"></div>{body}'
        + (f"<footer>{esc(foot)}</footer>" if foot else "")
        + "</main></body></html>\n"
    )


def _contents(body: Html) -> Html:
    """Return links to the sections; a page of one section needs none."""
    found = _SECTION.findall(body)
    if len(found) < 2:
        return Html("")
    links = "".join(f'<a href="#{anchor}">{heading}</a>' for anchor, heading in found)
    return Html(f'<nav class="contents" aria-label="Sections">{links}</nav>')


@cache
def _part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _digest(part: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
