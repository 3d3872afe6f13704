"""How many tokens a document has: by a tokenizer's file, or counted as words and marks.

Without a tokenizer the count is of words, single digits and single marks (ours). It is near what a
tokenizer of code makes, and is said to be what it is wherever it is shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from seedcoder.errors import MachineLacks, UsageError

_PIECE: Final = r"[\pL_]+|\pN|[^\s\pL\pN_]"


class Tokens:
    """The step. Column: value, the number of tokens. See the module's words."""

    name = "tokens"
    version = 1
    reads = ("text",)

    def __init__(self, file: Path | None) -> None:
        """Name the tokenizer's file; it is loaded once in each process."""
        self._file = file
        self._digest = hashlib.sha256(file.read_bytes()).hexdigest() if file else ""
        self._loaded: Any = None

    def schema(self) -> pa.Schema:
        """Return value."""
        return pa.schema([("value", pa.float64())])

    def settings(self) -> Mapping[str, Any]:
        """Return the digest of the tokenizer's file."""
        return {"tokenizer": self._digest}

    def compute(self, table: pa.Table) -> pa.Table:
        """Count."""
        texts = table.column("text")
        if self._file is None:
            counts = pc.count_substring_regex(texts, _PIECE).cast(pa.float64())
            return pa.table({"value": counts})
        if self._loaded is None:
            try:
                from tokenizers import Tokenizer
            except ModuleNotFoundError:
                raise MachineLacks("tokens by a tokenizer need the 'hf' extra") from None
            self._loaded = Tokenizer.from_file(str(self._file))
        found = self._loaded.encode_batch(texts.to_pylist(), add_special_tokens=False)
        return pa.table({"value": [float(len(one.ids)) for one in found]})

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": None}


def tokens(*, tokenizer: Path | None = None) -> Tokens:
    """Count by `tokenizer`, a tokenizer.json; None: words and marks. UsageError: no such file."""
    if tokenizer is not None and not tokenizer.is_file():
        raise UsageError(f"no file {str(tokenizer)!r} (steps: tokens: options.tokenizer)")
    return Tokens(tokenizer)
