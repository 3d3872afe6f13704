"""JSON lines, plain or compressed (.gz, .zst): a document a line.

Columns are named by `text`, `path`, `repo`, `language`, `licence`; all others go into meta.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from curate.document import Document
from curate.sources.source import Refuse, fingerprint_of, key_of
from seedcoder.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonLines:
    """The source. See the module's words and `jsonl`."""

    files: tuple[Path, ...]
    text: str
    path: str
    repo: str
    language: str
    licence: str

    def settings(self) -> Mapping[str, Any]:
        """Return the names of the columns."""
        names = ("text", "path", "repo", "language", "licence")
        return {"reader": 1, **{name: getattr(self, name) for name in names}}

    def fingerprint(self) -> str:
        """Return a digest of the files' names, sizes and times."""
        return fingerprint_of(list(self.files))

    def documents(self, name: str, refuse: Refuse) -> Iterator[Document]:
        """Yield a document a line. A line without a path is named by its file and number."""
        for file in self.files:
            with _opened(file) as lines:
                for number, line in enumerate(lines, 1):
                    place = f"{file.name}:{number}"
                    if not line.strip():
                        continue
                    try:
                        row = json.loads(line)
                    except ValueError as error:
                        refuse(place, f"no JSON: {error}")
                        continue
                    if not isinstance(row, dict) or not isinstance(row.get(self.text), str):
                        refuse(place, f"no string {self.text!r}")
                        continue
                    yield self._document(row, name, place)

    def _document(self, row: dict[str, Any], name: str, place: str) -> Document:
        text = row.pop(self.text)
        path, repo, language, licence = (
            str(row.pop(column, "") or "")
            for column in (self.path, self.repo, self.language, self.licence)
        )
        return Document(
            key=key_of(name, repo, f"{path}\n{place}"),
            text=text,
            path=path or place,
            repo=repo,
            language=language.lower(),
            licence=licence,
            meta=row,
        )


def jsonl(
    *,
    files: list[Path],
    text: str = "content",
    path: str = "path",
    repo: str = "repo",
    language: str = "lang",
    licence: str = "license",
) -> JsonLines:
    """Read `files`; the other options name the columns. UsageError for a file that is not there."""
    for file in files:
        if not file.is_file():
            raise UsageError(f"no file {str(file)!r} (sources: options.files)")
    return JsonLines(
        files=tuple(files), text=text, path=path, repo=repo, language=language, licence=licence
    )


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8", errors="replace") as lines:
            yield lines
    elif path.suffix == ".zst":
        import zstandard

        with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
            yield io.TextIOWrapper(stream, encoding="utf-8", errors="replace")
    else:
        with path.open(encoding="utf-8", errors="replace") as lines:
            yield lines
