"""A Hugging Face checkpoint, run in this process by transformers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from seedcoder.completion import Completion, Request, Sampling
from seedcoder.errors import UsageError
from seedcoder.models.checkpoint import Checkpoint, first_line, load_checkpoint


class LocalModel:
    """A causal language model and its tokenizer. Made by `load`."""

    def __init__(self, held: Checkpoint, *, name: str, batch: int) -> None:
        self._model: Any = held.model
        self._tokens = _Tokens(held.tokenizer)
        self._name = name
        self._batch = batch
        self._context_tokens = held.context_tokens
        self._ends = held.ends

    @classmethod
    def load(
        cls,
        source: str,
        *,
        threads: int | None = None,
        batch: int = 32,
        dtype: str | None = None,
        name: str | None = None,
    ) -> LocalModel:
        """Load a folder or the id of a checkpoint, onto a GPU where there is one.

        threads: of torch in this process, by default one a core. dtype: by default bfloat16 where
        the processor multiplies it natively, else float32.
        Raises UsageError in one line for a checkpoint that is not there or cannot be run.
        """
        held = load_checkpoint(source, threads=threads, dtype=dtype)
        name = name or (Path(source).resolve().name if Path(source).is_dir() else source)
        return cls(held, name=name, batch=batch)

    @property
    def name(self) -> str:
        """The folder's name or the checkpoint's id."""
        return self._name

    def generate(
        self, requests: Iterable[Request], sampling: Sampling, n: int = 1
    ) -> Iterator[Completion]:
        """Yield completions as they finish, a window of requests sorted by length at a time.

        Generation stands still while the caller holds on to a completion.
        """
        from seedcoder.models.batching import Batcher
        from seedcoder.models.slots import Slots

        batcher = Batcher(
            make_slots=lambda count: Slots(self._model, count),
            tokens=self._tokens,
            ends=self._ends,
            context_tokens=self._context_tokens,
            batch=self._batch,
        )
        return batcher.generate(requests, sampling, n)

    def close(self) -> None:
        """Let go of the weights."""
        self._model = None


class _Tokens:
    """Prompts to ids and ids to text."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def encode(self, request: Request) -> list[int]:
        """A chat goes through the checkpoint's template, which brings its own first token; a plain
        prompt gets the tokenizer's, unless it begins with it already.
        """
        text, is_chat = self._render(request), not isinstance(request.prompt, str)
        first = self._tokenizer.bos_token
        is_begun = is_chat or bool(first and text.startswith(first))
        ids: list[int] = self._tokenizer(text, add_special_tokens=not is_begun)["input_ids"]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Cleaning up is off: it takes away the space before a dot, in code too."""
        text: str = self._tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def _render(self, request: Request) -> str:
        if isinstance(request.prompt, str):
            return request.prompt + request.prefill
        import jinja2

        if not self._tokenizer.chat_template:
            raise UsageError("this checkpoint has no chat template: ask it with plain prompts")
        turns = [{"role": turn.role, "content": turn.content} for turn in request.prompt]
        try:
            text: str = self._tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=True
            )
        except jinja2.TemplateError as error:
            raise UsageError(f"the checkpoint's chat template: {first_line(error)}") from error
        return text + request.prefill
