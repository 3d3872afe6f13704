"""The scorer of the paper: a Llama whose last token gives one number, learnt by squared error.

From a pretrained checkpoint, or from nothing at sizes that train on a CPU, with a tokenizer made of
the labels' own texts. Ratings are divided by 10 to learn them, as the paper does.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from curate.scoring.recipe import LlamaTable
from curate.scoring.rubric import MOST
from seedcoder.errors import MachineLacks

if TYPE_CHECKING:
    from curate.scoring.labels import Label

FOLDER: Final = "llama"
_PAD: Final = "<pad>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What training would take. memory_mb: weights, gradients and AdamW's two moments."""

    parameters: int
    memory_mb: int
    steps: int
    tokens: int


def plan(settings: LlamaTable, labels: int) -> Plan:
    """Return what training would take; a base's own sizes are not looked up."""
    parameters = settings.vocabulary * settings.hidden + settings.layers * (
        4 * settings.hidden**2 + 3 * settings.hidden * settings.ffn + 2 * settings.hidden
    ) + 2 * settings.hidden  # fmt: skip
    steps = settings.epochs * -(-labels // settings.batch)
    return Plan(
        parameters=parameters,
        memory_mb=round(parameters * 16 / 1e6),
        steps=steps,
        tokens=steps * settings.batch * settings.max_tokens,
    )


def train(
    labels: Sequence[Label],
    settings: LlamaTable,
    folder: Path,
    seed: int,
    tell: Callable[[int, int, float], None] = lambda *_: None,
) -> None:
    """Learn and write the scorer. tell: steps done, in all, and the last error."""
    torch, _ = _loaded()
    torch.manual_seed(seed)
    tokenizer, model = _begun(labels, settings)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate)
    order = random.Random(seed)
    total = plan(settings, len(labels)).steps
    warm = max(1, total // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warm) * (1 - step / (total + 1))
    )
    done = 0
    for _ in range(settings.epochs):
        mixed = list(labels)
        order.shuffle(mixed)
        for begin in range(0, len(mixed), settings.batch):
            batch = mixed[begin : begin + settings.batch]
            inputs = _encoded(tokenizer, [_said(one.language, one.text) for one in batch], settings)
            wanted = torch.tensor([one.score / MOST for one in batch])
            found = model(**inputs).logits.float().squeeze(-1)
            loss = torch.nn.functional.mse_loss(found, wanted)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            done += 1
            tell(done, total, float(loss.detach()))
    model.save_pretrained(folder / FOLDER)
    tokenizer.save_pretrained(folder / FOLDER)


class LlamaScorer:
    """A scorer that `train` wrote."""

    def __init__(self, folder: Path, settings: LlamaTable, *, batch: int = 8) -> None:
        """Load it, on the first GPU where there is one."""
        torch, transformers = _loaded()
        self._torch, self._settings, self._batch = torch, settings, batch
        place = str(folder / FOLDER)
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(place)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = transformers.AutoModelForSequenceClassification.from_pretrained(place)
        self._model.to(self._device).eval()

    def scores(self, texts: Sequence[str], languages: Sequence[str]) -> list[float]:
        """Return a score for each text, 0 to 10. Texts of like length are scored together."""
        said = [_said(one, text) for one, text in zip(languages, texts, strict=True)]
        order = sorted(range(len(said)), key=lambda at: len(said[at]))
        found = [0.0] * len(said)
        with self._torch.inference_mode():
            for rows in _batches(order, self._batch):
                inputs = _encoded(self._tokenizer, [said[row] for row in rows], self._settings)
                inputs = {name: one.to(self._device) for name, one in inputs.items()}
                logits = self._model(**inputs).logits.float().squeeze(-1).tolist()
                for row, value in zip(rows, logits, strict=True):
                    found[row] = min(float(MOST), max(0.0, MOST * value))
        return found


def _batches(rows: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for begin in range(0, len(rows), size):
        yield rows[begin : begin + size]


def _loaded() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ModuleNotFoundError as error:
        raise MachineLacks(
            "a Llama scorer needs the 'hf' extra: pip install -e '.[hf]'"
            f" (no module {error.name!r})"
        ) from None
    return torch, transformers


def _said(language: str, text: str) -> str:
    return f"{language or 'source'}\n{text}"


def _encoded(tokenizer: Any, texts: Sequence[str], settings: LlamaTable) -> dict[str, Any]:
    """Return tokens and mask; the beginning of a long text is kept, and its last token reads it."""
    inputs = tokenizer(
        [text[: 8 * settings.max_tokens] or " " for text in texts],
        truncation=True,
        max_length=settings.max_tokens,
        padding=True,
        return_tensors="pt",
    )
    return {name: inputs[name] for name in ("input_ids", "attention_mask")}


def _begun(labels: Sequence[Label], settings: LlamaTable) -> tuple[Any, Any]:
    """Return a tokenizer and a model to learn with."""
    torch, transformers = _loaded()
    dtype = getattr(torch, settings.dtype)
    if settings.base:
        tokenizer = transformers.AutoTokenizer.from_pretrained(settings.base)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            settings.base, num_labels=1, dtype=dtype
        )
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        model.config.pad_token_id = tokenizer.pad_token_id
        return tokenizer, model
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocabulary, special_tokens=[_PAD], initial_alphabet=alphabet,
        show_progress=False,
    )  # fmt: skip
    made.train_from_iterator((_said(one.language, one.text) for one in labels), trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=made, pad_token=_PAD)
    config = transformers.LlamaConfig(
        vocab_size=settings.vocabulary,
        hidden_size=settings.hidden,
        intermediate_size=settings.ffn,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        max_position_embeddings=settings.max_tokens,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=None,
        num_labels=1,
    )
    return tokenizer, transformers.LlamaForSequenceClassification(config).to(dtype)
