"""Text as tokens: bytes, or a tokenizer's file.

A document that holds the words of a special token ("<[fim-prefix]>" in a file about models) gets
ordinary tokens for them: only packing itself writes special ones. Does not guard: tokens that a
tokenizer's file adds without calling them special; those it finds in texts as it always does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from seedcoder.errors import MachineLacks, UsageError
from seedcoder.fim import FIM

BYTES: Final = "bytes"


class Vocabulary(Protocol):
    """What packing asks of a tokenizer. digest: of all that its tokens depend on."""

    digest: str
    size: int

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each text, none of them special."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """Return a text."""
        ...

    def special(self, name: str) -> int:
        """Return a special token's number. UsageError: the tokenizer has none of that name."""
        ...


class ByteVocabulary:
    """UTF-8 bytes as 0..255, special tokens behind them. For tests and tiny models."""

    def __init__(self, specials: Sequence[str]) -> None:
        """Number the special tokens in their order."""
        self._specials = {name: 256 + at for at, name in enumerate(dict.fromkeys(specials))}
        self.digest = hashlib.sha256(json.dumps([BYTES, *self._specials]).encode()).hexdigest()
        self.size = 256 + len(self._specials)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the bytes."""
        return [list(text.encode()) for text in texts]

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of the bytes; special tokens have none."""
        return bytes(token for token in tokens if token < 256).decode("utf-8", "replace")

    def special(self, name: str) -> int:
        """Return its number."""
        if name not in self._specials:
            raise UsageError(f"the byte tokenizer has no special token {name!r}")
        return self._specials[name]


class FileVocabulary:
    """A tokenizer.json, read by the `tokenizers` library."""

    def __init__(self, path: Path) -> None:
        """Read it. UsageError: no such file, or no tokenizer. MachineLacks: no `tokenizers`."""
        try:
            from tokenizers import Tokenizer
        except ModuleNotFoundError:
            raise MachineLacks(
                "a tokenizer.json needs the 'hf' extra: pip install -e '.[hf]'"
            ) from None
        file = path / "tokenizer.json" if path.is_dir() else path
        try:
            data = file.read_bytes()
        except OSError as error:
            raise UsageError(f"tokenizer {str(file)!r}: {error.strerror}") from None
        try:
            facts = json.loads(data)
        except ValueError as error:
            raise UsageError(f"tokenizer {str(file)!r} is no JSON: {error}") from None
        if not isinstance(facts, dict) or "model" not in facts:
            raise UsageError(f"{str(file)!r} is no tokenizer.json: it has no model")
        self._tokenizer: Any = Tokenizer.from_str(data.decode())
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._name = str(file)
        added: list[Mapping[str, Any]] = facts.get("added_tokens") or []
        self._specials = {one["content"]: int(one["id"]) for one in added}
        self.digest = hashlib.sha256(data).hexdigest()
        self.size = int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens."""
        found = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [one.ids for one in found]

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=False))

    def special(self, name: str) -> int:
        """Return its number."""
        if name not in self._specials:
            raise UsageError(
                f"tokenizer {self._name!r} has no added token {name!r};"
                f" it has {', '.join(list(self._specials)[:12])}"
            )
        return self._specials[name]


def vocabulary(name: str, specials: Sequence[str]) -> Vocabulary:
    """Return the tokenizer that a recipe names. specials: what packing writes itself."""
    wanted = [special for special in specials if special]
    found: Vocabulary = ByteVocabulary(wanted) if name == BYTES else FileVocabulary(Path(name))
    for special in wanted:
        found.special(special)
    return found


def fim_tokens(name: str) -> tuple[str, str, str]:
    """Return a format's tokens before prefix, suffix and middle. UsageError: no such format."""
    if name not in FIM:
        raise UsageError(f"no FIM format {name!r}; there are {', '.join(FIM)}")
    one = FIM[name]
    if not one.middle:
        raise UsageError(f"FIM format {name!r} has no token before the middle: cannot be undone")
    return one.prefix.strip(), one.suffix.strip(), one.middle.strip()
