"""Excerpts that inspire tasks: runs of lines of code, pieces of texts that hold code.

From a corpus that curate has scored and selected, or from files. An excerpt begins where a
paragraph of the text begins (after a blank line, or at its start), so that it is seldom cut inside
a function. Texts between prose and code (Markdown, notebooks) give a longer piece that holds code.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from curate.instruct.item import Item, json_lines, key_of_row
from curate.instruct.recipe import SynthesizeTable
from seedcoder.errors import UsageError

# Languages whose texts mix prose and code, as sources name them.
HYBRIDS: Final = frozenset(("markdown", "jupyter notebook", "restructuredtext", "rmarkdown"))


def items_of(table: SynthesizeTable, *, seed: int) -> list[Item]:
    """Return the excerpts, and the queries of users after them.

    Which documents are drawn depends on their keys and the seed alone. UsageError where there is
    nothing to read, or it cannot be read.
    """
    if not (table.corpus or table.files or table.queries):
        raise UsageError("synthesize: say a corpus, files or queries")
    if not 1 <= table.lines[0] <= table.lines[1]:
        raise UsageError(f"synthesize: lines must be two rising numbers, got {table.lines}")
    found = heapq.nsmallest(
        table.limit,
        (row for row in _documents(table) if _wanted(row, table)),
        key=lambda row: _lot(seed, str(row["key"])),
    )
    items: dict[str, Item] = {}
    for row in found:
        for n in range(table.per_document):
            key = f"{row['key']}.{n}"
            text = excerpt(str(row["text"]), str(row["language"]), key, table, seed=seed)
            if text:
                data = {"excerpt": text, "language": row["language"], "document": row["key"]}
                items.setdefault(key, Item(key=key, data=data))
    for path in table.queries:
        for place, row in json_lines(path):
            if not isinstance(row.get("prompt"), str) or not row["prompt"].strip():
                raise UsageError(f"{place}: no string 'prompt'")
            key = key_of_row(row, place)
            items.setdefault(key, Item(key=key, data={"prompt": row["prompt"]}))
    return list(items.values())


def excerpt(text: str, language: str, key: str, table: SynthesizeTable, *, seed: int) -> str:
    """Return a piece of a text, by lot; "" where it is too short, or a hybrid without code."""
    lot = random.Random(f"{seed} excerpt {key}")
    if language in HYBRIDS:
        return _hybrid(_notebook(text) if language == "jupyter notebook" else text, lot, table)
    lines = text.split("\n")
    least, most = table.lines
    starts = [
        at
        for at in range(len(lines) - least + 1)
        if lines[at].strip() and (at == 0 or not lines[at - 1].strip())
    ]
    if not starts:
        return ""
    start = lot.choice(starts)
    return "\n".join(lines[start : start + lot.randint(least, most)]).rstrip()[: 8 * 1024]


def _hybrid(text: str, lot: random.Random, table: SynthesizeTable) -> str:
    """A piece that begins at a paragraph and holds the whole of a fenced block."""
    starts = [0] + [at + 2 for at in range(len(text)) if text.startswith("\n\n", at)]
    lot.shuffle(starts)
    for start in starts:
        piece = text[start : start + table.hybrid_chars]
        if piece.count("```") >= 2 and not piece.lstrip().startswith("```\n"):
            return piece.strip()
    return ""


def _notebook(text: str) -> str:
    """The cells of a notebook as Markdown; "" where it is none."""
    try:
        cells = json.loads(text)["cells"]
        pieces = []
        for cell in cells:
            source = cell["source"]
            words = source if isinstance(source, str) else "".join(source)
            code = cell["cell_type"] == "code"
            pieces.append(f"```python\n{words}\n```" if code else words)
        return "\n\n".join(pieces)
    except (ValueError, KeyError, TypeError):
        return ""


def _documents(table: SynthesizeTable) -> Iterator[dict[str, Any]]:
    if table.corpus is not None:
        yield from _kept(table.corpus, table.text)
    for path in table.files:
        for place, row in json_lines(path):
            if not isinstance(row.get("text"), str):
                raise UsageError(f"{place}: no string 'text'")
            language = str(row.get("language") or "").lower()
            yield {"key": key_of_row(row, place), "text": row["text"], "language": language}


def _kept(corpus: Path, text: str) -> Iterator[dict[str, Any]]:
    from curate.kept import kept
    from curate.recipe import CurateRecipe
    from seedcoder.recipe import load_recipe

    recipe = load_recipe(corpus, CurateRecipe)
    columns = ["text", "language"] + ([text] if text != "text" else [])
    for table in kept(recipe, columns):
        for batch in table.to_batches(max_chunksize=256):
            for row in batch.to_pylist():
                words = row[text] if row[text] is not None else row["text"]
                yield {"key": row["key"], "text": words, "language": row["language"] or ""}


def _wanted(row: dict[str, Any], table: SynthesizeTable) -> bool:
    return not table.languages or row["language"] in table.languages


def _lot(seed: int, key: str) -> tuple[bytes, str]:
    return hashlib.sha256(f"{seed} {key}".encode()).digest(), key
