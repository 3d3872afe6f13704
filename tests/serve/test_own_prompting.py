"""Prompts and texts of a checkpoint, without its server."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch: pip install -e '.[hf]'")
pytest.importorskip("transformers", reason="needs transformers: pip install -e '.[hf]'")
pytest.importorskip("httptools", reason="the engines' HTTP needs httptools")

from seedcoder.models.checkpoint import load_checkpoint
from serve.card import find_card
from serve.engines.own.bodies import ChatBody
from serve.engines.own.prompting import Prompts
from serve.fault import Fault
from serve.template import render

MIXED = "naïve 😀 漢字\t👩‍👩‍👧 def f(x):\n    return x  # ok ."


@pytest.fixture(scope="module")
def prompts(tiny_checkpoint: Path) -> Prompts:
    held = load_checkpoint(str(tiny_checkpoint), threads=1)
    return Prompts(held, template=None, context_tokens=2048)


def grown(prompts: Prompts, ids: list[int], *, skip_special: bool = True) -> list[str]:
    """Return the pieces that a reply of these ids is told in."""
    text = prompts.growing([], skip_special=skip_special)
    return [*(text.push(token) for token in ids), text.finish()]


def test_a_growing_text_never_shows_half_a_character(prompts: Prompts) -> None:
    ids = prompts.tokens(MIXED, add_special=False)
    assert len(ids) > len(MIXED) / 2
    pieces = grown(prompts, ids)
    assert "".join(pieces) == MIXED
    assert not any("\ufffd" in piece for piece in pieces)
    # The control: token by token, halves do show.
    assert any("\ufffd" in prompts.decode([one], skip_special=True) for one in ids)


def test_bytes_that_are_no_text_are_shown_soon_and_hold_nothing_back(prompts: Prompts) -> None:
    smile = prompts.tokens("😀", add_special=False)
    broken = [smile[1]] * 40
    pieces = grown(prompts, [*broken, *prompts.tokens("ok", add_special=False)])
    assert "".join(pieces).endswith("ok")
    assert "\ufffd" in "".join(pieces[:8])


def test_a_character_cut_off_at_the_end_is_not_lost(prompts: Prompts) -> None:
    ids = prompts.tokens("a😀", add_special=False)[:-1]
    assert "".join(grown(prompts, ids)) == "a\ufffd"


def test_special_tokens_are_tokens_in_prompts_and_left_out_of_texts(
    prompts: Prompts, tiny_module: ModuleType
) -> None:
    for token in (*tiny_module.SPECIAL, *tiny_module.ORDINARY):
        ids = prompts.text(f"a{token}b", add_special=None)
        assert len(ids) == 3, token
        kept = "".join(grown(prompts, ids, skip_special=False))
        assert kept == f"a{token}b"
        stripped = "".join(grown(prompts, ids))
        assert stripped == ("ab" if token in tiny_module.SPECIAL else kept)


def test_a_chat_is_rendered_as_the_card_does(
    prompts: Prompts, tiny_checkpoint: Path, tiny_module: ModuleType
) -> None:
    card = find_card(str(tiny_checkpoint / "instruct.toml"))
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "ho"},
        {"role": "user", "content": "again"},
    ]
    ids = prompts.chat(ChatBody(messages=turns))
    assert prompts.decode(ids, skip_special=False) == render(card, turns)
    begun = ChatBody(messages=turns[:2], add_generation_prompt=False, continue_final_message=True)
    text = prompts.decode(prompts.chat(begun), skip_special=False)
    assert text.endswith("ho")


@pytest.mark.parametrize(
    ("template", "body", "words"),
    [
        ("{{ raise_exception('only one turn') }}", {}, "only one turn"),
        ("{{ messages[7].content + 1 }}", {}, "refuses these messages"),
        ("{% if %}", {}, "refuses these messages"),
        (None, {"chat_template_kwargs": {"tokenize": True}}, "'tokenize'"),
        (None, {"continue_final_message": True}, "add_generation_prompt"),
    ],
)
def test_what_a_template_cannot_render_is_refused(
    tiny_checkpoint: Path, template: str | None, body: dict[str, Any], words: str
) -> None:
    held = load_checkpoint(str(tiny_checkpoint), threads=1)
    prompts = Prompts(held, template=template, context_tokens=2048)
    with pytest.raises(Fault, match=words) as caught:
        prompts.chat(ChatBody(messages=[{"role": "user", "content": "hi"}], **body))
    assert caught.value.status == 400


def test_a_prompt_that_begins_with_bos_gets_no_second(
    tiny_module: ModuleType, tmp_path: Path
) -> None:
    folder = tiny_module.make(tmp_path / "bos", bos_first=True)
    prompts = Prompts(load_checkpoint(str(folder), threads=1), template=None, context_tokens=2048)
    plain = prompts.text("ab", add_special=None)
    assert plain[0] == 0
    assert prompts.text(f"{tiny_module.BOS}ab", add_special=None) == plain
    assert prompts.text(f"{tiny_module.BOS}ab", add_special=True) == [0, *plain]
    assert prompts.text("ab", add_special=False) == plain[1:]
    turns = ChatBody(messages=[{"role": "user", "content": "hi"}])
    assert prompts.chat(turns)[:2].count(0) == 1


def test_a_prompt_too_long_is_refused_without_cutting_it_up(prompts: Prompts) -> None:
    for prompt in ("a " * 5_000, "x" * 50_000_000, [7] * 2048):
        with pytest.raises(Fault) as caught:
            prompts.text(prompt, add_special=None)
        assert caught.value.code == "context_length_exceeded"
    with pytest.raises(Fault, match="not in the vocabulary"):
        prompts.text([512], add_special=None)
    with pytest.raises(Fault, match="at least one token"):
        prompts.text("", add_special=None)


def test_half_a_character_is_told_by_its_bytes(prompts: Prompts) -> None:
    ids = prompts.tokens("😀é", add_special=False)
    assert b"".join(prompts.shown(one)[1] for one in ids) == "😀é".encode()
    assert prompts.shown(prompts.tokens("<think>", add_special=False)[0]) == ("<think>", b"<think>")
