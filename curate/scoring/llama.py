"""The scorer of the paper: a Llama whose last token gives one number, learnt by squared error.

From a pretrained checkpoint, or from nothing at sizes that train on a CPU, with a tokenizer made of
the labels' own texts. Ratings are divided by 10 to learn them, as the paper does. On the first GPU
where there is one; not on several.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from curate.scoring.recipe import LlamaTable
from curate.scoring.rubric import MOST, question
from seedcoder.errors import MachineLacks

if TYPE_CHECKING:
    from curate.scoring.labels import Label

FOLDER: Final = "llama"
_PAD: Final = "<pad>"
_MOST_CHARS_A_TOKEN: Final = 8  # ours: what is beyond is not even tokenized
_QUESTION_TOKENS: Final = 450  # ours: of the rubric, by tokenizers of 32,000 entries and more

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What training would take. tokens: at most. memory_mb: weights, gradients, AdamW's two moments
    and activations, each an estimate."""

    parameters: int
    memory_mb: int
    steps: int
    tokens: int


def plan(settings: LlamaTable, labels: int) -> Plan:
    """Return what training would take by the recipe's sizes; a base's own are not looked up."""
    hidden, layers, ffn = settings.hidden, settings.layers, settings.ffn
    parameters = settings.vocabulary * hidden + layers * (
        4 * hidden**2 + 3 * hidden * ffn + 2 * hidden
    ) + 2 * hidden  # fmt: skip
    steps = settings.epochs * -(-labels // settings.batch)
    at_once = min(settings.at_once, settings.batch) * settings.max_tokens
    width = 2 if settings.dtype == "bfloat16" else 4
    layer = at_once * (10 * hidden + 4 * ffn) * width  # ours: what a layer keeps for its gradient
    kept = at_once * hidden * width * layers + layer if settings.recompute else layer * layers
    return Plan(
        parameters=parameters,
        memory_mb=round((parameters * 16 + kept) / 1e6),
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
    device = _device(torch)
    model.to(device).train()
    if settings.recompute:
        model.gradient_checkpointing_enable()
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
        for batch in _batches(mixed, settings.batch):
            loss = 0.0
            for some in _batches(batch, settings.at_once):
                said = [said_of(one.language, one.text, settings) for one in some]
                inputs = _encoded(tokenizer, said, settings, device)
                wanted = torch.tensor([one.score / MOST for one in some], device=device)
                with _arithmetic(torch, device, settings):
                    found = model(**inputs).logits
                part = (found.float().squeeze(-1) - wanted).square().sum() / len(batch)
                part.backward()
                loss += float(part.detach())
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            done += 1
            tell(done, total, loss)
    model.to(getattr(torch, settings.dtype)).save_pretrained(folder / FOLDER)
    tokenizer.save_pretrained(folder / FOLDER)


class LlamaScorer:
    """A scorer that `train` wrote."""

    def __init__(self, folder: Path, settings: LlamaTable, *, batch: int = 8) -> None:
        """Load it, on the first GPU where there is one."""
        torch, transformers = _loaded()
        self._torch, self._settings, self._batch = torch, settings, batch
        place = str(folder / FOLDER)
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(place)
        self._device = _device(torch)
        self._model = transformers.AutoModelForSequenceClassification.from_pretrained(
            place, dtype=getattr(torch, settings.dtype)
        )
        self._model.to(self._device).eval()

    def scores(self, texts: Sequence[str], languages: Sequence[str]) -> list[float]:
        """Return a score for each text, 0 to 10. Texts of like length are scored together."""
        said = [
            said_of(language, text, self._settings)
            for language, text in zip(languages, texts, strict=True)
        ]
        order = sorted(range(len(said)), key=lambda at: len(said[at]))
        found = [0.0] * len(said)
        with self._torch.inference_mode():
            for rows in _batches(order, self._batch):
                inputs = _encoded(
                    self._tokenizer, [said[row] for row in rows], self._settings, self._device
                )
                logits = self._model(**inputs).logits.float().squeeze(-1).tolist()
                for row, value in zip(rows, logits, strict=True):
                    found[row] = min(float(MOST), max(0.0, MOST * value))
        return found


def _batches(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
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


def said_of(language: str, text: str, settings: LlamaTable) -> str:
    """Return what the scorer reads of a text: the question with it, or its language and itself."""
    if not settings.asked:
        return f"{language or 'source'}\n{text}"[: _MOST_CHARS_A_TOKEN * settings.max_tokens]
    room = max(256, (settings.max_tokens - _QUESTION_TOKENS) * 3)  # ours: 3 characters a token
    return "\n\n".join(turn.content for turn in question(language, text, room)) + "\nRating:"


def _device(torch: Any) -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _arithmetic(torch: Any, device: str, settings: LlamaTable) -> Any:
    half = settings.dtype == "bfloat16"
    return torch.autocast(device, dtype=torch.bfloat16, enabled=half)


def _encoded(
    tokenizer: Any, texts: Sequence[str], settings: LlamaTable, device: str
) -> dict[str, Any]:
    """Return tokens and mask; the beginning of a long text is kept, and its last token reads it."""
    inputs = tokenizer(
        [text or " " for text in texts],
        truncation=True,
        max_length=settings.max_tokens,
        padding=True,
        padding_side="right",
        return_tensors="pt",
    )
    return {name: inputs[name].to(device) for name in ("input_ids", "attention_mask")}


def _begun(labels: Sequence[Label], settings: LlamaTable) -> tuple[Any, Any]:
    """Return a tokenizer and a model to learn with."""
    torch, transformers = _loaded()
    if settings.base:
        tokenizer = transformers.AutoTokenizer.from_pretrained(settings.base)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            settings.base, num_labels=1, problem_type="regression", dtype=torch.float32
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
    made.train_from_iterator((said_of(one.language, one.text, settings) for one in labels), trainer)
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
        problem_type="regression",  # vLLM then gives the number as it is
    )
    return tokenizer, transformers.LlamaForSequenceClassification(config)
