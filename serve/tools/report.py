"""What became of one call: as the model reads it, and as the client is told.

The client's account is an entry of `code_runs`, a list in the deltas of a stream and in the message
of a whole answer. In a stream an entry comes in two pieces, which go together by `index` as those
of `tool_calls` do: `index`, `id`, `name`, `arguments` when the program starts; when it has ended
`status` (a verdict's kind: "passed", "crashed", "timeout"...; "refused" where the arguments were
wrong and nothing ran), `stdout`, `stderr`, `value`, `error`, `displays`, `truncated`, `cpu_s`,
`wall_s`, `session` (name it in a later request, and its state is still there), `note`. What has
nothing to say is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox import CellResult, Kind, Outcome

_MODEL_MOST = 8_000  # characters of each part that the model reads; ours
_DISPLAYS_MOST = 1 << 20  # characters of all displays of a call; ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A call that was answered.

    status: a Kind's value, or "refused". text: what the model reads. told: what the client gets.
    """

    status: str
    text: str
    told: Mapping[str, Any] = field(default_factory=dict)


def of_cell(result: CellResult, session: str, note: str = "") -> Ran:
    """Return the account of a cell of Python."""
    error = result.error
    parts = [("stdout", result.stdout), ("stderr", result.stderr)]
    if error is not None:
        parts.append(("error", error.traceback or f"{error.name}: {error.message}"))
    elif result.value is not None:
        parts.append(("value", result.value))
    notes = [note, result.over and f"{result.over}; the next call begins anew"]
    told: dict[str, Any] = {
        "stdout": result.stdout,
        "stderr": result.stderr,
        "value": result.value,
        "error": error and error.to_json(),
        "displays": _shown(result.displays),
        "truncated": result.truncated or None,
        "session": "" if result.over else session,
    }
    return _account(result.kind, parts, notes, told, result.cpu_s, result.wall_s, result.truncated)


def of_program(outcome: Outcome) -> Ran:
    """Return the account of a program that ran by itself."""
    parts = [("stdout", outcome.stdout), ("stderr", outcome.stderr)]
    code = outcome.exit_code
    notes = [f"exit code {code}" if code else ""]
    told: dict[str, Any] = {
        "stdout": outcome.stdout,
        "stderr": outcome.stderr,
        "exit_code": code,
        "truncated": outcome.truncated or None,
    }
    return _account(
        outcome.kind, parts, notes, told, outcome.cpu_s, outcome.wall_s, outcome.truncated
    )


def refused(why: str) -> Ran:
    """Return the account of a call that could not be run as it was written."""
    return Ran(
        status="refused",
        text=f"run_code was not run. {why}. Write the call once more, rightly.",
        told={"status": "refused", "note": why},
    )


def _account(
    kind: Kind,
    parts: list[tuple[str, str]],
    notes: list[str],
    told: dict[str, Any],
    cpu_s: float,
    wall_s: float,
    truncated: bool,
) -> Ran:
    said = [f"status: {kind.value}, {cpu_s:.2f} s of CPU time"]
    note = "; ".join(note for note in notes if note)
    if note:
        said.append(f"note: {note}")
    if truncated:
        said.append("note: the output was cut")
    for name, text in parts:
        if text.strip():
            said.append(f"{name}:\n{_fenced(_short(text.rstrip()))}")
    if len(said) == 1 + bool(note):
        said.append("(no output)")
    kept = {name: value for name, value in told.items() if value not in (None, "", [])}
    numbers = {"cpu_s": round(cpu_s, 4), "wall_s": round(wall_s, 4)}
    told = {"status": kind.value, **kept, **numbers, **({"note": note} if note else {})}
    return Ran(status=kind.value, text="\n".join(said), told=told)


def _short(text: str) -> str:
    """Return the beginning and the end of a long text."""
    if len(text) <= _MODEL_MOST:
        return text
    half = _MODEL_MOST // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters ...]\n{text[-half:]}"


def _fenced(text: str) -> str:
    """Return a text between fences that it cannot close itself."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _shown(displays: tuple[Mapping[str, str], ...]) -> list[dict[str, str]]:
    kept: list[dict[str, str]] = []
    size = 0
    for display in displays:
        size += len(json.dumps(dict(display)))
        if size > _DISPLAYS_MOST:
            break
        kept.append(dict(display))
    return kept
