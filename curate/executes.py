"""The step `executes`: does the file compile, import, and pass its own doctests, in the sandbox?

For Python: compile, then import as a module of its own, then its doctests. For other languages that
`sandbox` knows: whether it compiles (or, where nothing is compiled, runs) as a program by itself.
The limits are small and nothing outside the box can be reached.

What the file does wrong is written in the columns. What is not its fault is not: a module that the
box lacks leaves `imports` null and the file kept, and a sandbox that fails raises, so that the row
goes to the quarantine and its columns stay null.

Does not guard: a file that lies (one that catches everything imports well), and files that mean to
be part of a package, whose relative imports cannot be found alone: they count as lacking a module.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

import pyarrow as pa

from sandbox import Kind, Limits, Outcome, Pool, Program, SandboxBroken
from sandbox.languages import LANGUAGES
from seedcoder.errors import UsageError

_NAME: Final = "looked_at"  # the module's name inside the box
_MARK: Final = "@executes@ "
# Runs in the box: it imports the file beside it, says how far that went, then runs its doctests.
_DRIVER: Final = f"""
import doctest, importlib, json, os, sys
out = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
def say(**facts):
    out.write({_MARK!r} + json.dumps(facts) + "\\n")
    out.flush()
sys.path.insert(0, os.getcwd())
try:
    source = open("{_NAME}.py", "rb").read()
    compile(source, "{_NAME}.py", "exec", dont_inherit=True)
except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
    say(stage="compile", error=type(error).__name__)
    sys.exit(0)
say(stage="compiled")
try:
    module = importlib.import_module("{_NAME}")
except ModuleNotFoundError as error:
    say(stage="import", error="ModuleNotFoundError", lacks=str(error.name or ""))
    sys.exit(0)
except ImportError as error:
    say(stage="import", error="ImportError", lacks=str(error.name or "") or "relative")
    sys.exit(0)
except BaseException as error:
    say(stage="import", error=type(error).__name__)
    sys.exit(0)
say(stage="imported")
tests = doctest.DocTestFinder(exclude_empty=True).find(module, "{_NAME}")
say(stage="doctest begun", tried=sum(len(one.examples) for one in tests))
runner = doctest.DocTestRunner(verbose=False)
for one in tests:
    runner.run(one, out=lambda text: None)
