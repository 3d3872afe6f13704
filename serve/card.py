"""Model cards: what must be known of a model to serve it right.

    card = find_card("seed-coder-8b-instruct")       # one of serve/cards/
    card = find_card("my/cards/tuned.toml")          # `base = "seed-coder-8b-base.toml"` inherits

A card says nothing of machines: which engine runs it, and where, is the serve recipe's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from seedcoder.cache import cache_folder
from seedcoder.errors import UsageError
from seedcoder.fim import FIM, Fim, Order
from seedcoder.models import smollm2
from seedcoder.recipe import Recipe, load_recipe

Role = Literal["base", "instruct", "reasoning", "embedding"]

CARDS = Path(__file__).parent / "cards"

# What `chat_template` and `source` say in place of a file or a folder.
OWN_TEMPLATE: Final = "tokenizer"
EMBEDDED: Final = "smollm2:"

# Ours to choose, or about the card itself: nobody need say where these come from.
_OURS: Final = frozenset({"name", "aliases", "description", "sources", "unverified"})


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FimWords(_Table):
    """The tokens that ask for a middle: a known format's, or each by itself.

    Beside a format, the fields that are given stand in place of the format's own.
    end: how a middle ends by itself: "syntax" looks at brackets and indentation, "line" takes one
    line, "none" leaves it to the model and the stop strings.
    """

    format: (
        Literal["seed-coder", "qwen", "starcoder", "deepseek", "codellama", "codestral"] | None
    ) = None
    prefix: str = ""
    suffix: str = ""
    middle: str = ""
    order: Order = "psm"
    stop: tuple[str, ...] = ()
    repository: str = ""
    file: str = ""
    end: Literal["syntax", "line", "none"] = "syntax"

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if self.format is None and not (self.prefix and self.suffix):
            raise ValueError("say a known format, or at least prefix and suffix")
        return self

    def fim(self) -> Fim:
        """Return it as prompts are made with it."""
        names = set(Fim.__dataclass_fields__)
        if self.format is None:
            return Fim(**{name: getattr(self, name) for name in names})
        given = self.model_fields_set & names
        return replace(FIM[self.format], **{name: getattr(self, name) for name in given})


class ThinkingWords(_Table):
    """The tags around a reasoning model's thought.

    is_opened: the template's generation prompt ends with the opening tag, so that a reply begins
    in the middle of a thought. budget_tokens: of a thought, where a request names none; None is
    no bound.
    """

    open: str = "<think>"
    close: str = "</think>"
    is_opened: bool = False
    budget_tokens: int | None = Field(default=None, ge=1)


class Draw(_Table):
    """Sampling that a request leaves open. None is the engine's own default."""

    temperature: float | None = Field(default=None, ge=0.0)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    top_k: int | None = None
    repetition_penalty: float | None = Field(default=None, gt=0.0)
    max_tokens: int | None = Field(default=None, ge=1)


class Shape(_Table):
    """The sizes that memory is reckoned from; see `serve.memory_plan`."""

    layers: int = Field(ge=1)
    hidden: int = Field(ge=1)
    heads: int = Field(ge=1)
    kv_heads: int = Field(ge=1)
    head_dim: int = Field(ge=1)
    ffn: int = Field(ge=1)
    vocabulary: int = Field(ge=1)
    is_tied: bool = False


