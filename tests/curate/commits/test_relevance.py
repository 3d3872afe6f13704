"""Relevant files: the scores of bm25s, on an index that moves from snapshot to snapshot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.commits.gitdir import opened
from curate.commits.history import history_of, said_by
from curate.commits.objects import Objects, TooMany
from curate.commits.relevance import K1, B, Relevance, words_of


def test_identifiers_are_taken_apart() -> None:
    assert words_of("parseHTTPRequest_v2 MAX_SIZE naïve") == [
        "parse", "http", "request", "v", "2", "max", "size", "na", "ï", "ve",
    ]  # fmt: skip


@pytest.mark.slow
def test_scores_are_those_of_bm25s_at_every_snapshot(own_history: Path) -> None:
    bm25s = pytest.importorskip("bm25s")
    compared = 0
    with opened(own_history) as gitdir, Objects(gitdir) as objects:
        history = history_of(gitdir, objects.commit(gitdir.head))
        moving = Relevance(objects, most_files=5000, most_bytes=8_000)
        for listed in history.commits[-7::3]:
            moving.move_to(listed.tree)
            fresh = Relevance(objects, most_files=5000, most_bytes=8_000)
            fresh.move_to(listed.tree)
            said = said_by(objects, listed.sha)
            assert said is not None
            scores = moving.scores(said.message)
            assert scores == pytest.approx(fresh.scores(said.message))
            paths, theirs = _bm25s(bm25s, objects, listed.tree, said.message)
            for path, score in zip(paths, theirs, strict=True):
                assert scores.get(path, 0.0) == pytest.approx(score, abs=1e-3), path
                compared += score > 0
    assert compared > 100


def _bm25s(bm25s: Any, objects: Objects, tree: str, query: str) -> tuple[list[str], list[float]]:
    from curate.commits.relevance import _STOP, _is_file, _path

    paths, corpus = [], []
    for raw, entry in objects.files(tree, 5000):
        path = _path(raw)
        data = objects.read(entry.sha, "blob", 8_000) if path and _is_file(entry) else None
        if data is not None and b"\0" not in data:
            paths.append(path)
            corpus.append(words_of(f"{path}\n{data.decode('utf-8', 'replace')}"))
    index = bm25s.BM25(method="lucene", k1=K1, b=B)
    index.index(corpus, show_progress=False)
    known = {word for words in corpus for word in words} - _STOP
    asked = [word for word in dict.fromkeys(words_of(query)) if word in known]
    return paths, index.get_scores(asked).tolist() if asked else [0.0] * len(paths)


def test_the_file_that_a_message_is_about_comes_first(make: Callable[..., Path]) -> None:
    files = {f"src/file{n}.py": f"def work_{n}():\n    return {n}\n" for n in range(30)}
    files["src/parser.py"] = "def parse_header(line):\n    return line.split(':')\n"
    files["vendor/parser.py"] = "def parse_header(line): pass\n"
    repo = make([("begin", files, "Ann <a@b.org>")])
    with opened(repo) as gitdir, Objects(gitdir) as objects:
        tree = objects.tree(objects.commit(gitdir.head))
        index = Relevance(objects, most_files=100, most_bytes=1000)
        index.move_to(tree)
        assert index.top("Fix parsing: header without a colon, parse it", 5)[0] == "src/parser.py"
        assert "vendor/parser.py" not in index.scores("parse header")
        assert index.top("nothing of the kind", 5) == []
        small = Relevance(objects, most_files=10, most_bytes=1000)
        with pytest.raises(TooMany):
            small.move_to(tree)
