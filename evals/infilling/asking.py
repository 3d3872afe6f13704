"""How a missing middle is asked for, and what of a reply is the middle.

In three ways, by the recipe:

[fim]  The model's own tokens around what stands before and after (`seedcoder.fim`), protocol
    "completion". The prompt is never stripped: a middle may begin in the middle of a line.
no [fim], protocol "completion"  The model continues what stands before the gap and sees nothing of
    what follows. That measures continuing, not filling in, and is no number to put beside the
    papers'.
protocol "chat"  Both sides in words and fences; the benchmark's own words where its authors have
    some, otherwise ours.

Does not cover: middles that run on into what follows the gap. No upstream cuts those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from evals.bench import Style
from evals.fences import loose_blocks, strict_blocks
from seedcoder.completion import Message, Request
from seedcoder.errors import UsageError

# Ours: no author of these benchmarks publishes a chat prompt for them.
_QUESTION: Final = """\
Code is missing from the middle of this {title} file. What stands before the gap:
```{tag}
{before}
```
What stands after the gap:
```{tag}
{after}
```
Reply with the missing code alone, in one fenced block, indented as it must be. Repeat neither \
what stands before the gap nor what stands after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One gap in a file. language: (name for people, tag of a fence)."""

    before: str
    after: str
    language: tuple[str, str] = ("Python", "python")


def ask(
    key: str, gap: Gap, style: Style, *, question: str | None = None, system: str = ""
) -> Request:
    """Return the request for a gap's middle.

    question, system: the turns for chat models, where the benchmark has some of its own.
    Raises UsageError for [fim] together with the chat protocol: its tokens are no chat.
    """
    if style.protocol == "completion":
        prompt = style.fim.prompt(gap.before, gap.after) if style.fim else before(gap.before, style)
        return Request(key=key, prompt=prompt)
    if style.fim:
        raise UsageError("[fim] goes with protocol 'completion'; a chat is asked in words")
    title, tag = gap.language
    if question is None:
        question = _QUESTION.format(title=title, tag=tag, before=gap.before, after=gap.after)
    turns = (Message(role="user", content=question),)
    return Request(
        key=key,
        prompt=(Message(role="system", content=system), *turns) if system else turns,
        prefill=f"```{tag}\n" if style.prefill else "",
    )


def before(text: str, style: Style) -> str:
    """Return what stands before the gap as it is asked: stripped only where it is continued.

    A program is put together with this, and not with the text of the file.
    """
    strips = style.protocol == "completion" and style.fim is None and style.strip_prompt
    return text.rstrip() if strips else text


def stops(style: Style, own: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the stop strings: the benchmark's `own` and the model's; a chat has none."""
    if style.protocol == "chat":
        return ()
    return (*own, *(style.fim.stop if style.fim else ()))


def middle(text: str, style: Style, own: tuple[str, ...] = ()) -> str:
    """Return the middle that a reply gives: cut at the stop strings, or out of a chat's fences.

    Of a chat, the first fenced block; all of the reply where there is none. A block's text has no
    newline at its end.
    """
    if style.protocol == "completion":
        for stop in stops(style, own):
            text = text.partition(stop)[0]
        return text
    for blocks in (strict_blocks, loose_blocks):
        for block in blocks(text, open_at_start=style.prefill):
            return block.text
    return text