say(stage="doctest", tried=runner.tries, failed=runner.failures)
"""
_AT_FAULT: Final = {
    Kind.CRASHED: "crashes",
    Kind.TIMEOUT: "takes too long",
    Kind.MEMORY: "takes too much memory",
    Kind.OUTPUT: "writes too much",
    Kind.FORBIDDEN: "does what is forbidden",
}


class Executed(NamedTuple):
    """What came of one document; None: not known, or not looked at."""

    reason: str = ""
    compiles: bool | None = None
    imports: bool | None = None
    doctests: float | None = None
    note: str = ""


class Executes:
    """The step.

    Columns: keep, reason ("does not compile", "import raises ValueError", "doctests fail"...);
    compiles, imports (null where not known); value, the share of doctest examples that pass (null
    where there are none); note: what stood in the way ("lacks module numpy").
    """

    name = "executes"
    version = 1
    reads = ("text", "language")

    def __init__(self, languages: tuple[str, ...], limits: Limits, require: str | None) -> None:
        """Set what is run, and within which limits."""
        self._languages = languages
        self._limits = limits
        self._require = require
        self.row_s = 3 * limits.wall_s

    def schema(self) -> pa.Schema:
        """Return keep, reason, compiles, imports, value, note."""
        return pa.schema(
            [
                ("keep", pa.bool_()),
                ("reason", pa.string()),
                ("compiles", pa.bool_()),
                ("imports", pa.bool_()),
                ("value", pa.float64()),
                ("note", pa.string()),
            ]
        )

    def settings(self) -> Mapping[str, Any]:
        """Return the languages and limits."""
        return {"languages": list(self._languages), "limits": self._limits.to_json()}

    def compute(self, table: pa.Table) -> pa.Table:
        """Run each document. SandboxError is ours, and raised."""
        texts, languages = table.column("text"), table.column("language").to_pylist()
        rows = [
            self._looked_at(text.as_py(), language.lower())
            for text, language in zip(texts, languages, strict=True)
        ]
        columns = {
            "keep": [not row.reason for row in rows],
            "reason": [row.reason for row in rows],
            "compiles": [row.compiles for row in rows],
            "imports": [row.imports for row in rows],
            "value": [row.doctests for row in rows],
            "note": [row.note for row in rows],
        }
        return pa.table(
            {field.name: pa.array(columns[field.name], field.type) for field in self.schema()}
        )

    def _looked_at(self, text: str, language: str) -> Executed:
        language = {"c++": "cpp", "c#": "csharp", "shell": "bash"}.get(language, language)
        if language not in self._languages:
            return Executed(note="not looked at")
        if language == "python":
            file = {f"{_NAME}.py": text.encode()}
            program = Program(source=_DRIVER, files=file)
            return _python(self._run(program))
        return _other(self._run(Program(language=language, source=text)), language)

    def _run(self, program: Program) -> Outcome:
        pool = _pool(threading.get_ident(), self._require)
        try:
            return pool.run(program, self._limits)
        except SandboxBroken:  # once more: the box was replaced
            return pool.run(program, self._limits)


@cache
def _pool(_thread: int, require: str | None) -> Pool:
    return Pool(1, require=require)


def _said(outcome: Outcome) -> Iterator[dict[str, Any]]:
    """Yield what the driver said; a file that writes the same mark can only speak of itself."""
    for line in outcome.stdout.split("\n"):
        mark, found, rest = line.partition(_MARK)
        if found and not mark:
            try:
                yield json.loads(rest)
            except ValueError:
                continue


def _python(outcome: Outcome) -> Executed:
    stages = {facts.get("stage"): facts for facts in _said(outcome)}
    if "compile" in stages:
        return Executed(reason="does not compile", compiles=False)
    if "compiled" not in stages:
        # Nothing was said: the compiler itself was too much for the limits.
        return Executed(reason=f"compiling {_fault(outcome)}", compiles=False)
    if "import" in stages:
        facts = stages["import"]
        if lacks := facts.get("lacks"):
            note = "lacks its package" if lacks == "relative" else f"lacks module {lacks}"
            return Executed(compiles=True, note=note)
        return Executed(reason=f"import raises {facts.get('error')}", compiles=True, imports=False)
    if "imported" not in stages:
        return Executed(reason=f"import {_fault(outcome)}", compiles=True, imports=False)
    tried = stages.get("doctest begun", {}).get("tried", 0)
    if not tried:
        return Executed(compiles=True, imports=True)
    if "doctest" not in stages:
        reason = f"doctest {_fault(outcome)}"
        return Executed(reason=reason, compiles=True, imports=True, doctests=0.0)
    failed = stages["doctest"].get("failed", 0)
    passed = 1.0 - failed / max(1, stages["doctest"].get("tried", 0))
    reason = "doctests fail" if failed else ""
    return Executed(reason=reason, compiles=True, imports=True, doctests=passed)


def _other(outcome: Outcome, language: str) -> Executed:
    if outcome.kind is Kind.COMPILE_ERROR:
        return Executed(reason="does not compile", compiles=False)
    # A crash of what waits for arguments or input is not a fault; that it compiles is what counts.
    compiled = bool(LANGUAGES[language].compile)
    note = "" if outcome.kind is Kind.PASSED else _fault(outcome)
    return Executed(compiles=True if compiled else None, note=note)


def _fault(outcome: Outcome) -> str:
    return _AT_FAULT.get(outcome.kind, "ends early")


def executes(
    *,
    languages: list[str] | None = None,
    cpu_s: float = 5.0,
    memory_mb: int = 512,
    require: str | None = None,
) -> Executes:
    """Run documents of `languages` (default Python) for `cpu_s` each, in a box not weaker than
    `require`. UsageError: a language that the sandbox does not know."""
    chosen = tuple(languages if languages is not None else ["python"])
    for language in chosen:
        if language not in LANGUAGES:
            raise UsageError(
                f"executes: no language {language!r}; there are {', '.join(LANGUAGES)}"
            )
    return Executes(chosen, Limits(cpu_s=cpu_s, memory_mb=memory_mb, output_kb=256), require)
