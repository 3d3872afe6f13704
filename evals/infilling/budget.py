"""Contexts cut to so many tokens.

With a tokenizer, as upstream cuts: the first or the last n tokens, decoded again. Without one, by
characters, at 3 characters a token (ours: code has 3 to 4 in the tokenizers of current models, so
a context comes out rather too short than too long). A run's recipe says which it was.

Does not cover: special tokens a tokenizer adds by itself. Upstream lets it add them, and then cuts
and decodes them with the text; here none is added.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import cached_property
from typing import Any, Final

from seedcoder.errors import MachineLacks, UsageError

CHARS_A_TOKEN: Final = 3


class Cutter:
    """Cuts texts to a number of tokens.

    tokenizer: a folder with a Hugging Face tokenizer, or the name of one on the hub; it is loaded
    when a text is long enough to need it.
    """

    def __init__(self, tokenizer: str | None = None) -> None:
        self._name = tokenizer

    def first(self, text: str, tokens: int) -> str:
        """Return the beginning of `text`. Raises MachineLacks, UsageError for the tokenizer."""
        if len(text.encode()) <= tokens:
            return text
        if self._name is None:
            return text[: CHARS_A_TOKEN * tokens]
        return self._decode(self._encode(text)[:tokens])

    def last(self, text: str, tokens: int) -> str:
        """Return the end of `text`. Raises MachineLacks, UsageError for the tokenizer."""
        if len(text.encode()) <= tokens:
            return text
        if self._name is None:
            return text[-CHARS_A_TOKEN * tokens :] if tokens else ""
        ids = self._encode(text)
        return self._decode(ids[len(ids) - tokens :] if tokens < len(ids) else ids)

    @cached_property
    def _tokenizer(self) -> Any:
        if importlib.util.find_spec("transformers") is None:
            raise MachineLacks("options.tokenizer needs the 'hf' extra: pip install -e '.[hf]'")
        auto = importlib.import_module("transformers").AutoTokenizer
        try:
            return auto.from_pretrained(self._name)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UsageError(f"options.tokenizer: {self._name!r} cannot be loaded: {reason}") from (
                error
            )

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        return text
