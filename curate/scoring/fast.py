"""The quick scorer: fastText's classifier over the 11 ratings; a score is their mean by what it
believes of each. Learns the same from the same labels and seed: one thread."""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from curate.scoring.labels import Label
from curate.scoring.recipe import FastTextTable
from curate.scoring.rubric import MOST

FILE: Final = "scorer.fasttext"
_WORD: Final = re.compile(r"[A-Za-z_]\w*|\d+|\n[ \t]*|[^\s\w]")
_MOST_WORDS: Final = 3_000  # of a file: ours


def words_of(language: str, text: str) -> str:
    """Return a file as fastText reads it: its language, then words, marks and indentation."""
    found = []
    for match in _WORD.finditer(text):
        word = match[0]
        if word[0] == "\n":
            word = f"<n{min(8, len(word.expandtabs(4)) // 4)}>"
        elif word.isdigit():
            word = "<0>"
        # fastText takes a word that begins so for a label, and files about fastText have it.
        found.append(word.replace("__label__", "label"))
        if len(found) == _MOST_WORDS:
            break
    return " ".join((f"<{(language or 'unknown').replace(' ', '-')}>", *found))


def train(labels: Sequence[Label], settings: FastTextTable, folder: Path, seed: int) -> None:
    """Learn and write the scorer."""
    import fasttext

    lines = [f"__label__{one.score} {words_of(one.language, one.text)}\n" for one in labels]
    random.Random(seed).shuffle(lines)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "labels.txt"
        file.write_text("".join(lines), encoding="utf-8")
        model = fasttext.train_supervised(
            str(file),
            epoch=settings.epochs,
            lr=settings.learning_rate,
            dim=settings.dim,
            wordNgrams=settings.word_ngrams,
            bucket=200_000,
            minCount=2,
            thread=1,
            seed=seed,
            verbose=0,
        )
    model.save_model(str(folder / FILE))


class FastScorer:
    """A scorer that `train` wrote."""

    def __init__(self, folder: Path) -> None:
        """Load it."""
        import fasttext

        self._model: Any = fasttext.load_model(str(folder / FILE))

    def scores(self, texts: Sequence[str], languages: Sequence[str]) -> list[float]:
        """Return a score for each text, 0 to 10."""
        lines = [words_of(one, text) for one, text in zip(languages, texts, strict=True)]
        if not lines:
            return []
        named, shares = self._model.predict(lines, k=MOST + 1)
        found = []
        for names, believed in zip(named, shares, strict=True):
            total = float(sum(believed))
            mean = sum(
                int(name.removeprefix("__label__")) * float(share)
                for name, share in zip(names, believed, strict=True)
            )
            found.append(min(float(MOST), max(0.0, mean / total)) if total else 0.0)
        return found
