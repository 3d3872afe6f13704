"""Documents drawn by lot, with what the steps said of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from curate.funnel.draw import Drawn, lots
from curate.kept import Corpus
from curate.select import Condition, condition
from curate.step import DOCUMENT_COLUMNS
from seedcoder.errors import UsageError

WHICH: Final = ("kept", "dropped", "all")


def sample(
    corpus: Corpus, number: int, which: str = "kept", where: Sequence[str] = (), seed: int = 0
) -> list[dict[str, Any]]:
    """Return `number` documents, or fewer where there are fewer, the same ones for the same seed.

    which: one of WHICH. where: conditions as `select` has them. Each row: key, path, repo,
    language, source, text, the columns that the conditions name, `dropped` (by what; "" where it
    is kept).
    UsageError: a condition names a column that is not there; RecipeError: it is none.
    """
    if number < 1:
        raise UsageError(f"a sample needs a number of 1 or more, got {number}")
    asked = [_known(corpus, condition(text)) for text in where]
    names = [name for one in (*asked, *corpus.conditions) for name in one.columns]
    own = ("path", "repo", "language", "source", "text")
    drawn = Drawn(number)
    for part, table in zip(corpus.parts, corpus.tables(names, whole=True), strict=True):
        dropped = table.column("dropped")
        mask = pa.repeat(True, table.num_rows)
        if which != "all":
            mask = pc.is_null(dropped) if which == "kept" else pc.is_valid(dropped)
        for one in asked:
            mask = pc.and_(mask, one.met(table))
        numbers = lots(table.column("key"), seed)
        rows = drawn.wants(numbers, mask.to_numpy(zero_copy_only=False))
        if not rows:
            continue
        documents = corpus.joined.documents(part.digest, ("key", *own)).take(rows).to_pylist()
        for row, document, said in zip(rows, documents, table.take(rows).to_pylist(), strict=True):
            beside = {name: said[name] for name in dict.fromkeys(names) if name not in document}
            told = {**document, **beside, "dropped": said["dropped"] or ""}
            drawn.offer(int(numbers[row]), document["key"], told)
    return drawn.all()


def _known(corpus: Corpus, one: Condition) -> Condition:
    there = [*DOCUMENT_COLUMNS]
    there += [f"{step.title}.{name}" for step in corpus.steps for name in step.step.schema().names]
    for column in one.columns:
        if column not in there:
            raise UsageError(f"--where {one.text!r}: no column {column!r}; {', '.join(there)}")
    return one
