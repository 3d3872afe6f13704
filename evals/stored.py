"""Read run folders as they lie, without their lock: for comparing runs and for the board.

A run is read as finished only when all that finishing leaves behind agrees: see `Stored.state`.
Does not see whether an unfinished run is being worked on right now, nor rows that someone edited.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from evals.problem import Problem, Score, sample_problem
from evals.result import FAILED
from evals.tally import Answer, read_answers, verdict_kind
from seedcoder.errors import UsageError
from seedcoder.rows import read_rows
from seedcoder.run import MANIFEST, ROWS, SUMMARY
from seedcoder.run_folder import read_json

log = logging.getLogger(__name__)

State = Literal["complete", "failed", "unfinished", "stale"]

# Said of files, not of what is measured: the digests say which data it was.
_PLACES: Final = frozenset({"path"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A run as its folder has it.

    state: "complete"; "failed" (more was lost to failures of ours than its recipe allows);
        "unfinished" (it was cut off, or is under way); "stale" (its summary is of other rows than
        those that lie there). why: in words, where it is not complete.
    scores, parts: of the summary; empty where there is none.
    """

    folder: Path
    manifest: Mapping[str, Any]
    state: State
    why: str
    scores: list[Score]
    parts: Mapping[str, Score]
    judged: int
    planned: int

    @property
    def recipe(self) -> Mapping[str, Any]:
        """What was asked for."""
        found: Mapping[str, Any] = self.manifest["recipe"]
        return found

    @property
    def bench(self) -> str:
        """The benchmark's name."""
        return str(self.recipe["bench"])

    @property
    def version(self) -> str:
        """The benchmark's version, as it was then."""
        return str(self.manifest.get("bench", {}).get("version", "unknown version"))

    @property
    def options(self) -> Mapping[str, Any]:
        """The benchmark's options, without where its files lay."""
        options = self.recipe.get("options", {})
        return {name: value for name, value in options.items() if name not in _PLACES}

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digests of the benchmark's data, without those of a scripted model's answers."""
        digests = self.manifest["data_sha256"]
        return {name: digest for name, digest in digests.items() if name != "answers"}

    @property
    def model(self) -> str:
        """The model's name, as it gave it itself; before it was opened, as the recipe has it."""
        return str(self.manifest.get("model", self.recipe["model"]))

    @property
    def worked_on(self) -> str:
        """When it was last worked on, ISO; "" where that is not told."""
        sittings = self.manifest.get("sittings") or [{}]
        return str(sittings[-1].get("ended") or sittings[-1].get("begun") or "")

    def answers(self) -> list[Answer]:
        """Return what is known of each sample that has a row, the benchmark's data not needed."""
        return _answers(self.folder, self.manifest)


def read_run(folder: Path) -> Stored:
    """Return the run in a folder. UsageError, one line, where there is none of `eval`."""
    manifest = read_json(folder / MANIFEST) if folder.is_dir() else None
    if manifest is None:
        raise UsageError(f"{str(folder)!r} is no run folder: it has no {MANIFEST}")
    if manifest.get("verb") != "eval":
        raise UsageError(f"{folder} is a run of {manifest.get('verb')!r}, not of 'eval'")
    for table in ("recipe", "data_sha256"):
        if not isinstance(manifest.get(table), dict):
            raise UsageError(f"{folder}: its {MANIFEST} lacks {table!r}")
    if not {"bench", "model"} <= manifest["recipe"].keys():
        raise UsageError(f"{folder}: its recipe names no benchmark or no model")
    summary = read_json(folder / SUMMARY)
    kinds = _kinds(folder, manifest)
    state, why = _state(manifest, summary, kinds)
    said = summary or {}
    try:
        scores = [Score.from_json(score) for score in said.get("scores", ())]
        parts = {tag: Score.from_json(score) for tag, score in said.get("parts", {}).items()}
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{folder}: its {SUMMARY} is of another version: {error}") from error
    return Stored(
        folder=folder,
        manifest=manifest,
        state=state,
        why=why,
        scores=scores,
        parts=parts,
        judged=kinds.total(),
        planned=int(said.get("planned", 0)),
    )


def find_runs(root: Path) -> tuple[list[Stored], Mapping[Path, str]]:
    """Return the runs of evals below a folder, and those that cannot be read, each with why.

    Runs of other verbs are passed by. UsageError when `root` is no folder.
    """
    if not root.is_dir():
        raise UsageError(f"no folder {str(root)!r}")
    found, unread = [], {}
    for path in sorted(root.rglob(MANIFEST)):
        folder = path.parent
        try:
            manifest = read_json(path)
            if manifest is not None and manifest.get("verb", "eval") == "eval":
                found.append(read_run(folder))
        except UsageError as error:
            unread[folder] = str(error)
            log.warning("run cannot be read folder=%s error=%s", folder, error)
    return found, unread


def _state(
    manifest: Mapping[str, Any], summary: Mapping[str, Any] | None, kinds: Counter[str]
) -> tuple[State, str]:
    sittings = manifest.get("sittings") or [{}]
    judged = kinds.total()
    if summary is None:
        return "unfinished", f"{judged} samples judged so far, no summary yet"
    if "ended" not in sittings[-1]:
        return "unfinished", f"its last sitting has not ended; {judged} samples judged so far"
    if summary.get("kinds") != kinds:
        said = summary.get("judged")
        return (
            "stale",
            f"its summary counts {said} verdicts, its rows hold {judged}, not the same ones",
        )
    if summary.get("status") == FAILED:
        planned = summary.get("planned", 0)
        return "failed", f"{planned - judged} of {planned} samples were lost"
    return "complete", ""


def _kinds(folder: Path, manifest: Mapping[str, Any]) -> Counter[str]:
    kind = verdict_kind(manifest.get("grading", 1))
    rows = read_rows(folder / ROWS)
    return Counter(row["verdict"]["kind"] for row in rows if row["kind"] == kind)


def _answers(folder: Path, manifest: Mapping[str, Any]) -> list[Answer]:
    rows = read_rows(folder / ROWS)
    keys: dict[str, None] = {}
    for row in rows:
        if row["kind"] in ("sample", "error"):
            keys.setdefault(sample_problem(row["key"]))
    stand_ins: Sequence[Problem] = [
        Problem(key=key, prompt="", entry_point="", tests={}) for key in keys if key
    ]
    samples = int(manifest["recipe"].get("samples", 1))
    return read_answers(rows, stand_ins, samples, manifest.get("grading", 1))
