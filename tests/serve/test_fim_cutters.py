"""Ends of indentation and of time, and several ends in a row."""

from __future__ import annotations

import time

import pytest

from serve.fim.cutters import Chain, IndentEnd, TimeEnd
from serve.fim.ending import SyntaxEnd
from serve.fim.languages import PYTHON
from serve.stops import Cutter, Stops


def said(cutter: Cutter, text: str, size: int) -> str:
    out = []
    for at in range(0, len(text), size):
        safe, is_over = cutter.feed(text[at : at + size])
        out.append(safe)
        if is_over:
            return "".join(out)
    return "".join([*out, cutter.finish()])


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_shallower_line_ends_and_blank_lines_do_not(size: int) -> None:
    text = "a\n\n    b\n      c\n  d\n    e"
    assert said(IndentEnd(4), text, size) == "a\n\n    b\n      c"
    assert said(IndentEnd(2), text, size) == text
    assert said(IndentEnd(4), "a\n    b\n", size) == "a\n    b\n"


def test_time_ends_nothing_within_the_first_line() -> None:
    end = TimeEnd(0.0)
    assert end.feed("a") == ("a", False)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:  # until the clock has moved at all
        if end.feed("\n") == ("\n", True):
            break
    assert end.has_ended
    assert TimeEnd(1e6).feed("a\nb") == ("a\nb", False)


@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_chain_loses_nothing_that_a_later_cutter_holds_back(size: int) -> None:
    chain = Chain([Stops(["STOP"]), SyntaxEnd("def f():\n", "\n\nf()\n", PYTHON)])
    assert said(chain, "    a = 1\n    b = 2 STOP c", size) == "    a = 1\n    b = 2 "
    assert chain.has_ended


@pytest.mark.parametrize("size", [1, 4, 100])
def test_the_first_end_in_a_chain_is_the_end(size: int) -> None:
    chain = Chain([Stops(["STOP"]), SyntaxEnd("def f():\n", "\n\nf()\n", PYTHON)])
    text = "    return 1\n\n\ndef g():\n    STOP"
    assert said(chain, text, size).rstrip() == "    return 1"
