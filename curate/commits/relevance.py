"""The files of a snapshot that a message is about, by BM25.

Scores are those of bm25s's default ("lucene", k1 1.5, b 0.75), computed on an index that is moved
from snapshot to snapshot by what differs: an index that is built anew for every commit reads the
whole repository each time. A test holds the scores against bm25s. The query is the message alone
(the paper, section 2.2.2, does not say what it is): paths of the change would tell the answer.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Final

from curate.commits.objects import LINK, SUBMODULE, Entry, Objects, TooMany
from curate.commits.unified import is_plain
from curate.commits.vendored import is_generated, is_vendored

K1: Final = 1.5
B: Final = 0.75
_AT_ONCE: Final = 100  # files in memory
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")
# Words that are in every message and every comment.
_STOP: Final = frozenset(
    (
        "a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "have", "if", "in",
        "into", "is", "it", "its", "not", "of", "on", "or", "so", "that", "the", "then", "there",
        "this", "to", "was", "we", "when", "which", "will", "with",
    )
)  # fmt: skip


def words_of(text: str) -> list[str]:
    """Return the words of a text, those inside identifiers apart, in lower case."""
    return [word.lower() for word in _WORD.findall(text)]


class Relevance:
    """An index of one snapshot's text files.

    most_files: more than that cannot be indexed (`TooMany`). most_bytes: longer files are left out.
    """

    def __init__(self, objects: Objects, *, most_files: int, most_bytes: int) -> None:
        """Begin with an empty snapshot."""
        self._objects = objects
        self._most_files, self._most_bytes = most_files, most_bytes
        self._tree = ""
        self._postings: dict[str, dict[str, int]] = {}
        self._words: dict[str, tuple[str, ...]] = {}
        self._sizes: dict[str, int] = {}
        self._total = 0

    def move_to(self, tree: str) -> None:
        """Make it the index of another snapshot. TooMany: it has too many files."""
        if self._objects.count(tree) > self._most_files:
            raise TooMany
        steps = self._objects.compare(self._tree, tree, 2 * self._most_files)
        self._tree = tree
        paths = {step.path: _path(step.path) for step in steps}
        wanted = [
            (path, step.after.sha)
            for step in steps
            if (path := paths[step.path]) and step.after is not None and _is_file(step.after)
        ]
        for path in paths.values():
            if path in self._words:
                self._remove(path)
        for at in range(0, len(wanted), _AT_ONCE):
            some = wanted[at : at + _AT_ONCE]
            texts = self._objects.contents([sha for _, sha in some], "blob", self._most_bytes)
            for (path, _), data in zip(some, texts, strict=True):
                if data is not None and b"\0" not in data:
                    self._add(path, data.decode("utf-8", "replace"))

    def scores(self, query: str) -> dict[str, float]:
        """Return the score of every file that has a word of the query."""
        found: dict[str, float] = {}
        if not self._sizes:
            return found
        mean = self._total / len(self._sizes)
        for word in dict.fromkeys(words_of(query)):
            there = self._postings.get(word)
            if there is None or word in _STOP:
                continue
            rare = math.log(1 + (len(self._sizes) - len(there) + 0.5) / (len(there) + 0.5))
            for path, count in there.items():
                norm = K1 * (1 - B + B * self._sizes[path] / mean)
                found[path] = found.get(path, 0.0) + rare * count / (norm + count)
        return found

    def top(self, query: str, most: int) -> list[str]:
        """Return the paths with the highest scores, the best first."""
        scores = self.scores(query)
        return sorted(scores, key=lambda path: (-scores[path], path))[:most]

    def _add(self, path: str, text: str) -> None:
        words: Counter[str] = Counter()
        for word, count in Counter(_WORD.findall(f"{path}\n{text}")).items():
            words[word.lower()] += count
        for word, count in words.items():
            self._postings.setdefault(word, {})[path] = count
        self._words[path] = tuple(words)
        self._sizes[path] = sum(words.values())
        self._total += self._sizes[path]

    def _remove(self, path: str) -> None:
        for word in self._words.pop(path):
            there = self._postings[word]
            del there[path]
            if not there:
                del self._postings[word]
        self._total -= self._sizes.pop(path)


def _path(name: bytes) -> str:
    """Return a path that can be shown, "" for one that is not looked at."""
    try:
        path = name.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return path if is_plain(path) and not is_vendored(path) and not is_generated(path) else ""


def _is_file(entry: Entry) -> bool:
    return entry.mode not in (LINK, SUBMODULE)
