"""Everything that is known of one document: where it came from, what each step said, its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pyarrow.compute as pc

from curate.kept import Corpus
from curate.select import first_unmet
from seedcoder.errors import UsageError

MOST: Final = 20  # ours: so many are told of one name


def explain(corpus: Corpus, name: str) -> list[dict[str, Any]]:
    """Return what is known of the documents called `name`: a key or the first 6 digits of one or
    more, a path, "REPO/PATH", or the end of a path. UsageError: there is none.
    """
    found = []
    for part, row in _places(corpus, name):
        found.append(_told(corpus, part, row))
        if len(found) == MOST:
            break
    if not found:
        raise UsageError(f"no document {name!r}: give a key, a path, REPO/PATH or a path's end")
    return found


def _places(corpus: Corpus, name: str) -> Iterator[tuple[str, int]]:
    digits = len(name) >= 6 and not set(name) - set("0123456789abcdef")
    for part in corpus.parts:
        names = corpus.joined.documents(part.digest, ("key", "path", "repo"))
        paths = names.column("path")
        whole = pc.binary_join_element_wise(names.column("repo"), paths, "/")
        found = pc.or_(pc.equal(paths, name), pc.equal(whole, name))
        found = pc.or_(found, pc.ends_with(paths, "/" + name.lstrip("/")))
        if digits:
            found = pc.or_(found, pc.starts_with(names.column("key"), name))
        for row in pc.indices_nonzero(found).to_pylist():
            yield part.digest, row


def _told(corpus: Corpus, part: str, row: int) -> dict[str, Any]:
    own = ("key", "path", "repo", "language", "licence", "source", "bytes", "meta", "text")
    document = corpus.joined.documents(part, own).slice(row, 1).to_pylist()[0]
    told: dict[str, Any] = {name: document[name] for name in own if name != "text"}
    told["text"] = document["text"][:2000]
    told["steps"] = {}
    for one in corpus.steps:
        names = [f"{one.title}.{name}" for name in one.step.schema().names]
        columns = corpus.joined.columns(part, names).slice(row, 1).to_pylist()[0]
        told["steps"][one.title] = {name.partition(".")[2]: _short(columns[name]) for name in names}
        for line in corpus.store.quarantined(one.title, one.digest):
            if line["key"] == document["key"]:
                told["steps"][one.title]["quarantined"] = line["reason"]
    asked = [name for one in corpus.conditions for name in one.columns]
    table = corpus.joined.columns(part, list(dict.fromkeys(asked))).slice(row, 1)
    dropped = first_unmet(table, corpus.conditions)[0].as_py()
    told["kept"] = dropped is None
    told["dropped_by"] = dropped or ""
    return told


def _short(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, str | list) and len(value) > 500:
        return f"{len(value)} {'characters' if isinstance(value, str) else 'values'}"
    return value
