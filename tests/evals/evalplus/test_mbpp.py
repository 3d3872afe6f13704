"""MBPP: its prompts, its splits, its asserts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Style
from evals.evalplus.mbpp import Mbpp, mbpp, mbpp_full
from evals.gold import check_gold
from sandbox import Kind, Pool
from seedcoder.completion import Message
from seedcoder.errors import MachineLacks, UsageError

COMPLETION = Style(protocol="completion")
CHAT = Style(protocol="chat")


def row(number: int, **more: Any) -> dict[str, Any]:
    return {
        "task_id": number,
        "prompt": f"Write a function to add {number}.",
        "code": f"def add(x):\r\n    return x + {number}",
        "test_imports": [],
        "test_list": [f"assert add(1) == {1 + number}", f"assert add(0) == {number}"],
        **more,
    }


NODE = {
    "code": (
        "class Node:\n    def __init__(self, value):\n        self.value = value\n"
        "def add(node):\n    return node.value + 12"
    ),
    "test_setup_code": "node = Node(5)\r\n",
    "test_list": ["assert add(node) == 17"],
}


@pytest.fixture
def tiny(tmp_path: Path) -> Mbpp:
    path = tmp_path / "own.json"
    path.write_text(json.dumps([row(n) for n in (2, 3, 4, 6, 11)] + [row(12, **NODE)]))
    return mbpp(path=path)


def test_the_prompt_is_that_of_the_papers_readme(tiny: Mbpp) -> None:
    problem = tiny.problems()[4]
    prompt = tiny.request(problem, COMPLETION).prompt
    assert isinstance(prompt, str)
    assert prompt.startswith(
        "You are an expert Python programmer, and here is your task: Write a function to add 2. "
        "Your code should pass these tests:\n\nassert add(1) == 3\nassert add(0) == 2\n[BEGIN]\n"
        "def add(x):\n    return x + 2\n[DONE]\n\nYou are"
    )
    assert prompt.endswith("assert add(1) == 12\nassert add(0) == 11\n[BEGIN]")
    assert prompt.count("[DONE]") == 3
    assert tiny.sampling(COMPLETION).stop == ("[DONE]",)


def test_a_task_is_never_its_own_example(tiny: Mbpp) -> None:
    prompt = str(tiny.request(tiny.problems()[0], COMPLETION).prompt)
    assert prompt.count("add 2.") == 1
    assert "return x + 2" not in prompt
    assert "return x + 6" in prompt


def test_chat_models_are_told_the_task_without_examples(tiny: Mbpp) -> None:
    request = tiny.request(tiny.problems()[0], CHAT)
    assert isinstance(request.prompt, tuple)
    assert isinstance(request.prompt[0], Message)
    assert "BEGIN" not in request.prompt[0].content
    assert request.prefill == "```python\n"
    assert tiny.request(tiny.problems()[0], Style(protocol="chat", prefill=False)).prefill == ""


def test_gold_passes_and_spoilt_solutions_do_not(tiny: Mbpp, evalplus_pool: Pool) -> None:
    gold = check_gold(tiny, tiny.problems(), evalplus_pool)
    assert gold.ok, gold.words()
    assert gold.total == gold.broken_total == 6


def test_a_completion_is_the_program_as_it_stands(tiny: Mbpp, evalplus_pool: Pool) -> None:
    problem = tiny.problems()[0]
    for text, kind in (
        ("\ndef add(x):\n    return x + 2\n[DONE]\nrubbish(", Kind.PASSED),
        ("\ndef add(x):\n    return x + 3\n[DONE]", Kind.WRONG),
        ("\n[DONE]", Kind.NO_CODE),
    ):
        program = tiny.program(problem, text, COMPLETION)
        assert evalplus_pool.judge(program, tiny.tests(problem)).kind is kind
    fenced = "def add(x):\n    return x + 2\n```\nThat is it."
    assert evalplus_pool.judge(tiny.program(problem, fenced, CHAT), tiny.tests(problem)).ok


@pytest.mark.slow
def test_a_class_that_the_asserts_need_is_there_without_the_candidates(
    tiny: Mbpp, evalplus_pool: Pool
) -> None:
    problem = tiny.problems()[5]
    program = tiny.program(problem, "def add(n):\n    return n.value + 12", COMPLETION)
    verdict = evalplus_pool.judge(program, tiny.tests(problem))
    assert (verdict.kind, verdict.mode) == (Kind.PASSED, "shared")
    wrong = tiny.program(problem, "def add(n):\n    return n.value", COMPLETION)
    assert not evalplus_pool.judge(wrong, tiny.tests(problem)).ok


def test_splits_are_the_papers(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    rows = [{**row(n), "text": "Add."} for n in (2, 3, 4, 11, 510, 511, 600, 601, 974)]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    numbers = {
        split: [one.key for one in mbpp_full(path=path, split=split).problems()]
        for split in ("prompt", "test", "validation", "train")
    }  # fmt: skip
    assert numbers["prompt"] == ["mbpp-full/2", "mbpp-full/3", "mbpp-full/4"]
    assert numbers["test"] == ["mbpp-full/11", "mbpp-full/510"]
    assert numbers["validation"] == ["mbpp-full/511", "mbpp-full/600"]
    assert numbers["train"] == ["mbpp-full/601", "mbpp-full/974"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"code": "def add(:"}, "row 1: its code"),
        ({"test_list": []}, "row 1: test_list"),
        ({"test_list": ["assert other(1)"]}, "row 1: its first assert calls no function"),
        ({"test_list": ["assert add(1) == 3", "assert ("]}, "row 1: an assert"),
        ({"task_id": "2"}, "row 1: task_id"),
    ],
)
def test_an_ill_formed_row_is_told_by_its_place(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    path = tmp_path / "own.json"
    path.write_text(json.dumps([row(2, **change)]))
    with pytest.raises(UsageError, match=words):
        mbpp(path=path).problems()


def test_a_changed_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mbpp").mkdir()
    (tmp_path / "mbpp" / "sanitized-mbpp.json").write_text(json.dumps([row(2)]))
    monkeypatch.setenv("SEEDCODER_DATA", str(tmp_path))
    with pytest.raises(MachineLacks, match="not hold the rows that were published"):
        mbpp().problems()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), [("mbpp", 427), ("mbpp-full", 974)])
def test_all_canonical_solutions_pass_and_spoilt_ones_do_not(
    shared_data: Path, evalplus_pool: Pool, name: str, count: int
) -> None:
    bench = mbpp() if name == "mbpp" else mbpp_full(split="all")
    gold = check_gold(bench, bench.problems(), evalplus_pool)
    assert gold.ok, gold.words()
    assert gold.total == count
