"""Code out of replies as models really write them."""

from __future__ import annotations

import ast
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evals.extract import extract

PROMPT = '''from typing import List


def total(numbers: List[int]) -> int:
    """Return the sum of the numbers.
    >>> total([1, 2])
    3
    """
'''


_SUM = "def total(numbers):\n    return sum(numbers)\n"
_LOOP = "def total(numbers):\n\tresult = 0\n{}for x in numbers:\n{}result += x\n\treturn result\n"
_OPEN = " [fence open]"


def _read_replies() -> dict[str, str]:
    """Return name -> reply, from the file beside this one and for the marks no editor keeps."""
    text = Path(__file__).with_name("messy_replies.txt").read_text(encoding="utf-8")
    cases = (case.partition("\n") for case in text.split("=== ")[1:])
    return {
        **{name: reply for name, _, reply in cases},
        "Windows line ends": f"```python\n{_SUM}```\n".replace("\n", "\r\n"),
        "old Mac line ends": f"```python\n{_SUM}```".replace("\n", "\r"),
        "a byte order mark": "\ufeff" + _SUM,
        "tabs": f"```python\n{_LOOP.format(chr(9), chr(9) * 2)}```",
        "tabs and spaces mixed": f"```python\n{_LOOP.format(' ' * 4, ' ' * 8)}```",
    }


REPLIES = _read_replies()


def _run(program: str) -> object:
    scope: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(program, "reply", "exec"), scope)
    function = scope["total"]
    assert callable(function)
    return function([1, 2, 3])


def test_there_are_enough_messy_replies() -> None:
    assert len(REPLIES) >= 60


@pytest.mark.parametrize("name", REPLIES)
def test_the_program_is_found_in_a_messy_reply(name: str) -> None:
    program = extract(REPLIES[name], "total", prompt=PROMPT, fence_open=name.endswith(_OPEN))
    assert program is not None
    assert _run(program) == 6


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "   \n\n\t\n",
        "I'm sorry, but I can't help with that.",
        "Yes",
        "The answer is 42.",
        "```python\n```",
        "```\n\n```\n",
        '```json\n{"a": 1}\n```',
        "```\n[1, 2, 3]\n```",
        "```text\nnothing here\n```",
        "<think>\ndef total(numbers):\n    return sum(numbers)\n",
        "<think>hm</think>",
        "# Approach\n\nFirst, we add. Then, we return.",
        "for example, one could loop; if needed, twice.",
        "```",
        "`" * 50,
    ],
)
def test_a_reply_without_code_is_none(reply: str) -> None:
    assert extract(reply, "total", prompt=PROMPT) is None


@pytest.mark.parametrize(
    ("reply", "program"),
    [
        ("```python\ndef total(numbers)\n    return 1\n```", "def total(numbers)\n    return 1"),
        ("Well:\n\ndef total(numbers)\n    return 1\n", "def total(numbers)\n    return 1\n"),
        ("```python\nx = “1”\n```", "x = “1”"),
    ],
)
def test_code_that_does_not_parse_comes_back_as_it_stands(reply: str, program: str) -> None:
    assert extract(reply, "total", prompt=PROMPT) == program


@pytest.mark.parametrize(
    ("reply", "program"),
    [
        ("```python\ndef summe(x):\n    return 1\n```", "def summe(x):\n    return 1"),
        ("```\nx = 1\n```\n```\ny = 1\nz = 2\n```", "y = 1\nz = 2"),
        ("```python\ndef total(numbers):\n    pass\n```", "def total(numbers):\n    pass"),
        ("So:\n\nclass Solution:\n    pass\n\nThat's all.", "class Solution:\n    pass\n"),
    ],
)
def test_other_code_is_kept_so_that_the_judge_says_what_is_missing(
    reply: str, program: str
) -> None:
    assert extract(reply, "total", prompt="") == program


def test_a_stub_is_better_than_the_prompts_own_words() -> None:
    reply = "```python\n" + PROMPT + "    raise NotImplementedError\n```"
    program = extract(reply, "total", prompt=PROMPT)
    assert program is not None
    assert "NotImplementedError" in program


def test_bodies_are_not_looked_for_without_a_prompt() -> None:
    assert extract("    return sum(numbers)\n", "total") is None


_PIECES = st.sampled_from(
    ["```", "```python\n", "~~~", "\n", "    ", "\t", "def total(n):\n", "return 1\n", "<think>",
     "</think>", '"""', "'", "(", ")", ">>> ", "... ", "# x\n", "class A:\n", "\\", "é", "\x00",
     "\ud800", "@f\n", "if x:\n", "- ", "1. ", "> ", "x = 1\n", "import os\n", "prose, with (\n"]
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=300), st.lists(_PIECES, max_size=40).map("".join)), st.booleans())
@example("```\n" * 3 + "def total(n):\n" * 2, True)
def test_any_text_is_taken_and_what_comes_back_is_code_or_stood_in_the_reply(
    text: str, fence_open: bool
) -> None:
    program = extract(text, "total", prompt=PROMPT, fence_open=fence_open)
    if program is None:
        return
    try:
        ast.parse(program)
    except (SyntaxError, ValueError):
        plain = text.replace("\r\n", "\n").replace("\r", "\n")
        assert all(line.strip() in plain for line in program.split("\n"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "`" * 10_000_000,
        "```\n" * 2_500_000,
        "```python\nx" * 900_000,
        ">" * 10_000_000,
        "> " * 5_000_000,
        "x = 1\nprose it is\n" * 500_000,
        "def total(n):\n" * 700_000,
        "(" * 10_000_000,
        "    " * 2_500_000,
        "<think>" * 1_400_000,
        "<think>\n</think>\n" * 600_000,
        "a" * 10_000_000,
        "x = [\n" * 1_500_000,
        ">>> def f(\n" * 900_000,
        "-" * 300_000 + "1",
        "x = " + "-" * 390_000 + "1",
        "if x:\n pass\n" + "elif x:\n pass\n" * 20_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_ten_megabytes_of_nonsense_are_bounded(text: str) -> None:
    start = time.process_time()
    extract(text, "total", prompt=PROMPT)
    assert time.process_time() - start < 20  # 3 s at most on a quiet machine
