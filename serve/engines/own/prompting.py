"""Between text and tokens: the chat template, special tokens, text that grows token by token.

Special tokens in a prompt are tokens, as every OpenAI-speaking server has it: that is how a middle
is asked for. It also means that a user's text can hold them; whoever puts untrusted text into a
prompt must take them out first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from seedcoder.models.batching import GrowingText
from seedcoder.models.checkpoint import Checkpoint, first_line
from serve.engines.own.bodies import ChatBody
from serve.engines.own.script import too_long
from serve.fault import Fault

_CONTEXT_TOKENS = 6  # of the prompt, decoded along: some tokenizers drop a leading space
_TORN_TOKENS = 4  # a character has at most 4 bytes: what is torn after 4 tokens stays torn
# What the library's renderer takes beside the template's own variables.
_RENDERERS = frozenset((
    "conversation", "chat_template", "tokenize", "tools", "documents", "return_tensors",
    "return_dict", "add_generation_prompt", "continue_final_message", "tokenizer_kwargs",
    "padding", "truncation", "max_length", "return_assistant_tokens_mask", "messages",
))  # fmt: skip


class Text:
    """A reply's text as it grows. Nothing of a character is given out before all of it is there."""

    def __init__(self, growing: GrowingText) -> None:
        self._growing = growing
        self._held = 0

    def push(self, token: int) -> str:
        """Return the text that `token` completes; bytes that are no text come as U+FFFD."""
        text = self._growing.push(token)
        self._held = 0 if text else self._held + 1
        if self._held < _TORN_TOKENS:
            return text
        self._held = 0
        return self._growing.flush()

    def finish(self) -> str:
        """Return what was held back."""
        return self._growing.flush()


class Prompts:
    """Prompts as ids. template: a chat template's text; None is the checkpoint's own."""

    def __init__(self, held: Checkpoint, *, template: str | None, context_tokens: int) -> None:
        self._tokenizer: Any = held.tokenizer
        self._template = template
        self._context_tokens = context_tokens
        self.vocabulary = int(held.model.config.vocab_size)
        # `all_special_ids` has only those with a role; texts are decoded without any of these.
        added = held.tokenizer.added_tokens_decoder
        self._special = frozenset(number for number, token in added.items() if token.special)
        texts = held.tokenizer.get_vocab()
        self._longest_chars = max(map(len, texts), default=1)
        self._bytes = _byte_alphabet() if _is_byte_level(held.tokenizer) else {}

    def chat(self, body: ChatBody) -> list[int]:
        """Render a chat and return its ids. Raises Fault 400."""
        import jinja2

        if body.add_generation_prompt and body.continue_final_message:
            raise Fault(
                400, "continue_final_message needs add_generation_prompt = false",
                param="continue_final_message",
            )  # fmt: skip
        if not (self._template or self._tokenizer.chat_template):
            raise Fault(400, "this model has no chat template: ask it at /v1/completions")
        extra = body.chat_template_kwargs or {}
        if taken := _RENDERERS & set(extra):
            raise Fault(
                400,
                f"chat_template_kwargs may not set {min(taken)!r}",
                param="chat_template_kwargs",
            )
        try:
            text = self._tokenizer.apply_chat_template(
                body.turns(),
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=body.add_generation_prompt,
                continue_final_message=body.continue_final_message,
                **extra,
            )
        # A template is a program: on turns that it does not foresee it fails as programs do.
        except (jinja2.TemplateError, TypeError, ValueError, KeyError) as error:
            said = first_line(error)
            raise Fault(
                400, f"the chat template refuses these messages: {said}", param="messages"
            ) from None
        # A template brings its own first token.
        return self._encode(text, special=bool(body.add_special_tokens), param="messages")

    def text(self, prompt: str | Sequence[int], *, add_special: bool | None) -> list[int]:
        """Return a plain prompt's ids. Raises Fault 400.

        The tokenizer's first token is put before it, unless it begins with that already.
        """
        if isinstance(prompt, str):
            first = self._tokenizer.bos_token
            begun = bool(first and prompt.startswith(first))
            special = not begun if add_special is None else add_special
            return self._encode(prompt, special=special, param="prompt")
        for number in prompt:
            if number >= self.vocabulary:
                raise Fault(
                    400, f"prompt: token {number} is not in the vocabulary of {self.vocabulary}",
                    param="prompt",
                )  # fmt: skip
        return self._checked(list(prompt), "prompt")

    def tokens(self, text: str, *, add_special: bool) -> list[int]:
        """Return the ids of a text, however many."""
        ids: list[int] = self._tokenizer(text, add_special_tokens=add_special)["input_ids"]
        return ids

    def decode(self, ids: Sequence[int], *, skip_special: bool) -> str:
        """Return the text of ids.

        Cleaning up is off: it takes away the space before a dot, in code too.
        """
        text: str = self._tokenizer.decode(
            ids, skip_special_tokens=skip_special, clean_up_tokenization_spaces=False
        )
        return text

    def growing(self, prompt: Sequence[int], *, skip_special: bool) -> Text:
        """Return the text of a reply to `prompt`, empty so far."""

        def decode(ids: Sequence[int]) -> str:
            return self.decode(ids, skip_special=skip_special)

        return Text(GrowingText(decode, prompt[-_CONTEXT_TOKENS:]))

    def special_id(self, text: str) -> int | None:
        """Return the id of a special token by its text; None for any other text.

        Left out of texts, such a token could never be found there as a stop string.
        """
        number = self._tokenizer.get_vocab().get(text)
        return number if number in self._special else None

    def shown(self, token: int) -> tuple[str, bytes]:
        """Return one token by itself: as text, and its bytes."""
        text = self.decode([token], skip_special=False)
        if self._bytes and "\ufffd" in text:
            word = self._tokenizer.convert_ids_to_tokens(token) or ""
            if all(char in self._bytes for char in word):
                return text, bytes(self._bytes[char] for char in word)
        return text, text.encode("utf-8", "replace")

    def _encode(self, text: str, *, special: bool, param: str) -> list[int]:
        # What cannot fit however it is cut is not cut at all: that would take seconds.
        least = len(text) // self._longest_chars
        if least >= self._context_tokens:
            raise too_long(self._context_tokens, least, param)
        return self._checked(self.tokens(text, add_special=special), param)

    def _checked(self, ids: list[int], param: str) -> list[int]:
        if not ids:
            raise Fault(400, f"{param} must hold at least one token", param=param)
        if len(ids) >= self._context_tokens:
            raise too_long(self._context_tokens, len(ids), param)
        return ids


def _is_byte_level(tokenizer: Any) -> bool:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return re.search(r"\bByteLevel\b", repr(getattr(backend, "decoder", ""))) is not None


def _byte_alphabet() -> dict[str, int]:
    """Return which byte each character of a byte-level vocabulary stands for.

    Bytes that print as Latin-1 stand for themselves, the others are numbered from U+0100 on (GPT-2,
    and all byte-level tokenizers since).
    """
    printing = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(256) if byte not in printing)
    return {chr(byte): byte for byte in printing} | {
        chr(0x100 + at): byte for at, byte in enumerate(others)
    }
