"""The text that asks a card's model for a middle, other files included as far as they fit.

Other files come first, the nearest last, each behind the card's token for a file. A format without
such a token gets them as plain text before the file, each below a comment with its name. Lengths
are counted in characters, as no tokenizer is at hand: code has 3 to 4 to a token, so a prompt that
fits here fits there.

Does not guard against code that holds the model's special tokens as text: engines read them as
tokens, as every server does that takes such prompts as text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from seedcoder.fim import Fim
from serve.card import FimWords, ModelCard
from serve.fault import Fault
from serve.fim.asked import Middle
from serve.fim.languages import Language

_CHARACTERS_PER_TOKEN: Final = 3  # ours, on the safe side
_SPARE_TOKENS: Final = 16  # ours: the format's own
REPLY_TOKENS: Final = 512  # ours: where neither the request nor the card says
_PREFIX_SHARE: Final = 0.75  # ggml-org/llama.cpp, format_prompt_infill: prefix : suffix = 3 : 1
_LEAST_CHARACTERS: Final = 80  # ours: less of a file is not worth its name
_REPOSITORY: Final = "project"  # where a format wants a name and the request has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What the engine is asked. before, after: what of the file is in it. is_cut: not all of it."""

    text: str
    before: str
    after: str
    is_cut: bool = False


def words_of(card: ModelCard) -> FimWords:
    """Return how the model is asked for a middle. Raises Fault 400 where it cannot be."""
    if card.fim is None:
        raise Fault(
            400,
            f"{card.name} cannot fill in the middle: its card has no [fim] tokens",
            code="unsupported_endpoint",
            param="model",
        )
    return card.fim


def format_of(words: FimWords) -> Fim:
    """Return the card's format; its own words for files stand beside a named format."""
    known = words.fim()
    return replace(
        known,
        file=known.file or words.file,
        repository=known.repository or words.repository,
        stop=tuple(dict.fromkeys((*known.stop, *words.stop))),
    )


def prompt_of(card: ModelCard, middle: Middle, language: Language) -> Prompt:
    """Return the prompt of a middle. Raises Fault 400 for a model that cannot be asked."""
    if middle.after is None:
        return Prompt(text=middle.before, before=middle.before, after="")
    fim = format_of(words_of(card))
    reply = middle.body.get("max_tokens")
    reply = reply if isinstance(reply, int) else card.sampling.max_tokens or REPLY_TOKENS
    room = max(0, card.context_tokens - reply - _SPARE_TOKENS) * _CHARACTERS_PER_TOKEN
    before, after = middle.before, middle.after
    if middle.may_cut and len(before) + len(after) > room:
        before, after = _cut(before, after, room)
    is_cut = len(before) + len(after) < len(middle.before) + len(middle.after)
    left = room - len(before) - len(after)
    if middle.extra_tokens is not None:
        left = min(left, middle.extra_tokens * _CHARACTERS_PER_TOKEN)
    files = fitting(middle.files, left)
    if files and not fim.file:
        told = "".join(f"{_comment(name, language)}\n{text}\n\n" for name, text in files)
        text = fim.prompt(told + before, after)
    else:
        text = fim.prompt(before, after, files=files, path=middle.path)
        if files and fim.repository:
            text = f"{fim.repository}{middle.repository or _REPOSITORY}\n{text}"
    return Prompt(text=text, before=before, after=after, is_cut=is_cut)


def fitting(files: tuple[tuple[str, str], ...], characters: int) -> tuple[tuple[str, str], ...]:
    """Return the last of some files that fit; of the first of them perhaps only its last lines."""
    kept: list[tuple[str, str]] = []
    for name, text in reversed(files):
        room = characters - len(name) - 4
        if room < min(len(text), _LEAST_CHARACTERS):
            break
        if len(text) > room:
            text = text[-room:]
            text = text[text.find("\n") + 1 :]
            kept.append((name, text))
            break
        kept.append((name, text))
        characters = room - len(text)
    return tuple(reversed(kept))


def _cut(before: str, after: str, room: int) -> tuple[str, str]:
    """Return what is nearest to the cursor; room that one side does not need is the other's."""
    for_after = min(len(after), max(int(room * (1 - _PREFIX_SHARE)), room - len(before)))
    for_before = min(len(before), room - for_after)
    return before[len(before) - for_before :], after[:for_after]


def _comment(name: str, language: Language) -> str:
    return f"# {name}" if language.indents or not language.grammar else f"// {name}"
