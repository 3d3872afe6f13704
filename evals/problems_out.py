"""Problems of benchmarks for other tools, and what was found of them in training data."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import typer

from evals.bench import open_bench
from evals.catalogue import BENCHES
from evals.contamination import Index, Text, texts
from seedcoder.errors import MachineLacks, UsageError

log = logging.getLogger(__name__)

_MOST_SHOWN = 20


def texts_of(names: Sequence[str]) -> Iterator[Text]:
    """Yield the texts of the benchmarks named; "all": of those whose data is here, the rest told.

    Raises UsageError for an unknown name, MachineLacks for a named one without data.
    """
    for name in _chosen(names):
        try:
            yield from texts(open_bench(name))
        except MachineLacks as error:
            if "all" not in names:
                raise
            log.warning("left out bench=%s: %s", name, error)


def write(found: Iterable[Text], path: Path) -> int:
    """Write JSON lines, whole or not at all, and return how many."""
    lines = [json.dumps(text.to_json()) + "\n" for text in found]
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_text("".join(lines), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    return len(lines)


def show(names: Sequence[str]) -> None:
    """Print a line a problem: its key, its tags and its date."""
    for name in _chosen(names):
        for problem in open_bench(name).problems():
            words = [name, problem.key, *problem.tags, problem.date or ""]
            typer.echo("\t".join(word for word in words if word))


def print_hits(index: Index, *, as_json: bool) -> None:
    """Print how many problems were found and which, those with the largest share first."""
    found = index.found()
    if as_json:
        summary = {
            "documents": index.documents,
            "problems": len(index.hits),
            "found": [hit.to_json() for hit in found],
        }
        typer.echo(json.dumps(summary, indent=2))
        return
    typer.echo(
        f"{len(found)} of {len(index.hits)} problems share words with {index.documents} documents"
    )
    for hit in found[:_MOST_SHOWN]:
        share = 100 * len(hit.found) / hit.of_grams
        typer.echo(
            f"{hit.bench}\t{hit.key}\t{share:.0f}%\t{', '.join(hit.documents)}\t{hit.shared!r}"
        )
    if len(found) > _MOST_SHOWN:
        typer.echo(f"and {len(found) - _MOST_SHOWN} more; --json has all")


def _chosen(names: Sequence[str]) -> Sequence[str]:
    return list(BENCHES) if "all" in names else names
