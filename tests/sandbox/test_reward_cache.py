"""Verdicts on disk: found again, bounded, shared by processes, and never in the way."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sandbox import Kind, Verdict
from sandbox.reward import VerdictCache
from sandbox.verdict import Failure


def verdict(number: int, words: str = "") -> Verdict:
    failure = Failure(index=number, test=words, expected="", got="", reason="")
    return Verdict(
        kind=Kind.WRONG, passed=number, total=100, first_failure=failure, outcomes=(), mode="calls"
    )


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_what_is_put_is_found_again_also_by_others(tmp_path: Path) -> None:
    cache = VerdictCache(tmp_path / "below" / "verdicts")
    cache.put({key(n): verdict(n, "é\ud800") for n in range(1500)})
    assert cache.get([key(3), key(3), key(2000)]) == {key(3): verdict(3, "é\ud800")}
    assert (cache.hits, cache.misses) == (1, 1)
    other = VerdictCache(tmp_path / "below" / "verdicts")
    assert len(other.get([key(n) for n in range(2000)])) == 1500
    other.put({key(3): verdict(4)})
    assert cache.get([key(3)]) == {key(3): verdict(4)}
    for one in (cache, other):
        one.close()
        one.close()


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = VerdictCache(tmp_path / "verdicts", most_mb=0.5, touch_s=0.0)
    words = "w" * 1000
    for start in range(0, 2000, 100):
        cache.put({key(n): verdict(n, words) for n in range(start, start + 100)})
        time.sleep(0.002)
        assert cache.get([key(0)]), start  # used all the time
    kept = cache.get([key(n) for n in range(2000)])
    assert key(0) in kept and key(1999) in kept and key(1) not in kept
    assert 150 < len(kept) < 600
    cache.close()
    assert (tmp_path / "verdicts").stat().st_size < 2 << 20
    smaller = VerdictCache(tmp_path / "verdicts", most_mb=0.1)
    smaller.put({key(5000): verdict(1)})
    assert 0 < len(smaller) < 150 and smaller.get([key(5000)])
    smaller.close()
    assert (tmp_path / "verdicts").stat().st_size < 0.3 * 2**20


def test_a_verdict_that_is_very_long_is_not_kept(tmp_path: Path) -> None:
    cache = VerdictCache(tmp_path / "verdicts")
    cache.put({key(1): verdict(1, "x" * (1 << 20)), key(2): verdict(2)})
    assert list(cache.get([key(1), key(2)])) == [key(2)]
    cache.close()


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_broken_file_is_set_aside_with_a_warning(
    tmp_path: Path, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "verdicts"
    path.write_bytes(b"no data base " * (size // 10))
    with caplog.at_level(logging.WARNING):
        cache = VerdictCache(path)
        cache.get([key(1)])
        cache.put({key(1): verdict(1)})
    assert cache.get([key(1)]) == {key(1): verdict(1)}
    aside = [p for p in tmp_path.iterdir() if ".broken-" in p.name]
    assert len(aside) == (1 if size else 0)
    assert ("set aside" in caplog.text) == bool(size)
    cache.close()


def test_a_file_that_breaks_while_it_is_open_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "verdicts"
    cache = VerdictCache(path)
    cache.put({key(n): verdict(n, "w" * 500) for n in range(500)})
    cache.close()
    with path.open("r+b") as file:  # all pages but the first
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    cache = VerdictCache(path)
    for attempt in range(2):
        assert cache.get([key(n) for n in range(500)]) == {}, attempt
        cache.put({key(n): verdict(n) for n in range(500, 600)})
    assert len(cache.get([key(n) for n in range(600)])) == 100
    assert "set aside" in caplog.text
    cache.close()


def test_another_layout_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "verdicts"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    cache = VerdictCache(path)
    cache.put({key(1): verdict(1)})
    assert cache.get([key(1)])
    cache.close()


def test_a_row_that_is_no_verdict_is_no_hit(tmp_path: Path) -> None:
    cache = VerdictCache(tmp_path / "verdicts")
    cache.put({key(n): verdict(n) for n in range(4)})
    with sqlite3.connect(tmp_path / "verdicts") as db:
        for n, text in enumerate(("nonsense", "{}", '{"kind": "splendid"}')):
            db.execute("UPDATE verdicts SET verdict = ? WHERE key = ?", (text, key(n)))
    assert list(cache.get([key(n) for n in range(4)])) == [key(3)]
    cache.close()


def test_a_lock_that_nobody_gives_up_costs_a_warning_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = VerdictCache(tmp_path / "verdicts", wait_s=0.2)
    cache.put({key(1): verdict(1)})
    holder = sqlite3.connect(tmp_path / "verdicts", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    cache.put({key(2): verdict(2)})
    assert cache.get([key(1), key(2)]) == {key(1): verdict(1)}
    assert caplog.text.count("not kept") == 1
    holder.rollback()
    cache.put({key(2): verdict(2)})
    assert cache.get([key(2)])
    cache.close()
    holder.close()


WRITER = """
import sys
from sandbox import Kind, Verdict
from sandbox.reward import VerdictCache
cache = VerdictCache(sys.argv[1], most_mb=float(sys.argv[4]))
first, count = int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
for at in range(first, first + count, 7):
    cache.put({n.to_bytes(32, "big"): Verdict(kind=Kind.WRONG, passed=n, total=10**9,
               first_failure=None, outcomes=(), mode="calls") for n in range(at, at + 7)})
    cache.get([n.to_bytes(32, "big") for n in range(max(0, at - 70), at)])
