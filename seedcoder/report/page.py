"""The file itself: styles, script and policy inside, nothing fetched."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import cache
from importlib import resources

from seedcoder.report.markup import Content, Html, esc, join


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
    return (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{esc(title)}</title><style>{style}</style><script>{script}</script></head>"
        f'<body><main><header class="masthead"><h1>{esc(title)}</h1>'
        + (f'<p class="subtitle">{esc(subtitle)}</p>' if subtitle else "")
        + f"</header>{join(list(sections))}"
        + (f"<footer>{esc(foot)}</footer>" if foot else "")
        + "</main></body></html>\n"
    )


@cache
def _part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _digest(part: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
