"""Instances in official images: the row's own `eval_script`, in a container of the row's image.

The repository lies at /testbed; the script activates the conda environment "testbed" itself. The
image needs bash and a `python3` (3.6 or later) on its PATH. Before the script runs, history is
removed, the patch applied and the instance's tests laid over it, by the judge of projects; the
script's own `git checkout` and `git apply` then find nothing left to do, and fail without harm.

Two things differ from upstream's harness. There is no network: a `pip install -e .` in a script
fails at once, and the installation that the image has stays. And what a patch changes of tests and
of pytest's settings is put back, unless the gold patch touches the same file.

The verdict hangs on printed lines, as upstream's does: `sandbox` says so in every such result.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from evals.swe.official_log import PARSERS
from sandbox import ProjectTests, Snapshot

TESTBED: Final = "/testbed"
_PLACE: Final = ".seedcoder-eval"


def lacks(tests: Mapping[str, Any]) -> str:
    """Return why an instance cannot be judged, "" where it can."""
    if tests["log_parser"] not in PARSERS:
        return f"logs of {tests['log_parser']} cannot be read here"
    if tests["eval_type"] != "pass_and_fail":
        return f"eval_type {tests['eval_type']!r}: a test that was not run would count as passed"
    return ""


def tests_of(tests: Mapping[str, Any]) -> ProjectTests:
    """Return the sandbox's tests of a row with an image."""
    command = (
        "python3", "-c", _source(), tests["log_parser"], _PLACE, "{tree}", "{junit}",
    )  # fmt: skip
    return ProjectTests(
        snapshot=Snapshot.image(TESTBED, image=tests["image"]),
        fail_to_pass=tuple(tests["fail_to_pass"]),
        pass_to_pass=tuple(tests["pass_to_pass"]),
        test_patch=tests["test_patch"],
        test_files={f"{_PLACE}/eval.sh": tests["eval_script"].encode()},
        command=command,
        pythonpath=(),
        may_change=tuple(tests["gold_files"]),
        # Without an index pip says at once that it has nothing, instead of trying for a minute.
        env={"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )


@cache
def _source() -> str:
    from sandbox.project.plan import bare

    return bare(Path(__file__).with_name("official_log.py").read_text(encoding="utf-8"))
