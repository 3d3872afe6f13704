"""High-quality data by rounds (paper, section 2.2.5).

A source's seeds are taken so that they differ; negatives are drawn by lot, and hard ones are those
that look good and are not. A round learns from them, then asks of the whole source: what it recalls
and is rated well joins the positives, what it recalls and is rated low the negatives of the next.

    OUT/SOURCE/round-N/   a classifier; examples.tsv: key and why it was learnt from
    OUT/SOURCE/final/     the last one, for the step `fasttext`
    OUT/rounds.json       seeds, thresholds, recall and precision of every round

A round that is there, of the same recipe and corpus, is not trained again. Memory: about 200 bytes
a document, and the lines of the examples.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from curate.select import Condition
from curate.selection.classifier import (
    CARD,
    Example,
    card_of,
    line_of,
    open_classifier,
    place_of,
    train,
)
from curate.selection.documents import Documents, met
from curate.selection.recipe import SelectionRecipe, SourceTable
from curate.selection.strata import spread
from seedcoder.errors import UsageError
from seedcoder.recipe import sha256_of
from seedcoder.run_folder import write_json

EXAMPLES: Final = "examples.tsv"
ROUNDS: Final = "rounds.json"
_GROUPS: Final = ("seeds", "hard", "grow", "low")

Tell = Callable[[str, int], None]


@dataclass(slots=True, kw_only=True)
class _Seen:
    """A source's documents. stratum and quality are of those that may become positives."""

    keys: list[str] = field(default_factory=list)
    member: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in _GROUPS})
    stratum: dict[str, str] = field(default_factory=dict)
    quality: dict[str, float] = field(default_factory=dict)


def select(recipe: SelectionRecipe, tell: Tell = lambda *_: None) -> dict[str, Any]:
    """Train the rounds of every source; return what rounds.json says.

    tell: called with a source and the round that begins. UsageError: the corpus was not run, or a
    source has no seeds. RecipeError: a condition is wrong.
    """
    documents = Documents(recipe.corpus, whole=recipe.whole, text=recipe.text)
    documents.check((recipe.quality, *recipe.diverse), "quality, diverse")
    of = sha256_of({"recipe": recipe.identity(), "corpus": documents.digests})
    report: dict[str, Any] = {"of": of, "seed": recipe.seed, "sources": {}}
    for name, table in recipe.sources.items():
        report["sources"][name] = _source(name, table, recipe, documents, of, tell)
    write_json(recipe.out / ROUNDS, report)
    return report


def _source(
    name: str,
    table: SourceTable,
    recipe: SelectionRecipe,
    documents: Documents,
    of: str,
    tell: Tell,
) -> dict[str, Any]:
    where = documents.conditions(table.where, f"sources.{name}.where")
    seen = _look(name, table, where, recipe, documents)
    seeds = spread(seen.member["seeds"], seen.stratum, seen.quality, table.most_seeds, recipe.seed)
    if not seeds:
        raise UsageError(f"sources.{name}: no document meets the conditions of seeds")
    positives = dict.fromkeys(seeds, "seed")
    negatives = _first_negatives(seen, positives, recipe)
    rounds: list[dict[str, Any]] = []
    folder = recipe.out / name
    for number in range(1, recipe.rounds + 1):
        tell(name, number)
        place = folder / f"round-{number}"
        card = _round(place, number, positives, negatives, recipe, documents, of)
        facts = ("sha256", "threshold", "validated", "checked", "learnt", "reasons")
        rounds.append({"round": number, **{fact: card[fact] for fact in facts}})
        if number < recipe.rounds:
            recalled = _recalled(place, where, documents)
            rounds[-1]["recalled"] = len(recalled)
            _grow(number, recalled, seen, positives, negatives, recipe, len(seeds))
    final = folder / "final"
    if final.exists():
        shutil.rmtree(final)
    shutil.copytree(folder / f"round-{recipe.rounds}", final)
    strata = {seen.stratum[key] for key in seeds}
    return {
        "documents": len(seen.keys),
        "seeds": len(seeds),
        "strata": len(strata),
        "rounds": rounds,
    }


def _look(
    name: str,
    table: SourceTable,
    where: list[Condition],
    recipe: SelectionRecipe,
    documents: Documents,
) -> _Seen:
    """Walk the corpus once, without texts."""
    groups = {
        group: documents.conditions(getattr(table, group), f"sources.{name}.{group}")
        for group in _GROUPS
    }
    columns = [column for one in where for column in one.columns]
    columns += [column for found in groups.values() for one in found for column in one.columns]
    seen = _Seen()
    for rows in documents.tables((*columns, recipe.quality, *recipe.diverse)):
        rows = rows.filter(met(rows, where))
        keys = rows.column("key").to_pylist()
        seen.keys += keys
        for group, conditions in groups.items():
            if conditions:
                seen.member[group] |= set(
                    rows.filter(met(rows, conditions)).column("key").to_pylist()
                )
        good = seen.member["seeds"] | seen.member["grow"]
        values = rows.column(recipe.quality).to_pylist()
        traits = zip(*(rows.column(one).to_pylist() for one in recipe.diverse), strict=True)
        kinds = traits if recipe.diverse else ((),) * len(keys)
        for key, value, kind in zip(keys, values, kinds, strict=True):
            if key in good:
                seen.quality[key] = float(value) if value is not None else float("-inf")
                seen.stratum[key] = "\t".join(_kind(one) for one in kind)
    return seen


