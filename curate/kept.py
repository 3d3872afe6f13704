"""What a recipe keeps: the start of every dataset that is made from a corpus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from curate.joined import Joined
from curate.recipe import CurateRecipe
from curate.running import Planned, planned_of, selected
from curate.select import Condition
from curate.store import Part, Store
from seedcoder.errors import UsageError


class Corpus:
    """The documents of a recipe that has been run, with its steps' columns beside them.

    UsageError, when it is made: a source was not read yet, or a step not computed.
    """

    def __init__(self, recipe: CurateRecipe) -> None:
        """Look up the recipe's parts and columns; computes nothing."""
        self.store = Store(recipe.store)
        parts, planned, conditions, refused = planned_of(recipe, self.store)
        self.refused: dict[str, int] = refused
        self.parts: tuple[Part, ...] = parts
        self.steps: tuple[Planned, ...] = planned
        self.conditions: tuple[Condition, ...] = conditions
        self.joined = Joined(self.store, {one.title: one.digest for one in planned})
        for one in planned:
            folder = self.store.column_folder(one.title, one.digest)
            if parts and not folder.is_dir():
                raise UsageError(
                    f"step {one.title!r} is not computed: first seedcoder curate run RECIPE"
                )

    def tables(self, columns: Sequence[str], *, whole: bool = False) -> Iterator[pa.Table]:
        """Yield for each part, in order, `key` and `columns` of the rows that are kept.

        columns: "text", "language", "exact.of"... whole: all rows, with the column `dropped`
        beside them: the condition that drops a row, null where it is kept.
        """
        for part in self.parts:
            _, dropped = selected(self.conditions, self.joined, part)
            keep = pc.is_null(dropped)
            found = self.joined.columns(part.digest, columns)
            yield found.append_column("dropped", dropped) if whole else found.filter(keep)


def kept(recipe: CurateRecipe, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield what a recipe keeps; see `Corpus`."""
    return Corpus(recipe).tables(columns)
