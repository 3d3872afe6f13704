"""Haystacks of code for the needle: functions and classes of Python's own standard library.

A haystack is whole top-level statements, drawn by seed, that fill a number of tokens as nearly as
they can without going over. Files are read as text and parsed, never imported.
"""

from __future__ import annotations

import ast
import hashlib
import random
import sysconfig
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from seedcoder.errors import MachineLacks, UsageError

# Ours: SmolLM2's vocabulary has 3.2 to 3.8 characters a token of such code, larger ones more; a
# haystack is rather too short for a context than too long.
CHARS_PER_TOKEN: Final = 3.2
_STRAW_CHARS: Final = (60, 900)  # ours: larger ones would make depths coarse
_PLENTY: Final = 4  # ours: times the longest haystack to choose from
_MISSES: Final = 40  # straws that do not fit any more before a haystack counts as full


@dataclass(frozen=True, slots=True)
class Straw:
    """One piece of a haystack and its length in tokens."""

    text: str
    tokens: int


class Haystacks:
    """Straws of a folder's Python files, read once.

    folder: of .py files, by default the running Python's standard library. tokenizer: of a model,
    as `transformers` takes it (a folder or an id), or a tokenizer.json; without one a token is
    CHARS_PER_TOKEN characters. most_tokens: of the longest haystack to be made.
    """

    def __init__(
        self, *, folder: Path | None, tokenizer: str | None, most_tokens: int, seed: int
    ) -> None:
        self._folder = folder
        self._tokenizer = tokenizer
        self._most_tokens = most_tokens
        self._seed = seed

    @cached_property
    def count(self) -> Callable[[str], int]:
        """Return the tokens of a text. Raises MachineLacks, UsageError for a bad tokenizer."""
        if self._tokenizer is None:
            return lambda text: -(-len(text) * 10 // int(10 * CHARS_PER_TOKEN))
        return _counter(self._tokenizer)

    @cached_property
    def straws(self) -> tuple[Straw, ...]:
        """All pieces there are to choose from. Raises UsageError where they are too few."""
        folder = self._folder or Path(sysconfig.get_paths()["stdlib"])
        files = sorted(folder.glob("*.py"))
        random.Random(f"files {self._seed}").shuffle(files)
        straws, tokens = [], 0
        for file in files:
            for text in _statements(file):
                straws.append(Straw(text, self.count(text)))
                tokens += straws[-1].tokens
            if tokens > _PLENTY * self._most_tokens:
                break
        if tokens < 2 * self._most_tokens:
            raise UsageError(
                f"needle: the Python files in {folder} hold about {tokens} tokens of functions and "
                f"classes; a haystack of {self._most_tokens} needs twice as many to choose from"
            )
        return tuple(straws)

    @cached_property
    def sha256(self) -> str:
        """The digest of all pieces."""
        digest = hashlib.sha256()
        for straw in self.straws:
            digest.update(f"{len(straw.text)} {straw.text}".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def around(self, needle: str, *, tokens: int, depth: float, name: str) -> str:
        """Return the needle in a haystack; both together take no more than `tokens`.

        depth: the share of the haystack that comes before it. name: which of many haystacks.
        """
        order = list(self.straws)
        random.Random(f"straws {self._seed} {name}").shuffle(order)
        hay = max(0, tokens - self.count(f"{needle}\n\n\n"))
        before, rest = _filled(order, round(hay * depth))
        used = sum(straw.tokens for straw in before)
        after, _ = _filled(rest, hay - used if depth < 1 else 0)
        texts = [*(straw.text for straw in before), needle, *(straw.text for straw in after)]
        return "\n\n\n".join(texts)


def _filled(straws: Sequence[Straw], tokens: int) -> tuple[list[Straw], list[Straw]]:
    """Return straws that fill so many tokens, and those that are left over."""
    taken: list[Straw] = []
    left: list[Straw] = []
    misses = 0
    for straw in straws:
        if misses < _MISSES and straw.tokens <= tokens:
            taken.append(straw)
            tokens -= straw.tokens
        else:
            misses += 1
            left.append(straw)
    return taken, left


def _statements(file: Path) -> list[str]:
    """Return the top-level functions and classes of a file that are neither long nor tiny."""
    try:
        source = file.read_text(encoding="utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (
        OSError,
        SyntaxError,
        ValueError,
    ):  # of another encoding, or Python 2: other hay will do
        return []
    lines = source.split("\n")
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = min([node.lineno, *(mark.lineno for mark in node.decorator_list)])
            text = "\n".join(lines[first - 1 : node.end_lineno])
            if _STRAW_CHARS[0] <= len(text) <= _STRAW_CHARS[1]:
                found.append(text)
    return found


def _counter(tokenizer: str) -> Callable[[str], int]:
    path = Path(tokenizer)
    try:
        if path.suffix == ".json":
            from tokenizers import Tokenizer

            if not path.is_file():
                raise UsageError(f"needle: options.tokenizer: no file {path}")
            fast = Tokenizer.from_file(str(path))
            return lambda text: len(fast.encode(text, add_special_tokens=False).ids) + 1
        from transformers import AutoTokenizer
    except ImportError as error:
        raise MachineLacks(
            "needle: options.tokenizer needs the 'hf' extra: pip install -e '.[hf]'"
        ) from error
    try:
        slow = AutoTokenizer.from_pretrained(tokenizer)
    except (OSError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise UsageError(f"needle: options.tokenizer {tokenizer!r}: {why}") from error
    return lambda text: len(slow(text, add_special_tokens=False)["input_ids"]) + 1
