"""Model cards: what must be known of a model to serve it right.

    card = find_card("seed-coder-8b-instruct")       # one of serve/cards/
    card = find_card("my/cards/tuned.toml")          # `base = "seed-coder-8b-base.toml"` inherits

A card says nothing of machines: which engine runs it, and where, is the serve recipe's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from seedcoder.errors import UsageError
from seedcoder.fim import FIM, Fim, Order
from seedcoder.recipe import Recipe, load_recipe

Role = Literal["base", "instruct", "reasoning", "embedding"]

CARDS = Path(__file__).parent / "cards"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FimWords(_Table):
    """The tokens that ask for a middle: a known format's, or each by itself.

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

    def fim(self) -> Fim:
        """Return it as prompts are made with it."""
        if self.format is not None:
            return FIM[self.format]
        return Fim(
            prefix=self.prefix,
            suffix=self.suffix,
            middle=self.middle,
            order=self.order,
            stop=self.stop,
            repository=self.repository,
            file=self.file,
        )


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
    chat_template: "tokenizer" (the checkpoint's own), or a file beside the card.
    bos, eos: as text. adds_bos: the tokenizer itself puts `bos` before a text.
    stop: strings that end every reply. special: other tokens that must be in the vocabulary.
    tools: "native" where the engine parses the model's calls (`tool_parser` names vLLM's parser),
        "text" where the gateway asks for them in words, "none".
    sources: from a field's name to where its value was read; unverified: fields that were not read
        at their origin.
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


def find_card(name: str, *, beside: Path | None = None) -> ModelCard:
    """Return the card of that name in serve/cards/, or the one in a file.

    beside: the folder that a relative path is looked for in first.
    Raises UsageError (RecipeError) in one line for a card that is not there or is wrong.
    """
    if not name.endswith(".toml"):
        path = CARDS / f"{name}.toml"
        if not path.is_file():
            known = ", ".join(sorted(file.stem for file in CARDS.glob("*.toml")))
            raise UsageError(f"no such card: {name!r}; there are {known}, or say FILE.toml")
        return load_recipe(path, ModelCard)
    path = Path(name)
    if beside is not None and (beside / path).is_file():
        path = beside / path
    return load_recipe(path, ModelCard)