print("done", flush=True)
"""


def _writer(path: Path, first: int, count: int, most_mb: float = 64) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(first), str(count), str(most_mb)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def _right(cache: VerdictCache, count: int) -> int:
    found = cache.get([key(n) for n in range(count)])
    for name, one in found.items():
        assert int.from_bytes(name, "big") == one.passed
    return len(found)


@pytest.mark.slow
def test_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    writers = [_writer(tmp_path / "verdicts", 700 * n, 700) for n in range(3)]
    for writer in writers:
        out, _ = writer.communicate(timeout=60)
        assert out.endswith("done\n")
    cache = VerdictCache(tmp_path / "verdicts")
    assert _right(cache, 2100) == 2100
    cache.close()
    assert not [p for p in tmp_path.iterdir() if "broken" in p.name]


@pytest.mark.slow
def test_a_writer_that_is_killed_leaves_a_file_that_works(tmp_path: Path) -> None:
    path = tmp_path / "verdicts"
    for delay_s in (0.02, 0.05, 0.11):
        writer = _writer(path, 0, 10**6, 0.2)
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
        time.sleep(delay_s)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        cache = VerdictCache(path)
        cache.put({key(10**7): verdict(1)})
        assert cache.get([key(10**7)]) and _right(cache, 10**4) >= 0
        cache.close()
        with sqlite3.connect(path) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert not [p for p in tmp_path.iterdir() if "broken" in p.name]


def test_threads_and_forked_children_share_a_cache(tmp_path: Path) -> None:
    cache = VerdictCache(tmp_path / "verdicts")

    def use(first: int) -> None:
        for at in range(first, first + 100, 10):
            cache.put({key(n): verdict(n) for n in range(at, at + 10)})
            cache.get([key(n) for n in range(at)])

    threads = [threading.Thread(target=use, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            cache.put({key(1000): verdict(7)})
            code = 0 if len(cache.get([key(0), key(1000)])) == 2 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert cache.get([key(1000)]) == {key(1000): verdict(7)}
    assert len(cache) == 401
    cache.close()


def test_a_place_where_no_file_can_be_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        VerdictCache(tmp_path / "file" / "verdicts")
    with pytest.raises(OSError, match="cannot be opened"):
        VerdictCache(tmp_path)
    with pytest.raises(ValueError, match="most_mb"):
        VerdictCache(tmp_path / "x", most_mb=0)