def _kind(value: Any) -> str:
    """Return a trait as one of few: numbers by tenths, of a list its first."""
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, list):
        return str(value[0]) if value else ""
    return str(value)


def _first_negatives(
    seen: _Seen, positives: Mapping[str, str], recipe: SelectionRecipe
) -> dict[str, str]:
    hard = sorted(seen.member["hard"] - positives.keys(), key=_lot(recipe.seed, "hard"))
    found = dict.fromkeys(hard[: round(recipe.hard_share * len(positives))], "hard")
    return found | _by_lot(seen, {**positives, **found}, recipe.random * len(positives), recipe)


def _by_lot(
    seen: _Seen, known: Mapping[str, str], number: float, recipe: SelectionRecipe
) -> dict[str, str]:
    """Draw so many negatives of those that are not known yet; one at least."""
    rest = [key for key in seen.keys if key not in known]
    rest.sort(key=_lot(recipe.seed, "random"))
    return dict.fromkeys(rest[: max(1, round(number))], "random")


def _grow(
    number: int,
    recalled: Mapping[str, float],
    seen: _Seen,
    positives: dict[str, str],
    negatives: dict[str, str],
    recipe: SelectionRecipe,
    seeds: int,
) -> None:
    """Add what a round recalled: new positives, and negatives that are rated low; and as many more
    by lot as the new positives ask for."""
    fresh = (recalled.keys() & seen.member["grow"]) - positives.keys()
    most = round(recipe.grow_share * seeds)
    for key in spread(fresh, seen.stratum, seen.quality, most, recipe.seed):
        positives[key] = f"recalled in round {number}"
        negatives.pop(key, None)
    wrong = (recalled.keys() & seen.member["low"]) - positives.keys()
    ordered = sorted(wrong, key=lambda key: (-recalled[key], key))
    for key in ordered[: round(recipe.hard_share * len(positives))]:
        negatives[key] = f"recalled in round {number}, rated low"
    drawn = sum(why == "random" for why in negatives.values())
    lacking = recipe.random * len(positives) - drawn
    if lacking >= 1:
        negatives |= _by_lot(seen, {**positives, **negatives}, lacking, recipe)


def _round(
    place: Path,
    number: int,
    positives: Mapping[str, str],
    negatives: Mapping[str, str],
    recipe: SelectionRecipe,
    documents: Documents,
    of: str,
) -> dict[str, Any]:
    of = sha256_of({"of": of, "positives": dict(positives), "negatives": dict(negatives)})
    if (place / CARD).is_file():
        card = card_of(place)
        if card.get("of") == of:
            return card
    keys = positives.keys() | negatives.keys()
    examples = (
        Example(
            key=one.key,
            group=one.repo if recipe.apart == "repo" and one.repo else one.key,
            good=one.key in positives,
            line=line_of(recipe.view, one.language, one.text),
        )
        for one in documents.texts(keys)
    )
    reasons = Counter([*positives.values(), *negatives.values()])
    lines = [f"{key}\t1\t{why}\n" for key, why in positives.items()]
    lines += [f"{key}\t0\t{why}\n" for key, why in negatives.items()]
    return train(
        examples,
        place,
        settings=recipe.fasttext,
        view=recipe.view,
        share=recipe.validate_share,
        target_recall=recipe.target_recall,
        seed=recipe.seed,
        facts={"of": of, "round": number, "reasons": dict(sorted(reasons.items()))},
        beside={EXAMPLES: "".join(sorted(lines))},
    )


def _recalled(place: Path, where: list[Condition], documents: Documents) -> dict[str, float]:
    """Return the documents of a source that a round's classifier finds, and how sure it is."""
    classifier, card = open_classifier(place)
    found: dict[str, float] = {}
    for texts in documents.all_texts(where):
        values = classifier.values([one.text for one in texts], [one.language for one in texts])
        pairs = zip(texts, values, strict=True)
        found |= {one.key: value for one, value in pairs if value >= card["threshold"]}
    return found


def _lot(seed: int, what: str) -> Callable[[str], tuple[float, str]]:
    return lambda key: (place_of(key, seed, what), key)
