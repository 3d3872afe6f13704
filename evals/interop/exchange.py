"""Export a run, import samples: what `seedcoder eval export` and `seedcoder eval import` do.

An import makes a run of ours whose replies are the programs in the file, judged as they stand:
nothing is taken out of them, and no model is asked. It goes on where it was cut off, and can be
regraded and compared like any run.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ValidationError

from evals.bench import open_bench
from evals.interop import evalplus_samples, livecodebench_outputs
from evals.interop.judged import read_judged
from evals.recipe import EvalRecipe
from evals.result import Result
from evals.runner import evaluate
from seedcoder.completion import Completion, Request, Sampling
from seedcoder.errors import UsageError
from seedcoder.run_folder import write_text

ExportFormat = Literal["evalplus", "lcb", "lm-eval", "inspect"]
ImportFormat = Literal["evalplus", "lcb"]

_READERS: Final = {
    "evalplus": evalplus_samples.programs,
    "lcb": livecodebench_outputs.programs,
}


def export_run(
    folder: Path, out: Path, format: ExportFormat, *, form: evalplus_samples.Form = "solution"
) -> str:
    """Write a run in another suite's form; return what was written, in a line.

    out: a file; for lm-eval a folder. form: for evalplus. Raises UsageError for a run that cannot
    be exported, or a place that cannot be written.
    """
    run = read_judged(folder)
    try:
        if format == "lm-eval":
            if out.exists() and not out.is_dir():
                raise UsageError(f"{out}: lm-eval results are two files, so a folder is needed")
            from evals.interop.lm_eval_results import write_results

            written = ", ".join(map(str, write_results(run, out)))
        else:
            out.parent.mkdir(parents=True, exist_ok=True)
            if format == "evalplus":
                rows = evalplus_samples.samples(run, form)
                text = "".join(json.dumps(row) + "\n" for row in rows)
            elif format == "lcb":
                text = json.dumps(livecodebench_outputs.outputs(run), indent=4)
            else:
                from evals.interop.inspect_log import inspect_log

                text = json.dumps(inspect_log(run), indent=2)
            write_text(out, text)
            written = str(out)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}") from error
    lost = f"; {run.lost} lost samples have no verdict and are not in it" if run.lost else ""
    return f"{written} written{lost}"


def import_samples(
    path: Path,
    format: ImportFormat,
    *,
    bench: str,
    options: Mapping[str, Any] | None = None,
    samples: int | None = None,
    k: Sequence[int] = (1,),
    name: str | None = None,
    root: Path,
    check_gold: bool = True,
) -> Result:
    """Judge the samples in a file as a run in a folder under `root`; return how it stands.

    samples: of each problem, only the first so many; by default all, which must be as many for
    each. k: of each pass@k. name: of the run, by default the file's. Raises UsageError for a file
    that does not fit.
    """
    if not path.is_file():
        raise UsageError(f"no file {path}")
    opened = open_bench(bench, options)
    problems = opened.problems()
    programs = _READERS[format](path, problems)
    if not any(programs.values()):
        raise UsageError(f"{path} holds no samples")
    counts = {key: len(texts) for key, texts in programs.items()}
    fewest, most = min(counts.values()), max(counts.values())
    wanted = samples or most
    if fewest < wanted:
        short = next(key for key, count in counts.items() if count < wanted)
        raise UsageError(
            f"{path}: {short} has {counts[short]} samples and not {wanted}; "
            f"to judge the first {fewest} of each: --samples {fewest}"
        )
    keys = () if len(programs) == len(problems) else tuple(programs)
    try:
        recipe = EvalRecipe.model_validate(
            {
                "bench": bench,
                "options": dict(options or {}),
                "model": f"imported:{_digest(programs)}",
                "protocol": "completion",
                "whole_programs": True,
                "samples": wanted,
                "k": list(k),
                "keys": keys,
                "think": (),
                "check_gold": check_gold,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "samples"
        raise UsageError(f"import: {place}: {first['msg']}") from error
    given = Given(path.stem, programs)
    return evaluate(recipe, name=name or _run_name(path), root=root, lend=lambda _: given)


class Given:
    """A model whose replies are programs that were written before."""

    def __init__(self, name: str, programs: Mapping[str, list[str]]) -> None:
        self._name = name
        self._programs = programs

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self._name

    def generate(
        self, requests: Iterable[Request], sampling: Sampling, n: int = 1
    ) -> Iterator[Completion]:
        """Yield the programs of each problem in the file's order."""
        for request in requests:
            for number, text in enumerate(self._programs[request.key][:n]):
                yield Completion(key=request.key, n=number, text=text, finish="stop")

    def close(self) -> None:
        """Nothing is held."""


def _digest(programs: Mapping[str, list[str]]) -> str:
    """Return what names these samples, wherever their file lies."""
    plain = json.dumps({key: programs[key] for key in sorted(programs)})
    return hashlib.sha256(plain.encode()).hexdigest()


def _run_name(path: Path) -> str:
    words = re.sub(r"[^A-Za-z0-9._+-]+", "-", path.name.partition(".")[0]).strip("-._+")
    return f"import-{words or 'samples'}"[:100]
