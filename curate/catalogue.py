"""Names that recipes use: steps and kinds of sources. Each is imported when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ConfigDict, ValidationError, validate_call

from seedcoder.errors import MachineLacks, RecipeError

STEPS: Final[Mapping[str, str]] = {
    "bottom": "curate.scoring.steps:bottom",
    "commits": "curate.commits.step:commits",
    "category": "curate.web.categories:category",
    "decontaminate": "curate.decontaminate.step:decontaminate",
    "exact": "curate.exact:exact",
    "executes": "curate.executes:executes",
    "fasttext": "curate.selection.step:fasttext",
    "licence": "curate.licences:licence",
    "minhash": "curate.neardup.signatures:minhash",
    "neardup": "curate.neardup.files:neardup",
    "optout": "curate.optout:optout",
    "rules": "curate.rules:rules",
    "score": "curate.scoring.steps:score",
    "secrets": "curate.secrets.step:secrets",
    "syntax": "curate.syntax.step:syntax",
    "repositories": "curate.neardup.repositories:repositories",
    "tokens": "curate.tokens:tokens",
    "traits": "curate.selection.traits:traits",
    "webdraw": "curate.web.drawing:webdraw",
    "webpage": "curate.web.step:webpage",
}

SOURCES: Final[Mapping[str, str]] = {
    "archives": "curate.sources.archives:archives",
    "commits": "curate.commits.source:commits",
    "folders": "curate.sources.folders:folders",
    "git": "curate.sources.git:git",
    "hub": "curate.sources.rows:hub",
    "jsonl": "curate.sources.jsonl:jsonl",
    "parquet": "curate.sources.rows:parquet",
    "warc": "curate.sources.warc:warc",
    "web": "curate.web.source:web",
}


def make(names: Mapping[str, str], use: str, options: Mapping[str, Any], what: str) -> Any:
    """Return what `use` names, made with `options`.

    RecipeError, one line: no such name, an option that it does not know or of a wrong type.
    MachineLacks: a package of the curate extra is not installed.
    """
    if use not in names:
        raise RecipeError(f"no such {what}: {use!r}; there are {', '.join(sorted(names))}")
    module, _, function = names[use].partition(":")
    try:
        made: Callable[..., Any] = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("curate"):
            raise
        raise MachineLacks(
            f"{what} {use!r} needs the 'curate' extra: pip install -e '.[curate]'"
            f" (no module {error.name!r})"
        ) from None
    checked = validate_call(config=ConfigDict(arbitrary_types_allowed=True))(made)
    try:
        return checked(**options)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RecipeError(f"{what} {use!r}: options.{place}: {first['msg']}") from None
