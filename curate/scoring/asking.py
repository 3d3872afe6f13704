"""Ask a model to rate documents: each once, kept as soon as it is answered.

A reply without a rating is asked for again, warmer, and at last noted as "unrated": that is the
model's doing. A reply that was not had is an "error", ours, counted apart and tried again by the
next sitting. Another model or another wording does not read the rows of the first, and a document
whose text has changed is asked for again.

Rows are on disk's side of a kill -9 as soon as they are there. One sitting a folder at a time.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from curate.scoring.rubric import FILES, Rubric
from seedcoder.completion import Completion, Model, Request, Sampling
from seedcoder.errors import UsageError
from seedcoder.rows import RowFile, read_rows
from seedcoder.run_folder import Lock

log = logging.getLogger(__name__)

_CHARS_A_TOKEN: Final = 3.3  # ours: of code, by tokenizers of 50,000 to 150,000 entries
_TRIES: Final = 3
_AGAIN: Final = 0.7  # temperature of further tries
_KEPT_CHARS: Final = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What asking would take, before it starts. Tokens are estimates by the characters."""

    documents: int
    prompt_tokens: int
    reply_tokens: int

    def hours(self, tokens_per_s: float) -> float:
        """Return the hours at so many tokens a second, prompts read 20 times as fast (ours)."""
        return (self.prompt_tokens / 20 + self.reply_tokens) / tokens_per_s / 3600


@dataclass(slots=True, kw_only=True)
class Asked:
    """What came of a sitting."""

    had: int = 0  # before it
    rated: int = 0
    unrated: int = 0
    errors: int = 0


def cost_of(
    documents: Sequence[Mapping[str, Any]], sampling: Sampling, rubric: Rubric = FILES
) -> Cost:
    """Return what rating the documents would take, if each is answered at once."""
    chars = sum(
        sum(len(turn.content) for turn in rubric.question(one["language"], one["text"]))
        for one in documents
    )
    return Cost(
        documents=len(documents),
        prompt_tokens=round(chars / _CHARS_A_TOKEN),
        reply_tokens=len(documents) * sampling.max_tokens // 2,
    )


def left_of(documents: Sequence[Mapping[str, Any]], out: Path) -> list[Mapping[str, Any]]:
    """Return the documents that have no answer in `out` yet."""
    known = {
        (row["key"], row.get("sha256", ""))
        for row in read_rows(out)
        if row["kind"] in ("label", "unrated")
    }
    return [one for one in documents if (one["key"], _sha256(one["text"])) not in known]


def ask(
    documents: Sequence[Mapping[str, Any]],
    model: Model,
    out: Path,
    sampling: Sampling,
    tell: Callable[[int, int], None] = lambda *_: None,
    rubric: Rubric = FILES,
) -> Asked:
    """Rate documents (key, text, language, repo) into the rows of `out`.

    UsageError: `out` holds answers of another model or wording. RunBusy: another sitting writes
    into its folder.
    """
    result = Asked()
    out.parent.mkdir(parents=True, exist_ok=True)
    with _alone(out.parent), RowFile(out) as rows:
        known = set()
        for row in rows.read():
            if row["kind"] not in ("label", "unrated"):
                continue
            if (row["model"], row["rubric"]) != (model.name, rubric.version):
                raise UsageError(
                    f"{out} holds answers of {row['model']!r} to wording {row['rubric']}; write the"
                    f" answers of {model.name!r} to another file"
                )
            known.add((row["key"], row.get("sha256", "")))
        left = {
            one["key"]: one for one in documents if (one["key"], _sha256(one["text"])) not in known
        }
        result.had = len(documents) - len(left)
        total = len(left)
        for attempt in range(_TRIES):
            if not left:
                break
            how = sampling if not attempt else _warmer(sampling, attempt)
            requests = [
                Request(key=key, prompt=rubric.question(one["language"], one["text"]))
                for key, one in left.items()
            ]
            for completion in model.generate(requests, how):
                last = attempt == _TRIES - 1
                document = left[completion.key]
                answer = _row(completion, document, model.name, rubric, last=last)
                if answer is None:
                    continue
                rows.append(answer)
                del left[completion.key]
                result.rated += answer["kind"] == "label"
                result.unrated += answer["kind"] == "unrated"
                result.errors += answer["kind"] == "error"
                tell(total - len(left), total)
        result.errors += len(left)
    return result


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = Lock.take(folder)
    try:
        yield
    finally:
        lock.release()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _warmer(sampling: Sampling, attempt: int) -> Sampling:
    return Sampling(
        max_tokens=sampling.max_tokens,
        temperature=_AGAIN,
        top_p=sampling.top_p,
        seed=sampling.seed + attempt,
    )


def _row(
    completion: Completion,
    document: Mapping[str, Any],
    model: str,
    rubric: Rubric,
    *,
    last: bool,
) -> dict[str, Any] | None:
    """Return what to write down; None: ask again."""
    base = {
        "key": completion.key,
        "model": model,
        "rubric": rubric.version,
        "sha256": _sha256(document["text"]),
    }
    if completion.finish == "error":
        return {"kind": "error", **base, "error": completion.error or "no reply"}
    said = rubric.read(completion.text)
    if said is None:
        if not last and completion.finish != "overflow":
            return None
        return {"kind": "unrated", **base, "reply": completion.text[-_KEPT_CHARS:]}
    return {
        "kind": "label",
        **base,
        **said,
        "language": document["language"],
        "repo": document.get("repo", ""),
        "text": document["text"],
        "reply": completion.text[-_KEPT_CHARS:],
    }
