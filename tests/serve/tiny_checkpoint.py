"""Make a tiny checkpoint of Seed-Coder's architecture: a Llama with its tokens and its template.

Two layers, 0.5 million random weights, a byte-level tokenizer of 512 entries: what it writes means
nothing, but every special token is there, one id each, and any engine loads it in a second. Made
without torch or transformers, always byte for byte the same; loading it needs them.

`<think>` and `</think>` are ordinary added tokens, as other reasoning models have them: an engine
that leaves special tokens out of a text must not leave those out.
"""

from __future__ import annotations

import array
import json
import random
import shutil
import string
import struct
import sys
from pathlib import Path
from typing import Any, Final

BOS: Final = "<[begin▁of▁sentence]>"
PAD: Final = "<[PAD▁TOKEN]>"
EOS: Final = "<[end▁of▁sentence]>"
SEP: Final = "<[SEP▁TOKEN]>"
SPECIAL: Final = (
    BOS, PAD, EOS, SEP, "<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>", "<filename>",
)  # fmt: skip
ORDINARY: Final = ("<think>", "</think>")

# Longer entries than a byte, so that a stream's pieces are not all one character long; pairs of
# letters fill the vocabulary up, so that every id has a text.
WORDS: Final = (
    "    ", "\n\n", "return", "def", "class", "self", "print", "import", " the", " in", " if",
    " for", " not", " and", " =", " ==", "():", "()", "answer", "number", " is", "ing", "er",
)  # fmt: skip

HIDDEN, FFN, LAYERS, HEADS, KV_HEADS, HEAD_DIM = 128, 448, 2, 4, 1, 32
VOCABULARY, CONTEXT_TOKENS = 512, 2048
# Each piece as Seed-Coder's tokenizer cuts it: digits stand alone, line ends come in one piece.
PIECES: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def make(folder: Path, *, layers: int = LAYERS, bos_first: bool = False, seed: int = 7) -> Path:
    """Write the checkpoint and three cards into `folder`: base.toml, instruct.toml, reasoning.toml.

    bos_first: the tokenizer itself puts BOS before a text. Returns the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "config.json", _config(layers))
    _write(folder / "generation_config.json", {"bos_token_id": 0, "eos_token_id": 2})
    _write(folder / "tokenizer.json", _tokenizer(bos_first))
    _write(folder / "tokenizer_config.json", _tokenizer_config())
    from serve.card import CARDS

    shutil.copyfile(CARDS / "seed-coder.jinja", folder / "chat_template.jinja")
    (folder / "model.safetensors").write_bytes(_weights(layers, random.Random(seed)))
    for role in ("base", "instruct", "reasoning"):
        (folder / f"{role}.toml").write_text(_card(role, layers, bos_first), encoding="utf-8")
    return folder


def _write(file: Path, data: dict[str, Any]) -> None:
    file.write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8")


def _config(layers: int) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
        "head_dim": HEAD_DIM,
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "initializer_range": 0.02,
        "intermediate_size": FFN,
        "max_position_embeddings": CONTEXT_TOKENS,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": HEADS,
        "num_hidden_layers": layers,
        "num_key_value_heads": KV_HEADS,
        "rms_norm_eps": 1e-6,
        "rope_theta": 500000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "vocab_size": VOCABULARY,
    }


def _tokenizer_config() -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "sep_token": SEP,
        "clean_up_tokenization_spaces": False,
        "model_max_length": CONTEXT_TOKENS,
    }


def _byte_letters() -> dict[int, str]:
    """Return the letter that stands for each byte in a byte-level vocabulary (GPT-2's alphabet)."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {byte: chr(byte) for byte in shown}
    hidden = (byte for byte in range(256) if byte not in letters)
    return {**letters, **{byte: chr(256 + at) for at, byte in enumerate(hidden)}}


def _tokenizer(bos_first: bool) -> dict[str, Any]:
    letters = _byte_letters()
    added = [*SPECIAL, *ORDINARY]
    vocabulary = {token: number for number, token in enumerate(added)}
    for byte in range(256):
        vocabulary[letters[byte]] = len(vocabulary)
    merges: list[list[str]] = []
    pairs = [a + b for a in string.ascii_lowercase for b in "aeiourst"]
    for word in (*WORDS, *pairs):
        spelled = "".join(letters[byte] for byte in word.encode())
        for end in range(2, len(spelled) + 1):
            if spelled[:end] not in vocabulary and len(vocabulary) < VOCABULARY:
                vocabulary[spelled[:end]] = len(vocabulary)
                merges.append([spelled[: end - 1], spelled[end - 1]])
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": vocabulary[token],
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": token in SPECIAL,
            }
            for token in added
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": PIECES},
                    "behavior": "Isolated",
                    "invert": False,
                },
                {**byte_level, "use_regex": False},
            ],
        },
        "post_processor": _bos_before_all() if bos_first else {**byte_level, "use_regex": False},
        "decoder": {**byte_level, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": merges,
        },
    }


