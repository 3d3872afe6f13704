"""One file as a document, or why it is none: size, bytes that are no text, encodings.

Repositories' files come together: their licence is that of the LICENSE file nearest above them, so
none is known before the last file was met. Until then texts wait, past a bound in a file on disk.
"""

from __future__ import annotations

import codecs
import marshal
import posixpath
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from curate.document import Document
from curate.languages import language_of
from curate.licences import is_licence_file, licence_of
from curate.sources.source import Refuse, key_of

MOST_BYTES: Final = 1_000_000  # ours, as the Stack's: longer files are data
_WAITING_BYTES: Final = 64 << 20  # ours: of a repository's texts, in memory
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
# Never source: version control, installed packages, what compilers and test runs leave.
LEFT_OUT: Final = frozenset(
    (".git", ".hg", ".svn", ".bzr", "__pycache__", "node_modules", ".tox", ".venv", ".mypy_cache")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file of a repository. path: inside it. data: None where it was not read (`why`)."""

    path: str
    data: bytes | None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How files become documents. languages: only these; empty: all that are known. unknown: keep
    files whose language is not known. most_bytes: of a file."""

    languages: tuple[str, ...] = ()
    unknown: bool = False
    most_bytes: int = MOST_BYTES

    def settings(self) -> dict[str, Any]:
        """Return what the documents depend on."""
        return {
            "reading": 1,
            "languages": sorted(self.languages),
            "unknown": self.unknown,
            "most_bytes": self.most_bytes,
        }

    def documents(
        self, name: str, repo: str, files: Iterable[Found], refuse: Refuse
    ) -> Iterator[Document]:
        """Yield the documents of one repository, in the order of its files."""
        licences: dict[str, str] = {}
        seen: set[str] = set()
        number = 0
        # Its own bytes, under no name and read by nobody else: marshal is safe here.
        with tempfile.SpooledTemporaryFile(max_size=_WAITING_BYTES) as waiting:
            for found in files:
                place = f"{repo}/{found.path}"
                if found.path in seen:
                    refuse(place, "its name is there twice")
                    continue
                seen.add(found.path)
                if found.data is None:
                    refuse(place, found.why)
                    continue
                if is_licence_file(found.path):
                    _note(found.path, found.data, licences)
                if len(found.data) > self.most_bytes:
                    if language_of(found.path, "") or self.unknown:
                        refuse(place, f"more than {self.most_bytes} bytes")
                    continue
                text, why = text_of(found.data)
                language = language_of(found.path, text or "")
                if self.languages and language not in self.languages:
                    continue
                if not language and not self.unknown:
                    continue
                if text is None:
                    refuse(place, why)
                    continue
                waiting.write(marshal.dumps((found.path, text, language)))
                number += 1
            waiting.seek(0)
            for _ in range(number):
                path, text, language = marshal.load(waiting)
                yield Document(
                    key=key_of(name, repo, path),
                    text=text,
                    path=path,
                    repo=repo,
                    language=language,
                    licence=_nearest(path, licences),
                )


def text_of(data: bytes) -> tuple[str | None, str]:
    """Return a file's text, or None and why it has none.

    By its byte order mark; else UTF-8; else Latin-1, where that gives no control characters.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data.decode(encoding), ""
            except UnicodeDecodeError:
                return None, f"no {encoding} although it begins so"
    if b"\0" in data:
        return None, "binary"
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError:
        text = data.decode("latin-1")
        if any("\x7f" <= c < "\xa0" for c in text):
            return None, "neither UTF-8 nor Latin-1"
        return text, ""


def _note(path: str, data: bytes, licences: dict[str, str]) -> None:
    """Add the licence of a licence file to those of its folder: two of one folder are a choice
    (LICENSE-MIT, LICENSE-APACHE)."""
    text, _ = text_of(data)
    if text and (spdx := licence_of(text)):
        folder = posixpath.dirname(path)
        there = licences.get(folder, "")
        licences[folder] = f"{there} OR {spdx}" if there not in ("", spdx) else spdx


def _nearest(path: str, licences: dict[str, str]) -> str:
    folder = posixpath.dirname(path)
    while True:
        if folder in licences:
            return licences[folder]
        if not folder:
            return ""
        folder = posixpath.dirname(folder)
