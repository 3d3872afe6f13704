"""A template is rendered as transformers renders it, and Seed-Coder's is the documented one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from seedcoder.errors import UsageError
from serve.card import ModelCard, find_card
from serve.fault import Fault
from serve.template import render

Messages = Sequence[dict[str, Any]]

BOS, EOS = "<[begin▁of▁sentence]>", "<[end▁of▁sentence]>"
DEFAULT_SYSTEM = (
    "You are an AI programming assistant, utilizing the Seed-Coder model, developed by ByteDance "
    "Seed, and you only answer questions related to computer science. For politically sensitive "
    "questions, security and privacy issues, and other non-computer science questions, you will "
    "refuse to answer."
)

USER = {"role": "user", "content": "hi"}
REPLY = {"role": "assistant", "content": "hello"}
SYSTEM = {"role": "system", "content": "Be brief."}
TALKS: dict[str, list[dict[str, Any]]] = {
    "one turn": [USER],
    "a system message": [SYSTEM, USER],
    "two rounds": [USER, REPLY, {"role": "user", "content": "again"}],
    "white space around": [{"role": "user", "content": "\n  x = 1\n\n"}],
    "an empty message": [{"role": "system", "content": ""}, USER],
    "the tokens themselves": [{"role": "user", "content": f"what is {BOS}?"}],
    "a tool's turn": [USER, REPLY, {"role": "tool", "content": "42"}],
}


def documented(messages: Messages, *, opened: bool = True, has_system: bool = True) -> str:
    """The form of Seed-Coder's template as its issue 2 quotes it, written out by hand.

    Each turn: BOS, the role, a new line, the content without white space around it, EOS.
    """
    text = ""
    if has_system and messages[0]["role"] != "system":
        text += f"{BOS}system\n{DEFAULT_SYSTEM}\n\n{EOS}"
    for message in messages:
        text += f"{BOS}{message['role']}\n{message['content'].strip()}{EOS}"
    return text + (f"{BOS}assistant\n" if opened else "")


@pytest.mark.parametrize("talk", TALKS)
@pytest.mark.parametrize("opened", [True, False])
def test_seed_coders_template_is_the_documented_form(talk: str, opened: bool) -> None:
    card = find_card("seed-coder-8b-instruct")
    rendered = render(card, TALKS[talk], add_generation_prompt=opened)
    assert rendered == documented(TALKS[talk], opened=opened)


def test_a_system_message_takes_the_place_of_the_default_one() -> None:
    card = find_card("seed-coder-8b-instruct")
    assert DEFAULT_SYSTEM in render(card, [USER])
    assert DEFAULT_SYSTEM not in render(card, [SYSTEM, USER])


@pytest.mark.parametrize("talk", ["one turn", "two rounds", "white space around"])
def test_the_reasoning_template_is_the_documented_form(talk: str) -> None:
    card = find_card("seed-coder-8b-reasoning")
    assert render(card, TALKS[talk]) == documented(TALKS[talk], has_system=False)


@pytest.mark.parametrize(
    ("messages", "said"),
    [([SYSTEM, USER], "no system role"), ([USER, USER], "alternate"), ([REPLY], "alternate")],
)
def test_a_template_that_raises_is_a_400_with_its_words(messages: Messages, said: str) -> None:
    with pytest.raises(Fault, match=said) as caught:
        render(find_card("seed-coder-8b-reasoning"), messages)
    assert caught.value.status == 400
    assert caught.value.kind == "invalid_request_error"


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "at least one message"),
        (["hi"], r"messages\[0\]"),
        ([USER, {"content": "hi"}], r"messages\[1\] must be an object with a role"),
        ([{"role": "user", "content": 5}], r"messages\[0\].content must be a text"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
            r"messages\[0\].content must be a text",
        ),
    ],
)
def test_messages_that_are_none_are_a_400(messages: Any, said: str) -> None:
    with pytest.raises(Fault, match=said) as caught:
        render(find_card("seed-coder-8b-instruct"), messages)
    assert caught.value.status == 400


def test_parts_of_text_are_joined_by_new_lines() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    card = find_card("seed-coder-8b-instruct")
    joined = render(card, [{"role": "user", "content": parts}])
    assert joined == render(card, [{"role": "user", "content": "a\nb"}])


@pytest.mark.parametrize("ends", ["def f(", "def f():\n    "])
def test_the_last_message_can_be_left_open(ends: str) -> None:
    card = find_card("seed-coder-8b-instruct")
    prompt = render(card, [USER, {"role": "assistant", "content": ends}], continue_final=True)
    # The template trims; what it trimmed from the end cannot be gone on from.
    assert prompt == documented([USER], opened=True) + ends.rstrip()


def make_card(tmp_path: Path, template: str) -> ModelCard:
    (tmp_path / "chat.jinja").write_text(template, encoding="utf-8")
    (tmp_path / "card.toml").write_text(
        'name = "made"\nrole = "instruct"\ncontext_tokens = 64\n'
        'chat_template = "chat.jinja"\nbos = "<s>"\n',
        encoding="utf-8",
    )
    return find_card("card.toml", beside=tmp_path)


def test_a_template_cannot_reach_for_python(tmp_path: Path) -> None:
    card = make_card(tmp_path, "{{ messages.__class__.__base__.__subclasses__() }}")
    with pytest.raises(Fault, match="unsafe"):
        render(card, [USER])


def test_a_template_that_is_no_jinja_is_the_cards_fault(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 2"):
        render(make_card(tmp_path, "\n{% if %}"), [USER])


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ messages[0]['content'] + 1 }}", "cannot take these messages"),
        ("{{ [][3] + '' }}", "the chat template"),
        ("{% for n in range(10 ** 9) %}{% endfor %}", "cannot take these messages"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "without end"),
    ],
)
def test_what_a_template_cannot_take_is_a_400(tmp_path: Path, template: str, said: str) -> None:
    with pytest.raises(Fault, match=said) as caught:
        render(make_card(tmp_path, template), [USER])
    assert caught.value.status == 400


def test_a_template_that_is_no_text_is_the_cards_fault(tmp_path: Path) -> None:
    card = make_card(tmp_path, "x")
    (tmp_path / "chat.jinja").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot be read"):
        render(card, [USER])
    own = card.model_copy(update={"chat_template": "tokenizer"})
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot be read"):
        render(own, [USER], tokenizer_folder=tmp_path)


def test_a_checkpoints_own_template_is_found_in_all_its_places(tmp_path: Path) -> None:
    card = ModelCard(name="x", role="instruct", context_tokens=64)
    with pytest.raises(UsageError, match="not on this machine"):
        render(card, [USER])
    with pytest.raises(UsageError, match="holds no chat template"):
        render(card, [USER], tokenizer_folder=tmp_path)
    config = tmp_path / "tokenizer_config.json"
    named = [
        {"name": "default", "template": "D{{ bos_token }}"},
        {"name": "tool_use", "template": "T{{ tools | length }}"},
    ]
    config.write_text(json.dumps({"chat_template": named, "bos_token": {"content": "<b>"}}))
    assert render(card, [USER], tokenizer_folder=tmp_path) == "D<b>"
    assert render(card, [USER], tokenizer_folder=tmp_path, tools=[{"type": "function"}]) == "T1"
    (tmp_path / "chat_template.jinja").write_text("J")
    assert render(card, [USER], tokenizer_folder=tmp_path) == "J"
    config.write_text("{")
    with pytest.raises(UsageError, match=r"tokenizer_config\.json cannot be read"):
        render(card, [USER], tokenizer_folder=tmp_path)


# Every thing that a template may lean on, as transformers has it.
HARD = """\
{#- comment -#}
{%- for message in messages %}
    {% if message.role == 'system' %}{% continue %}{% endif %}
  [{{ message.role }}] {% generation %}{{ message.content }}{% endgeneration %}
{% if loop.index > 5 %}{% break %}{% endif %}
{% endfor %}
{%- set box = namespace(n=0) %}{% set box.n = 3 %}{{ box.n }}
{{ {'b': '<é>', 'a': 1} | tojson }}{{ [1] | tojson(indent=2) }}
{{ (tools or []) | tojson }}{{ strftime_now('%Y') }}{{ bos_token }}{{ eos_token }}
{% if add_generation_prompt %}{{ '<go>' }}{% endif %}
"""
TOOL = {"type": "function", "function": {"name": "run", "parameters": {"type": "object"}}}
CALL = {
    "role": "assistant",
    "content": "c",
    "tool_calls": [{"type": "function", "function": {"name": "run", "arguments": {"a": 1}}}],
}


@pytest.fixture(scope="module")
def transformers_renders(tiny_checkpoint: Path) -> Callable[..., str]:
    """What transformers makes of a template with the tiny checkpoint's tokens."""
    library = pytest.importorskip("transformers", reason="compares with transformers")
    tokenizer = library.AutoTokenizer.from_pretrained(tiny_checkpoint)

    def rendered(template: str, messages: Messages, **options: Any) -> str:
        text = tokenizer.apply_chat_template(
            list(messages), chat_template=template, tokenize=False, **options
        )
        return str(text)

    return rendered


@pytest.mark.parametrize("opened", [True, False])
@pytest.mark.parametrize("tools", [None, [TOOL]])
def test_a_hard_template_comes_out_as_transformers_has_it(
    tmp_path: Path,
    transformers_renders: Callable[..., str],
    opened: bool,
    tools: list[dict[str, Any]] | None,
) -> None:
    (tmp_path / "chat.jinja").write_text(HARD)
    card = ModelCard(
        name="x", role="instruct", context_tokens=64, bos=BOS, eos=EOS,
        chat_template=str(tmp_path / "chat.jinja"),
    )  # fmt: skip
    talk = [SYSTEM, USER, CALL]
    theirs = transformers_renders(HARD, talk, add_generation_prompt=opened, tools=tools)
    assert render(card, talk, add_generation_prompt=opened, tools=tools) == theirs
    # the control: the loop controls and the blocks' white space are what makes it hard
    assert "Be brief." not in theirs and "[user] hi" in theirs


@pytest.mark.parametrize("talk", TALKS)
@pytest.mark.parametrize("name", ["seed-coder.jinja", "seed-coder-reasoning.jinja"])
def test_transformers_makes_the_same_of_our_templates(
    transformers_renders: Callable[..., str], talk: str, name: str
) -> None:
    card = find_card(
        "seed-coder-8b-instruct" if name == "seed-coder.jinja" else "seed-coder-8b-reasoning"
    )
    file = card.template_file()
    assert file is not None
    template = file.read_text(encoding="utf-8")
    messages = TALKS[talk]
    if name == "seed-coder-reasoning.jinja" and messages[0]["role"] == "system":
        messages = messages[1:]
    if name == "seed-coder-reasoning.jinja" and messages[-1]["role"] == "tool":
        pytest.skip("this template takes no tool's turn")
    theirs = transformers_renders(template, messages, add_generation_prompt=True)
    assert render(card, messages) == theirs
    open_end = [*messages, dict(REPLY)] if messages[-1]["role"] == "user" else messages
    theirs = transformers_renders(template, open_end, continue_final_message=True)
    assert render(card, open_end, continue_final=True) == theirs
