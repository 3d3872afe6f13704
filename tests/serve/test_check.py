"""`seedcoder serve check`: each trap is found where it is set, and not where it is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from seedcoder.errors import UsageError
from serve.card import ModelCard, find_card
from serve.check import Checked, check
from serve.checkpoint_facts import read_checkpoint
from serve.cli import app

Trap = Callable[[Path], None]


def found(checked: Checked, level: str) -> dict[str, str]:
    return {one.about: one.text for one in checked.findings if one.level == level}


def tiny_card(folder: Path, role: str, **changes: object) -> ModelCard:
    return find_card(str(folder / f"{role}.toml")).model_copy(update=changes)


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint, to set traps in."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "tiny"))


def edit(file: Path, changes: Mapping[str, Any]) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize("role", ["base", "instruct", "reasoning"])
def test_the_tiny_checkpoint_and_its_cards_are_right(folder: Path, role: str) -> None:
    checked = check(tiny_card(folder, role))
    assert (found(checked, "wrong"), found(checked, "warning")) == ({}, {})
    assert checked.folder == folder
    assert bool(checked.samples) == (role != "base")


def test_a_tokenizer_that_adds_bos_makes_two(tmp_path: Path, tiny_module: ModuleType) -> None:
    folder = tiny_module.make(tmp_path / "bos", bos_first=True)
    checked = check(tiny_card(folder, "instruct"))
    assert found(checked, "wrong") == {}
    assert found(checked, "warning")["adds_bos"].startswith("double BOS")
    # and a card that says that it adds none is wrong about it
    lied = check(tiny_card(folder, "instruct", adds_bos=False))
    assert "puts <[begin▁of▁sentence]> before a text" in found(lied, "wrong")["adds_bos"]
    assert found(lied, "warning")["adds_bos"].startswith("double BOS")


def test_a_template_that_writes_bos_twice_is_wrong(folder: Path) -> None:
    template = folder / "chat_template.jinja"
    template.write_text("{{ bos_token }}" + template.read_text())
    checked = check(tiny_card(folder, "instruct"))
    assert found(checked, "wrong")["chat_template"].startswith("double BOS")


def test_a_chat_without_bos_is_warned_of(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    checked = check(tiny_card(folder, "instruct"))
    assert found(checked, "warning")["bos"].startswith("no BOS")


@pytest.mark.parametrize(
    ("changes", "about", "word"),
    [
        ({"special": ("<[CLS]>",)}, "special", "<[CLS]>"),
        ({"bos": "<s>"}, "bos", "<s>"),
        ({"eos": "</s>"}, "eos", "</s>"),
    ],
)
def test_tokens_that_are_missing_are_named(
    folder: Path, changes: dict[str, Any], about: str, word: str
) -> None:
    said = found(check(tiny_card(folder, "instruct", **changes)), "wrong")[about]
    assert said == f"missing tokens: {word} not in the vocabulary"


def test_fim_tokens_of_another_family_are_missing(folder: Path) -> None:
    fim = tiny_card(folder, "base").fim
    assert fim is not None
    other = fim.model_copy(update={"format": "qwen"})
    said = found(check(tiny_card(folder, "base", fim=other)), "wrong")["fim"]
    assert "<|fim_prefix|>, <|fim_suffix|>, <|fim_middle|>" in said


def test_an_eos_of_another_id_is_wrong(folder: Path) -> None:
    edit(folder / "generation_config.json", {"eos_token_id": 3})
    edit(folder / "config.json", {"eos_token_id": [3]})
    said = found(check(tiny_card(folder, "instruct")), "wrong")["eos"]
    assert said == "<[end▁of▁sentence]> is token 2, the configuration says [3]"


def test_a_context_longer_than_the_models_is_wrong(folder: Path) -> None:
    longer = check(tiny_card(folder, "instruct", context_tokens=4096))
    assert "the card says 4096, the model has 2048" in found(longer, "wrong")["context_tokens"]
    shorter = check(tiny_card(folder, "instruct", context_tokens=1024))
    assert shorter.is_right
    assert "could take 2048" in found(shorter, "note")["context_tokens"]
    stretched = {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 2048}
    edit(folder / "config.json", {"rope_scaling": stretched})
    edit(folder / "tokenizer_config.json", {"model_max_length": 4096})
    assert check(tiny_card(folder, "instruct", context_tokens=4096)).is_right


def test_a_tokenizer_shorter_than_the_context_is_warned_of(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", {"model_max_length": 512})
    said = found(check(tiny_card(folder, "instruct")), "warning")["context_tokens"]
    assert said.endswith("model_max_length is 512")


def test_the_layer_trap_is_found_between_card_and_config(
    tmp_path: Path, tiny_module: ModuleType
) -> None:
    folder = tiny_module.make(tmp_path / "deep", layers=32)
    card = tiny_card(folder, "instruct")
    assert check(card).is_right
    assert card.shape is not None
    paper = card.model_copy(update={"shape": card.shape.model_copy(update={"layers": 36})})
    said = found(check(paper), "wrong")["shape.layers"]
    assert said.startswith("the card says 36, config.json 32 (Seed-Coder's paper says 36;")


def test_the_layer_trap_is_found_between_config_and_weights(
    tmp_path: Path, tiny_module: ModuleType
) -> None:
    folder = tiny_module.make(tmp_path / "deep", layers=32)
    edit(folder / "config.json", {"num_hidden_layers": 36})
    card = tiny_card(folder, "instruct")
    assert card.shape is not None
    told = card.model_copy(update={"shape": card.shape.model_copy(update={"layers": 36})})
    said = found(check(told), "wrong")["shape.layers"]
    assert said.startswith("config.json says 36, the weights hold 32 (Seed-Coder's paper")


def test_weights_of_other_sizes_are_warned_of(folder: Path) -> None:
    card = tiny_card(folder, "instruct")
    assert card.shape is not None
    tied = card.model_copy(update={"shape": card.shape.model_copy(update={"is_tied": True})})
    checked = check(tied)
    assert "config.json False" in found(checked, "wrong")["shape.is_tied"]
    assert "the weights hold 557,696 numbers" in found(checked, "warning")["shape"]


def test_a_vocabulary_smaller_than_the_tokenizers_is_wrong(folder: Path) -> None:
    edit(folder / "config.json", {"vocab_size": 500})
    card = tiny_card(folder, "instruct")
    assert card.shape is not None
    small = card.model_copy(update={"shape": card.shape.model_copy(update={"vocabulary": 500})})
    said = found(check(small), "wrong")["shape.vocabulary"]
    assert said == "500 is too few: the tokenizer has the id 511"


def test_a_template_unlike_the_checkpoints_own_is_warned_of(folder: Path, tmp_path: Path) -> None:
    ours = tmp_path / "ours.jinja"
    ours.write_text((folder / "chat_template.jinja").read_text().replace("| trim", ""))
    same = check(tiny_card(folder, "instruct", chat_template=str(ours)))
    assert "chat_template" not in found(same, "warning")  # the samples have nothing to trim
    ours.write_text((folder / "chat_template.jinja").read_text().replace("'assistant\\n'", "'bot'"))
    other = check(tiny_card(folder, "instruct", chat_template=str(ours)))
    said = found(other, "warning")["chat_template"]
    assert said.startswith("differs from the checkpoint's own (one turn): ") and ">bot'" in said


def test_thinking_tags_are_looked_for(folder: Path) -> None:
    card = tiny_card(folder, "reasoning")
    assert card.thinking is not None
    other = card.thinking.model_copy(update={"open": "<thought>", "close": "</thought>"})
    plain = check(card.model_copy(update={"thinking": other}))
    assert plain.is_right
    assert "several tokens each" in found(plain, "note")["thinking"]
    special = card.thinking.model_copy(update={"open": "<filename>"})
    dropped = check(card.model_copy(update={"thinking": special}))
    assert "<filename>: special tokens" in found(dropped, "warning")["thinking"]


@pytest.mark.parametrize("ends_open", [True, False])
def test_is_opened_must_agree_with_the_template(folder: Path, ends_open: bool) -> None:
    template = folder / "chat_template.jinja"
    if ends_open:
        template.write_text(template.read_text().replace("'assistant\\n'", "'assistant\\n<think>'"))
    card = tiny_card(folder, "reasoning")
    assert card.thinking is not None
    for said in (True, False):
        words = card.thinking.model_copy(update={"is_opened": said})
        checked = check(card.model_copy(update={"thinking": words}))
        assert checked.is_right == (said == ends_open)
        assert ("thinking.is_opened" in found(checked, "wrong")) == (said != ends_open)


def test_a_template_that_raises_is_a_note_unless_it_raises_always(folder: Path) -> None:
    refuses = check(find_card("seed-coder-8b-reasoning"))
    assert refuses.is_right
    assert "refuses with a system message" in found(refuses, "note")["chat_template"]
    (folder / "chat_template.jinja").write_text("{{ raise_exception('never') }}")
    never = check(tiny_card(folder, "instruct"))
    assert "refuses one turn: the chat template: never" in found(never, "wrong")["chat_template"]


def test_a_checkpoint_that_is_not_here_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", "/nowhere")
    checked = check(find_card("seed-coder-8b-instruct"))
    assert checked.is_right and checked.folder is None
    assert "not on this machine" in found(checked, "note")["source"]
    assert found(checked, "note")["unverified"].startswith("not read at their origin")


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("config.json", "{", "config.json cannot be read"),
        ("config.json", "[]", "must hold a JSON object"),
        ("tokenizer.json", "\xff", "tokenizer.json cannot be read"),
        ("model.safetensors", "short", "is no safetensors file"),
        ("model.safetensors", "\xff" * 16, "is no safetensors file"),
    ],
)
def test_a_broken_folder_is_one_line(folder: Path, file: str, text: str, said: str) -> None:
    (folder / file).write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=said):
        check(tiny_card(folder, "instruct"))


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("tokenizer.json", {"model": None}),
        ("tokenizer.json", {"added_tokens": [{"content": "<x>"}]}),
        ("tokenizer.json", {"added_tokens": 5}),
        ("tokenizer.json", {"post_processor": {"type": "TemplateProcessing", "single": [5]}}),
        ("config.json", {"rope_scaling": [1]}),
        ("config.json", {"eos_token_id": [[2]]}),
    ],
)
def test_a_folder_built_otherwise_is_one_line(
    folder: Path, file: str, changes: dict[str, Any]
) -> None:
    edit(folder / file, changes)
    with pytest.raises(UsageError, match="not built as transformers") as caught:
        check(tiny_card(folder, "instruct"))
    assert str(folder) in str(caught.value)


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    card = find_card("seed-coder-8b-instruct")
    with pytest.raises(UsageError, match=r"holds no config\.json"):
        check(card, folder=tmp_path)
    with pytest.raises(UsageError, match="is no folder"):
        check(card, folder=tmp_path / "none")


def test_the_command_prints_the_turns_and_says_by_its_exit_what_it_found(folder: Path) -> None:
    right = CliRunner().invoke(app, ["check", str(folder / "instruct.toml")])
    assert right.exit_code == 0
    assert "  | <[begin▁of▁sentence]>assistant" not in right.stdout  # it follows EOS on its line
    assert "<[end▁of▁sentence]><[begin▁of▁sentence]>assistant" in right.stdout
    assert right.stdout.endswith("right\n")
    wrong = CliRunner().invoke(app, ["check", "seed-coder-8b-base", "--source", str(folder)])
    assert wrong.exit_code == 1
    assert "WRONG   shape.layers: the card says 32, config.json 2" in wrong.stdout
    data = json.loads(
        CliRunner().invoke(app, ["check", str(folder / "base.toml"), "--json"]).stdout
    )
    assert data["is_right"] is True and data["folder"] == str(folder)


@pytest.mark.parametrize("bos_first", [True, False])
def test_transformers_reads_the_tiny_checkpoint_as_its_facts_say(
    tmp_path: Path, tiny_module: ModuleType, bos_first: bool
) -> None:
    library = pytest.importorskip("transformers", reason="loads the checkpoint with transformers")
    folder = tiny_module.make(tmp_path / "tiny", bos_first=bos_first)
    facts = read_checkpoint(folder)
    tokenizer = library.AutoTokenizer.from_pretrained(folder)
    assert (tokenizer.encode("x")[0] == tokenizer.bos_token_id) == bos_first == facts.adds_bos
    assert len(tokenizer) == len(facts.tokens) == 512
    for token in (*tiny_module.SPECIAL, *tiny_module.ORDINARY):
        assert tokenizer.encode(token, add_special_tokens=False) == [facts.tokens[token]]
    text = "<[fim-suffix]>é\n\nreturn 123<[fim-prefix]>    def f():<[fim-middle]><think>h</think>\n"
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text
    pytest.importorskip("torch", reason="loads the weights with torch")
    model = library.AutoModelForCausalLM.from_pretrained(folder)
    assert sum(weights.numel() for weights in model.parameters()) == facts.parameters
    ids = tokenizer("def f", return_tensors="pt")
    assert model.generate(**ids, max_new_tokens=8, do_sample=False).shape[1] > 2
