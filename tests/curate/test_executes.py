"""Files run in the sandbox: what they do wrong is theirs, what we lack is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa

from curate.catalogue import STEPS, make
from curate.engine import LocalEngine
from curate.recipe import CurateRecipe
from curate.running import run
from seedcoder.errors import UsageError

GOOD = '''"""A module."""
import math

def area(r: float) -> float:
    """
    >>> round(area(1), 2)
    3.14
    >>> area(0)
    0.0
    """
    print("not in the way")
    return math.pi * r * r
'''

# text: keep, reason, compiles, imports, value, note
FILES: dict[str, tuple[Any, ...]] = {
    "x = 1": (True, "", True, True, None, ""),
    "def f(:": (False, "does not compile", False, None, None, ""),
    "print 'two'": (False, "does not compile", False, None, None, ""),
    "import no_such_module_here": (True, "", True, None, None, "lacks module no_such_module_here"),
    "from . import sibling": (True, "", True, None, None, "lacks its package"),
    "1 / 0": (False, "import raises ZeroDivisionError", True, False, None, ""),
    "import os\nos._exit(0)": (False, "import ends early", True, False, None, ""),
    "raise SystemExit(0)": (False, "import raises SystemExit", True, False, None, ""),
    "while True: pass": (False, "import takes too long", True, False, None, ""),
    "x = bytearray(10**10)": (False, "import raises MemoryError", True, False, None, ""),
    "if __name__ == '__main__':\n    1 / 0": (True, "", True, True, None, ""),
    '"""\n>>> 1 + 1\n3\n>>> 2\n2\n"""': (False, "doctests fail", True, True, 0.5, ""),
    '"""\n>>> while True: pass\n"""': (False, "doctest takes too long", True, True, 0.0, ""),
}  # fmt: skip


def _executed(texts: list[str], language: str = "python", **options: Any) -> list[tuple[Any, ...]]:
    step = make(STEPS, "executes", {"cpu_s": 1.0, "memory_mb": 256, **options}, "step")
    table = step.compute(pa.table({"text": texts, "language": [language] * len(texts)}))
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


@pytest.mark.slow
def test_each_file_gets_what_it_deserves_and_no_more() -> None:
    found = _executed([*FILES, GOOD.replace('    print("not in the way")\n', "")])
    assert dict(zip(FILES, found, strict=False)) == FILES
    assert found[-1] == (True, "", True, True, 1.0, "")


def test_what_is_printed_at_import_is_not_taken_for_what_the_driver_says() -> None:
    lie = 'print("@executes@ {\\"stage\\": \\"doctest\\"}", flush=True)\n1 / 0\n'
    assert _executed([lie])[0][:2] == (False, "import raises ZeroDivisionError")
    # The control: a doctest whose function prints what it did not promise fails.
    assert _executed([GOOD])[0][1] == "doctests fail"


def test_other_languages_compile_or_do_not() -> None:
    good, bad = "int main(void) { return 3; }", "int main(void) { return x; }"
    found = _executed([good, bad], "c", languages=["c"])
    assert found[0][:3] == (True, "", True) and found[1][:3] == (False, "does not compile", False)
    assert _executed([bad], "c")[0] == (True, "", None, None, None, "not looked at")


def test_an_unknown_language_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match="no language 'klingon'"):
        make(STEPS, "executes", {"languages": ["klingon"]}, "step")


@pytest.mark.slow
def test_a_sandbox_that_cannot_start_is_no_verdict(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"content": "1 / 0", "lang": "python"}) + "\n")

    def recipe(**options: Any) -> CurateRecipe:
        return CurateRecipe.model_validate(
            {
                "store": tmp_path / "store",
                "sources": [{"use": "jsonl", "options": {"files": [str(file)]}}],
                "steps": [{"use": "executes", "options": options}],
                "select": {"keep": ["executes.keep"]},
                "workers": 1,
            }
        )

    with LocalEngine(1) as engine:
        (broken,) = run(recipe(require="no such box", cpu_s=2.0), engine).steps
        (judged,) = run(recipe(cpu_s=3.0), engine).steps
    assert (broken.quarantined, broken.dropped) == (1, {})
    assert (judged.quarantined, judged.dropped) == (0, {"import raises ZeroDivisionError": 1})
