"""Whether training data holds a benchmark's problems: word n-grams that both have.

The paper drops every document that shares a 10-gram of words with a benchmark (arXiv 2506.03524,
section 4). Its words are not defined there; ours are runs of letters, digits and underscores, in
lower case. A problem is what a model could have learnt by heart: its prompt and its solution.

Does not find: a problem told in other words, in another language, or with renamed variables; and a
problem of fewer than ten words counts as its own whole n-gram only.
"""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from evals.bench import Bench
from seedcoder.errors import MachineLacks, UsageError

N: Final = 10  # paper, sec. 4
_WORD: Final = re.compile(r"\w+")
_KEPT_DOCUMENTS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """What of a problem could have been learnt. text: prompt; solution: "" where there is none."""

    bench: str
    key: str
    text: str
    solution: str = ""

    def to_json(self) -> dict[str, str]:
        """Return plain data for `json.dumps`."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Hit:
    """One problem that was found.

    grams: of the problem's n-grams, how many were found; of_grams: how many it has. documents: the
    first that hold one, by their ids; shared: one such n-gram, to look at.
    """

    bench: str
    key: str
    of_grams: int
    shared: str = ""
    found: set[int] = field(default_factory=set)
    documents: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {
            "bench": self.bench,
            "key": self.key,
            "grams": len(self.found),
            "of_grams": self.of_grams,
            "share": round(len(self.found) / self.of_grams, 4),
            "documents": self.documents,
            "shared": self.shared,
        }


def texts(bench: Bench) -> Iterator[Text]:
    """Yield each problem's text. Raises MachineLacks when the data is absent."""
    for problem in bench.problems():
        canonical = bench.canonical(problem)
        yield Text(
            bench=bench.name,
            key=problem.key,
            text=problem.prompt,
            solution=canonical.source if canonical else problem.canonical,
        )


class Index:
    """The n-grams of many problems, looked up by those of documents."""

    def __init__(self, problems: Iterable[Text], n: int = N) -> None:
        """Read the problems. n: words of an n-gram, 1 or more."""
        if n < 1:
            raise ValueError(f"n must be 1 or more, got {n}")
        self._n = n
        self._owners: dict[tuple[str, ...], list[tuple[Hit, int]]] = {}
        self.hits: list[Hit] = []
        self.documents = 0
        for problem in problems:
            grams = {
                gram
                for text in (problem.text, problem.solution)
                for gram in _grams(text, n, whole=True)
            }
            hit = Hit(bench=problem.bench, key=problem.key, of_grams=len(grams))
            self.hits.append(hit)
            for number, gram in enumerate(sorted(grams)):
                self._owners.setdefault(gram, []).append((hit, number))
        self._short = {len(gram) for gram in self._owners if len(gram) < n}

    def look(self, document: str, text: str) -> bool:
        """Note what `text` shares with the problems; True when it shares anything."""
        self.documents += 1
        is_hit = False
        words = _words(text)
        for size in (self._n, *self._short):
            for start in range(len(words) - size + 1):
                gram = tuple(words[start : start + size])
                for hit, number in self._owners.get(gram, ()):
                    is_hit = True
                    hit.found.add(number)
                    hit.shared = hit.shared or " ".join(gram)
                    if len(hit.documents) < _KEPT_DOCUMENTS and document not in hit.documents:
                        hit.documents.append(document)
        return is_hit

    def found(self) -> list[Hit]:
        """Return the problems that were found, those with the largest share first."""
        hits = [hit for hit in self.hits if hit.found]
        return sorted(hits, key=lambda hit: (-len(hit.found) / hit.of_grams, hit.bench, hit.key))


def documents(paths: Sequence[Path], column: str | None = None) -> Iterator[tuple[str, str]]:
    """Yield (id, text) of each document of training shards.

    JSON lines (also .gz and .zst), Parquet, or any other file as one document. column: where the
    text is; by default "text", else "content". Raises UsageError for a row without it, and
    MachineLacks where a file needs a package that is not there.
    """
    for path in paths:
        name = path.name
        try:
            if name.endswith((".jsonl", ".jsonl.gz", ".jsonl.zst")):
                for number, line in enumerate(_lines(path), start=1):
                    if line.strip():
                        yield f"{name}:{number}", _text(path, number, json.loads(line), column)
            elif name.endswith(".parquet"):
                for number, row in enumerate(_parquet(path), start=1):
                    yield f"{name}:{number}", _text(path, number, row, column)
            else:
                yield name, path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
        except ValueError as error:
            raise UsageError(f"{path} is not JSON lines: {error}") from error


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _grams(text: str, n: int, *, whole: bool = False) -> Iterator[tuple[str, ...]]:
    words = _words(text)
    if whole and 0 < len(words) < n:
        yield tuple(words)
    for start in range(len(words) - n + 1):
        yield tuple(words[start : start + n])


def _lines(path: Path) -> Iterator[str]:
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield from file
    elif path.suffix == ".zst":
        zstandard = _package("zstandard", path)
        with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as stream:
            yield from io.TextIOWrapper(stream, encoding="utf-8")
    else:
        with path.open(encoding="utf-8") as file:
            yield from file


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    parquet = _package("pyarrow.parquet", path)
    for batch in parquet.ParquetFile(path).iter_batches(batch_size=256):
        yield from batch.to_pylist()


def _package(name: str, path: Path) -> Any:
    package = name.partition(".")[0]
    if importlib.util.find_spec(package) is None:
        raise MachineLacks(f"{path} needs {package}: pip install {package}")
    return importlib.import_module(name)


def _text(path: Path, number: int, row: Any, column: str | None) -> str:
    names = (column,) if column else ("text", "content")
    for name in names:
        if isinstance(row, dict) and isinstance(row.get(name), str):
            return str(row[name])
    raise UsageError(f"{path}, row {number}: no text in {' or '.join(map(repr, names))}")
