"""Syntax: good files of every kind pass, damaged copies do not, by language and in shares."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("tree_sitter_language_pack")

import pyarrow as pa

from curate.catalogue import STEPS, make
from curate.syntax import native
from curate.syntax.native import recogniser_of
from curate.syntax.policy import BUDGET, STRICT, UNJUDGED, budget_of, grammar_of
from curate.syntax.trees import parser_of
from seedcoder.errors import UsageError

# language: (a whole text, a broken one)
TEXTS = {
    "python": ("def f(x):\n    return x\n", "def f(x:\n    return x\n"),
    "java": ("class A { int f() { return 1; } }", "class A { int f() { return 1; }"),
    "go": ("package main\nfunc main() {}\n", "package main\nfunc main( {}\n"),
    "javascript": ("const f = (x) => x + 1;\n", "const f = (x => x + 1;\n"),
    "typescript": ("let x: number = 1;\n", "let x: = = ;;) 1 ((\n"),
    "php": ("<?php\nfunction f($x) { return $x; }\n", "<?php\nfunction f($x) { return $x;\n"),
    "ruby": ("def f(x)\n  x\nend\n", "def f(x\n  x\nend end\n"),
    "rust": ("fn main() { let x = 1; }\n", "fn main() { let x = ; }\n"),
    "c": ("int main(void) { return 0; }\n", "int main(void { return ) ((; 0 ]\n"),
    "c++": ("template <class T> T f(T x) { return x; }\n", "template <class T T f(T x { ]\n"),
    "c#": ("class A { int F() => 1; }", "class A { int F() => ) ((; }"),
    "html": ("<p>one</p>\n", "<p <<< </ >>\n"),
    "css": ("a { color: red; }\n", "a { color red; }}}\n"),
    "shell": ("for x in a b; do echo $x; done\n", "for x in a b; echo ((( $x; done\n"),
    "kotlin": ("fun main() { println(1) }\n", "fun main( { println(1 }}\n"),
    "lua": ("local function f(x) return x end\n", "local function f(x return x end end\n"),
}  # fmt: skip


def _judged(rows: list[tuple[str, str]], **options: Any) -> pa.Table:
    step = make(STEPS, "syntax", options, "step")
    texts, languages = zip(*rows, strict=True)
    return step.compute(pa.table({"text": list(texts), "language": list(languages)}))


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_whole_texts_pass_and_broken_ones_do_not(language: str) -> None:
    whole, broken = TEXTS[language]
    table = _judged([(whole, language), (broken, language)])
    reason = "syntax error" if language in STRICT else "syntax errors beyond the budget"
    assert table["keep"].to_pylist() == [True, False]
    assert table["reason"].to_pylist() == ["", reason]
    assert table["judged"].to_pylist() == [True, True]
    good, bad = table["value"].to_pylist()
    assert good == 0.0 < bad <= 1.0


def test_what_has_no_exact_grammar_is_not_judged() -> None:
    rows = [("SELECT FROM WHERE", "sql"), ("# ((", "markdown"), ("((", ""), ("((", "klingon")]
    table = _judged(rows)
    assert table["keep"].to_pylist() == [True] * 4
    assert table["value"].null_count == 4 and not any(table["judged"].to_pylist())


def test_a_recipe_sets_its_own_budgets() -> None:
    broken = "int f(int x) { return x }\n" + "int g(void) { return 1; }\n" * 9
    shares = _judged([(broken, "c")])["value"].to_pylist()
    assert 0.0 < shares[0] < BUDGET
    assert _judged([(broken, "c")])["keep"].to_pylist() == [True]
    assert _judged([(broken, "C")], budgets={"c": 0.0})["reason"].to_pylist() == ["syntax error"]
    assert budget_of("python", {"python": 0.2}) == 0.2
    with pytest.raises(UsageError, match=r"budgets\.c must be from 0 to 1"):
        make(STEPS, "syntax", {"budgets": {"c": 5.0}}, "step")


def test_a_text_that_is_too_long_is_kept_and_said_to_be_unjudged() -> None:
    table = _judged([("def f(:\n" * 20, "python")], most_bytes=100)
    assert table["keep"].to_pylist() == [True] and table["judged"].to_pylist() == [False]


def test_the_grammars_of_the_policy_are_there() -> None:
    for language in STRICT | {"c", "c++", "html", "css"}:
        assert parser_of(grammar_of(language)) is not None
    assert parser_of("klingon") is None
    assert not STRICT & UNJUDGED


def _damaged(text: str, rng: random.Random) -> Iterator[str]:
    """Yield a text cut off, without a line, without a bracket, with two halves of lines swapped."""
    lines = text.splitlines(keepends=True)
    yield text[: rng.randrange(len(text) // 4, 3 * len(text) // 4)]
    brackets = [at for at, sign in enumerate(text) if sign in "(){}[]"]
    if brackets:
        at = rng.choice(brackets)
        yield text[:at] + text[at + 1 :]
    if len(lines) > 8:
        one, two = sorted(rng.sample(range(len(lines)), 2))
        mixed = lines[one][: len(lines[one]) // 2] + lines[two][len(lines[two]) // 2 :]
        yield "".join([*lines[:one], mixed, *lines[two + 1 :]])


@pytest.mark.slow
def test_shipped_files_pass_and_damaged_copies_do_not(curate_data: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    with (curate_data / "neardup_files.jsonl.zst").open("rb") as packed:
        lines = zstandard.ZstdDecompressor().stream_reader(packed).read().splitlines()
    files = [json.loads(line) for line in lines][::2]
    good = _judged([(file["content"], file["lang"]) for file in files])
    for file, share in zip(files, good["value"].to_pylist(), strict=True):
        # As another program found with the same grammars.
        assert round(share * len(file["content"].encode())) == file["ts_error_bytes"]
    rng = random.Random(6)
    damaged = [
        (text, file["lang"]) for file in files[::3] for text in _damaged(file["content"], rng)
    ]
    bad = _judged(damaged)
    refused, of = Counter[str](), Counter[str]()
    for (_, language), keep in zip(damaged, bad["keep"].to_pylist(), strict=True):
        of[language] += 1
        refused[language] += not keep
    assert sum(good["keep"].to_pylist()) > 0.98 * len(files)
    assert {language for language in of if refused[language] < 0.6 * of[language]} <= {"c"}


needs_recogniser = pytest.mark.skipif(
    recogniser_of("python") is None, reason="curate/syntax/recognise.c is not built"
)


@needs_recogniser
@pytest.mark.parametrize("language", sorted(TEXTS))
def test_the_recogniser_accepts_what_the_parser_accepts(language: str) -> None:
    recogniser = recogniser_of(grammar_of(language))
    assert recogniser is not None
    whole, broken = TEXTS[language]
    assert recogniser.accepts(whole.encode())
    assert not recogniser.accepts(broken.encode())


@needs_recogniser
def test_columns_are_the_same_without_the_recogniser(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(3)
    rows = [(text, name) for name, texts in TEXTS.items() for text in texts]
    rows += [("".join(rng.sample(whole, len(whole))), name) for name, (whole, _) in TEXTS.items()]
    rows += [("", name) for name in TEXTS]
    rows += [(whole.replace("x", "\u00e9\U0001f600"), name) for name, (whole, _) in TEXTS.items()]
    with_it = _judged(rows)
    monkeypatch.setattr("curate.syntax.step.recogniser_of", lambda _: None)
    assert with_it.equals(_judged(rows))
    assert native.recogniser_of("python") is not None


@needs_recogniser
def test_a_text_that_nests_without_end_is_given_up_not_followed() -> None:
    recogniser = recogniser_of("javascript")
    assert recogniser is not None
    assert not recogniser.accepts(b"(" * 200_000)
    assert recogniser.accepts(b"(" * 5_000 + b"1" + b")" * 5_000)
