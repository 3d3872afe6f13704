"""Pages of WARC files (Common Crawl's format): each HTML response is a document.

A page's path is its address, its repository the host. Other records (requests, warcinfo, pictures,
answers that are no 200) are passed over; responses that cannot be read are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from curate.document import Document
from curate.sources.source import Refuse, fingerprint_of, key_of
from curate.web.encoding import text_of
from seedcoder.errors import UsageError

_MOST_BYTES: Final = 5_000_000  # ours: of a page
_HTML: Final = ("text/html", "application/xhtml+xml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Warc:
    """The source. See `warc`."""

    files: tuple[Path, ...]
    most_bytes: int

    def settings(self) -> Mapping[str, Any]:
        """Return the version of the reader and the cap."""
        return {"reader": 1, "most_bytes": self.most_bytes}

    def fingerprint(self) -> str:
        """Return a digest of the files' names, sizes and times."""
        return fingerprint_of(list(self.files))

    def documents(self, name: str, refuse: Refuse) -> Iterator[Document]:
        """Yield the pages, in the order of the records; of an address met twice, each."""
        from warcio.archiveiterator import ArchiveIterator
        from warcio.exceptions import ArchiveLoadFailed

        for file in self.files:
            number = 0
            with file.open("rb") as stream:
                try:
                    for record in ArchiveIterator(stream):
                        number += 1
                        page = self._page(record, name, f"{file.name}:{number}", refuse)
                        if page is not None:
                            yield page
                except (ArchiveLoadFailed, EOFError, OSError, ValueError) as error:
                    refuse(f"{file.name}:{number}", f"no WARC from here on: {error}"[:200])

    def _page(self, record: Any, name: str, place: str, refuse: Refuse) -> Document | None:
        if record.rec_type != "response" or record.http_headers is None:
            return None
        kind = record.http_headers.get_header("Content-Type") or ""
        if record.http_headers.get_statuscode() != "200" or not kind.lower().startswith(_HTML):
            return None
        address = record.rec_headers.get_header("WARC-Target-URI") or ""
        body = record.content_stream().read(self.most_bytes + 1)
        if len(body) > self.most_bytes:
            refuse(place, f"more than {self.most_bytes} bytes")
            return None
        text = text_of(body, kind)
        host = urlsplit(address).hostname or ""
        return Document(
            key=key_of(name, host, f"{address}\n{place}"),
            text=text,
            language="html",
            path=address or place,
            repo=host,
            meta={"date": record.rec_headers.get_header("WARC-Date") or "", "content_type": kind},
        )


def warc(*, files: list[Path], most_bytes: int = _MOST_BYTES) -> Warc:
    """Read WARC files, compressed or not. UsageError for a file that is not there."""
    for file in files:
        if not file.is_file():
            raise UsageError(f"no file {str(file)!r} (sources: options.files)")
    return Warc(files=tuple(files), most_bytes=most_bytes)
