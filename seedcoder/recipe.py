"""Read a recipe: a TOML file, what it inherits, and what the command line changes in it.

    class EvalRecipe(Recipe):
        bench: str
        samples: int = 1
        workers: Annotated[int | None, APART] = None

    recipe = load_recipe(Path("recipes/eval/demo.toml"), EvalRecipe, ["limits.cpu_s=5"])

Precedence: command line > file > its `base` > the schema's defaults. Tables merge; every other
value, lists too, is replaced whole. Nothing comes from the environment.
"""

from __future__ import annotations

import enum
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from seedcoder.errors import RecipeError
from seedcoder.recipe_complaint import complain
from seedcoder.recipe_layers import Layers


class Apart:
    """Marks a field that says where or how fast, not what: it stays out of the run's digest."""


APART: Final = Apart()


class Recipe(BaseModel):
    """A job as data. Subclass it, with more of it for the tables: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")

    def resolved(self) -> dict[str, Any]:
        """Return every value of the recipe, defaults too, as plain data for the manifest."""
        return self.model_dump(mode="json")

    def identity(self) -> dict[str, Any]:
        """Return what makes this job this job: `resolved` without the fields marked APART."""
        return _identity(self)


R = TypeVar("R", bound=Recipe)


def load_recipe(path: Path, schema: type[R], overrides: Sequence[str] = ()) -> R:
    """Return the recipe in `path` with `overrides` ("limits.wall_s=5") on top.

    A value of an override is TOML; what TOML cannot read is a string as it stands.
    Types are strict: "5" is no number, 1 is no string; an integer is a float where one is wanted.
    RecipeError, one line: no such file, not TOML, a `base` that comes back to itself, an unknown
    key, a wrong type, a missing key. It names the file (or the override), the table and the key.
    """
    layers = Layers.read(path, overrides)
    try:
        # JSON, because only there does pydantic's strict mode take a list for a tuple and a
        # string for a path or an enum: TOML has no other way to write them.
        return schema.model_validate_json(_as_json(layers.data), strict=True)
    except ValidationError as error:
        raise RecipeError(complain(error, schema, layers)) from None


def sha256_of(value: object) -> str:
    """Return the SHA-256, in hex, of the canonical JSON of `value`.

    Order of keys, and tuple or list, do not matter; 1 and 1.0 differ. TypeError for what is no
    plain data (a path on purpose: where something lies is not what it is), ValueError for NaN.
    """
    plain = as_plain(value)
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def as_plain(value: object, *, name: str = "value") -> Any:
    """Return `value` as what `json.dumps` writes and `json.loads` gives back equal.

    TypeError and ValueError name the place, such as "value.limits[2]".
    """
    if isinstance(value, enum.Enum):
        return as_plain(value.value, name=name)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            raise ValueError(f"{name} is not a number (nan): it equals nothing, itself included")
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"a key of {name} must be a string, got {key!r}")
        return {key: as_plain(inner, name=f"{name}.{key}") for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(inner, name=f"{name}[{at}]") for at, inner in enumerate(value)]
    raise TypeError(f"{name} must be plain data, got {type(value).__name__}")


def _identity(model: BaseModel) -> dict[str, Any]:
    whole = model.model_dump(mode="json")
    kept: dict[str, Any] = {}
    for name, field in type(model).model_fields.items():
        if any(isinstance(mark, Apart) for mark in field.metadata):
            continue
        value = getattr(model, name)
        kept[name] = _identity(value) if isinstance(value, BaseModel) else whole[name]
    return kept


def _as_json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, default=lambda value: value.isoformat())
