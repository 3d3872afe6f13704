"""Parts of the server that need no server: kept answers, data sets, extraction, caps."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

pytest.importorskip("prometheus_client", reason="needs the server extra")

from sandbox import Job, Program
from sandbox.server import ServerConfig
from sandbox.server.answers import Answers, Entry, Key
from sandbox.server.datasets import Datasets
from sandbox.server.dispatch import Flight
from sandbox.server.exchange import Bodies
from sandbox.server.extraction import extract
from sandbox.server.refusal import Refusal


def key(name: str) -> Key:
    """A key of one owner and route."""
    return ("owner", "run", name)


def answered(answers: Answers, name: str, answer: bytes | None, body: bytes = b"body") -> Entry:
    """Let a key's run begin and end."""
    entry = answers.find(key(name), body)
    flight = Flight(Job(program=Program.python("")), lambda _: b"", lambda _: None)
    answers.fly(key(name), entry, flight)
    assert answers.find(key(name), body) is entry  # joined while it is under way
    assert flight.noted is not None
    flight.noted(answer, None if answer is not None else RuntimeError())
    return entry


def test_an_answer_is_kept_and_a_failure_is_not() -> None:
    answers = Answers(most=10, most_bytes=10_000, most_s=60)
    answered(answers, "good", b"answer")
    answered(answers, "bad", None)
    assert answers.find(key("good"), b"body").answer == b"answer"
    again = answers.find(key("bad"), b"body")
    assert (again.answer, again.flight) == (None, None)
    with pytest.raises(Refusal, match="another body"):
        answers.find(key("good"), b"other")


def test_kept_answers_are_bounded_in_number_bytes_and_age() -> None:
    few = Answers(most=3, most_bytes=1 << 20, most_s=60)
    for number in range(10):
        answered(few, str(number), b"x")
    assert len(few) == 3
    assert few.find(key("9"), b"body").answer == b"x"
    assert few.find(key("0"), b"body").answer is None

    small = Answers(most=1000, most_bytes=5_000, most_s=60)
    for number in range(10):
        answered(small, str(number), b"x" * 1000)
    assert small.kept_bytes <= 5_000
    assert small.find(key("9"), b"body").answer
    answered(small, "huge", b"x" * 6_000)
    assert small.find(key("huge"), b"body").answer is None

    short = Answers(most=10, most_bytes=10_000, most_s=0.05)
    answered(short, "a", b"x")
    time.sleep(0.1)
    assert short.find(key("a"), b"body").answer is None
    assert (len(short), short.kept_bytes) == (0, 0)


def test_the_bytes_of_all_bodies_together_are_bounded() -> None:
    bodies = Bodies(100)
    bodies.take(60)
    with pytest.raises(Refusal) as refused:
        bodies.take(60)
    assert (refused.value.status, refused.value.retry_after_s) == (429, 1)
    bodies.give(60)
    bodies.take(60)


def test_data_sets_are_read_by_name_and_in_order(tmp_path: Path) -> None:
    rows = [
        {"id": 2, "prompt": "p", "tests": {"kind": "stdio", "cases": [{"stdin": "", "stdout": ""}]},
         "language": "c++", "limits": {"cpu_s": 3}},
        {"id": "a", "prompt": "q", "entry_point": "f",
         "tests": {"kind": "asserts", "test": "assert candidate(1)"}},
    ]  # fmt: skip
    (tmp_path / "one.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    (tmp_path / "other.txt").write_text("no data set")
    found = Datasets.read(tmp_path).found
    assert list(found) == ["one"]
    assert [x.key for x in found["one"].values()] == [2, "a"]
    assert found["one"]["2"].language == "cpp"
    assert found["one"]["2"].limits is not None and found["one"]["2"].limits.cpu_s == 3


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "Expecting"),
        ("[]", "the line"),
        ('{"id": 1, "prompt": ""}', "tests"),
        ('{"id": 1, "prompt": "", "tests": {"kind": "stdio", "cases": []}}', "at least one"),
        ('{"id": 1, "prompt": "", "test": {}}', "test"),
        ('{"id": 1.5, "prompt": "", "tests": {}}', "id"),
    ],
)
def test_a_bad_line_of_a_data_set_is_named(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / "bad.jsonl").write_text(f"\n{line}\n")
    with pytest.raises(ValueError, match=rf"bad\.jsonl:2: .*{says}"):
        Datasets.read(tmp_path)
    with pytest.raises(ValueError, match="no folder"):
        Datasets.read(tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "code", "how"),
    [
        ("```python\na\n```\n```python\nb\n```", "a\n", "fenced"),
        ("```\nplain\n```\n```py\nnamed\n```", "named\n", "fenced"),
        ("````python\n```\nin\n```\n````", "```\nin\n```\n", "fenced"),
        ("~~~python\na\n~~~", "a\n", "fenced"),
        ("  ```python title=x\na\n  ```", "a\n", "fenced"),
        ("```text\nno\n```", "```text\nno\n```", "heuristic"),
        ("so:\n```python\na\nb", "a\nb", "incomplete_fenced"),
        ("```python", "", "incomplete_fenced"),
        (" \n", "", "empty"),
    ],
)
def test_the_program_is_taken_out_of_a_reply(text: str, code: str, how: str) -> None:
    found = extract(text, "python")
    assert (found.code, found.how) == (code, how)


def test_a_hostile_reply_takes_no_longer_than_a_plain_one() -> None:
    began = time.process_time()
    for text in (
        "```" + "a" * 1_000_000 + "`",
        "```\n" * 200_000,
        "`" * 1_000_000,
        " " * 1_000_000,
    ):
        extract(text, "python")
    assert time.process_time() - began < 5


def test_bad_settings_name_the_field() -> None:
    for fields in ({"queue": 0}, {"port": 70_000}, {"drain_s": -1}, {"workers": -1}):
        with pytest.raises(ValueError, match=next(iter(fields))):
            ServerConfig(**fields)  # type: ignore[arg-type]
