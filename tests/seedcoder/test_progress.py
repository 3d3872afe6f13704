"""Progress: a bar on a terminal, lines elsewhere, and never more than asked."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import threading

import pytest

from seedcoder.progress import progress


def test_a_short_job_says_one_line_at_its_end():
    out = io.StringIO()
    with progress(4, "answers", stream=out) as bar:
        for _ in range(4):
            bar.advance(note="HumanEval/3\nx")
    assert re.fullmatch(r"answers: 4 of 4 \(100%\), after \d+ s; HumanEval/3 x\n", out.getvalue())


def test_a_long_job_says_a_line_each_interval_with_what_is_left():
    out = io.StringIO()
    with progress(4, "answers", every_s=0.0, done=1, stream=out) as bar:
        bar.advance()
        bar.advance(2)
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert re.fullmatch(r"answers: 2 of 4 \(50%\), after \d+ s, about \d+ s left", lines[0])


def test_a_job_that_fails_says_how_far_it_came():
    out = io.StringIO()
    with pytest.raises(KeyError), progress(10, "answers", stream=out) as bar:
        bar.advance(3)
        raise KeyError
    assert out.getvalue().startswith("answers: 3 of 10 (30%)")


def test_a_job_of_unknown_length_counts_only():
    out = io.StringIO()
    with progress(None, "rows", stream=out) as bar:
        bar.advance(7)
    assert re.fullmatch(r"rows: 7, after \d+ s\n", out.getvalue())


def test_an_empty_job_divides_by_nothing():
    out = io.StringIO()
    with progress(0, "rows", stream=out):
        pass
    assert out.getvalue().startswith("rows: 0 of 0, after")


def test_many_threads_may_count():
    out = io.StringIO()
    with progress(800, "rows", stream=out) as bar:
        threads = [
            threading.Thread(target=lambda: [bar.advance() for _ in range(100)]) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert out.getvalue().startswith("rows: 800 of 800 (100%)")


@pytest.mark.slow
def test_a_terminal_gets_a_bar_and_stdout_stays_clean():
    script = (
        "import time\n"
        "from seedcoder.progress import progress\n"
        "with progress(3, '[red]answers') as bar:\n"
        "    for _ in range(3): bar.advance(note='[note]'); time.sleep(0.15)\n"
        "print('result')\n"
    )
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        text=True,
    )
    os.close(theirs)
    stdout, _ = child.communicate(timeout=60)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:
        pass  # EIO: the other end is closed and all is read
    os.close(ours)
    assert stdout == "result\n"
    text = shown.decode()
    assert "3/3" in text
    assert "[red]answers" in text
    assert "[note]" in text
