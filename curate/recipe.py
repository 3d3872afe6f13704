"""The schema of recipes/curate/."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from seedcoder.recipe import APART, Recipe


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceTable(_Table):
    """Where documents come from. use: a kind of source in `curate.catalogue.SOURCES`.

    name: what documents say of it; by default the kind. options: the kind's own.
    """

    use: str
    name: str = ""
    options: dict[str, Any] = Field(default_factory=dict)


class StepTable(_Table):
    """A step. use: in `curate.catalogue.STEPS`; name: of its columns, by default the same.

    after: columns that must be true ("exact.keep") for a document to be looked at. options: the
    step's own.
    """

    use: str
    name: str = ""
    after: tuple[str, ...] = ()
    options: dict[str, Any] = Field(default_factory=dict)

    @property
    def title(self) -> str:
        """The name of its columns."""
        return self.name or self.use


class SelectTable(_Table):
    """What is kept: conditions on columns, in the order in which drops are counted.

    "exact.keep", "quality.value >= 0.1", "language.value in [python, go]", "not secrets.found".
    """

    keep: tuple[str, ...] = ()


class CurateRecipe(Recipe):
    """A whole pipeline.

    store: the folder of documents and columns; many recipes may share one. engine: "local", or
    "ray" with `address`. workers: processes; None is one a core.
    """

    store: Annotated[Path, APART] = Path("store")
    sources: tuple[SourceTable, ...] = Field(min_length=1)
    steps: tuple[StepTable, ...] = ()
    select: SelectTable = SelectTable()
    seed: int = 0
    engine: Annotated[Literal["local", "ray"], APART] = "local"
    address: Annotated[str, APART] = "auto"
    workers: Annotated[int | None, Field(ge=1), APART] = None
    max_error_rate: Annotated[float, Field(ge=0.0, le=1.0), APART] = 0.01