def _bos_before_all() -> dict[str, Any]:
    bos = {"SpecialToken": {"id": BOS, "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    return {
        "type": "TemplateProcessing",
        "single": [bos, first],
        "pair": [bos, first, second],
        "special_tokens": {BOS: {"id": BOS, "ids": [0], "tokens": [BOS]}},
    }


def _weights(layers: int, chance: random.Random) -> bytes:
    """Return a safetensors file: the header's length, the header as JSON, then the numbers."""
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN)}
    for layer in range(layers):
        at = f"model.layers.{layer}"
        shapes |= {
            f"{at}.input_layernorm.weight": (HIDDEN,),
            f"{at}.self_attn.q_proj.weight": (HEADS * HEAD_DIM, HIDDEN),
            f"{at}.self_attn.k_proj.weight": (KV_HEADS * HEAD_DIM, HIDDEN),
            f"{at}.self_attn.v_proj.weight": (KV_HEADS * HEAD_DIM, HIDDEN),
            f"{at}.self_attn.o_proj.weight": (HIDDEN, HEADS * HEAD_DIM),
            f"{at}.post_attention_layernorm.weight": (HIDDEN,),
            f"{at}.mlp.gate_proj.weight": (FFN, HIDDEN),
            f"{at}.mlp.up_proj.weight": (FFN, HIDDEN),
            f"{at}.mlp.down_proj.weight": (HIDDEN, FFN),
        }
    shapes["model.norm.weight"] = (HIDDEN,)
    shapes["lm_head.weight"] = (VOCABULARY, HIDDEN)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    numbers, begin = bytearray(), 0
    # Drawing each number would take seconds for a deep one: rows are cut out of one long draw.
    pool = array.array("f", (chance.gauss(0.0, 0.05) for _ in range(1 << 15)))
    for name, shape in shapes.items():
        values = array.array("f")
        if len(shape) == 2:
            for _ in range(shape[0]):
                at = chance.randrange(len(pool) - shape[1])
                values += pool[at : at + shape[1]]
        else:
            values.extend([1.0] * shape[0])
        if sys.byteorder == "big":
            values.byteswap()
        numbers += values.tobytes()
        place = [begin, len(numbers)]
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": place}
        begin = len(numbers)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(numbers)


def _card(role: str, layers: int, bos_first: bool) -> str:
    lines = [
        f'name = "tiny-{role}"',
        'source = "."',
        f'role = "{role}"',
        f"context_tokens = {CONTEXT_TOKENS}",
        f'chat_template = "{"tokenizer" if role == "base" else "chat_template.jinja"}"',
        f'bos = "{BOS}"',
        f'eos = "{EOS}"',
        f"adds_bos = {str(bos_first).lower()}",
        f'special = ["{PAD}", "{SEP}"]',
        f'tools = "{"none" if role == "base" else "text"}"',
        "[fim]",
        'format = "seed-coder"',
        'file = "<filename>"',
        "[shape]",
        f"layers = {layers}",
        f"hidden = {HIDDEN}",
        f"heads = {HEADS}",
        f"kv_heads = {KV_HEADS}",
        f"head_dim = {HEAD_DIM}",
        f"ffn = {FFN}",
        f"vocabulary = {VOCABULARY}",
    ]
    if role == "reasoning":
        lines += ["[thinking]", 'open = "<think>"', 'close = "</think>"']
    return "\n".join(lines) + "\n"