class ModelCard(Recipe):
    """One model.

    name, aliases: what requests call it. source: a folder, a hub id, or "smollm2:" (the embedded
        model); empty for what only an upstream server knows. revision: of a hub id.
    role: a base model continues text and has no chat; the others have one.
    context_tokens: prompt and reply together.
    chat_template: "tokenizer" (the checkpoint's own), or a file beside the card; `find_card` makes
        it a whole path.
    bos, eos: as text. adds_bos: the tokenizer itself puts `bos` before a text.
    stop: strings that end every reply. special: other tokens that must be in the vocabulary.
    tools: "native" where the engine parses the model's calls (`tool_parser` names vLLM's parser),
        "text" where the gateway asks for them in words, "none".
    sources: from a field's name ("fim", "fim.order") to where its value was read; unverified:
        fields that were not read at their origin.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")
    aliases: tuple[str, ...] = ()
    description: str = ""
    source: str = ""
    revision: str | None = None
    role: Role
    context_tokens: Annotated[int, Field(ge=16)]
    chat_template: str = "tokenizer"
    bos: str = ""
    eos: str = ""
    adds_bos: bool = False
    stop: tuple[str, ...] = ()
    special: tuple[str, ...] = ()
    fim: FimWords | None = None
    thinking: ThinkingWords | None = None
    tools: Literal["none", "native", "text"] = "none"
    tool_parser: str = ""
    sampling: Draw = Draw()
    shape: Shape | None = None
    licence: str = ""
    sources: dict[str, str] = Field(default_factory=dict)
    unverified: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _speaks_of_its_fields(self) -> Self:
        known = set(self.fields())
        tables = {name.partition(".")[0] for name in known}
        for where, names in (("sources", self.sources), ("unverified", self.unverified)):
            for name in names:
                if name not in known | tables:
                    raise ValueError(f"{where} speaks of {name!r}, which this card does not set")
        if self.name in self.aliases:
            raise ValueError(f"the alias {self.name!r} is the name itself")
        if self.thinking is not None and self.role == "base":
            raise ValueError("a base model has no chat and so no thinking; role must be another")
        return self

    def fields(self) -> tuple[str, ...]:
        """Return the names of what the card says of the model, such as "fim.order", sorted."""
        return tuple(sorted(_given(self)))

    def unsourced(self) -> tuple[str, ...]:
        """Return the fields whose values come from nowhere: neither sourced nor unverified."""
        said = {*self.sources, *self.unverified}
        return tuple(
            name
            for name in self.fields()
            if name not in said and name.partition(".")[0] not in said
        )

    def template_file(self) -> Path | None:
        """Return the file of the chat template; None where it is the checkpoint's own."""
        return None if self.chat_template == OWN_TEMPLATE else Path(self.chat_template)

    def local_folder(self) -> Path | None:
        """Return the checkpoint's folder on this machine; None where it is not here.

        Looks in the hub's cache too, and fetches nothing: neither a hub id nor the embedded model
        is here before something has asked for it.
        """
        if self.source == EMBEDDED:
            made = sorted(cache_folder().glob(f"{smollm2.NAME}-v*"))
            return made[-1] if made else None
        if not self.source:
            return None
        folder = Path(self.source).expanduser()
        return folder if folder.is_dir() else _in_hub_cache(self.source, self.revision)


def find_card(name: str, *, beside: Path | None = None) -> ModelCard:
    """Return the card of that name in serve/cards/, or the one in a file.

    beside: the folder that a relative path is looked for in first.
    The card's template and, where it is a folder, its source are looked for beside the card.
    Raises UsageError (RecipeError) in one line for a card that is not there or is wrong.
    """
    if not name.endswith(".toml"):
        path = CARDS / f"{name}.toml"
        if not path.is_file():
            known = ", ".join(sorted(file.stem for file in CARDS.glob("*.toml")))
            raise UsageError(f"no such card: {name!r}; there are {known}, or say FILE.toml")
    else:
        path = Path(name)
        if beside is not None and (beside / path).is_file():
            path = beside / path
    return _placed(load_recipe(path, ModelCard), path)


def _placed(card: ModelCard, file: Path) -> ModelCard:
    """Return the card with whole paths in place of those that are meant beside its file."""
    changes: dict[str, str] = {}
    if card.source and card.source != EMBEDDED:
        beside = file.parent / card.source
        if beside.is_dir():
            changes["source"] = str(beside.resolve())
    if card.chat_template != OWN_TEMPLATE:
        # A card that inherits from one of ours names the template that lies beside ours.
        places = [folder / card.chat_template for folder in (file.parent, CARDS)]
        template = next((place for place in places if place.is_file()), None)
        if template is None:
            raise UsageError(
                f"{file}: chat_template {card.chat_template!r} is no file beside the card; "
                f"say {OWN_TEMPLATE!r} for the checkpoint's own"
            )
        changes["chat_template"] = str(template.resolve())
    return card.model_copy(update=changes)


def _given(table: BaseModel, at: str = "") -> Iterable[str]:
    for name in type(table).model_fields:
        value = getattr(table, name)
        if not at and name in _OURS:
            continue
        if isinstance(value, _Table):
            yield from _given(value, f"{name}.")
        elif name in table.model_fields_set:
            yield f"{at}{name}"


def _in_hub_cache(source: str, revision: str | None) -> Path | None:
    """Return the snapshot that the hub's own client has put into its cache, if it has.

    Layout and environment: huggingface_hub, "Understand caching" and "Environment variables".
    """
    home = os.environ.get("HF_HOME", "~/.cache/huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE", f"{home}/hub")).expanduser()
    repository = hub / f"models--{source.replace('/', '--')}"
    wanted = revision or "main"
    try:
        wanted = (repository / "refs" / wanted).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        pass  # a commit, or not here
    snapshot = repository / "snapshots" / wanted
    return snapshot if wanted and snapshot.is_dir() else None
