"""Pages of WARC files as text: each page that says something is a document, its text extracted.

text: see `extraction`. language: "markdown". meta has, beside what the source `warc` gives: title,
tagged (the page has `<pre>` or `<code>`), links (share of its characters in links), blocks
([language, begin, length] of each block of code, in characters of the text).

For corpora whose steps shall see text; where the HTML is wanted beside it, read with the source
`warc` and extract with the step `webpage`. Refused with a reason, beside what `warc` refuses: pages
nested too deep, and pages without any text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from curate.document import Document
from curate.sources.source import Refuse
from curate.sources.warc import Warc, warc
from curate.web.extraction import VERSION, extract


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPages:
    """The source. See the module's words and `web`."""

    pages: Warc

    def settings(self) -> Mapping[str, Any]:
        """Return those of `warc`, and the version of the extraction."""
        return {**self.pages.settings(), "extraction": VERSION}

    def fingerprint(self) -> str:
        """Return a digest of the files' names, sizes and times."""
        return self.pages.fingerprint()

    def documents(self, name: str, refuse: Refuse) -> Iterator[Document]:
        """Yield a document a page, in the order of the files."""
        for number, document in enumerate(self.pages.documents(name, refuse), 1):
            try:
                page = extract(document.text)
            except ValueError as error:
                refuse(document.path or f"page {number}", str(error))
                continue
            if not page.text:
                refuse(document.path or f"page {number}", "no text")
                continue
            meta = {
                **document.meta,
                "title": page.title,
                "tagged": page.tagged,
                "links": round(page.links, 4),
                "blocks": [[one.language, one.begin, len(one.text)] for one in page.blocks],
            }
            yield replace(document, text=page.text, language="markdown", meta=meta)


def web(*, files: list[Path], most_bytes: int = 5_000_000) -> WebPages:
    """Read WARC `files`, compressed or not. UsageError for a file that is not there."""
    return WebPages(pages=warc(files=files, most_bytes=most_bytes))
