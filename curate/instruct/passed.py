"""Rows that a step of curate's catalogue lets pass: decontamination, and syntax of code blocks.

The rows' texts become documents of a small corpus of their own, over which the step runs as it does
anywhere: in processes with a time limit, with a quarantine. A quarantined text does not pass.
A row's code blocks are looked at alone too: as a whole a block may be a benchmark's solution, which
the conversation around it is not.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.instruct.recipe import StepTable
from curate.instruct.replies import blocks_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text that a step looks at. name: gives the answer back."""

    name: str
    text: str
    language: str = ""


def refused(step: StepTable, texts: Sequence[Text]) -> dict[str, str]:
    """Return the names of the texts that the step does not keep, with its reasons.

    RecipeError and MachineLacks as the step raises them.
    """
    from curate.engine import LocalEngine
    from curate.kept import Corpus
    from curate.recipe import CurateRecipe
    from curate.running import run

    if not texts:
        return {}
    found: dict[str, str] = {}
    seen: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="instruct-") as store:
        file = Path(store) / "texts.jsonl"
        with file.open("w", encoding="utf-8") as out:
            for one in texts:
                text = one.text.encode("utf-8", "replace").decode()
                row = {"content": text, "path": one.name, "lang": one.language}
                out.write(json.dumps(row) + "\n")
        recipe = CurateRecipe.model_validate(
            {
                "store": store,
                "sources": [{"use": "jsonl", "options": {"files": [str(file)]}}],
                "steps": [*_before(step), {"use": step.use, "options": step.options}],
            }
        )
        with LocalEngine(1) as engine:
            run(recipe, engine)
        keep, reason = f"{step.use}.keep", f"{step.use}.reason"
        for table in Corpus(recipe).tables(("path", keep, reason), whole=True):
            for row in table.to_pylist():
                seen.add(row["path"])
                if not row[keep]:
                    found[row["path"]] = row[reason] or "quarantined"
    return found | {one.name: "not read" for one in texts if one.name not in seen}


def passed(
    step: StepTable, rows: Sequence[Mapping[str, Any]]
) -> tuple[list[Mapping[str, Any]], Counter[str]]:
    """Return the rows whose words the step keeps, and how many it does not, by reason."""
    texts: list[Text] = []
    for at, row in enumerate(rows):
        whole = "\n\n".join(words_of(row))
        texts.append(Text(name=f"{at}/", text=whole, language="markdown"))
        alone = [block.text for block in blocks_of(whole)]
        if isinstance(row.get("solution"), str):
            alone.append(row["solution"])
        texts.extend(
            Text(name=f"{at}/{n}", text=code)
            for n, code in enumerate(dict.fromkeys(alone))
            if code.strip()
        )
    why: dict[int, str] = {}
    for name, reason in sorted(refused(step, texts).items()):
        why.setdefault(int(name.partition("/")[0]), reason)
    kept = [row for at, row in enumerate(rows) if at not in why]
    return kept, Counter(f"{step.use}: {reason}" for reason in why.values())


def _before(step: StepTable) -> list[dict[str, str]]:
    """Steps whose columns the step reads: by default decontamination compares signatures."""
    reads = step.use == "decontaminate" and step.options.get("signatures", "minhash") == "minhash"
    return [{"use": "minhash"}] if reads else []


def words_of(row: Mapping[str, Any]) -> list[str]:
    """Return all that a trainer would read of a row."""
    found: list[str] = []
    for name in ("messages", "prompt", "chosen", "rejected"):
        told = row.get(name)
        if isinstance(told, str):
            found.append(told)
        elif told:
            found.extend(str(message["content"]) for message in told)
    if isinstance(row.get("solution"), str):
        found.append(row["solution"])
    return found
