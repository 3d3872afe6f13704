"""A Hugging Face checkpoint, run in this process by transformers."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from seedcoder.completion import Completion, Request, Sampling
from seedcoder.errors import UsageError

log = logging.getLogger(__name__)


class LocalModel:
    """A causal language model and its tokenizer. Made by `load`."""

    def __init__(
        self, model: Any, tokenizer: Any, *, name: str, batch: int, context_tokens: int
    ) -> None:
        self._model: Any = model
        self._tokens = _Tokens(tokenizer)
        self._name = name
        self._batch = batch
        self._context_tokens = context_tokens
        self._ends = _end_tokens(model, tokenizer)

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
        _check_source(source)
        _share_the_cores()
        import torch
        import transformers
        from huggingface_hub.errors import StrictDataclassError
        from safetensors import SafetensorError

        from seedcoder.models import packed, slots

        torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
        device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = dtype or _quick_dtype(device)
        transformers.utils.logging.disable_progress_bar()
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(source)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                source, dtype=getattr(torch, dtype), attn_implementation=slots.ATTENTION
            )
        except (OSError, ValueError, KeyError, SafetensorError, StrictDataclassError) as error:
            raise UsageError(f"hf:{source}: {_first_line(error)}") from error
        model = model.to(device).eval()
        context_tokens = _context_tokens(model.config)
        slots.check(model.config, context_tokens)
        is_packed = packed.pack(model)
        log.info(
            "model loaded source=%s device=%s dtype=%s packed=%s", source, device, dtype, is_packed
        )
        name = name or (Path(source).resolve().name if Path(source).is_dir() else source)
        return cls(model, tokenizer, name=name, batch=batch, context_tokens=context_tokens)

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
            raise UsageError(f"the checkpoint's chat template: {_first_line(error)}") from error
        return text + request.prefill


def _check_source(source: str) -> None:
    """A folder, or an id like ORG/NAME; nothing is asked of the hub for what is here."""
    is_path = source.startswith((".", "/", "~")) or source.count("/") > 1
    folder = Path(source).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UsageError(f"hf:{source}: no config.json in this folder")
        # Read when huggingface_hub is first imported: a folder needs no hub, and must not hang.
        if "huggingface_hub" not in sys.modules:
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
    elif is_path or folder.exists():
        raise UsageError(f"hf:{source}: no such folder")


def _share_the_cores() -> None:
    """Let torch's threads sleep while they wait for each other, which torch reads when it loads.

    By default they spin. Beside any other load (programs being judged) the one that was put off
    is then waited for at full speed: 8 times fewer tokens a second as measured on 2 cores. On a
    quiet machine sleeping costs nothing that could be measured.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("GOMP_SPINCOUNT", "0")


def _quick_dtype(device: str) -> str:
    """bfloat16 needs instructions of its own: where they are emulated it is 4 to 6 times slower
    than float32 (measured on AVX2 with a batch of 32), and where they exist nearly twice as fast.
    """
    if device != "cpu":
        return "bfloat16"
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "float32"
    flags = set(text.partition("flags")[2].partition("\n")[0].split())
    return "bfloat16" if flags & {"avx512_bf16", "amx_bf16"} else "float32"


def _context_tokens(config: Any) -> int:
    return int(getattr(config, "max_position_embeddings", None) or 2048)


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    ends = {tokenizer.eos_token_id}
    for config in (model.config, model.generation_config):
        named = getattr(config, "eos_token_id", None)
        ends.update(named if isinstance(named, list) else [named])
    return frozenset(ends - {None})


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "unreadable")
