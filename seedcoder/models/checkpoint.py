"""A Hugging Face checkpoint in memory: its weights, ready for `slots`, and its tokenizer."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedcoder.errors import UsageError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A causal language model and its tokenizer. ends: ids that end a reply."""

    model: Any
    tokenizer: Any
    context_tokens: int
    ends: frozenset[int]


def load_checkpoint(
    source: str,
    *,
    threads: int | None = None,
    dtype: str | None = None,
    revision: str | None = None,
) -> Checkpoint:
    """Load a folder or the id of a checkpoint, onto a GPU where there is one.

    threads: of torch in this process, by default one a core. dtype: by default bfloat16 where
    the processor multiplies it natively, else float32. revision: of an id.
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
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, revision=revision)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            source,
            revision=revision,
            dtype=getattr(torch, dtype),
            attn_implementation=slots.ATTENTION,
        )
    except (OSError, ValueError, KeyError, SafetensorError, StrictDataclassError) as error:
        raise UsageError(f"hf:{source}: {first_line(error)}") from error
    model = model.to(device).eval()
    context_tokens = _context_tokens(model.config)
    slots.check(model.config, context_tokens)
    is_packed = packed.pack(model)
    log.info(
        "model loaded source=%s device=%s dtype=%s packed=%s", source, device, dtype, is_packed
    )
    return Checkpoint(
        model=model,
        tokenizer=tokenizer,
        context_tokens=context_tokens,
        ends=_end_tokens(model, tokenizer),
    )


def first_line(error: Exception) -> str:
    """Return what an error says first; those of transformers say much."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "unreadable")


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
