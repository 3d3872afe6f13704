"""A scorer's folder: made by training, measured on what it did not learn from, opened by name."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

from curate.scoring.damage import damaged
from curate.scoring.labels import Label, divided, read_labels
from curate.scoring.metrics import class_averaged_mae, mae, spearman
from curate.scoring.recipe import LlamaTable, ScorerRecipe
from seedcoder.errors import UsageError

_CARD: Final = "scorer.json"


class Scorer(Protocol):
    """Something that scores texts."""

    def scores(self, texts: Sequence[str], languages: Sequence[str]) -> list[float]:
        """Return a score for each text, 0 to 10."""
        ...


def train(
    recipe: ScorerRecipe, tell: Callable[[int, int, float], None] = lambda *_: None
) -> dict[str, Any]:
    """Train and measure a scorer; return its card. The folder appears whole or not at all.

    UsageError: no labels, or too few to keep some back.
    """
    labels = read_labels(recipe.labels)
    learn, test = divided(labels, recipe.test_share, recipe.seed)
    if not learn or (recipe.test_share and not test):
        raise UsageError(
            f"{len(labels)} labels of too few repositories to keep {recipe.test_share:.0%} back"
        )
    rated_as_they_are = learn
    learn = [*learn, *_shuffled(learn, recipe.shuffled, recipe.seed)]
    recipe.out.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{recipe.out.name}.", dir=recipe.out.parent))
    try:
        if recipe.kind == "llama":
            from curate.scoring.llama import train as train_llama

            train_llama(learn, recipe.llama, made, recipe.seed, tell)
        elif recipe.kind == "linear":
            from curate.scoring.linear import train as train_linear

            train_linear(learn, recipe.linear, made, recipe.seed)
        else:
            from curate.scoring.fast import train as train_fast

            train_fast(learn, recipe.fasttext, made, recipe.seed)
        card = {
            "kind": recipe.kind,
            "llama": recipe.llama.model_dump(),
            "labels_sha256": hashlib.sha256(recipe.labels.read_bytes()).hexdigest(),
            "seed": recipe.seed,
            "learnt": len(rated_as_they_are),
            "shuffled": len(learn) - len(rated_as_they_are),
        }
        (made / _CARD).write_text(json.dumps(card, indent=2), encoding="utf-8")
        card["measured"] = evaluate(open_scorer(made), test, rated_as_they_are) if test else {}
        (made / _CARD).write_text(json.dumps(card, indent=2), encoding="utf-8")
        if recipe.out.exists():
            shutil.rmtree(recipe.out)
        made.replace(recipe.out)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return card


def _shuffled(labels: Sequence[Label], share: float, seed: int) -> list[Label]:
    """Return worse copies of some labels, of the repositories that these are of."""
    found = []
    for label in labels:
        name = hashlib.sha256(f"shuffled\0{seed}\0{label.key}".encode()).digest()
        if int.from_bytes(name[:8], "big") / 2**64 >= share or not label.score:
            continue
        if text := damaged(label.text, "shuffled", seed):
            key = f"{label.key} shuffled"
            found.append(replace(label, key=key, text=text, score=min(label.score, 1)))
    return found


def evaluate(scorer: Scorer, test: Sequence[Label], learn: Sequence[Label] = ()) -> dict[str, Any]:
    """Return how far the scorer is from the labels, beside a guess of the mean of `learn`."""
    rated = [one.score for one in test]
    predicted = scorer.scores([one.text for one in test], [one.language for one in test])
    found: dict[str, Any] = {
        "files": len(test),
        "mae": round(mae(predicted, rated), 4),
        "class_averaged_mae": round(class_averaged_mae(predicted, rated), 4),
        "spearman": round(spearman(predicted, rated), 4),
    }
    if learn:
        mean = sum(one.score for one in learn) / len(learn)
        guess = [mean] * len(rated)
        found["mean_mae"] = round(mae(guess, rated), 4)
        found["mean_class_averaged_mae"] = round(class_averaged_mae(guess, rated), 4)
    found["classes"] = {
        str(one): {
            "files": rated.count(one),
            "mae": round(mae([p for p, r in zip(predicted, rated, strict=True) if r == one],
                             [one] * rated.count(one)), 4),
        }
        for one in sorted(set(rated))
    }  # fmt: skip
    languages: dict[str, list[int]] = {}
    for row, label in enumerate(test):
        languages.setdefault(label.language, []).append(row)
    found["languages"] = {
        language: {
            "files": len(rows),
            "mae": round(mae([predicted[row] for row in rows], [rated[row] for row in rows]), 4),
        }
        for language, rows in sorted(languages.items())
    }
    return found


def order_held(scorer: Scorer, pairs: Sequence[tuple[str, str, str]]) -> float:
    """Return the share of (language, better text, worse text) whose better one scores higher.

    ValueError where there are none.
    """
    if not pairs:
        raise ValueError("no pairs")
    languages = [one[0] for one in pairs]
    better = scorer.scores([one[1] for one in pairs], languages)
    worse = scorer.scores([one[2] for one in pairs], languages)
    return sum(high > low for high, low in zip(better, worse, strict=True)) / len(pairs)


def open_scorer(folder: Path, address: str = "") -> Scorer:
    """Return the scorer of a folder. address: of a vLLM server that has its Llama; "": run here.

    UsageError where there is none, or an address is given for what is no Llama.
    """
    card = card_of(folder)
    if address:
        from curate.scoring.served import ServedScorer

        return ServedScorer(folder, address, card)
    if card["kind"] == "llama":
        from curate.scoring.llama import LlamaScorer

        return LlamaScorer(folder, LlamaTable(**card["llama"]))
    if card["kind"] == "linear":
        from curate.scoring.linear import LinearScorer

        return LinearScorer(folder)
    from curate.scoring.fast import FastScorer

    return FastScorer(folder)


def card_of(folder: Path) -> Mapping[str, Any]:
    """Return what a scorer's folder says of it. UsageError where it says nothing."""
    try:
        card: Mapping[str, Any] = json.loads((folder / _CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UsageError(
            f"{str(folder)!r} is no scorer: seedcoder curate score train RECIPE makes one"
        ) from None
    return card


def digest_of(folder: Path) -> str:
    """Return the SHA-256 of all files of a scorer."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(folder).as_posix()}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
