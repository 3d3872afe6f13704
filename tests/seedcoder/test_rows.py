"""Rows come back as they went in, whatever byte the writer was killed at."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedcoder.errors import UsageError
from seedcoder.rows import RowFile, line_of, read_rows

texts = st.text(st.characters(codec=None), max_size=20)  # lone surrogates too
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
rows = st.builds(
    lambda kind, key, rest: {**rest, "kind": kind, "key": key},
    st.sampled_from(["sample", "verdict"]),
    texts,
    st.dictionaries(texts, values, max_size=4),
)


def last_of_each(written):
    kept = {}
    for row in written:
        kept[row["kind"], row["key"]] = row
    return list(kept.values())


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(written=st.lists(rows, max_size=8))
def test_rows_come_back_as_they_went_in_and_the_last_of_a_key_wins(tmp_path_factory, written):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    with RowFile(path) as file:
        for row in written:
            file.append(row)
        assert file.read() == last_of_each(written)
    assert read_rows(path) == last_of_each(written)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(written=st.lists(rows, min_size=1, max_size=5), more=rows, data=st.data())
def test_a_file_cut_at_any_byte_loses_the_torn_line_only_and_glues_nothing_to_it(
    tmp_path_factory, written, more, data
):
    path = tmp_path_factory.mktemp("torn") / "rows.jsonl"
    lines = [line_of(row) for row in written]
    whole = b"".join(lines)
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    kept = [row for at, row in enumerate(written) if len(b"".join(lines[: at + 1])) <= cut]
    assert read_rows(path) == last_of_each(kept)
    with RowFile(path) as file:
        file.append(more)
    assert read_rows(path) == last_of_each([*kept, more])


def test_a_torn_line_longer_than_the_tail_that_is_looked_at_is_cut(tmp_path):
    path = tmp_path / "rows.jsonl"
    first = {"kind": "sample", "key": "a"}
    path.write_bytes(line_of(first) + b'{"kind": "' + b"x" * 300_000)
    with RowFile(path):
        assert path.read_bytes() == line_of(first)
    path.write_bytes(b"x" * 300_000)
    with RowFile(path):
        assert path.read_bytes() == b""


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"kind": "sample"},
        {"kind": 1, "key": "a"},
        {"kind": "sample", "key": None},
        {"kind": "sample", "key": "a", "x": float("nan")},
        {"kind": "sample", "key": "a", "x": {1, 2}},
        {"kind": "sample", "key": "a", "x": b"bytes"},
        {"kind": "sample", "key": "a", "x": {1: 2}},
    ],
)
def test_a_row_that_would_not_come_back_is_refused_and_nothing_written(tmp_path, row):
    path = tmp_path / "rows.jsonl"
    with RowFile(path) as file, pytest.raises((ValueError, TypeError)):
        file.append(row)
    assert path.read_bytes() == b""


@pytest.mark.parametrize("line", [b"not json", b"[1]", b'{"kind": "sample"}', b"\xff\xfe", b""])
def test_a_broken_line_in_the_middle_is_named_and_not_passed_over(tmp_path, line):
    path = tmp_path / "rows.jsonl"
    good = line_of({"kind": "sample", "key": "a"})
    path.write_bytes(good + line + b"\n" + good)
    with pytest.raises(UsageError, match="line 2 is no row"):
        read_rows(path)


def test_rows_from_many_threads_are_all_there_and_whole(tmp_path):
    path = tmp_path / "rows.jsonl"

    def write(name: int) -> None:
        for at in range(100):
            file.append({"kind": "sample", "key": f"{name}/{at}", "text": "x" * 500})

    with RowFile(path) as file:
        threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(read_rows(path)) == 800


WRITER = """
import sys
from pathlib import Path
from seedcoder.rows import RowFile

size = int(sys.argv[2])
with RowFile(Path(sys.argv[1])) as file:
    for at in range(1_000_000):
        file.append({"kind": "sample", "key": str(at), "text": "x" * size})
        print(at, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("size", [100, 20_000_000])
def test_a_writer_killed_in_the_middle_loses_no_row_it_was_told_is_kept(tmp_path, size):
    path = tmp_path / "rows.jsonl"
    said_path = tmp_path / "said"
    for delay_s in (0.0, 0.011, 0.023):
        with said_path.open("wb") as said:
            child = subprocess.Popen([sys.executable, "-c", WRITER, path, str(size)], stdout=said)
            while child.poll() is None and not said_path.read_bytes():
                time.sleep(0.002)
            time.sleep(delay_s)
            child.kill()
            child.wait()
        told = [int(line) for line in said_path.read_bytes().split(b"\n")[:-1]]
        assert told
        with RowFile(path) as file:
            assert path.read_bytes()[-1:] == b"\n"
            kept = [int(row["key"]) for row in file.read()]
            assert set(told) <= set(kept)
            assert len(kept) <= len(told) + 1
        path.unlink()


def test_what_is_written_is_plain_json_in_utf_8_that_other_tools_read(tmp_path):
    line = line_of({"kind": "sample", "key": "ключ", "text": "a\u2028b"})
    assert "ключ".encode() in line
    assert json.loads(line)["text"] == "a\u2028b"
    assert line.count(b"\n") == 1


def test_a_closed_file_refuses_rows(tmp_path):
    file = RowFile(tmp_path / "rows.jsonl")
    file.close()
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.append({"kind": "sample", "key": "a"})


def test_opening_rows_leaks_no_descriptor(tmp_path):
    open_now = Path("/proc/self/fd")
    before = sum(1 for _ in open_now.iterdir())
    for _ in range(20):
        with RowFile(tmp_path / "rows.jsonl") as file:
            file.append({"kind": "sample", "key": "a"})
    assert sum(1 for _ in open_now.iterdir()) == before
