"""Pack one unit: read its texts, tokenise, rearrange, lay out in sequences.

A function of its task alone: the same in any process, at any time.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curate.joined import Joined
from curate.longcontext.repository import File, texts_of
from curate.packing.fitting import Piece, cut, fit
from curate.packing.lots import lot
from curate.packing.middle import Marks, arranged, parts_of, undone
from curate.packing.plan import Component, Rows, Unit
from curate.packing.recipe import PackRecipe
from curate.packing.vocabulary import Vocabulary, fim_tokens, vocabulary
from curate.store import Store, groups_of

FILES: Final = pa.schema(
    [
        ("sequence", pa.int32()),  # in the shard
        ("start", pa.int32()),  # in the sequence, in tokens
        ("length", pa.int32()),
        ("piece", pa.int32()),  # where in the document's own tokens this begins
        ("whole", pa.int32()),  # all of its own tokens
        ("head", pa.int32()),  # of its own tokens, how many come before its text
        ("tail", pa.int32()),  # and after it
        ("layout", pa.string()),  # plain, spm or psm
        ("key", pa.string()),
        ("language", pa.string()),
        ("source", pa.string()),
        ("epoch", pa.int32()),
        ("altered", pa.bool_()),  # null: not verified
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A unit as it is sent to a process."""

    recipe: PackRecipe
    component: str
    fim_rate: float
    text: str
    is_repositories: bool
    store: Store
    joined: Joined
    unit: Unit
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What came of a unit. tokens: (sequences, length). bounds: rows of sequence, start and length
    of each text that attends to itself only. files: see FILES; sequences numbered in the unit.
    cut_edges: imports lost where a repository was split; cyclic: files that had to come before
    something that they import."""

    tokens: Any
    bounds: Any
    files: pa.Table
    cut_edges: int
    cyclic: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """A document's own tokens, `head` and `tail` of them not of its text."""

    tokens: Any
    head: int
    tail: int
    layout: str
    file: File
    altered: bool | None


def work_of(recipe: PackRecipe, component: Component, at: int) -> Work:
    """Return the task of a component's unit number `at`."""
    epoch, unit = component.unit(at, recipe.seed)
    source = component.source
    return Work(
        recipe=recipe,
        component=component.name,
        fim_rate=recipe.fim.rate if source.fim_rate is None else source.fim_rate,
        text=source.text,
        is_repositories=source.order == "repositories",
        store=component.store,
        joined=component.joined,
        unit=unit,
        epoch=epoch,
    )


def specials_of(recipe: PackRecipe) -> tuple[str, ...]:
    """Return the special tokens that the recipe's layout needs, "" for those that it does not."""
    fim = fim_tokens(recipe.fim.format) if _has_fim(recipe) else ()
    return (recipe.bos, recipe.eos, recipe.pad, recipe.repositories.file, *fim)


def dtype_of(size: int) -> Any:
    """Return what a token is stored as."""
    return np.dtype("<u2") if size <= 1 << 16 else np.dtype("<u4")


def pack(work: Work) -> Packed:
    """Pack a unit."""
    return _Packer(work).packed()


