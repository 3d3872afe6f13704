"""Documents of a corpus that meet conditions, and their texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from curate.kept import Corpus
from curate.recipe import CurateRecipe
from curate.select import Condition, condition
from curate.step import DOCUMENT_COLUMNS
from seedcoder.errors import RecipeError
from seedcoder.recipe import load_recipe

_AT_ONCE: Final = 2_000  # ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A document's text, as a classifier reads it."""

    key: str
    repo: str
    language: str
    text: str


class Documents:
    """A corpus as recipes of classifiers see it. UsageError where it was not run."""

    def __init__(self, recipe: Path, *, whole: bool, text: str) -> None:
        """whole: all documents, not only those kept. text: the column of their texts."""
        self._corpus = Corpus(load_recipe(recipe, CurateRecipe))
        self._whole = whole
        self._text = text
        self.check((text,), "text")

    @property
    def digests(self) -> list[str]:
        """What the documents and the columns depend on."""
        return [
            *(part.digest for part in self._corpus.parts),
            *(f"{one.title} {one.digest}" for one in self._corpus.steps),
            *([] if self._whole else [one.text for one in self._corpus.conditions]),
        ]

    def conditions(self, texts: Sequence[str], where: str) -> list[Condition]:
        """Read conditions; RecipeError where one is none, or of a column that is not there."""
        found = [condition(text) for text in texts]
        for one in found:
            self.check(one.columns, where)
        return found

    def check(self, columns: Sequence[str], where: str) -> None:
        """RecipeError where a column is not there."""
        schemas = {one.title: one.step.schema().names for one in self._corpus.steps}
        for column in columns:
            step, dot, name = column.partition(".")
            known = name in schemas.get(step, ()) if dot else column in DOCUMENT_COLUMNS
            if not known:
                raise RecipeError(f"{where}: the corpus has no column {column!r}")

    def tables(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield `key` and columns, part by part, in an order that is always the same."""
        yield from self._corpus.tables(list(dict.fromkeys(columns)), whole=self._whole)

    def texts(self, keys: Set[str]) -> Iterator[Text]:
        """Yield the texts of some documents; those that have none are left out."""
        wanted = pa.array(sorted(keys), pa.string())
        for table in self.tables(("repo", "language", self._text)):
            rows = table.filter(pc.is_in(table.column("key"), value_set=wanted))
            yield from _texts(rows, self._text)

    def all_texts(self, conditions: Sequence[Condition] = ()) -> Iterator[list[Text]]:
        """Yield the texts of all documents that meet conditions, some thousand at a time."""
        columns = [column for one in conditions for column in one.columns]
        for table in self.tables(("repo", "language", self._text, *columns)):
            rows = table.filter(met(table, conditions))
            for begin in range(0, rows.num_rows, _AT_ONCE):
                yield list(_texts(rows.slice(begin, _AT_ONCE), self._text))


def met(table: pa.Table, conditions: Sequence[Condition]) -> pa.Array:
    """Return for each row whether it meets all of some conditions."""
    found = pa.repeat(True, table.num_rows)
    for one in conditions:
        found = pc.and_(found, one.met(table))
    return found


def _texts(table: pa.Table, column: str) -> Iterator[Text]:
    names = ("key", "repo", "language", column)
    for key, repo, language, text in zip(
        *(table.column(name).to_pylist() for name in names), strict=True
    ):
        if text is not None:
            yield Text(key=key, repo=repo, language=language, text=text)
