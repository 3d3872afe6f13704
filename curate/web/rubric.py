"""What a model is asked of a page, and how its answer is read: its category, and a rating.

The paper rates pages from 0 to 10 and found ratings biased by the kind of site: too high for
documentation, shops and pages about colours, too low for forums; so thresholds go by category
(section 2.2.3). It does not print its categories nor its prompt: both are ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from curate.scoring.rubric import MOST_CHARS, Rubric, fenced, rating_of
from seedcoder.completion import Message

# Name, as it is written down, and what it is, as the model is told.
CATEGORIES: Final[Mapping[str, str]] = {
    "documentation": "reference or manual of a library, language, tool or product",
    "tutorial": "lesson, course, guide or article that explains how to do something",
    "blog": "an author's own article, opinion or notes",
    "forum": "questions with answers, discussions, mailing lists, issue trackers",
    "news": "news, announcements, lists of changes",
    "listing": "index of other pages, search results, list of packages or repositories",
    "design": "colours, fonts, icons, themes and how pages look",
    "shop": "something is sold or advertised",
    "other": "none of these",
}

_SYSTEM: Final = """\
You are an experienced engineer who decides which web pages a code model should learn from."""

_QUESTION: Final = """\
Rate the text of a web page below as material for training a code model.

The rating is 0, and nothing else matters, if the page has nothing to do with programming, or is
little but menus, links, advertisements, error messages or generated filler.

Otherwise weigh four things:
- Content: it teaches or shows how something is programmed, configured, computed or debugged.
- Code: the code is whole enough to be understood, belongs to the text and looks right.
- Text: it explains in sentences, in order, and was extracted without gaps and without rubbish.
- Use: what one learns from it holds beyond one user's single case.

Judge the page by what it says and not by the kind of site: a plain forum thread with a right answer
is worth more than a polished manual page without substance.

Its category is one of:
{categories}

Explain in a few sentences, then end with two lines of exactly this form, X a whole number from 1
(useless) to 10 (exemplary), or 0 as said above:
Category: [[NAME]]
Rating: [[X]]

The page:
{text}"""

_CATEGORY: Final = re.compile(r"Category:\s*\[\[\s*([A-Za-z]+)\s*\]\]", re.IGNORECASE)


def question(language: str, text: str, most_chars: int = MOST_CHARS) -> tuple[Message, ...]:
    """Return the conversation that asks for a page's category and rating."""
    listed = "\n".join(f"- {name}: {what}" for name, what in CATEGORIES.items())
    said = _QUESTION.format(categories=listed, text=fenced(text, most_chars))
    return (Message(role="system", content=_SYSTEM), Message(role="user", content=said))


def read(reply: str) -> dict[str, Any] | None:
    """Return score and category of a reply; None where it does not give both."""
    score = rating_of(reply)
    named = _CATEGORY.findall(reply)
    category = named[-1].lower() if named else ""
    if score is None or category not in CATEGORIES:
        return None
    return {"score": score, "category": category}


PAGES: Final = Rubric(version="web-1", question=question, read=read)
