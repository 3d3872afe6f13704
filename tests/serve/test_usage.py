"""Usage: what is written, what is added up, what survives."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seedcoder.errors import UsageError
from serve.keys import KeyStore
from serve.usage import Ledger, Used, forget, report

DAY_S = 86400.0


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "keys.sqlite"
    KeyStore(found, make=True).close()
    return found


def test_usage_is_added_up_by_key_model_and_day(path):
    store = KeyStore(path)
    ada, bob = store.add("ada")[0], store.add("bob")[0]
    ledger = Ledger(path)
    for holder, model, day, status, prompt, completion, ms in (
        (ada, "base", 0, 200, 10, 1, 100.0),
        (ada, "base", 0, 200, 20, 2, 300.0),
        (ada, "base", 1, 503, 0, 0, 9000.0),
        (ada, "chat", 1, 200, 5, 5, 50.0),
        (bob, "base", 1, 499, 7, 0, 10.0),
    ):
        ledger.record(
            Used(
                key_id=holder.id, model=model, status=status, prompt_tokens=prompt,
                completion_tokens=completion, ms=ms, at_s=day * DAY_S + 5,
            )
        )  # fmt: skip
    ledger.close()
    rows = [line.to_json() for line in report(path)]
    assert rows == [
        {"key": "ada", "model": "base", "day": "1970-01-01", "requests": 2, "failed": 0,
         "prompt_tokens": 30, "completion_tokens": 3, "mean_ms": 200.0},
        {"key": "ada", "model": "base", "day": "1970-01-02", "requests": 1, "failed": 1,
         "prompt_tokens": 0, "completion_tokens": 0, "mean_ms": 0.0},
        {"key": "ada", "model": "chat", "day": "1970-01-02", "requests": 1, "failed": 0,
         "prompt_tokens": 5, "completion_tokens": 5, "mean_ms": 50.0},
        {"key": "bob", "model": "base", "day": "1970-01-02", "requests": 1, "failed": 1,
         "prompt_tokens": 7, "completion_tokens": 0, "mean_ms": 0.0},
    ]  # fmt: skip
    (whole,) = report(path, by=())
    assert (whole.requests, whole.prompt_tokens, whole.completion_tokens) == (5, 42, 8)
    (first,) = report(path, by=("day",), key="ada", until_s=DAY_S)
    assert first.group == {"day": "1970-01-01"} and first.requests == 2
    assert [x.requests for x in report(path, by=("key",), since_s=DAY_S)] == [2, 1]


def test_what_was_used_counts_before_it_is_written_and_once(path):
    ledger = Ledger(path)
    for _ in range(1000):
        ledger.record(Used(key_id="k", model="m", prompt_tokens=1, completion_tokens=2))
    assert ledger.spent("k") == 3000
    deadline = time.monotonic() + 20
    while sum(line.requests for line in report(path)) < 1000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    ledger.close()
    again = Ledger(path)
    assert again.spent("k") == 3000 and again.spent("nobody") == 0
    again.close()


def test_a_ledger_that_is_closed_has_written_everything_and_takes_no_more(path):
    ledger = Ledger(path)
    ledger.record(Used(key_id="k", model="m", prompt_tokens=4))
    ledger.close()
    ledger.close()
    assert [line.prompt_tokens for line in report(path)] == [4]
    with pytest.raises(ValueError, match="closed"):
        ledger.record(Used(key_id="k", model="m"))


def test_records_wait_while_another_process_holds_the_database(path):
    ledger = Ledger(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ledger.record(Used(key_id="k", model="m", prompt_tokens=4))
    assert ledger.spent("k") == 4
    other.execute("COMMIT")
    other.close()
    ledger.close()
    assert [line.prompt_tokens for line in report(path)] == [4]


@pytest.mark.slow
def test_what_was_written_survives_a_kill(path):
    program = (
        "import sys, time; from pathlib import Path; from serve.usage import Ledger, Used\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "for n in range(10**6):\n"
        "    ledger.record(Used(key_id='k', model='m', prompt_tokens=1)); time.sleep(0.001)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], cwd=Path(__file__).parents[2]
    )
    deadline = time.monotonic() + 30
    while not report(path):
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    (line,) = report(path)
    ledger = Ledger(path)
    assert ledger.spent("k") == line.requests > 0  # totals and records agree
    ledger.close()


@pytest.mark.slow
def test_old_records_can_be_forgotten_and_what_was_spent_stays(path):
    ledger = Ledger(path)
    for at_s in (10.0, 20.0, 30.0):
        ledger.record(Used(key_id="k", model="m", prompt_tokens=5, at_s=at_s))
    ledger.close()
    assert forget(path, before_s=25.0) == 2
    assert [line.requests for line in report(path)] == [1]
    ledger = Ledger(path)
    assert ledger.spent("k") == 15
    ledger.close()


@pytest.mark.slow
def test_a_report_of_no_database_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no database of keys"):
        report(tmp_path / "none.sqlite")
