"""Runs of `seedcoder eval` as their folders have them, read without their lock.

    runs = find_runs(Path("runs"))
    run = read_run(Path("runs"), runs[0].folder_name)

The rows hold replies and verdicts; what the problem said stands in the run's report only, and is
read from there once it is written. Guards: a name from the page never leads out of the folder of
runs. Does not see: whether a run is being worked on now, nor rows that someone edited.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

from seedcoder.errors import UsageError
from seedcoder.rows import read_rows
from seedcoder.run import MANIFEST, REPORT, ROWS, SUMMARY
from seedcoder.run_folder import read_json

_REPORT_MOST: Final = 64 << 20  # bytes, ours: a larger report is not searched for prompts


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """A run in the list. score: of its summary, in words; "unfinished" where there is none."""

    folder_name: str
    bench: str
    model: str
    score: str
    worked_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One sample and what became of it. kind: of its verdict, or "error", or "not judged"."""

    key: str
    problem: str
    kind: str
    reply: str = ""
    program: str = ""
    finish: str = ""
    tokens: int | None = None
    verdict: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeRun:
    """A run with its attempts, in the order of its rows; prompts by the problem's key."""

    line: RunLine
    attempts: tuple[Attempt, ...]
    prompts: Mapping[str, str]
    report: Path | None

    def kinds(self) -> Counter[str]:
        """Return how many attempts ended in each way."""
        return Counter(attempt.kind for attempt in self.attempts)


def find_runs(root: Path) -> list[RunLine]:
    """Return the runs of `eval` in a folder, the last worked on first; unreadable ones left out."""
    found = []
    for path in root.glob(f"*/{MANIFEST}") if root.is_dir() else ():
        line = _line(path.parent)
        if line is not None:
            found.append(line)
    return sorted(found, key=lambda line: (line.worked_on, line.folder_name), reverse=True)


def read_run(root: Path, folder_name: str) -> WholeRun:
    """Return a run of that folder of runs. UsageError, one line, where there is none."""
    folder = root / folder_name
    if Path(folder_name).name != folder_name or folder_name in ("", ".", ".."):
        raise UsageError(f"no run is called {folder_name!r}")
    line = _line(folder)
    if line is None:
        raise UsageError(f"no run of eval is called {folder_name!r} in {root}")
    manifest = read_json(folder / MANIFEST) or {}
    report = folder / REPORT
    return WholeRun(
        line=line,
        attempts=_attempts(read_rows(folder / ROWS), manifest.get("grading", 1)),
        prompts=_prompts(report),
        report=report if report.is_file() else None,
    )


def _line(folder: Path) -> RunLine | None:
    try:
        manifest = read_json(folder / MANIFEST)
        summary = read_json(folder / SUMMARY)
    except (UsageError, OSError):
        return None
    recipe = manifest.get("recipe") if manifest else None
    if manifest is None or manifest.get("verb") != "eval" or not isinstance(recipe, dict):
        return None
    sittings = manifest.get("sittings") or [{}]
    return RunLine(
        folder_name=folder.name,
        bench=str(recipe.get("bench", "?")),
        model=str(manifest.get("model", recipe.get("model", "?"))),
        score=_score(summary),
        worked_on=str(sittings[-1].get("ended") or sittings[-1].get("begun") or ""),
    )


def _score(summary: Mapping[str, Any] | None) -> str:
    scores = (summary or {}).get("scores") or []
    if not scores or not isinstance(scores[0], dict):
        return "unfinished"
    metric, value = scores[0].get("metric", "score"), scores[0].get("value")
    if not isinstance(value, int | float):
        return "unfinished"
    shown = f"{100 * value:.1f} %" if scores[0].get("unit", "share") == "share" else f"{value:g}"
    return f"{metric} {shown}"


def _attempts(rows: list[dict[str, Any]], grading: int) -> tuple[Attempt, ...]:
    # As `seedcoder eval regrade` names the verdicts of a later grading.
    verdict_kind = "verdict" if grading == 1 else f"verdict-{grading}"
    verdicts = {row["key"]: row for row in rows if row["kind"] == verdict_kind}
    errors = {row["key"]: str(row.get("error", "")) for row in rows if row["kind"] == "error"}
    samples = {row["key"]: row for row in rows if row["kind"] == "sample"}
    return tuple(
        _attempt(key, samples.get(key, {}), verdicts.get(key, {}), errors.get(key, ""))
        for key in dict.fromkeys((*samples, *errors))
    )


def _attempt(key: str, sample: Mapping[str, Any], judged: Mapping[str, Any], error: str) -> Attempt:
    verdict = judged.get("verdict") or {}
    return Attempt(
        key=key,
        problem=str(sample.get("problem") or key.rpartition("#")[0] or key),
        # What failed once and was made good later is no error any more.
        kind=str(verdict.get("kind") or ("error" if error else "not judged")),
        reply=str(sample.get("text", "")),
        program=str(judged.get("program", "")),
        finish=str(sample.get("finish", "")),
        tokens=sample.get("tokens"),
        verdict=verdict,
        error="" if verdict else error,
    )


def _prompts(report: Path) -> Mapping[str, str]:
    try:
        if report.stat().st_size > _REPORT_MOST:
            return {}
        text = report.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    reader = _Prompts()
    reader.feed(text)
    return reader.found


class _Prompts(HTMLParser):
    """Picks the problems' texts out of a report: figures with the caption "Prompt", by row."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._key: str | None = None
        self._wants_key = False
        self._caption = False
        self._is_prompt = False
        self._text: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "tr" and "opens" in (named.get("class") or "").split():
            self._key = None
        elif tag == "td" and self._key is None and named.get("class") != "opener":
            self._wants_key = True
        elif tag == "figcaption":
            self._caption, self._is_prompt = True, False
        elif tag == "code" and self._is_prompt:
            self._text = []

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)
        elif self._wants_key:
            self._key, self._wants_key = data.strip(), False
        elif self._caption:
            self._is_prompt, self._caption = data.strip() == "Prompt", False

    def handle_endtag(self, tag: str) -> None:
        if tag == "code" and self._text is not None:
            if self._key:
                self.found.setdefault(self._key, "".join(self._text))
            self._text, self._is_prompt = None, False
