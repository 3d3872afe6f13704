"""`agentless`: localise, repair, validate, vote; no agent (Xia et al. 2024, arXiv 2407.01489).

1. Files. The model picks from the list of source files; BM25 over their text adds what it finds.
2. Places. It sees outlines of those files and picks functions and classes; BM25 adds some again.
3. Repair. It sees these places with ten lines around them, and writes SEARCH/REPLACE edits: once
   as the recipe samples, then `repairs` - 1 times at temperature 0.8 (the paper's).
4. Validate. Edits that do not apply, change nothing or leave a file that does not parse are
   dropped. The project's own tests that look nearest run before and after; fewest new failures
   win. The tests that judge are not among them: they are not there yet.
5. Vote. Of those the most frequent outcome, by the files' syntax trees; of equals the earliest.

The stages are the paper's; prompts, BM25 in place of embeddings, and the tests' choice are ours.
What differs: no line-level stage of its own, no reproduction tests.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from evals.swe.diff import git_diff
from evals.swe.edits import EditError, applied, edits_in
from evals.swe.episodes import Ask, Do, Ending, Episode, Reply
from evals.swe.retrieval import is_source, is_test, outline, parts_of, ranked
from evals.swe.workplace import Workplace
from evals.think import split
from sandbox.project.shell import Changes
from seedcoder.completion import Message

WARMTH: Final = 0.8  # paper, sec. 4: patches are sampled at 0.8 after a greedy one
_FILES, _PLACES, _AROUND, _TESTS = 4, 8, 10, 2  # ours
_TESTS_S: Final = 120.0  # ours
_PYTEST: Final = "python -m pytest -q -rfE --tb=no -p no:cacheprovider -o addopts="
_UNKNOWN: Final = 1_000  # new failures of a run that told nothing
_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)
_ISSUE: Final = "The project is {repo}. This issue was reported:\n\n<issue>\n{issue}\n</issue>\n\n"
_ASK_FILES: Final = (
    "These are its source files:\n\n{files}\n\n"
    "Which of them must be changed to resolve the issue? Name at most {count} files, the most "
    "likely first, one path a line, in a ``` block. Nothing else."
)
_ASK_PLACES: Final = (
    "These are the outlines of some of its files:\n\n{outlines}\n\n"
    "Which functions, methods or classes must be changed, or read, to resolve the issue? Name at "
    "most {count}, the most likely first, one a line as `path: name` or `path: Class.method`, in a "
    "``` block. Nothing else."
)
_ASK_REPAIR: Final = (
    "These are the parts of its source that matter:\n\n{parts}\n\n"
    "Resolve the issue. Say in a few sentences what is wrong, then write the edits, each like "
    "this:\n\n"
    "### path/to/file\n<<<<<<< SEARCH\nlines of the file, exactly as they are\n=======\n"
    "the lines that take their place\n>>>>>>> REPLACE\n\n"
    "SEARCH must hold whole lines, with their indentation, and enough of them to be found. Change "
    "no tests."
)


def episode(place: Workplace, settings: Mapping[str, Any]) -> Episode:
    """Work on one instance. settings: "repairs", "context_chars"."""
    room = int(settings["context_chars"])
    sources = {
        name: text
        for name in sorted(place.base)
        if is_source(name) and (text := place.text(name)) is not None
    }
    issue = _ISSUE.format(repo=place.repo, issue=place.issue.strip())
    by_words = ranked(place.issue, sources)
    listing = _fitting(sorted(sources), by_words, room)
    asked = _ASK_FILES.format(files="\n".join(listing), count=_FILES)
    replies: list[Reply] = yield _ask(issue + asked)
    if replies[0].finish == "overflow":
        return Ending(patch="", finish="overflow")
    files = _first(_named_in(_answer(replies[0]), sources), by_words, _FILES)

    each = max(400, room // max(1, len(files)))
    outlines = "\n\n".join(f"### {name}\n{outline(name, sources[name], each)}" for name in files)
    replies = yield _ask(issue + _ASK_PLACES.format(outlines=outlines, count=_PLACES))
    if replies[0].finish == "overflow":
        return Ending(patch="", finish="overflow")
    shown = _excerpts(_answer(replies[0]), files, sources, place.issue, room)

    repair = issue + _ASK_REPAIR.format(parts=shown)
    replies = yield _ask(repair)
    if replies[0].finish == "overflow":
        return Ending(patch="", finish="overflow")
    if int(settings["repairs"]) > 1:
        more = yield _ask(repair, n=int(settings["repairs"]) - 1, temperature=WARMTH)
        replies = [*replies, *more]
    candidates: list[Changes] = []
    for reply in replies:
        try:
            candidates.append(
                applied(edits_in(_answer(reply), files[0] if files else ""), place.base)
            )
        except EditError:
            continue
    candidates = [one for one in candidates if git_diff(place.base, one)]
    if not candidates:
        return Ending(patch="")
    failures = yield from _validated(place, candidates)
    return Ending(patch=git_diff(place.base, candidates[elected(candidates, failures)]))


def _ask(text: str, *, n: int = 1, temperature: float | None = None) -> Ask:
    return Ask(messages=(Message(role="user", content=text),), n=n, temperature=temperature)


def _answer(reply: Reply) -> str:
    return split(reply.text).answer


def _fitting(names: Sequence[str], best: Sequence[str], room: int) -> list[str]:
    """Return as many names as there is room for, the best by words first to be kept."""
    kept, used = set(), 0
    for name in best:
        used += len(name) + 1
        if used > room:
            break
        kept.add(name)
    return [name for name in names if name in kept]


def _named_in(text: str, sources: Mapping[str, str]) -> list[str]:
    """Return the files that a reply names, in its order, by their path or the end of it."""
    found = []
    for word in re.findall(r"[\w./+-]+", text):
        word = word.strip(".").removeprefix("./")
        ends = [name for name in sources if name == word or name.endswith(f"/{word}")]
        if len(ends) == 1 or word in sources:
            found.append(word if word in sources else ends[0])
    return list(dict.fromkeys(found))


def _first(chosen: Sequence[str], others: Sequence[str], most: int) -> list[str]:
    """Return what was chosen and the best of the others, which have at least one place."""
    picked = list(chosen[: most - 1])
    return [*picked, *(name for name in others if name not in picked)][:most]


def _excerpts(
    reply: str, files: Sequence[str], sources: Mapping[str, str], issue: str, room: int
) -> str:
    """Return the chosen places of the files, with lines around them, within the room."""
    parts = {(name, part.name): part for name in files for part in parts_of(name, sources[name])}
    bodies = {
        f"{name}: {part.name}": "\n".join(sources[name].split("\n")[part.first - 1 : part.last])
        for (name, _), part in parts.items()
    }
    keys = {f"{name}: {inner}": (name, inner) for name, inner in parts}
    words = set(re.findall(r"[\w.]+", reply))
    chosen = [
        key for key, (name, inner) in keys.items()
        if inner in words and (name in reply or PurePosixPath(name).name in reply)
    ]  # fmt: skip
    order = _first(chosen, ranked(issue, bodies), _PLACES)
    lines: dict[str, set[int]] = {}
    used = 0
    for key in order:
        name, inner = keys[key]
        part, whole = parts[name, inner], sources[name].split("\n")
        span = range(max(1, part.first - _AROUND), min(len(whole), part.last + _AROUND) + 1)
        new = set(span) - lines.get(name, set())
        cost = sum(len(whole[number - 1]) + 1 for number in new)
        if used + cost > room:
            continue
        used += cost
        lines.setdefault(name, set()).update(new)
    for name in files:
        # Small files are shown whole while there is room: imports and constants matter too.
        if used + len(sources[name]) <= room // 2 or (not lines and used == 0):
            used += len(sources[name])
            lines[name] = set(range(1, len(sources[name].split("\n")) + 1))
    return "\n\n".join(
        _excerpt(name, sources[name], lines[name], room) for name in files if name in lines
    )


def _excerpt(name: str, text: str, numbers: set[int], room: int) -> str:
    whole, out, before = text.split("\n"), [f"### {name}"], 0
    for number in sorted(numbers):
        if number != before + 1:
            out.append("...")
        out.append(whole[number - 1])
        before = number
    if before < len(whole):
        out.append("...")
    return "\n".join(out)[: room + 200]


def _validated(place: Workplace, candidates: Sequence[Changes]) -> Any:
    """Return the new failures that each candidate brings to tests that the project has."""
    touched = sorted({name for one in candidates for name in one})
    tests = [
        name for name in place.base
        if is_test(name) and name.endswith(".py")
        and not name.endswith(("conftest.py", "__init__.py"))
    ]  # fmt: skip
    stems = {PurePosixPath(name).stem for name in touched}
    near = [name for name in tests if PurePosixPath(name).stem.removeprefix("test_") in stems]
    query = f"{place.issue}\n{' '.join(touched)}"
    chosen = _first(near, ranked(query, {n: place.text(n) or "" for n in tests}), _TESTS)
    if not chosen:
        return [0] * len(candidates)
    command = f"{_PYTEST} {' '.join(map(_quoted, chosen))}"
    before = yield _tests(place, command, {})
    found, known = [], {}
    for one in candidates:
        key = git_diff(place.base, one)
        if key not in known:
            after = yield _tests(place, command, one)
            told = after is not None and before is not None
            known[key] = len(set(after) - set(before)) if told else _UNKNOWN
        found.append(known[key])
    return found


def _tests(place: Workplace, command: str, changes: Changes) -> Do:
    """Return the tests that fail, None where the run told nothing."""

    def work() -> list[str] | None:
        result = place.run(command, changes, timeout_s=_TESTS_S)
        if result.exit_code not in (0, 1):
            return None
        return sorted(set(_FAILED.findall(result.output)))

    return Do(work=work, about=f"{command}\n{git_diff(place.base, changes)}")


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "'\\''") + "'"


def elected(candidates: Sequence[Changes], failures: Sequence[int]) -> int:
    """Return which candidate is elected: fewest new failures, most frequent, earliest."""
    least = min(failures)
    sound = [n for n, count in enumerate(failures) if count == least]
    ballots = {n: _ballot(candidates[n]) for n in sound}
    votes = Counter(ballots.values())
    return max(sound, key=lambda n: (votes[ballots[n]], -n))


def _ballot(changes: Changes) -> tuple[tuple[str, str], ...]:
    """Return what a candidate makes of the files; of Python without comments and layout."""
    found = []
    for name, change in sorted(changes.items()):
        text = change.content.decode("utf-8", "replace") if change else ""
        if name.endswith(".py"):
            try:
                text = ast.dump(ast.parse(text))
            except (SyntaxError, ValueError, RecursionError):
                pass
        found.append((name, text))
    return tuple(found)
