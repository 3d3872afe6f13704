"""What a source is: documents, and a digest that tells whether they have changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from curate.document import Document

# Called with a bad record's place and what is wrong with it.
Refuse = Callable[[str, str], None]


class Source(Protocol):
    """A kind of source with its options."""

    def settings(self) -> Mapping[str, Any]:
        """Return what the documents depend on beside the files: options, version of the reader."""
        ...

    def fingerprint(self) -> str:
        """Return a digest that changes when the files do. UsageError where there are none."""
        ...

    def documents(self, name: str, refuse: Refuse) -> Iterator[Document]:
        """Yield the documents, in an order that is always the same. Bad records are refused, one
        by one, with their place and the reason, and the rest goes on."""
        ...


def key_of(source: str, repo: str, path: str) -> str:
    """Return a document's key."""
    digest = hashlib.sha256()
    for text in (source, repo, path):
        data = text.encode("utf-8", "surrogateescape")
        digest.update(len(data).to_bytes(4, "little") + data)
    return digest.hexdigest()[:32]


def fingerprint_of(files: list[Path]) -> str:
    """Return a digest of files' names, sizes and times, as make tells what has changed."""
    digest = hashlib.sha256()
    for path in files:
        facts = path.stat()
        digest.update(f"{path}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode("utf-8", "replace"))
    return digest.hexdigest()