class _Packer:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.recipe = work.recipe
        self.words = _vocabulary(self.recipe)
        self.marks: Marks | None = None
        if _has_fim(self.recipe):
            prefix, suffix, middle = map(self.words.special, fim_tokens(self.recipe.fim.format))
            is_spm = self.recipe.fim.order == "spm"
            self.marks = Marks(prefix=prefix, suffix=suffix, middle=middle, is_spm=is_spm)
        self.bos = [self.words.special(self.recipe.bos)] if self.recipe.bos else []
        self.eos = [self.words.special(self.recipe.eos)]

    def packed(self) -> Packed:
        texts, cut_edges, cyclic = self._texts()
        length = self.recipe.length
        sizes = [sum(len(item.tokens) for item in text) for text in texts]
        bins = (fit if self.recipe.layout == "fit" else cut)(sizes, length)
        pad = self.words.special(self.recipe.pad)
        tokens = np.full((len(bins), length), pad, dtype=dtype_of(self.words.size))
        flat = [np.concatenate([item.tokens for item in text]) for text in texts]
        bounds: list[tuple[int, int, int]] = []
        rows: list[tuple[Any, ...]] = []
        for number, pieces in enumerate(bins):
            start = 0
            for piece in pieces:
                end = piece.start + piece.length
                tokens[number, start : start + piece.length] = flat[piece.document][
                    piece.start : end
                ]
                bounds.append((number, start, piece.length))
                rows += self._rows(texts[piece.document], piece, number, start)
                start += piece.length
        columns: Any = list(zip(*rows, strict=True)) if rows else [[] for _ in FILES]
        files = pa.table(
            [pa.array(column, field.type) for column, field in zip(columns, FILES, strict=True)],
            schema=FILES,
        )
        found = np.array(bounds, dtype="<i4").reshape(-1, 3)
        return Packed(tokens=tokens, bounds=found, files=files, cut_edges=cut_edges, cyclic=cyclic)

    def _rows(
        self, text: Sequence[_Item], piece: Piece, number: int, start: int
    ) -> list[tuple[Any, ...]]:
        rows = []
        begin = 0
        for item in text:
            end = begin + len(item.tokens)
            first, last = max(begin, piece.start), min(end, piece.start + piece.length)
            if first < last:
                place = start + first - piece.start
                own = (item.head, item.tail, item.layout, item.file.key, item.file.language)
                about = (self.work.component, self.work.epoch, item.altered)
                size = len(item.tokens)
                rows.append((number, place, last - first, first - begin, size, *own, *about))
            begin = end
        return rows

    def _texts(self) -> tuple[list[list[_Item]], int, int]:
        """Return the texts in their order, each as its documents."""
        seed, epoch = self.recipe.seed, self.work.epoch
        texts: list[list[_Item]] = []
        cut_edges = cyclic = 0
        for group in self.work.unit.groups:
            files = list(_files(self.work, group))
            if not self.work.is_repositories or not files[0].repo:
                files.sort(key=lambda file: (lot(seed, "order", epoch, file.key), file.key))
                texts += self._documents(files)
                continue
            limit = self.recipe.repositories.max_kb * 1000
            ordered = texts_of(files, limit, lambda file: lot(seed, "random", epoch, file.key))
            cut_edges, cyclic = cut_edges + ordered.cut_edges, cyclic + ordered.cyclic
            texts += [self._repository(text) for text in ordered.texts]
        return texts, cut_edges, cyclic

    def _documents(self, files: Sequence[File]) -> list[list[_Item]]:
        drawn = [
            parts_of(file.text, self.work.fim_rate, self.recipe.seed, self.work.epoch, file.key)
            for file in files
        ]
        found: list[list[_Item]] = []
        plain = iter(
            self.words.encode([f.text for f, d in zip(files, drawn, strict=True) if not d])
        )
        parts = iter(self.words.encode([part for three in drawn if three for part in three]))
        for file, three in zip(files, drawn, strict=True):
            if three is None or self.marks is None:
                found.append([self._item(file, next(plain), "plain")])
                continue
            prefix, middle, suffix = next(parts), next(parts), next(parts)
            whole = arranged(self.marks, prefix, middle, suffix)
            if len(self.bos) + len(whole) + 1 <= self.recipe.length:
                found.append([self._item(file, whole, self.recipe.fim.order)])
            else:
                found.append([self._item(file, self.words.encode([file.text])[0], "plain")])
        return found

    def _repository(self, files: Sequence[File]) -> list[_Item]:
        name = self.recipe.repositories.file
        mark = [self.words.special(name)] if name else []
        paths = self.words.encode([f"{file.path}\n" for file in files]) if mark else []
        items = []
        for at, (file, own) in enumerate(
            zip(files, self.words.encode([f.text for f in files]), strict=True)
        ):
            head = [*(self.bos if at == 0 else []), *mark, *(paths[at] if mark else [])]
            end = [] if file.text.endswith("\n") else self.words.encode(["\n"])[0]
            tail = self.eos if at == len(files) - 1 else end
            items.append(self._item(file, own, "plain", head, tail))
        return items

    def _item(
        self,
        file: File,
        own: Sequence[int],
        layout: str,
        head: Sequence[int] | None = None,
        tail: Sequence[int] | None = None,
    ) -> _Item:
        head = self.bos if head is None else head
        tail = self.eos if tail is None else tail
        altered = None
        if self.recipe.verify:
            altered = text_of(own, layout, self.marks, self.words) != file.text
        tokens = np.array([*head, *own, *tail], dtype=dtype_of(self.words.size))
        return _Item(
            tokens=tokens,
            head=len(head),
            tail=len(tail),
            layout=layout,
            file=file,
            altered=altered,
        )


def text_of(own: Sequence[int], layout: str, marks: Marks | None, words: Vocabulary) -> str:
    """Return the text of a document's tokens, its middle put back."""
    if layout == "plain" or marks is None:
        return words.decode(own)
    return "".join(words.decode(part) for part in undone(marks, own))


def _files(work: Work, group: Rows) -> Any:
    for part, rows in group:
        columns = ["key", "text", "language", "path", "repo"]
        table = _read(work.store, part, rows, columns)
        texts = table.column("text").to_pylist()
        if work.text != "text":
            other = work.joined.columns(part, [work.text]).column(work.text).take(pa.array(rows))
            texts = [
                own if changed is None else changed
                for own, changed in zip(texts, other.to_pylist(), strict=True)
            ]
        for row, text in zip(table.drop_columns(["text"]).to_pylist(), texts, strict=True):
            yield File(text=text, **row)


def _read(store: Store, part: str, rows: Sequence[int], columns: Sequence[str]) -> pa.Table:
    """Return rows of a part; only the row groups that hold them are read."""
    path = store.document_file(part)
    wanted = np.asarray(rows, dtype=np.int64)
    sizes = np.array(list(groups_of(path)), dtype=np.int64)
    ends = np.cumsum(sizes)
    groups = np.searchsorted(ends, wanted, side="right")
    used = np.unique(groups)
    shift: Any = np.zeros(len(sizes), dtype=np.int64)
    shift[used] = (ends - sizes)[used] - np.concatenate([[0], np.cumsum(sizes[used])[:-1]])
    with pq.ParquetFile(path) as file:
        table = file.read_row_groups(used.tolist(), columns=list(columns))
    return table.take(pa.array(wanted - shift[groups]))


def _has_fim(recipe: PackRecipe) -> bool:
    rates = [recipe.fim.rate if one.fim_rate is None else one.fim_rate for one in recipe.sources]
    return any(rate > 0 for rate in rates)


_loaded: dict[tuple[Any, ...], Vocabulary] = {}


def _vocabulary(recipe: PackRecipe) -> Vocabulary:
    """Return the recipe's tokenizer, loaded once in each process."""
    asked = (recipe.tokenizer, specials_of(recipe))
    if asked not in _loaded:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        _loaded[asked] = vocabulary(*asked)
    return _loaded[asked]
