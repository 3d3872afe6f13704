"""What a model is asked of a file, and how its answer is read.

The criteria, the scale and the policy of zero are the paper's (section 2.2.1 and appendix A.2.1);
the wording is ours. The paper's text rates from 0 to 10, its prompt from 1 to 10 with zero by
policy: labels are the whole numbers from 0 to 10.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from seedcoder.completion import Message

VERSION: Final = 2  # raised with every change of the words: labels of another are not mixed
MOST: Final = 10
MOST_CHARS: Final = 24_000  # of a file, shown: ours

_SYSTEM: Final = """\
You are an experienced engineer who decides which files a code model should learn from."""

_QUESTION: Final = """\
Rate the {language} file below as material for training a code model.

First look whether one of these holds; then the rating is 0 and nothing else matters:
- it is configuration, or data written as code: long literals, tables, lists of constants;
- it has little logic, mostly assignments or declarations of values;
- a tool generated it.

Otherwise weigh four things:
- Readability: helpful comments and docstrings, usual formatting, names that say what they mean.
- Modularity: functions and classes of one task each, none overlong, logic kept apart.
- Clarity: little repetition, no blocks of dead or commented-out code, no forgotten debug output.
- Reusability: no mistakes in syntax or logic, few hard-coded values, complete and meaningful, easy
  to use in another program.

Explain in a few sentences, then end with one line of exactly this form, X a whole number from 1
(useless) to 10 (exemplary), or 0 as said above:
Rating: [[X]]

The file:
{text}"""

_RATING: Final = re.compile(r"Rating:\s*\[\[\s*(\d{1,2})\s*\]\]", re.IGNORECASE)


def question(language: str, text: str, most_chars: int = MOST_CHARS) -> tuple[Message, ...]:
    """Return the conversation that asks for a file's rating. A long file is cut in its middle.

    The fence around the file is longer than any in it. What this does not guard against is a file
    that talks the model into a rating.
    """
    said = _QUESTION.format(language=language or "source", text=fenced(text, most_chars))
    return (Message(role="system", content=_SYSTEM), Message(role="user", content=said))


def fenced(text: str, most_chars: int) -> str:
    """Return a text between fences that it does not hold itself, cut in its middle where long."""
    if len(text) > most_chars:
        half = most_chars // 2
        text = f"{text[:half]}\n[... {len(text) - 2 * half} characters ...]\n{text[-half:]}"
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def rating_of(reply: str) -> int | None:
    """Return the rating that a reply ends with; None where it gives none from 0 to 10.

    The last one counts: what a model quotes of the question comes before.
    """
    found = _RATING.findall(reply)
    if not found or int(found[-1]) > MOST:
        return None
    return int(found[-1])


def _read(reply: str) -> dict[str, Any] | None:
    score = rating_of(reply)
    return None if score is None else {"score": score}


@dataclass(frozen=True, slots=True)
class Rubric:
    """A wording, as it is asked. version: of its words. question: of a language and a text. read:
    what a reply says, `score` and perhaps more; None where it says nothing that can be used."""

    version: int | str
    question: Callable[[str, str], tuple[Message, ...]]
    read: Callable[[str], dict[str, Any] | None]


FILES: Final = Rubric(version=VERSION, question=question, read=_read)
