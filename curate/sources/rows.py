"""Rows that hold a text and say what it is: parquet files, and datasets of the hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.document import Document
from curate.languages import LANGUAGES, language_of
from curate.sources.source import Refuse, fingerprint_of, key_of
from seedcoder.errors import MachineLacks, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the columns are called; all others go into a document's meta, where they are plain."""

    text: str = "content"
    path: str = "path"
    repo: str = "repo_name"
    language: str = "lang"
    licence: str = "license"

    def settings(self) -> dict[str, str]:
        """Return the names."""
        return {name: getattr(self, name) for name in self.__slots__}

    def document(
        self, row: Mapping[str, Any], name: str, place: str, refuse: Refuse
    ) -> Document | None:
        """Return a row's document; refuses a row without a text."""
        text = row.get(self.text)
        if not isinstance(text, str):
            refuse(place, f"no string {self.text!r}")
            return None
        path, repo, said, licence = (
            _words(row.get(column))
            for column in (self.path, self.repo, self.language, self.licence)
        )
        language = said.lower() if said.lower() in LANGUAGES else language_of(path, text)
        own = set(self.settings().values())
        meta = {
            key: value
            for key, value in row.items()
            if key not in own and isinstance(value, str | int | float | bool)
        }
        return Document(
            key=key_of(name, repo, f"{path}\n{place}"),
            text=text,
            path=path or place,
            repo=repo,
            language=language or said.lower(),
            licence=licence,
            meta=meta,
        )


def _words(value: Any) -> str:
    if isinstance(value, list):
        return " AND ".join(str(one) for one in value)
    return str(value or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetFiles:
    """The source. See `parquet`."""

    files: tuple[Path, ...]
    columns: Columns

    def settings(self) -> Mapping[str, Any]:
        """Return the names of the columns."""
        return {"reader": 1, **self.columns.settings()}

    def fingerprint(self) -> str:
        """Return a digest of the files' names, sizes and times."""
        return fingerprint_of(list(self.files))

    def documents(self, name: str, refuse: Refuse) -> Iterator[Document]:
        """Yield a document a row, a few rows in memory at once."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        for file in self.files:
            number = 0
            try:
                with pq.ParquetFile(file) as rows:
                    for batch in rows.iter_batches(batch_size=256):
                        for row in batch.to_pylist():
                            number += 1
                            place = f"{file.name}:{number}"
                            document = self.columns.document(row, name, place, refuse)
                            if document is not None:
                                yield document
            except (pa.ArrowException, OSError) as error:
                refuse(f"{file.name}:{number}", f"no parquet from here on: {error}"[:200])


def parquet(
    *,
    files: list[Path],
    text: str = "content",
    path: str = "path",
    repo: str = "repo_name",
    language: str = "lang",
    licence: str = "license",
) -> ParquetFiles:
    """Read `files`, as the Stack's; the other options name the columns.

    UsageError for a file that is not there.
    """
    for file in files:
        if not file.is_file():
            raise UsageError(f"no file {str(file)!r} (sources: options.files)")
    columns = Columns(text=text, path=path, repo=repo, language=language, licence=licence)
    return ParquetFiles(files=tuple(files), columns=columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubDataset:
    """The source. See `hub`."""

    dataset: str
    split: str
    revision: str
    config: str
    most: int
    columns: Columns
    load: Mapping[str, Any] = field(default_factory=dict)

    def settings(self) -> Mapping[str, Any]:
        """Return which rows are read, and how."""
        names = ("dataset", "split", "revision", "config", "most")
        own = {name: getattr(self, name) for name in names}
        return {"reader": 1, **own, **self.columns.settings(), "load": dict(self.load)}

    def fingerprint(self) -> str:
        """Return the revision: what a revision holds does not change."""
        return self.revision

    def documents(self, name: str, refuse: Refuse) -> Iterator[Document]:
        """Yield a document a row, streamed. MachineLacks: no `datasets`, or no such dataset."""
        try:
            import datasets
        except ModuleNotFoundError:
            raise MachineLacks(
                "source 'hub' needs the 'hub' extra: pip install -e '.[hub]'"
            ) from None
        try:
            rows = datasets.load_dataset(
                self.dataset,
                self.config or None,
                split=self.split,
                revision=self.revision or None,
                streaming=True,
                **self.load,
            )
        except (OSError, ValueError, RuntimeError) as error:
            why = str(error).splitlines()[0][:200]
            raise MachineLacks(f"dataset {self.dataset!r} cannot be read: {why}") from None
        for number, row in enumerate(rows, 1):
            if self.most and number > self.most:
                break
            document = self.columns.document(row, name, f"{self.split}:{number}", refuse)
            if document is not None:
                yield document


def hub(
    *,
    dataset: str,
    revision: str,
    split: str = "train",
    config: str = "",
    most: int = 0,
    text: str = "content",
    path: str = "path",
    repo: str = "repo_name",
    language: str = "lang",
    licence: str = "license",
    load: dict[str, Any] | None = None,
) -> HubDataset:
    """Read a dataset of the hub by name. revision: a commit, so that the rows stay what they are.

    most: rows, 0 for all. load: further arguments of `datasets.load_dataset` (data_files=...); a
    local folder or builder ("parquet", "json") works without a network.
    """
    columns = Columns(text=text, path=path, repo=repo, language=language, licence=licence)
    return HubDataset(
        dataset=dataset, split=split, revision=revision, config=config, most=most,
        columns=columns, load=load or {},
    )  # fmt: skip
