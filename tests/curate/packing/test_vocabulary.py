"""Tokenizers: bytes, and a file that holds special tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.packing.vocabulary import ByteVocabulary, fim_tokens, vocabulary
from seedcoder.errors import MachineLacks, UsageError

SPECIALS = ("<[end▁of▁sentence]>", "<[PAD▁TOKEN]>", *fim_tokens("seed-coder"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small byte-level BPE with Seed-Coder's special tokens."""
    tokenizers = pytest.importorskip("tokenizers", reason="comes with the hf extra")
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=list(SPECIALS),
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([Path(__file__).read_text()] * 3, trainer)
    path = tmp_path / "tokenizer.json"
    made.save(str(path))
    return path


def test_bytes_come_back_and_specials_stand_behind_them() -> None:
    words = ByteVocabulary(SPECIALS)
    assert words.decode(words.encode(["é\r\n\0"])[0]) == "é\r\n\0"
    assert [words.special(name) for name in SPECIALS] == [256, 257, 258, 259, 260]
    with pytest.raises(UsageError, match="no special token"):
        words.special("<x>")


def test_special_words_in_a_text_are_no_special_tokens(file: Path) -> None:
    words = vocabulary(str(file), SPECIALS)
    text = "<[fim-prefix]>a<[end▁of▁sentence]>"
    tokens = words.encode([text])[0]
    assert not {words.special(name) for name in SPECIALS} & set(tokens)
    assert words.decode(tokens) == text


def test_a_folder_will_do_and_a_special_token_that_is_not_there_is_told(file: Path) -> None:
    assert vocabulary(str(file.parent), SPECIALS).digest == vocabulary(str(file), ()).digest
    with pytest.raises(UsageError, match="no added token '<filename>'"):
        vocabulary(str(file), ["<filename>"])


def test_a_file_that_is_no_tokenizer_is_told_in_a_line(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="comes with the hf extra")
    for text, words in (("{", "no JSON"), (json.dumps({"a": 1}), "has no model")):
        (tmp_path / "tokenizer.json").write_text(text)
        with pytest.raises(UsageError, match=words):
            vocabulary(str(tmp_path), ())
    with pytest.raises(UsageError, match="No such file"):
        vocabulary(str(tmp_path / "none"), ())


def test_a_tokenizer_without_its_library_is_what_the_machine_lacks(tmp_path: Path) -> None:
    try:
        import tokenizers  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(MachineLacks, match="hf"):
            vocabulary(str(tmp_path), ())
    else:
        pytest.skip("tokenizers is installed")


def test_formats_without_a_middle_token_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot be undone"):
        fim_tokens("codestral")


def test_documents_come_back_through_a_real_tokenizer(
    asked: Callable[..., Any], file: Path, corpus: Path
) -> None:
    from curate.kept import kept
    from curate.packing.pack import pack_recipe, words_of
    from curate.packing.reader import Packed
    from curate.packing.unpack import documents
    from curate.recipe import CurateRecipe
    from seedcoder.recipe import load_recipe

    recipe = asked(tokenizer=str(file), verify=True, length=1024)
    folder = pack_recipe(recipe, "real", lambda *_: None)
    there = {}
    for table in kept(load_recipe(corpus, CurateRecipe), ["text"]):
        there.update(zip(table["key"].to_pylist(), table["text"].to_pylist(), strict=True))
    back = list(documents(folder, words_of(recipe)))
    assert {key: text for key, _, text in back} == there
    assert len(back) == len(there)
    assert Packed(folder).facts["sources"]["all"]["altered"] == 0
