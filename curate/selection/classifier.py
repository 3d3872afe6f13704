"""A classifier of documents in a folder: fastText's, learnt in one thread, so that the same
examples, settings and seed give the same file, byte for byte.

    classifier.bin    fastText's model
    classifier.json   what it was made from, its threshold, how it did on what was kept back; last

Of fastText's builds only fasttext-community learns and predicts beside numpy 2.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from curate.scoring.fast import words_of
from curate.scoring.recipe import FastTextTable
from curate.selection.threshold import checked, cut_for
from seedcoder.errors import UsageError

MODEL: Final = "classifier.bin"
CARD: Final = "classifier.json"
_YES: Final = "__label__1"
_BUCKETS: Final = 200_000  # ours: of word pairs
_SEEN_LEAST: Final = 2  # ours: words seen less often are left out
# Marks by which extracted pages show code. A page without tags has none: they would tell all.
_MARKS: Final = re.compile(r"^`{3,}[^\n]*$|`|^#{1,6} |^- ", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A document to learn from. group: what is learnt or kept back as one. line: as fastText reads
    it, see `line_of`."""

    key: str
    group: str
    good: bool
    line: str


def line_of(view: str, language: str, text: str) -> str:
    """Return a text as fastText reads it. "code": its language, words and layout; "prose": words
    only, white space folded and marks of code blocks left out."""
    if view == "prose":
        return words_of("text", " ".join(_MARKS.sub(" ", text).split()))
    return words_of(language, text)


def kept_back(group: str, share: float, seed: int) -> bool:
    """Whether a group is among those that choose the threshold."""
    return place_of(group, seed, "kept back") < share


def place_of(key: str, seed: int, what: str) -> float:
    """Return a number from 0 to 1 that is a key's own: the same on every machine."""
    digest = hashlib.sha256(f"{seed}\0{what}\0{key}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:7], "big") / (1 << 56)


def train(
    examples: Iterable[Example],
    folder: Path,
    *,
    settings: FastTextTable,
    view: str,
    share: float,
    target_recall: float,
    seed: int,
    facts: Mapping[str, Any],
    beside: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Learn, choose the threshold, write the folder whole; return its card.

    share: of the groups, kept back. facts: what else the card says. beside: texts of further files,
    by their names. Memory: the lines.
    UsageError: examples of one kind only, learnt or kept back, or fastText cannot learn from them.
    """
    ordered = sorted(examples, key=lambda one: (place_of(one.key, seed, "order"), one.key))
    learn = [one for one in ordered if not kept_back(one.group, share, seed)]
    test = [one for one in ordered if kept_back(one.group, share, seed)]
    for name, part in (("learn from", learn), ("choose a threshold by", test)):
        for good in (True, False):
            if not any(one.good is good for one in part):
                raise UsageError(
                    f"no {'positives' if good else 'negatives'} to {name} (of {len(part)} examples"
                    f" in {len({one.group for one in part})} groups): apart = 'key' divides more"
                    " finely"
                )
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        lines = [f"__label__{int(one.good)} {one.line}\n" for one in learn]
        learn_lines(lines, made / MODEL, settings, seed)
        classifier = Classifier(made / MODEL, view)
        values = classifier.values_of_lines([one.line for one in test])
        judged = list(zip(values, test, strict=True))
        right = [value for value, one in judged if one.good]
        wrong = [value for value, one in judged if not one.good]
        cut = cut_for(right, wrong, target_recall)
        card: dict[str, Any] = {
            "sha256": hashlib.sha256((made / MODEL).read_bytes()).hexdigest(),
            "view": view,
            "threshold": cut.threshold,
            "target_recall": target_recall,
            "validated": cut.to_json(),
            "checked": checked(right, wrong, target_recall).to_json(),
            "learnt": {"positives": sum(one.good for one in learn),
                       "negatives": sum(not one.good for one in learn)},
            "examples_sha256": _digest(ordered),
            "seed": seed,
            "fasttext": settings.model_dump(),
            **facts,
        }  # fmt: skip
        (made / CARD).write_text(json.dumps(card, indent=2), encoding="utf-8")
        for name, text in (beside or {}).items():
            (made / name).write_text(text, encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        made.replace(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return card


class Classifier:
    """A model of `train`."""

    def __init__(self, model: Path, view: str) -> None:
        """Load it."""
        import fasttext

        self._model: Any = fasttext.load_model(str(model))
        self._view = view

    def values(self, texts: Sequence[str], languages: Sequence[str]) -> list[float]:
        """Return for each text how likely it is one of the positives, 0 to 1."""
        pairs = zip(languages, texts, strict=True)
        return self.values_of_lines([line_of(self._view, *pair) for pair in pairs])

    def values_of_lines(self, lines: list[str]) -> list[float]:
        """Return the same of lines that `line_of` made."""
        if not lines:
            return []
        named, shares = self._model.predict(lines, k=2)
        found = []
        for names, believed in zip(named, shares, strict=True):
            pairs = dict(zip(names, believed, strict=True))
            found.append(min(1.0, max(0.0, float(pairs.get(_YES, 0.0)))))
        return found


def open_classifier(folder: Path) -> tuple[Classifier, dict[str, Any]]:
    """Return the classifier of a folder, and its card. UsageError where there is none."""
    card = card_of(folder)
    return Classifier(folder / MODEL, card["view"]), card


def card_of(folder: Path) -> dict[str, Any]:
    """Return a classifier's card. UsageError: there is none, or its model is another."""
    try:
        card: dict[str, Any] = json.loads((folder / CARD).read_text(encoding="utf-8"))
        digest = hashlib.sha256((folder / MODEL).read_bytes()).hexdigest()
    except (OSError, ValueError):
        raise UsageError(
            f"{str(folder)!r} is no classifier: seedcoder curate classify makes one"
        ) from None
    if digest != card["sha256"]:
        raise UsageError(f"{str(folder / MODEL)!r} is not the model that {CARD} describes")
    return card


def learn_lines(labelled: Sequence[str], file: Path, settings: FastTextTable, seed: int) -> None:
    """Learn from lines that begin with __label__NAME, and write the model to `file`.

    UsageError where fastText cannot.
    """
    import fasttext

    with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
        lines = Path(scratch) / "examples.txt"
        with lines.open("w", encoding="utf-8", errors="replace") as out:
            out.writelines(labelled)
        try:
            model = fasttext.train_supervised(
                str(lines),
                epoch=settings.epochs,
                lr=settings.learning_rate,
                dim=settings.dim,
                wordNgrams=settings.word_ngrams,
                bucket=_BUCKETS,
                minCount=_SEEN_LEAST,
                thread=1,
                seed=seed,
                verbose=0,
            )
        except (ValueError, RuntimeError) as error:
            raise UsageError(f"fastText cannot learn from {len(labelled)} texts: {error}") from None
    model.save_model(str(file))


def _digest(examples: Iterable[Example]) -> str:
    digest = hashlib.sha256()
    for one in examples:
        line = hashlib.sha256(one.line.encode("utf-8", "replace")).hexdigest()
        digest.update(f"{one.key} {int(one.good)} {line}\n".encode())
    return digest.hexdigest()
