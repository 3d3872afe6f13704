"""`seedcoder serve check CARD`: is the card right about the model, and is its template?

Renders the template on sample turns; where the checkpoint is on this machine, compares the card
with it. Finds: a second BOS, tokens that are not in the vocabulary, a context longer than the
model's, layers and other sizes that differ (config.json and weights too), a template that differs
from the checkpoint's own, thinking tags that an engine would drop, fields without a source.
Finds nothing about what the model has learned: a wrong but well-formed template passes where no
checkpoint is there to compare with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from seedcoder.errors import UsageError
from serve.card import ModelCard
from serve.checkpoint_facts import CheckpointFacts, read_checkpoint
from serve.fault import Fault
from serve.memory_plan import count_parameters
from serve.template import own_template, render

Level = Literal["wrong", "warning", "note"]

_SYSTEM: Final = {"role": "system", "content": "Answer briefly."}
_ASK: Final = {"role": "user", "content": "Reverse a list."}
_REPLY: Final = {"role": "assistant", "content": "Use `xs[::-1]`."}
_AGAIN: Final = {"role": "user", "content": "In place?"}
SAMPLES: Final[dict[str, list[dict[str, Any]]]] = {
    "one turn": [_ASK],
    "with a system message": [_SYSTEM, _ASK],
    "two rounds": [_ASK, _REPLY, _AGAIN],
}
# The paper of Seed-Coder says 36 in its table of sizes, what was released has 32.
_PAPERS_LAYERS, _RELEASED_LAYERS = 36, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found. about: the field of the card, or what else it is of."""

    level: Level
    about: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check found. samples: sample turns as rendered, by name. folder: what it looked at."""

    card: str
    folder: Path | None
    findings: tuple[Finding, ...]
    samples: dict[str, str]

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong; warnings may be left."""
        return all(finding.level != "wrong" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {
            "card": self.card,
            "folder": str(self.folder) if self.folder else None,
            "is_right": self.is_right,
            "findings": [asdict(finding) for finding in self.findings],
            "samples": self.samples,
        }


def check(card: ModelCard, *, folder: Path | None = None) -> Checked:
    """Look a card over. folder: the checkpoint, where the card's source is not on this machine.

    Raises UsageError for a folder that is no checkpoint.
    """
    found = folder or card.local_folder()
    facts = read_checkpoint(found) if found is not None else None
    samples: dict[str, str] = {}
    findings = [
        *_rendered(card, facts, samples),
        *_of_itself(card),
        *(_against(card, facts) if facts is not None else ()),
    ]
    if facts is None and card.source:
        text = f"{card.source} is not on this machine: nothing was compared with it (--source)"
        findings.append(Finding(level="note", about="source", text=text))
    rank = {"wrong": 0, "warning": 1, "note": 2}
    findings.sort(key=lambda finding: rank[finding.level])
    return Checked(card=card.name, folder=found, findings=tuple(findings), samples=samples)


def _rendered(
    card: ModelCard, facts: CheckpointFacts | None, samples: dict[str, str]
) -> Iterator[Finding]:
    if card.role in ("base", "embedding"):
        return
    folder = facts.folder if facts is not None else None
    if card.template_file() is None and folder is None:
        text = "it is the checkpoint's, which is not here: nothing was rendered"
        yield Finding(level="warning", about="chat_template", text=text)
        return
    for name, messages in SAMPLES.items():
        try:
            samples[name] = render(card, messages, tokenizer_folder=folder)
        except Fault as fault:
            # A model may well know no system messages; every one must know a user's turn.
            level: Level = "wrong" if messages == [_ASK] else "note"
            text = f"refuses {name}: {fault.message}"
            yield Finding(level=level, about="chat_template", text=text)
        except UsageError as error:
            yield Finding(level="wrong", about="chat_template", text=str(error))
            return
    yield from _double_bos(card, facts, samples)
    yield from _opened(card, samples)
    if facts is not None and card.template_file() is not None:
        yield from _against_own_template(card, facts, samples)


def _double_bos(
    card: ModelCard, facts: CheckpointFacts | None, samples: dict[str, str]
) -> Iterator[Finding]:
    bos = card.bos
    if not bos:
        return
    for name, text in samples.items():
        if bos + bos in text:
            said = f"double BOS: the template itself writes {bos} twice in a row ({name})"
            yield Finding(level="wrong", about="chat_template", text=said)
    adds = facts.adds_bos if facts is not None and facts.adds_bos is not None else card.adds_bos
    begins = [name for name, text in samples.items() if text.startswith(bos)]
    if adds and begins:
        said = (
            f"double BOS: the template begins with {bos} and the tokenizer puts another before it;"
            " a rendered chat must be encoded with add_special_tokens=false (vLLM and transformers"
            " do so for chats, not for /v1/completions)"
        )
        yield Finding(level="warning", about="adds_bos", text=said)
    if not adds and samples and not begins:
        said = f"no BOS: neither the template nor the tokenizer begins a chat with {bos}"
        yield Finding(level="warning", about="bos", text=said)


def _opened(card: ModelCard, samples: dict[str, str]) -> Iterator[Finding]:
    words = card.thinking
    if words is None:
        return
    for name, text in samples.items():
        ends_open = text.rstrip().endswith(words.open)
        if ends_open != words.is_opened:
            said = (
                f"the prompt {'ends' if ends_open else 'does not end'} with {words.open} ({name}),"
                f" so is_opened must be {str(ends_open).lower()}"
            )
            yield Finding(level="wrong", about="thinking.is_opened", text=said)
            return


def _against_own_template(
    card: ModelCard, facts: CheckpointFacts, samples: dict[str, str]
) -> Iterator[Finding]:
    own = own_template(facts.folder)
    if own is None:
        return
    bare = card.model_copy(update={"chat_template": "tokenizer"})
    for name, messages in SAMPLES.items():
        try:
            theirs: str | None = render(bare, messages, tokenizer_folder=facts.folder)
        except (Fault, UsageError):
            theirs = None
        ours = samples.get(name)
        if ours != theirs:
            said = f"differs from the checkpoint's own ({name}): {_difference(ours, theirs)}"
            yield Finding(level="warning", about="chat_template", text=said)
            return


def _difference(ours: str | None, theirs: str | None) -> str:
    if ours is None or theirs is None:
        return f"{'the card' if ours is None else 'the checkpoint'}'s refuses it"
    pairs = zip(ours, theirs, strict=False)
    shorter = min(len(ours), len(theirs))
    at = next((place for place, (a, b) in enumerate(pairs) if a != b), shorter)
    around = slice(max(0, at - 20), at + 30)
    return f"{ours[around]!r} against its {theirs[around]!r}"


def _of_itself(card: ModelCard) -> Iterator[Finding]:
    shape = card.shape
    if shape is not None:
        if shape.heads % shape.kv_heads:
            said = f"{shape.heads} heads do not divide among {shape.kv_heads} key-value heads"
            yield Finding(level="wrong", about="shape.kv_heads", text=said)
        said = f"{count_parameters(shape) / 1e9:.3f}B parameters by these sizes"
        yield Finding(level="note", about="shape", text=said)
    if (most := card.sampling.max_tokens) is not None and most > card.context_tokens:
        said = f"{most} is more than the context of {card.context_tokens}"
        yield Finding(level="wrong", about="sampling.max_tokens", text=said)
    if card.fim is not None:
        prompt = card.fim.fim().prompt("PREFIX", "SUFFIX")
        yield Finding(level="note", about="fim", text=f"asks for a middle with {prompt!r}")
    if unsourced := card.unsourced():
        said = f"no source is named for {', '.join(unsourced)}"
        yield Finding(level="note", about="sources", text=said)
    if card.unverified:
        said = f"not read at their origin: {', '.join(card.unverified)}"
        yield Finding(level="note", about="unverified", text=said)


def _against(card: ModelCard, facts: CheckpointFacts) -> Iterator[Finding]:
    yield from _sizes(card, facts)
    yield from _context(card, facts)
    if not facts.tokens:
        said = f"{facts.folder} has no tokenizer.json: its tokens were not looked at"
        yield Finding(level="warning", about="special", text=said)
        return
    yield from _words(card, facts)
    yield from _ends(card, facts)


def _sizes(card: ModelCard, facts: CheckpointFacts) -> Iterator[Finding]:
    told = facts.shape.get("layers")
    if facts.weight_layers is not None and told is not None and facts.weight_layers != told:
        said = f"config.json says {told}, the weights hold {facts.weight_layers}"
        hint = _layers_hint({told, facts.weight_layers})
        yield Finding(level="wrong", about="shape.layers", text=said + hint)
    if card.shape is None:
        said = "not given: no memory can be reckoned; config.json has it"
        yield Finding(level="note", about="shape", text=said)
        return
    for name, value in facts.shape.items():
        ours = getattr(card.shape, name)
        if ours != value:
            hint = _layers_hint({ours, value}) if name == "layers" else ""
            said = f"the card says {ours}, config.json {value}{hint}"
            yield Finding(level="wrong", about=f"shape.{name}", text=said)
    if facts.parameters is not None and facts.parameters != count_parameters(card.shape):
        said = (
            f"the weights hold {facts.parameters:,} numbers, the card's sizes make"
            f" {count_parameters(card.shape):,}"
        )
        yield Finding(level="warning", about="shape", text=said)
    highest = max(facts.tokens.values(), default=0)
    if highest >= card.shape.vocabulary:
        said = f"{card.shape.vocabulary} is too few: the tokenizer has the id {highest}"
        yield Finding(level="wrong", about="shape.vocabulary", text=said)


def _layers_hint(layers: set[int | bool]) -> str:
    if layers != {_PAPERS_LAYERS, _RELEASED_LAYERS}:
        return ""
    return (
        f" (Seed-Coder's paper says {_PAPERS_LAYERS}; what was released has {_RELEASED_LAYERS},"
        " which alone makes 8.25B parameters)"
    )


def _context(card: ModelCard, facts: CheckpointFacts) -> Iterator[Finding]:
    ours, theirs = card.context_tokens, facts.context_tokens
    if theirs is not None and ours > theirs:
        said = f"the card says {ours}, the model has {theirs} positions: engines refuse that"
        yield Finding(level="wrong", about="context_tokens", text=said)
    if theirs is not None and ours < theirs:
        said = f"the card says {ours}, the model could take {theirs}"
        yield Finding(level="note", about="context_tokens", text=said)
    if facts.longest_tokens is not None and facts.longest_tokens < ours:
        said = f"the card says {ours}, the tokenizer's model_max_length is {facts.longest_tokens}"
        yield Finding(level="warning", about="context_tokens", text=said)


def _words(card: ModelCard, facts: CheckpointFacts) -> Iterator[Finding]:
    for about, words in _asked(card):
        missing = [word for word in words if word and word.strip() not in facts.tokens]
        if not missing:
            continue
        if about == "thinking":
            said = f"{', '.join(missing)}: several tokens each; told apart in the text all the same"
            yield Finding(level="note", about=about, text=said)
        else:
            said = f"missing tokens: {', '.join(missing)} not in the vocabulary"
            yield Finding(level="wrong", about=about, text=said)
    if card.thinking is not None:
        dropped = [w for w in (card.thinking.open, card.thinking.close) if w in facts.special]
        if dropped:
            said = (
                f"{', '.join(dropped)}: special tokens, which engines leave out of a text;"
                " ask with skip_special_tokens=false"
            )
            yield Finding(level="warning", about="thinking", text=said)


def _asked(card: ModelCard) -> Iterable[tuple[str, Sequence[str]]]:
    yield "bos", (card.bos,)
    yield "eos", (card.eos,)
    yield "special", card.special
    if card.fim is not None:
        fim = card.fim.fim()
        yield "fim", (fim.prefix, fim.suffix, fim.middle, fim.repository, fim.file)
    if card.thinking is not None:
        yield "thinking", (card.thinking.open, card.thinking.close)


def _ends(card: ModelCard, facts: CheckpointFacts) -> Iterator[Finding]:
    if facts.adds_bos != card.adds_bos:
        puts = f"puts {facts.first} before a text" if facts.first else "puts nothing before a text"
        said = f"the card says {str(card.adds_bos).lower()}, but the tokenizer {puts}"
        yield Finding(level="wrong", about="adds_bos", text=said)
    for about, ours, ids in (("bos", card.bos, facts.bos_ids), ("eos", card.eos, facts.eos_ids)):
        theirs = facts.named.get(f"{about}_token")
        if ours and theirs and ours != theirs:
            said = f"the card says {ours}, the tokenizer {theirs}"
            yield Finding(level="warning", about=about, text=said)
        if ours in facts.tokens and ids and facts.tokens[ours] not in ids:
            said = f"{ours} is token {facts.tokens[ours]}, the configuration says {sorted(ids)}"
            yield Finding(level="wrong", about=about, text=said)
