"""SWE-bench (Jimenez et al. 2023, arXiv 2310.06770): patches that resolve issues of real projects.

swe-mini             nine fixes of small Python projects; the tree is a release from the package
                     index, judged in the namespace box.
swe-bench-verified   500 instances, judged in the docker box, each in the image its row names.
swe-bench-lite       300 of them.
multi-swe-bench      other languages, as rows with the same columns.

A patch resolves an instance when every test of FAIL_TO_PASS and of PASS_TO_PASS passes after it, by
id; one that was not run has failed (`get_resolution_status` in swebench 5.0.2,
`swebench/harness/grading.py`). Empty patches are judged too, and resolve nothing.

Releases are judged by `sandbox.ProjectTests` with pytest: two reports that must agree, the tests'
files and settings put back over the patch, planted tests that must fail. Images are judged by the
row's own `eval_script` (see `evals.swe.official`).

Stricter than upstream: a test of PASS_TO_PASS that is skipped has failed (5.0.2 lets it pass); a
patch's changes to tests and to settings of pytest do not count, unless the gold patch touches the
same file.

What answers is a scaffold (`options.scaffold`), for a bare reply can hardly be a patch:
agentless, mini, predictions; "none" takes the reply itself as the patch, or its diff block.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from evals.bench import Bench, Style
from evals.data import DataFile, Hub, Source, digests
from evals.problem import Problem, Score
from evals.scores import mean_score, pass_scores
from evals.swe import official
from evals.swe.instance import NEEDS, problem_of
from evals.swe.predictions import Prediction, read_predictions
from sandbox import Kind, Limits, Program, ProjectResult, ProjectTests, Verdict
from sandbox.project.tests import PROJECT_LIMITS
from seedcoder.completion import Message, Model, Request, Sampling
from seedcoder.errors import UsageError

if TYPE_CHECKING:
    from evals.bench import Work
    from evals.tally import Answer

Scaffold = Literal["agentless", "mini", "predictions", "none"]
# swebench's own limit is 1,800 s of wall time (`run_evaluation.py --timeout`).
IMAGE_LIMITS: Final = Limits(
    cpu_s=1800, wall_s=3600, memory_mb=8192, processes=1024, disk_mb=4096, output_kb=65536
)
_FENCE: Final = re.compile(r"```(?:diff|patch)\s*\n(.*?)(?:^```|\Z)", re.DOTALL | re.MULTILINE)
_SHARES: Final = ("FAIL_TO_PASS passed", "PASS_TO_PASS passed", "patch applied", "empty patch")


class SweBench(Bench):
    """One set of instances. See the module's words."""

    def __init__(
        self,
        source: Source,
        *,
        version: str,
        licence: str,
        path: Path | None,
        scaffold: Scaffold,
        predictions: Path | None,
        settings: Mapping[str, Any],
    ) -> None:
        """settings: the scaffold's own numbers."""
        if (predictions is not None) != (scaffold == "predictions"):
            raise UsageError(
                f"{source.bench}: options.predictions goes with options.scaffold='predictions'"
            )
        self._data = DataFile(source, path)
        self._name, self._version, self._licence = source.bench, version, licence
        self._scaffold = scaffold
        self._settings = settings
        self._predicted = predictions

    @property
    def name(self) -> str:
        """The name that recipes use."""
        return self._name

    @property
    def version(self) -> str:
        """Which instances, and what answers."""
        return self._version

    @property
    def licence(self) -> str:
        """Of the rows; each project has its own."""
        return self._licence

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digest of the rows, and of the predictions where those are judged."""
        found = dict(digests(self._data))
        if self._predicted is not None:
            found["predictions"] = self._predictions[1]
        return found

    @cached_property
    def _rows(self) -> tuple[dict[str, Problem], dict[str, str]]:
        """Problems that can be judged here, and what cannot, with why."""
        problems: dict[str, Problem] = {}
        out: dict[str, int] = {}
        for row in self._data.rows(needs=NEEDS):
            problem = problem_of(row, f"{self.name}: {self._data.path}")
            if problem.key in problems:
                raise UsageError(f"{self.name}: {self._data.path}: {problem.key!r} is there twice")
            why = official.lacks(problem.tests) if problem.tests["place"] == "image" else ""
            if why:
                out[why] = out.get(why, 0) + 1
            else:
                problems[problem.key] = problem
        return problems, {f"{count} instances": why for why, count in out.items()}

    @cached_property
    def _predictions(self) -> tuple[Mapping[str, Prediction], str]:
        assert self._predicted is not None
        return read_predictions(self._predicted)

    def problems(self) -> Sequence[Problem]:
        """Return the instances, in the file's order. Nothing is fetched for them yet."""
        return tuple(self._rows[0].values())

    def left_out(self) -> Mapping[str, str]:
        """Return the instances whose logs we cannot read."""
        return self._rows[1]

    def request(self, problem: Problem, style: Style) -> Request:
        """Return the issue; what a scaffold makes of it is the scaffold's. Chat only."""
        if style.protocol != "chat":
            raise UsageError(f"{self.name} is asked in chat only: set protocol = 'chat'")
        words = (
            f"An issue of the project {problem.tags[0].partition(':')[2]}:\n\n{problem.prompt}\n\n"
            "Resolve it. Answer with one patch in git's unified format, in a ```diff block."
        )
        return Request(key=problem.key, prompt=(Message(role="user", content=words),))

    def sampling(self, style: Style) -> Sampling:
        """Return greedy replies of at most 4,096 tokens (ours): of each turn, in scaffolds."""
        return Sampling(max_tokens=4096)

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the patch: the text itself, or the last diff block in it."""
        return Program(language="diff", source=patch_in(text))

    def tests(self, problem: Problem) -> ProjectTests:
        """Return the instance's tests; its release and packages are fetched once.

        Raises MachineLacks where they cannot be had.
        """
        tests = problem.tests
        if tests["place"] == "image":
            return official.tests_of(tests)
        from evals.swe.environments import packages, release

        return ProjectTests(
            snapshot=release(tests["source"]),
            fail_to_pass=tuple(tests["fail_to_pass"]),
            pass_to_pass=tuple(tests["pass_to_pass"]),
            test_patch=tests["test_patch"],
            targets=tuple(tests["test_files"]),
            arguments=("-o", "addopts="),
            pythonpath=tuple(tests["pythonpath"]),
            packages_dir=str(packages(tests["pip"], tests["python"])),
            may_change=tuple(tests["gold_files"]),
        )

    def canonical(self, problem: Problem) -> Program:
        """Return the gold patch."""
        return Program(language="diff", source=problem.canonical)

    def broken(self, problem: Problem) -> Program:
        """Return the empty patch: an instance that it resolves measures nothing."""
        return Program(language="diff", source="")

    def limits(self, problem: Problem) -> Limits:
        """Return what a run of the tests may use."""
        return PROJECT_LIMITS if problem.tests["place"] == "release" else IMAGE_LIMITS

    def values(self, problem: Problem, program: Program, verdict: Verdict) -> Mapping[str, float]:
        """Return the shares of both lists that pass, and what became of the patch."""
        found = ProjectResult.of(verdict)
        good = [] if found.doubt else [
            one for one, status in found.statuses.items() if status in ("passed", "xfailed")
        ]  # fmt: skip
        tests = problem.tests
        empty = not program.source.strip()
        shares = (
            _share(tests["fail_to_pass"], good),
            _share(tests["pass_to_pass"], good),
            float(found.stage != "patch" and not empty),
            float(empty),
        )
        return dict(zip(_SHARES, shares, strict=True))

    def scores(self, answers: Sequence[Answer], ks: Sequence[int], *, seed: int = 0) -> list[Score]:
        """Return the share resolved, pass@k beyond 1, and the means of `values`."""

        def resolved(answer: Answer) -> float:
            return float(answer.verdict is not None and answer.verdict.kind is Kind.PASSED)

        made = [mean_score("resolved", answers, resolved, seed=seed)]
        made += pass_scores(answers, [k for k in ks if k > 1], seed=seed)
        for name in _SHARES:
            made.append(
                mean_score(name, answers, lambda answer, name=name: answer.values.get(name),  # type: ignore[misc]
                           seed=seed)
            )  # fmt: skip
        return [score for score in made if score is not None]

    def ballot(self, answer: Answer) -> str | None:
        """Return the patch: its lines that change something."""
        lines = answer.program.split("\n")
        return "\n".join(x.rstrip() for x in lines if x[:1] in "+-" and x.strip("+- ")) or None

    def solver(self, model: Model, work: Work) -> Model:
        """Return the scaffold, or the model itself."""
        if self._scaffold == "none":
            return model
        if self._scaffold == "predictions":
            from evals.swe.predictions import Predictor

            return Predictor(*self._predictions, set(self._rows[0]))
        from evals.swe.episodes import Episodes

        return Episodes(model, work, self._rows[0], self._scaffold, self._settings)


def patch_in(text: str) -> str:
    """Return the patch in a reply: all of it where it begins as one, else its last diff block."""
    if text.lstrip().startswith(("diff --git ", "--- ", "Index: ")):
        return text.lstrip("\n")
    blocks = _FENCE.findall(text)
    return blocks[-1] if blocks else ""


def _share(wanted: Sequence[str], good: Sequence[str]) -> float:
    from sandbox.project.tests import plain

    there = set(good)
    return sum(plain(one) in there for one in wanted) / len(wanted) if wanted else 1.0


def swe_mini(
    *,
    path: Path | None = None,
    scaffold: Scaffold = "agentless",
    predictions: Path | None = None,
    steps: int = 30,
    repairs: int = 4,
    context_chars: int = 60_000,
    parallel: int = 8,
) -> SweBench:
    """Return the nine instances.

    scaffold: what answers. predictions: the file that is judged with scaffold="predictions".
    steps: turns of `mini`. repairs: patches that `agentless` votes over. context_chars: what it
    shows of the project in one prompt. parallel: instances worked on at a time.
    """
    source = Source(
        bench="swe-mini",
        folder="swe-mini",
        file="instances.jsonl",
        get="JSON lines of instances with the columns of swe-mini (see docs/grading.md)",
    )
    settings = _settings(steps, repairs, context_chars, parallel)
    return SweBench(
        source, version=f"swe-mini, {scaffold}", licence="each project's own", path=path,
        scaffold=scaffold, predictions=predictions, settings=settings,
    )  # fmt: skip


def _official(name: str, hub: Hub | None, version: str, licence: str) -> Any:
    def make(
        *,
        path: Path | None = None,
        scaffold: Scaffold = "agentless",
        predictions: Path | None = None,
        steps: int = 30,
        repairs: int = 4,
        context_chars: int = 60_000,
        parallel: int = 8,
    ) -> SweBench:
        """Return the benchmark; for the options see `swe_mini`."""
        get = "rows with the columns of swebench 5.x, as JSON lines"
        if hub is not None:
            get = f"pip install datasets, or {hub} as JSON lines"
        source = Source(bench=name, folder=name, file="instances.jsonl", get=get, hub=hub)
        return SweBench(
            source, version=f"{version}, {scaffold}", licence=licence, path=path,
            scaffold=scaffold, predictions=predictions,
            settings=_settings(steps, repairs, context_chars, parallel),
        )  # fmt: skip

    return make


swe_bench_verified = _official(
    "swe-bench-verified", Hub(repo="SWE-bench/SWE-bench_Verified", split="test"),
    "SWE-bench Verified", "MIT",
)  # fmt: skip
swe_bench_lite = _official(
    "swe-bench-lite", Hub(repo="SWE-bench/SWE-bench_Lite", split="test"), "SWE-bench Lite", "MIT"
)
multi_swe_bench = _official("multi-swe-bench", None, "rows of the 5.x columns", "CC0-1.0")


def _settings(steps: int, repairs: int, context_chars: int, parallel: int) -> Mapping[str, Any]:
    said = {"steps": steps, "repairs": repairs, "context_chars": context_chars,
            "parallel": parallel}  # fmt: skip
    for name, value in said.items():
        if value < 1:
            raise UsageError(f"options.{name} must be 1 or more, got {value}")
    return said
