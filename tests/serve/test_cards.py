"""The cards say what they must, name where each value was read, and bad ones are refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from seedcoder.errors import UsageError
from serve.card import CARDS, ModelCard, find_card
from serve.memory_plan import count_parameters

OURS = sorted(file.stem for file in CARDS.glob("*.toml"))
FAMILY = ["seed-coder-8b-base", "seed-coder-8b-instruct", "seed-coder-8b-reasoning"]


@pytest.mark.parametrize("name", OURS)
def test_every_card_can_be_read_and_is_called_as_its_file(name: str) -> None:
    card = find_card(name)
    assert card.name == name
    template = card.template_file()
    assert template is None or template.is_file()


def test_no_two_cards_answer_to_one_name() -> None:
    names = [name for card in map(find_card, OURS) for name in (card.name, *card.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", [*FAMILY, "smollm2-135m"])
def test_every_field_names_its_source_or_is_marked_unverified(name: str) -> None:
    assert find_card(name).unsourced() == ()


def test_a_field_without_a_source_is_found() -> None:
    card = find_card("seed-coder-8b-base")
    bare = card.model_copy(
        update={
            "sources": {k: v for k, v in card.sources.items() if k not in ("role", "fim.order")},
        }
    )
    assert bare.unsourced() == ("fim.order", "role")


@pytest.mark.parametrize("name", FAMILY)
def test_seed_coder_has_the_sizes_that_were_released(name: str) -> None:
    card = find_card(name)
    assert card.shape is not None
    # The paper says 36 layers, which would be 9.1 billion.
    assert card.shape.layers == 32
    assert count_parameters(card.shape) == 8_250_462_208
    assert count_parameters(card.shape.model_copy(update={"layers": 36})) > 9.1e9
    assert card.context_tokens == 32768
    assert (card.bos, card.eos) == ("<[begin▁of▁sentence]>", "<[end▁of▁sentence]>")


def test_seed_coder_is_asked_for_a_middle_suffix_first() -> None:
    card = find_card("seed-coder-8b-base")
    assert card.fim is not None
    prompt = card.fim.fim().prompt("before", "after")
    assert prompt == "<[fim-suffix]>after<[fim-prefix]>before<[fim-middle]>"
    assert card.fim.fim().file == "<filename>"


def test_the_reasoning_tags_are_marked_unverified() -> None:
    card = find_card("seed-coder-8b-reasoning")
    assert card.thinking is not None and card.thinking.open == "<think>"
    assert {"thinking", "context_tokens", "chat_template"} <= set(card.unverified)


def test_a_card_inherits_and_finds_the_template_of_the_one_below(tmp_path: Path) -> None:
    below = CARDS / "seed-coder-8b-instruct.toml"
    (tmp_path / "weights").mkdir()
    mine = tmp_path / "tuned.toml"
    mine.write_text(f'base = "{below}"\nname = "tuned"\nsource = "weights"\naliases = []\n')
    card = find_card("tuned.toml", beside=tmp_path)
    assert card.template_file() == CARDS / "seed-coder.jinja"
    assert card.source == str(tmp_path / "weights")
    assert card.local_folder() == tmp_path / "weights"
    assert find_card(str(mine)).name == "tuned"


def test_the_template_beside_the_card_comes_before_ours(tmp_path: Path) -> None:
    (tmp_path / "seed-coder.jinja").write_text("mine")
    below = CARDS / "seed-coder-8b-instruct.toml"
    (tmp_path / "tuned.toml").write_text(f'base = "{below}"\nname = "tuned"\naliases = []\n')
    card = find_card("tuned.toml", beside=tmp_path)
    assert card.template_file() == tmp_path / "seed-coder.jinja"


def test_a_format_can_be_changed_in_part() -> None:
    card = ModelCard.model_validate(
        {
            "name": "x",
            "role": "base",
            "context_tokens": 64,
            "fim": {"format": "qwen", "stop": ["<|end|>"]},
        }
    )
    assert card.fim is not None
    assert card.fim.fim().stop == ("<|end|>",)
    assert card.fim.fim().order == "psm" and card.fim.fim().prefix == "<|fim_prefix|>"


RIGHT = 'name = "x"\nrole = "instruct"\ncontext_tokens = 64\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('role = "base"\n', "'name' is missing"),
        (RIGHT.replace("instruct", "instructor"), "did you mean 'instruct'"),
        (RIGHT + "contxt = 1\n", "no key 'contxt'"),
        (RIGHT.replace("64", "8"), "context_tokens"),
        (RIGHT.replace('"x"', '"a b"'), "name"),
        (RIGHT + 'chat_template = "none.jinja"\n', "is no file beside the card"),
        (RIGHT + 'unverified = ["contxt"]\n', "speaks of 'contxt'"),
        (RIGHT + '[sources]\n"fim.order" = "here"\n', "speaks of 'fim.order'"),
        (RIGHT + 'aliases = ["x"]\n', "is the name itself"),
        (RIGHT + '[fim]\nprefix = "<p>"\n', "at least prefix and suffix"),
        (RIGHT.replace("instruct", "base") + "[thinking]\n", "no thinking"),
        (RIGHT + "[sampling]\ntemperature = nan\n", "temperature"),
    ],
)
def test_a_wrong_card_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "card.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        find_card("card.toml", beside=tmp_path)
    assert said in str(caught.value)
    assert "card.toml" in str(caught.value) and "\n" not in str(caught.value)


def test_the_right_card_of_those_is_taken(tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text(RIGHT)
    assert find_card("card.toml", beside=tmp_path).name == "x"


def test_a_card_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"seed-coder-8b-instruct.*or say FILE\.toml"):
        find_card("seed-coder-8b-instrct")


def test_a_hub_id_is_looked_for_in_the_hubs_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    card = find_card("seed-coder-8b-base")
    assert card.local_folder() is None
    repository = tmp_path / "models--ByteDance-Seed--Seed-Coder-8B-Base"
    snapshot = repository / "snapshots" / "abc123"
    snapshot.mkdir(parents=True)
    assert card.local_folder() is None
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc123")
    assert card.local_folder() == snapshot
    assert card.model_copy(update={"revision": "abc123"}).local_folder() == snapshot
    assert card.model_copy(update={"revision": "fff"}).local_folder() is None


def test_importing_cards_and_recipes_loads_nothing_heavy() -> None:
    source = (
        "import sys, serve.config, serve.card;"
        "heavy = {'torch', 'transformers', 'jinja2', 'vllm', 'fastapi', 'aiohttp', 'uvicorn'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
