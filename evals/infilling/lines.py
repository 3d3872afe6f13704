"""How completions of lines are graded: by the suite the paper used, and by CrossCodeEval's authors.

qwen    QwenLM/Qwen2.5-Coder, qwencoder-eval/base/benchmarks/fim-bench/eval_metric.py (it comes from
    amazon-science/Repoformer, repo_eval/eval_metric.py): as many lines that are not blank as the
    answer has; equal when the words and signs are, quotes of either kind alike and camelCase
    words apart. The paper's tables were made with it.
cceval  amazon-science/cceval, scripts/eval_metric.py and eval_utils.py: one statement (Python: up
    to the first line end where the file so far parses; others: up to the first ; { or }),
    without what looks like a comment in any of the languages; equal when the lines are, white
    space at their ends aside. Also compares the identifiers outside strings.
Both compute edit similarity of what they compared (`evals.infilling.similarity`).
"""

from __future__ import annotations

import keyword
import re
from functools import lru_cache
from typing import Final

from evals.infilling.matching import Marks
from evals.infilling.similarity import edit_ratio, indel_ratio, ratio
from evals.infilling.syntax import parses

_WORDS_AND_SIGNS: Final = re.compile(r"[A-Za-z0-9_]+|[^A-Za-z0-9_\s]")
_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_COMMENT: Final = re.compile(r"#.*|//.*")
_STRING: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|\'[^\'\\]*(?:\\.[^\'\\]*)*\'')
_ENDS: Final = re.compile("[;{}]")
_NAME: Final = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")

# cceval: scripts/keywords/. As there, True and False are none, nor are literals of other languages
# (save C#'s null).
_WORDS: Final = {
    "python": " ".join(word for word in keyword.kwlist if word not in ("True", "False")),
    "java": """
        abstract assert boolean break byte case catch char class continue default do double else
        enum extends final finally float for if implements import instanceof int interface long
        native new package private protected public return short static strictfp super switch
        synchronized this throw throws transient try void volatile while var const goto""",
    "csharp": """
        abstract as base bool break byte case catch char checked class const continue decimal
        default delegate do double else enum event explicit extern finally fixed float for foreach
        goto if implicit in int interface internal is lock long namespace new null object operator
        out override params private protected public readonly ref return sbyte sealed short sizeof
        stackalloc static string struct switch this throw try typeof uint ulong unchecked unsafe
        ushort using virtual void volatile while""",
    "typescript": """
        break case catch class const continue debugger default delete do else export extends
        finally for function if import in instanceof new return super switch this throw try typeof
        var void while with yield enum implements interface let package private protected public
        static""",
}
_KEYWORDS: Final = {language: frozenset(words.split()) for language, words in _WORDS.items()}


def qwen_marks(text: str, gold: str) -> Marks:
    """Return the marks of the suite that the paper used."""
    lines = [line for line in text.split("\n") if line.strip()]
    wanted = sum(1 for line in gold.split("\n") if line.strip())
    return alike("\n".join(lines[:wanted]), gold)


def alike(written: str, gold: str) -> Marks:
    """Return that suite's marks of what is cut already."""
    return Marks(
        written=written,
        gold=gold,
        exact=_signs(written) == _signs(gold),
        numbers=_similarities(written, gold),
    )


@lru_cache(maxsize=256)  # judged, and then measured
def cceval_marks(text: str, gold: str, *, prompt: str, language: str) -> Marks:
    """Return the marks of CrossCodeEval's authors.

    prompt: the file before the gap, whole. language: as the data names it. MachineLacks: Python
    without tree-sitter.
    """
    written = _COMMENT.sub("", statement(text, prompt=prompt, language=language))
    gold = _COMMENT.sub("", gold)
    names, wanted = _names(written, language), _names(gold, language)
    both = len(set(names) & set(wanted))
    sizes = len(set(names)) + len(set(wanted))
    return Marks(
        written=written,
        gold=gold,
        exact=_stripped(written) == _stripped(gold),
        numbers={
            **_similarities(written, gold),
            "id_em": float(names == wanted),
            "id_f1": 2 * both / sizes if sizes else 0.0,
        },
    )


def statement(text: str, *, prompt: str, language: str) -> str:
    """Return the first statement of a completion, by cceval's rules; all of it where none ends.

    One quirk is theirs: a bracket language's completion that begins with ; { or } is not cut.
    """
    if language == "python":
        end = text.find("\n", 1)
        while end > 0:
            if parses(prompt + text[:end], "python"):
                return text[:end].rstrip()
            end = text.find("\n", end + 1)
        return text
    end_of_one = _ENDS.search(text)
    return text[: end_of_one.end()] if end_of_one and end_of_one.start() else text


def _signs(text: str) -> list[str]:
    found: list[str] = []
    for word in _WORDS_AND_SIGNS.findall(text):
        found += ["`"] if word in "'\"" else _HUMP.split(word)
    return found


def _similarities(written: str, gold: str) -> dict[str, float]:
    return {
        "es": ratio(written, gold),
        "es_indel": indel_ratio(written, gold),
        "es_edit": edit_ratio(written, gold),
    }


def _stripped(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _names(text: str, language: str) -> list[str]:
    """Return the identifiers outside strings, in their order, each as often as it stands there."""
    words = re.findall(r"\w+", _STRING.sub("", text))
    return [word for word in words if _NAME.match(word) and word not in _KEYWORDS[language]]
