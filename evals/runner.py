"""Run a benchmark: ask the model, judge each answer while others are being written, keep it all.

A run goes on where it ended, however it ended: what is in the rows is neither asked nor judged
again. Failures of ours (a server that hangs up, a box that breaks) are rows of their own; beyond
`max_error_rate` of the samples the run stops. A later call tries them again.

Does not cover: a model that answers differently when asked again (the rows keep the first answer),
and problems whose samples were cut off half-way, whose missing samples are drawn together with
those already had (those are thrown away).
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError

from evals.bench import Bench, Work, open_bench
from evals.cost import cost
from evals.gold import Gold, check_gold
from evals.judging import Judging, Task, shortened
from evals.problem import Problem, Sample, Score, sample_key, sample_problem
from evals.recipe import EvalRecipe
from evals.result import COMPLETE, FAILED, Result
from evals.scores import majority_score
from evals.tally import Answer, Tally, read_answers, tally, verdict_kind
from evals.think import split
from sandbox import Pool, SandboxUnavailable, Verdict
from seedcoder import machine
from seedcoder.completion import Completion, Model, Sampling
from seedcoder.errors import MachineLacks, SeedcoderError, UsageError
from seedcoder.models import open_model
from seedcoder.progress import Progress, progress
from seedcoder.run import Run

log = logging.getLogger(__name__)


def evaluate(
    recipe: EvalRecipe, *, name: str, root: Path, lend: Callable[[EvalRecipe], Model] | None = None
) -> Result:
    """Run the recipe, or go on with its run, in a folder under `root`; return how it stands.

    lend: gives the model, which stays open; by default it is opened here and closed.
    Raises SeedcoderError (one line, an exit code) for what stops a run: missing data or extras, a
    model that cannot be opened, a box too weak, a gold check that fails, a full disk. Rows written
    before that are kept.
    """
    bench = open_bench(recipe.bench, recipe.options)
    problems = recipe.chosen(bench.problems())
    left_out = dict(bench.left_out())
    for part, why in left_out.items():
        log.warning("left out bench=%s part=%s why=%s", bench.name, part, why)
    run = Run.open(
        root,
        verb="eval",
        name=name,
        recipe=recipe.identity(),
        data_sha256={**bench.data_sha256, **_answers_sha256(recipe.model)},
        facts={
            "bench": {
                "name": bench.name,
                "version": bench.version,
                "licence": bench.licence,
                "left_out": left_out,
            },
            "machine": machine.facts(),
        },
    )
    with run:
        grading = run.manifest.get("grading", 1)
        sitting = _Sitting(run, recipe, bench, problems, grading, lend)
        worked = sitting.work()
        return sitting.result(worked=worked)


def regrade(folder: Path) -> Result:
    """Judge the answers of a run again, without its model; the new verdicts count once all are in.

    Raises UsageError for a folder that is no run of evals, or whose benchmark data has changed.
    """
    with Run.read(folder) as run:
        manifest = run.manifest
        if manifest["verb"] != "eval":
            raise UsageError(f"{folder} is a run of {manifest['verb']!r}, not of 'eval'")
        try:
            recipe = EvalRecipe.model_validate(manifest["recipe"])
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise UsageError(f"{folder}: its recipe is of another version: {place}") from error
        bench = open_bench(recipe.bench, recipe.options)
        problems = recipe.chosen(bench.problems())
        for file, digest in bench.data_sha256.items():
            if manifest["data_sha256"].get(file) != digest:
                raise UsageError(f"{folder}: {file} is not the data that this run was made with")
        grading = manifest.get("grading", 1)
        old = _Sitting(run, recipe, bench, problems, grading).kinds()
        if not old:
            raise UsageError(f"{folder} has no answers to judge yet")
        sitting = _Sitting(run, recipe, bench, problems, grading + 1)
        sitting.judge_again()
        run.note(grading=grading + 1, machine=machine.facts())
        new = sitting.kinds()
        changed = {key: (old[key], new[key]) for key in old if new.get(key, old[key]) != old[key]}
        return sitting.result(worked=True, changed=changed)


class _Sitting:
    """One process at work on a run."""

    def __init__(
        self,
        run: Run,
        recipe: EvalRecipe,
        bench: Bench,
        problems: Sequence[Problem],
        grading: int,
        lend: Callable[[EvalRecipe], Model] | None = None,
    ) -> None:
        self._run = run
        self._recipe = recipe
        self._bench = bench
        self._problems = {problem.key: problem for problem in problems}
        self._style = recipe.style()
        self._grading = grading
        self._lend = lend
        self._errors = 0
        self._passed = 0
        self._tally = self._read()

    def work(self) -> bool:
        """Ask and judge what is missing; False when nothing was."""
        answers = self._tally.answers
        unasked = [answer.key for answer in answers if answer.sample is None]
        unjudged = [a.sample for a in answers if a.sample is not None and a.verdict is None]
        if not unasked and not unjudged:
            return False
        with self._pool() as pool:
            # Before the gold check: a model that cannot be opened is told at once.
            asked = self._open_model() if unasked else None
            # What works over many turns with the model is what answers.
            model = self._bench.solver(asked, self._work()) if asked else None
            if model is not None and model is not asked:
                self._run.note(model=model.name)
            try:
                self._check_gold(pool)
                with progress(len(unasked) + len(unjudged), self._bench.name) as meter:
                    judging = Judging(pool)
                    self._judge(judging, unjudged, meter)
                    if model is not None:
                        self._generate(model, set(unasked), judging, meter)
                    self._keep(judging, meter, to_the_end=True)
            finally:
                if model is not None and model is not asked:
                    model.close()
                if asked is not None and self._lend is None:
                    asked.close()
        self._tally = self._read()
        return True

    def judge_again(self) -> None:
        """Judge every answer that has no verdict of this grading yet."""
        samples = [a.sample for a in self._tally.answers if a.sample and a.verdict is None]
        with self._pool() as pool:
            self._check_gold(pool, again=True)
            with progress(len(samples), f"{self._bench.name}, regrade") as meter:
                judging = Judging(pool)
                self._judge(judging, samples, meter)
                self._keep(judging, meter, to_the_end=True)
        self._tally = self._read()

    def kinds(self) -> dict[str, str]:
        """Return the kind of each verdict so far, by sample; and of lost ones, "error"."""
        return {
            answer.key: answer.verdict.kind.value if answer.verdict else "error"
            for answer in self._tally.answers
            if answer.sample is not None
        }

    def result(
        self, *, worked: bool, changed: Mapping[str, tuple[str, str]] | None = None
    ) -> Result:
        """Return how the run stands; write summary and report unless they were written before."""
        tally = self._tally
        lost = len(tally.answers) - tally.judged
        status = FAILED if lost > self._allowed_errors() else COMPLETE
        result = Result(
            folder=self._run.folder,
            status=status,
            tally=tally,
            manifest=self._run.manifest,
            worked=worked,
            changed=changed or {},
            cost=cost(tally, self._run.manifest, self._price()),
        )
        if worked or not result.report.exists():
            from evals.report import render

            self._run.write_summary(
                {"status": status, **tally.summary(), "cost": result.cost.to_json()}
            )
            self._run.write_report(render(result, list(self._problems.values()), self._bench))
        return result

    def _price(self) -> Mapping[str, float] | None:
        return self._recipe.price.model_dump() if self._recipe.price else None

    def _read(self) -> Tally:
        recipe, problems = self._recipe, list(self._problems.values())
        answers = read_answers(self._run.rows(), problems, recipe.samples, self._grading)

        def scored(some: Sequence[Answer]) -> list[Score]:
            seed = recipe.sampling.seed
            scores = self._bench.scores(some, recipe.k, seed=seed)
            if recipe.majority:
                voted = majority_score(some, self._bench.ballot, seed=seed)
                scores = [*scores, *([voted] if voted else [])]
            return scores

        return tally(answers, problems, scored, think=recipe.think)

    def _allowed_errors(self) -> float:
        return self._recipe.max_error_rate * len(self._tally.answers)

    def _pool(self) -> Pool:
        table = self._recipe.pool
        try:
            pool = Pool(
                table.workers,
                box=table.box,
                require=table.require,
                packages=self._bench.packages(),
            )
        except SandboxUnavailable as error:
            raise MachineLacks(f"{error} (seedcoder doctor says more)") from error
        self._run.note(box=pool.box_name, pool_workers=pool.workers)
        return pool

    def _check_gold(self, pool: Pool, *, again: bool = False) -> None:
        before = self._run.manifest.get("gold")
        known = before is not None and Gold.from_json(before).ok and not again
        if not self._recipe.check_gold or known:
            return
        problems = list(self._problems.values())
        gold = check_gold(self._bench, problems, pool, self._recipe.limits.over)
        self._run.note(gold=gold.to_json())
        if not gold.ok:
            raise SeedcoderError(
                f"the gold check failed, so no score would mean anything: {gold.words()}"
            )

    def _open_model(self) -> Model:
        recipe = self._recipe
        if self._lend is not None:
            model = self._lend(recipe)
        else:
            model = open_model(recipe.model, threads=recipe.threads, batch=recipe.batch)
        self._run.note(model=model.name, sampling=asdict(self._sampling()))
        return model

    def _work(self) -> Work:
        return Work(
            style=self._style,
            sampling=self._sampling(),
            box=self._recipe.pool.box,
            limits=self._recipe.limits.over,
            keep=self._run.append,
            rows=lambda kind: [row for row in self._run.rows() if row["kind"] == kind],
        )

    def _sampling(self) -> Sampling:
        return self._recipe.sampling_over(self._bench.sampling(self._style))

    def _generate(self, model: Model, unasked: set[str], judging: Judging, meter: Progress) -> None:
        begun, tokens = time.monotonic(), 0
        for completion in self._completions(model, unasked):
            key = sample_key(completion.key, completion.n)
            if key not in unasked:
                continue  # had before the run was cut off
            unasked.discard(key)
            tokens += completion.tokens
            if completion.finish == "error":
                self._lose(key, "model", completion.error or "no reply", meter)
            else:
                sample = Sample.of(completion)
                self._run.append({"kind": "sample", **sample.to_json()})
                judging.submit(self._task(sample))
            self._keep(judging, meter)
            if self._too_many_errors():
                break
        else:
            for key in sorted(unasked):
                self._lose(key, "model", "the model gave no answer", meter)
        before = self._run.manifest.get("generation", {})
        self._run.note(
            generation={
                "seconds": round(before.get("seconds", 0) + time.monotonic() - begun, 3),
                "tokens": before.get("tokens", 0) + tokens,
            }
        )

    def _completions(self, model: Model, unasked: set[str]) -> Iterator[Completion]:
        """Yield completions for what was not asked yet, `n` as far up as one is missing."""
        sampling = self._sampling()
        by_count: dict[int, list[Problem]] = {}
        for problem in self._problems.values():
            wanted = range(self._recipe.samples)
            missing = [n for n in wanted if sample_key(problem.key, n) in unasked]
            if missing:
                by_count.setdefault(missing[-1] + 1, []).append(problem)
        for count in sorted(by_count, reverse=True):
            requests = (self._bench.request(problem, self._style) for problem in by_count[count])
            yield from model.generate(requests, sampling, count)

    def _judge(self, judging: Judging, samples: Sequence[Sample], meter: Progress) -> None:
        for sample in samples:
            judging.submit(self._task(sample))
            self._keep(judging, meter)
            if self._too_many_errors():
                return

    def _task(self, sample: Sample) -> Task:
        problem = self._problems[sample.problem]
        tags = self._recipe.think
        text = split(sample.text, *tags).answer if tags else sample.text
        return Task(
            key=sample.key,
            program=self._bench.solution(problem, text)
            if self._recipe.whole_programs
            else self._bench.program(problem, text, self._style),
            tests=self._bench.tests(problem),
            limits=self._recipe.limits.over(self._bench.limits(problem)),
        )

    def _keep(self, judging: Judging, meter: Progress, *, to_the_end: bool = False) -> None:
        """Write the rows of what has been judged."""
        for task, result in judging.ready(to_the_end=to_the_end):
            if not isinstance(result, Verdict):
                self._lose(task.key, "sandbox", str(result), meter)
                continue
            problem = self._problems[sample_problem(task.key)]
            self._run.append(
                {
                    "kind": verdict_kind(self._grading),
                    "key": task.key,
                    "program": task.program.source,
                    "verdict": shortened(result).to_json(),
                    "values": dict(self._bench.values(problem, task.program, result)),
                }
            )
            self._passed += result.ok
            meter.advance(1, f"{self._passed} passed")

    def _lose(self, key: str, stage: str, error: str, meter: Progress) -> None:
        self._errors += 1
        line = " ".join(error.split())
        log.warning("sample lost key=%s stage=%s error=%s", key, stage, line)
        self._run.append({"kind": "error", "key": key, "stage": stage, "error": line})
        meter.advance(1, f"{self._errors} lost")

    def _too_many_errors(self) -> bool:
        return self._errors > self._allowed_errors()


def _answers_sha256(model: str) -> dict[str, str]:
    """Return the digest of a scripted model's file: other answers are another run."""
    scheme, _, path = model.partition(":")
    if scheme != "scripted":
        return {}
    try:
        return {"answers": hashlib.sha256(Path(path).read_bytes()).hexdigest()}
    except OSError as error:
        raise UsageError(f"model {model!r} cannot be read: {error.strerror}") from error
