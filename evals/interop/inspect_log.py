"""A run as a log of Inspect (inspect_ai): one JSON file, which its viewer and its readers open.

The form is that of inspect_ai 0.3.285 (`inspect_ai/log/_log.py`, version 2 of the log): an epoch
is a sample of a problem, the score "verdict" is C or I with the program as the answer. Samples
lost to failures of ours carry an error and no score, as they do there.

Left out: targets (answers do not leave with a run) and events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from evals.interop.judged import Judged, is_judged
from evals.problem import Problem
from evals.tally import Answer
from seedcoder.completion import Request

_SCORER: Final = "verdict"
_STOPS: Final = {"stop": "stop", "length": "max_tokens", "overflow": "model_length"}


def inspect_log(run: Judged) -> dict[str, Any]:
    """Return the log as plain data."""
    sittings = run.stored.manifest.get("sittings") or [{}]
    begun = str(sittings[0].get("begun", "1970-01-01T00:00:00+00:00"))
    ended = run.stored.worked_on or begun
    problems = [problem for problem in run.problems if problem.key in run.by_problem]
    samples = [
        _sample(run, problem, answer)
        for problem in problems
        for answer in run.by_problem[problem.key]
    ]
    sampling = run.sampling()
    keys = [problem.key for problem in problems]
    judged = sum("scores" in sample for sample in samples)
    generation = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
        "stop_seqs": list(sampling.stop),
    }
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": run.stored.folder.name,
            "run_id": run.stored.folder.name,
            "created": begun,
            "task": run.bench.name,
            "task_id": run.bench.name,
            "task_version": run.stored.version,
            "task_args": dict(run.stored.options),
            "dataset": {
                "name": run.bench.name,
                "samples": len(keys),
                "sample_ids": keys,
                "shuffled": False,
            },
            "model": run.model,
            "model_generate_config": generation,
            "config": {"epochs": run.recipe.samples},
            "packages": {},
            "metadata": {"data_sha256": dict(run.stored.data_sha256)},
            "scorers": [{"name": _SCORER}],
        },
        "plan": {"name": "plan", "steps": [], "config": generation},
        "results": {
            "total_samples": len(samples),
            "completed_samples": judged,
            "scores": [
                {
                    "name": _SCORER,
                    "scorer": _SCORER,
                    "scored_samples": judged,
                    "unscored_samples": len(samples) - judged,
                    "metrics": {
                        score.metric: {"name": score.metric, "value": score.value}
                        for score in run.stored.scores
                    },
                }
            ],
        },
        "stats": {
            "started_at": begun,
            "completed_at": ended,
            "model_usage": {run.model: _usage(samples)},
        },
        "samples": samples,
    }


def _sample(run: Judged, problem: Problem, answer: Answer) -> dict[str, Any]:
    asked = _turns(run.request(problem))
    data: dict[str, Any] = {
        "id": problem.key,
        "epoch": answer.n + 1,
        "input": asked if len(asked) != 1 else asked[0]["content"],
        "target": "",
        "messages": asked,
        "metadata": {"tags": list(problem.tags), "date": problem.date},
    }
    sample = answer.sample
    if sample is not None:
        usage = {
            "input_tokens": sample.prompt_tokens,
            "output_tokens": sample.tokens,
            "total_tokens": sample.prompt_tokens + sample.tokens,
        }
        message = {"role": "assistant", "content": sample.text, "source": "generate"}
        data["messages"] = [*asked, message]
        data["output"] = {
            "model": run.model,
            "choices": [{"message": message, "stop_reason": _STOPS[sample.finish]}],
            "completion": sample.text,
            "usage": usage,
        }
        data["model_usage"] = {run.model: usage}
    if is_judged(answer):
        data["scores"] = {_SCORER: _score(answer)}
    else:
        why = answer.error or "it has no verdict"
        data["error"] = {"message": why, "traceback": why, "traceback_ansi": why}
    return data


def _score(answer: Answer) -> dict[str, Any]:
    verdict = answer.verdict
    assert verdict is not None
    failure = verdict.first_failure
    return {
        "value": "C" if verdict.ok else "I",
        "answer": answer.program,
        "explanation": verdict.kind.value + (f": {failure.reason}" if failure else ""),
        "metadata": {
            "kind": verdict.kind.value,
            "passed": verdict.passed,
            "total": verdict.total,
            "mode": verdict.mode,
            **answer.values,
        },
    }


def _turns(request: Request) -> list[dict[str, str]]:
    if isinstance(request.prompt, str):
        return [{"role": "user", "content": request.prompt}]
    turns = [{"role": one.role, "content": one.content} for one in request.prompt]
    if request.prefill:
        turns.append({"role": "assistant", "content": request.prefill})
    return turns


def _usage(samples: list[dict[str, Any]]) -> Mapping[str, int]:
    names = ("input_tokens", "output_tokens", "total_tokens")
    used = [sample["output"]["usage"] for sample in samples if "output" in sample]
    return {name: sum(usage[name] for usage in used) for name in names}
