"""What was found of each benchmark in a corpus."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from curate.kept import Corpus
from seedcoder.errors import UsageError


@dataclass(slots=True, kw_only=True)
class Hits:
    """A benchmark's. documents: that hold any of it. problems: documents of each. examples: the
    words that the first documents share, by document."""

    bench: str
    documents: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {
            "bench": self.bench,
            "documents": self.documents,
            "problems": dict(self.problems.most_common()),
            "examples": self.examples,
        }


def hits_of(corpus: Corpus, step: str, *, most_examples: int = 5) -> list[Hits]:
    """Return what the step found, the benchmark with most documents first.

    UsageError: the recipe has no such step, or it looks for nothing.
    """
    schema = next((one.step.schema().names for one in corpus.steps if one.title == step), ())
    if "problems" not in schema:
        raise UsageError(f"the recipe has no step {step!r} that looks for problems")
    found: dict[str, Hits] = {}
    for part in corpus.parts:
        table = corpus.joined.columns(part.digest, ["path", f"{step}.problems", f"{step}.words"])
        held = table.filter(pc.greater(pc.list_value_length(table.column(f"{step}.problems")), 0))
        for row in held.to_pylist():
            for bench in {name.partition("/")[0] for name in row[f"{step}.problems"]}:
                hits = found.setdefault(bench, Hits(bench=bench))
                hits.documents += 1
                mine = [one for one in row[f"{step}.problems"] if one.startswith(f"{bench}/")]
                hits.problems.update(mine)
                if len(hits.examples) < most_examples:
                    hits.examples[f"{row['key'][:12]} {row['path']}"] = row[f"{step}.words"]
    return sorted(found.values(), key=lambda one: (-one.documents, one.bench))


def print_hits(hits: list[Hits]) -> None:
    """Print a line a benchmark, and the first words that are shared."""
    console = Console()
    table = Table("benchmark", "documents", "problems", "most often", "shared words")
    for one in hits:
        often = ", ".join(f"{name} {count}" for name, count in one.problems.most_common(3))
        words = next((words for words in one.examples.values() if words), "")
        table.add_row(one.bench, str(one.documents), str(len(one.problems)), often, words)
    console.print(table)
