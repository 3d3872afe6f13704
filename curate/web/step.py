"""Pages that are in the corpus as HTML: their text and code beside them, as columns.

For documents whose text is HTML of the web (source `warc`, tables of crawled pages).
Steps that read text take `text = "webpage.text"` where they have that option.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from curate.web.extraction import VERSION, Page, extract

_BLOCK: Final = pa.struct([("language", pa.string()), ("text", pa.large_string())])


class WebPage:
    """The step. Columns: keep, reason, value (words); text, title; tagged, untagged (whether it has
    `<pre>` or `<code>`); blocks (language and text of each); links (share of text in links)."""

    name = "webpage"
    version = 1
    reads = ("text",)

    def __init__(self, words_least: int, links_most: float) -> None:
        """Set what is dropped."""
        self._words_least = words_least
        self._links_most = links_most

    def schema(self) -> pa.Schema:
        """Return the columns."""
        return pa.schema(
            [
                ("keep", pa.bool_()),
                ("reason", pa.string()),
                ("value", pa.float64()),
                ("text", pa.large_string()),
                ("title", pa.string()),
                ("tagged", pa.bool_()),
                ("untagged", pa.bool_()),
                ("blocks", pa.list_(_BLOCK)),
                ("links", pa.float64()),
            ]
        )

    def settings(self) -> Mapping[str, Any]:
        """Return the thresholds."""
        return {
            "words_least": self._words_least,
            "links_most": self._links_most,
            "extraction": VERSION,
        }

    def compute(self, table: pa.Table) -> pa.Table:
        """Extract."""
        rows = [self._row(extract(html)) for html in table.column("text").to_pylist()]
        return pa.Table.from_pylist(rows, schema=self.schema())

    def _row(self, page: Page) -> dict[str, Any]:
        reason = ""
        if page.words < self._words_least:
            reason = "few words"
        elif page.links > self._links_most and not page.blocks:
            reason = "mostly links"
        return {
            "keep": not reason,
            "reason": reason,
            "value": float(page.words),
            "text": page.text,
            "title": page.title,
            "tagged": page.tagged,
            "untagged": not page.tagged,
            "blocks": [{"language": one.language, "text": one.text} for one in page.blocks],
            "links": page.links,
        }


def webpage(*, words_least: int = 10, links_most: float = 0.7) -> WebPage:
    """Drop pages of less than `words_least` words (paper, section 2.2.3: 10), and pages without
    code of which more than `links_most` of the text is links (ours)."""
    return WebPage(words_least, links_most)
