"""What a checkpoint's folder says of itself: config.json, tokenizer.json, the heads of its weights.

Only JSON is read, no weight and no library: a folder of 16 GB is looked at in a moment, on a
machine without torch. Not seen: tokenizers without a tokenizer.json, weights that are not
safetensors; and code of its own that a checkpoint brings is not run.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from seedcoder.errors import UsageError
from serve.template import read_json, special_tokens_of

# config.json's names for what a card calls otherwise.
_SHAPE: Final[Mapping[str, str]] = {
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "ffn": "intermediate_size",
    "vocabulary": "vocab_size",
    "is_tied": "tie_word_embeddings",
}
_LAYER: Final = re.compile(r"\.layers\.(\d+)\.")
# Ways of stretching positions under which the length is a multiple of the trained one.
_STRETCHED: Final = frozenset({"linear", "dynamic", "yarn"})
_HEAD_BYTES_MOST: Final = 100_000_000  # the format's own bound on a header


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFacts:
    """One folder. None and empty: the folder does not say.

    shape: by the card's names. context_tokens: positions, stretching reckoned in.
    weight_layers, parameters: as the weights themselves have them.
    tokens: every entry of the tokenizer with its id; special: those that an engine leaves out of
        a text. adds_bos: the tokenizer puts a token before each text; `first` is that token.
    named: `bos_token` and so on. bos_ids, eos_ids: of config.json and generation_config.json.
    """

    folder: Path
    shape: Mapping[str, int | bool] = field(default_factory=dict)
    context_tokens: int | None = None
    longest_tokens: int | None = None
    weight_layers: int | None = None
    parameters: int | None = None
    has_head: bool | None = None
    tokens: Mapping[str, int] = field(default_factory=dict)
    special: frozenset[str] = frozenset()
    first: str | None = None
    named: Mapping[str, str] = field(default_factory=dict)
    bos_ids: frozenset[int] = frozenset()
    eos_ids: frozenset[int] = frozenset()

    @property
    def adds_bos(self) -> bool | None:
        """Whether the tokenizer itself puts a token before a text; None where it is not known."""
        return None if not self.tokens else self.first is not None


def read_checkpoint(folder: Path) -> CheckpointFacts:
    """Return the facts of a folder. UsageError where it is none, or a file in it is broken."""
    try:
        return _read(folder)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        # The files are somebody else's, and may hold anything that is JSON.
        raise UsageError(
            f"{folder}: config.json or the tokenizer's files are not built as transformers"
            f" builds them: {type(error).__name__}: {error}"
        ) from None


def _read(folder: Path) -> CheckpointFacts:
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    config = read_json(folder / "config.json")
    if not config:
        raise UsageError(f"{folder} is no checkpoint: it holds no config.json")
    generation = read_json(folder / "generation_config.json")
    tokenizer = read_json(folder / "tokenizer.json")
    settings = read_json(folder / "tokenizer_config.json")
    added = [entry for entry in tokenizer.get("added_tokens", []) if isinstance(entry, dict)]
    weights = _weight_heads(folder)
    layers = {int(found[1]) for name in weights if (found := _LAYER.search(name))}
    return CheckpointFacts(
        folder=folder,
        shape=_shape(config),
        context_tokens=_positions(config),
        longest_tokens=_longest(settings),
        weight_layers=len(layers) or None,
        parameters=sum(weights.values()) or None,
        has_head="lm_head.weight" in weights if weights else None,
        tokens=_tokens(tokenizer, added),
        special=frozenset(entry["content"] for entry in added if entry.get("special")),
        first=_first(tokenizer.get("post_processor")),
        named=special_tokens_of(folder),
        bos_ids=_ids(config, generation, name="bos_token_id"),
        eos_ids=_ids(config, generation, name="eos_token_id"),
    )


def _shape(config: Mapping[str, Any]) -> dict[str, int | bool]:
    shape = {
        ours: config[theirs]
        for ours, theirs in _SHAPE.items()
        if isinstance(config.get(theirs), int)
    }
    # What older configurations leave out is what Llama's own defaults make of it.
    if "heads" in shape:
        shape.setdefault("kv_heads", shape["heads"])
        if "hidden" in shape:
            shape.setdefault("head_dim", shape["hidden"] // shape["heads"])
    shape.setdefault("is_tied", False)
    return shape


def _positions(config: Mapping[str, Any]) -> int | None:
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int):
        return None
    stretch = config.get("rope_scaling") or config.get("rope_parameters") or {}
    kind = stretch.get("rope_type", stretch.get("type"))
    if kind not in _STRETCHED or not isinstance(stretch.get("factor"), int | float):
        return positions
    trained = stretch.get("original_max_position_embeddings", positions)
    return int(trained * stretch["factor"])


def _longest(settings: Mapping[str, Any]) -> int | None:
    longest = settings.get("model_max_length")
    # A checkpoint that names none gets 10^30 from transformers.
    return longest if isinstance(longest, int) and longest < 10**9 else None


def _tokens(tokenizer: Mapping[str, Any], added: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    vocabulary = tokenizer.get("model", {}).get("vocab", {})
    if isinstance(vocabulary, list):  # a unigram model: each with its weight
        vocabulary = {entry[0]: number for number, entry in enumerate(vocabulary)}
    return {**vocabulary, **{entry["content"]: entry["id"] for entry in added}}


def _first(processor: Any) -> str | None:
    """Return the token that a tokenizer's post-processor puts before a single text."""
    if not isinstance(processor, dict):
        return None
    if processor.get("type") == "Sequence":
        for inner in processor.get("processors", []):
            if (found := _first(inner)) is not None:
                return found
    if processor.get("type") == "TemplateProcessing":
        head = (processor.get("single") or [{}])[0].get("SpecialToken")
        return head["id"] if head else None
    if processor.get("type") in ("RobertaProcessing", "BertProcessing"):
        token = processor.get("cls", [None])[0]
        return token if isinstance(token, str) else None
    return None


def _ids(*configs: Mapping[str, Any], name: str) -> frozenset[int]:
    found: set[int] = set()
    for config in configs:
        value = config.get(name)
        found.update(value if isinstance(value, list) else [value] if value is not None else [])
    return frozenset(found)


def _weight_heads(folder: Path) -> dict[str, int]:
    """Return the tensors in the folder's safetensors files, with how many numbers each holds."""
    return {
        name: count
        for file in sorted(folder.glob("*.safetensors"))
        for name, count in _tensors(file)
    }


def _tensors(file: Path) -> Iterable[tuple[str, int]]:
    try:
        with file.open("rb") as weights:
            (length,) = struct.unpack("<Q", weights.read(8))
            if length > _HEAD_BYTES_MOST:
                raise ValueError(f"a head of {length} bytes")
            head = json.loads(weights.read(length))
        return [
            (name, math.prod(entry["shape"]))
            for name, entry in head.items()
            if name != "__metadata__"
        ]
    except (OSError, ValueError, struct.error, AttributeError, KeyError, TypeError) as error:
        raise UsageError(f"{file} is no safetensors file: {error}") from None
